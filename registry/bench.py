"""Who can judge a challenge at the court, and what is weak about it: silence annuls a batch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from registry.port import ChainPort
from registry.roles import role_holders


@dataclass(frozen=True)
class Bench:
    """Judges of challenges.

    Parameters
    ----------
    guardians : tuple of str
        Who may decide alone; without those who issue, whom the court does not hear.
    verifiers : tuple of str
        Who may vote.
    panel : int
        How many votes decide.
    """

    guardians: tuple[str, ...]
    verifiers: tuple[str, ...]
    panel: int

    def without(self, parties: Collection[str]) -> Bench:
        """The judges of one batch: neither its signer nor its recipient nor the challenger."""
        lower = {party.lower() for party in parties}

        def left(accounts: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(account for account in accounts if account.lower() not in lower)

        return Bench(left(self.guardians), left(self.verifiers), self.panel)

    def warning(self, *, signed: bool = False) -> tuple[str, str] | None:
        """What is weak, in both languages; None where a challenge can be decided though one judge is silent.

        Parameters
        ----------
        signed : bool
            Whether the batch's signer is among the verifiers still (of a court as a whole), and so has no vote.
        """
        voters = len(self.verifiers) - (1 if signed and self.verifiers else 0)
        # A guardian more, or a verifier more than the panel, stands in for the one who is silent.
        if len(self.guardians) + max(0, voters - self.panel + 1) > 1:
            return None
        votes = (
            f"verifiers who could vote: {voters} of the {self.panel} needed",
            f"投票できる検証者は {voters} 人（必要 {self.panel} 人）",
        )
        how = (
            "satoyama chain grant guardian ADDRESS, or ... grant verifier ADDRESS",
            "satoyama chain grant guardian アドレス、または grant verifier アドレス",
        )
        if not self.guardians and voters == self.panel:
            return (
                f"NO guardian can judge, and every one of the verifiers must vote ({votes[0]}): if one is silent, the batch is "
                f"annulled. {how[0]}",
                f"裁ける監視役がおらず、検証者全員の投票が必要です（{votes[1]}）。1人でも沈黙するとバッチは取り消されます。{how[1]}",
            )
        if not self.guardians:
            return (
                f"NOBODY can judge a challenge (no guardian; {votes[0]}): whoever challenges a batch annuls it. {how[0]}",
                f"異議を裁ける人がいません（監視役なし、{votes[1]}）。申立てがあれば必ずバッチが取り消されます。{how[1]}",
            )
        return (
            f"ONLY ONE guardian can judge ({self.guardians[0]}; {votes[0]}): if he is silent, or challenges himself, the batch is "
            f"annulled. Name a second one: {how[0]}",
            f"異議を裁ける監視役は1人だけです（{self.guardians[0]}、{votes[1]}）。その人が沈黙するか自ら申し立てると、"
            f"バッチは取り消されます。2人目を指名してください: {how[1]}",
        )


def bench_of(port: ChainPort) -> Bench | None:
    """Who can judge challenges now; None where the deployment has no court."""
    if not port.deployment.court:
        return None
    held: dict[str, list[str]] = {}
    for holder in role_holders(port):
        held.setdefault(holder.role.word, []).append(holder.account)
    issuers = set(held.get("issuer", ()))
    guardians = tuple(a for a in held.get("guardian", ()) if a not in issuers)
    return Bench(guardians, tuple(held.get("verifier", ())), port.court().panel)


def court_warning(port: ChainPort) -> tuple[str, str] | None:
    """What is weak about a deployment's court as it stands, in both languages; None where nothing is, or there is no court."""
    found = bench_of(port)
    return None if found is None else found.warning(signed=True)
