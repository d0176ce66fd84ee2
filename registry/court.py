"""Challenges: whoever recomputed a batch otherwise says so with a bond, and a guardian or a panel of verifiers decides.

Every step may be asked for again: what is already done is given back as it happened, and neither bonded nor paid twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from registry.court_events import Challenged, Resolved, RewardFunded, Voted, Withdrawn
from registry.eventbase import Event
from registry.events import BatchIssued
from registry.portbase import PortBase, PortError, only
from registry.refusals import ChainRefused
from registry.signer import Signer

E = TypeVar("E", bound=Event)
Status = Literal["none", "open", "upheld", "dismissed", "expired"]
STATUSES: tuple[Status, ...] = ("none", "open", "upheld", "dismissed", "expired")


@dataclass(frozen=True)
class ChallengeInfo:
    """A challenge as the court has it. `deadline` in unix seconds, `bond` in base units of yen."""

    id: int
    content_root: bytes
    other_root: bytes
    challenger: str
    deadline: int
    lock_left: int
    status: Status
    votes_to_uphold: int
    votes_to_dismiss: int
    recipient: str
    bond: int


@dataclass(frozen=True)
class CourtInfo:
    """The terms that a court was built with. `bond` of a batch's first challenge in base units of yen."""

    bond: int
    resolution_s: int
    panel: int
    reward_fund: int


class CourtPort(PortBase):
    """What challengers, guardians and verifiers do at the court."""

    def court(self) -> CourtInfo:
        """Its terms.

        Raises
        ------
        PortError
            If this deployment has no court.
        """
        if not self.deployment.court:
            raise PortError(
                en="This deployment has no court: its contracts are from before batches could be challenged. "
                "A project that wants one moves to a successor registry: satoyama migrate prepare",
                ja="この配備には異議申立ての契約がありません（旧版）。必要な場合は後継の登録簿へ移行してください: satoyama migrate prepare",
            )
        names = ("bond", "resolutionTime", "panel", "rewardFund")
        return CourtInfo(*(int(self.view("ChallengeWindow", name)) for name in names))

    def challenge_info(self, challenge_id: int) -> ChallengeInfo | None:
        """A challenge by its number; None where there is none."""
        self.court()
        fields = list(self.view("ChallengeWindow", "challenges", challenge_id))
        fields[6] = STATUSES[fields[6]]
        found = ChallengeInfo(*fields)
        return None if found.status == "none" else found

    def open_challenge_of(self, token_id: int) -> int | None:
        """Number of the challenge of a batch that is open now."""
        return (
            int(self.view("ChallengeWindow", "openOf", token_id)) or None if self.deployment.court else None
        )

    def bond_of(self, token_id: int) -> int:
        """What the next challenger of a batch must put in, base units of yen."""
        self.court()
        return int(self.view("ChallengeWindow", "bondOf", token_id))

    def owed(self, account: str) -> int:
        """What an account may withdraw from the court, base units of yen."""
        self.court()
        return int(self.view("ChallengeWindow", "owed", account))

    def challenges_of(self, token_id: int) -> list[Challenged]:
        """Every challenge of a batch, oldest first."""
        return [e for e in self._of_court(Challenged) if e.id == token_id]

    def challenge(
        self, challenger: Signer, batch_id: bytes, other_root: bytes, evidence_uri: str = ""
    ) -> Challenged:
        """Challenge a batch: the same inputs give `other_root`. Approves exactly the bond first; a guardian needs none.

        Raises
        ------
        PortError
            If the batch was never issued, or there is no court.
        ChainRefused
            If the batch's lock is over, it is under challenge by somebody else, or that root was posted before.
        """
        self.court()
        issued = self.issued(batch_id)
        if issued is None:
            raise _not_issued(batch_id)

        def done() -> Challenged | None:
            return next(
                (
                    e
                    for e in self.challenges_of(issued.id)
                    if e.other_root == other_root and e.challenger == challenger.address
                ),
                None,
            )

        return self._once(done, lambda: self._challenge(challenger, issued, other_root, evidence_uri))

    def _challenge(
        self, challenger: Signer, issued: BatchIssued, other_root: bytes, evidence_uri: str
    ) -> Challenged:
        court = self.deployment.court
        bond = 0 if self.has_role("GUARDIAN_ROLE", challenger.address) else self.bond_of(issued.id)
        if bond and int(self.view("DevYen", "allowance", challenger.address, court)) < bond:
            self._send(challenger, "DevYen", "approve", court, bond)
        arguments = (issued.content_root, other_root, issued.recipient, evidence_uri)
        mined = self._send(challenger, "ChallengeWindow", "challenge", *arguments)
        return only(self.events_of(mined), Challenged)

    def resolve_challenge(self, guardian: Signer, challenge_id: int, uphold: bool) -> Resolved:
        """Decide alone, as a guardian: upheld annuls the batch, dismissed lets it live and gives the bond to its recipient."""
        wanted = STATUSES.index("upheld" if uphold else "dismissed")
        return self._once(
            lambda: self._resolved(challenge_id, wanted, guardian.address),
            lambda: only(
                self.events_of(self._send(guardian, "ChallengeWindow", "resolve", challenge_id, uphold)),
                Resolved,
            ),
        )

    def vote(self, verifier: Signer, challenge_id: int, uphold: bool) -> tuple[Voted, Resolved | None]:
        """Vote as a verifier of the panel; the second event is there once enough of them agree."""

        def done() -> Voted | None:
            return next(
                (
                    e
                    for e in self._of_court(Voted)
                    if (e.challenge_id, e.verifier, e.uphold) == (challenge_id, verifier.address, uphold)
                ),
                None,
            )

        voted = self._once(
            done,
            lambda: only(
                self.events_of(self._send(verifier, "ChallengeWindow", "vote", challenge_id, uphold)), Voted
            ),
        )
        return voted, self._resolved(challenge_id)

    def expire_challenge(self, account: Signer, challenge_id: int) -> Resolved:
        """Say that nobody decided in time: the batch is annulled and the bond comes back. Anybody may."""
        return self._once(
            lambda: self._resolved(challenge_id, STATUSES.index("expired")),
            lambda: only(
                self.events_of(self._send(account, "ChallengeWindow", "expire", challenge_id)), Resolved
            ),
        )

    def withdraw_bond(self, account: Signer, to: str | None = None) -> Withdrawn:
        """Take out all that the court owes the account; ChainRefused where that is nothing."""
        self.court()
        mined = self._send(account, "ChallengeWindow", "withdraw", to or account.address)
        return only(self.events_of(mined), Withdrawn)

    def fund_rewards(self, account: Signer, amount: int) -> RewardFunded:
        """Give to the fund from which challengers who were right are rewarded, base units of yen; each time it is called."""
        self.court()
        court = self.deployment.court
        if int(self.view("DevYen", "allowance", account.address, court)) < amount:
            self._send(account, "DevYen", "approve", court, amount)
        return only(
            self.events_of(self._send(account, "ChallengeWindow", "fundRewards", amount)), RewardFunded
        )

    def _resolved(
        self, challenge_id: int, status: int | None = None, by: str | None = None
    ) -> Resolved | None:
        return next(
            (
                e
                for e in self._of_court(Resolved)
                if e.challenge_id == challenge_id and status in (None, e.status) and by in (None, e.by)
            ),
            None,
        )

    def _once(self, done: Callable[[], E | None], act: Callable[[], E]) -> E:
        """What was done before, else what is done now; asked again where the chain refuses, as an earlier run may be there by then."""
        self.court()
        before = done()
        if before is not None:
            return before
        try:
            return act()
        except ChainRefused:
            meanwhile = done()
            if meanwhile is None:
                raise
            return meanwhile

    def _of_court(self, kind: type[E]) -> list[E]:
        if not self.deployment.court:
            return []
        found = self._logs(["ChallengeWindow"], self.deployment.block, None, [kind.__name__], None)
        return [event for event in found if isinstance(event, kind)]


def _not_issued(batch_id: bytes) -> PortError:
    return PortError(
        en=f"Batch 0x{batch_id.hex()} was not issued by this registry, so there is nothing to challenge. Check the number.",
        ja=f"バッチ 0x{batch_id.hex()} はこの登録簿で発行されていないため、異議の対象がありません。番号をご確認ください。",
    )
