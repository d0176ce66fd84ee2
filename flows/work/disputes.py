"""Challenges of a batch, from a buyer's doubt to the bond's return. Every step may be run again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flows.catalogue import CatalogueError
from flows.settings import Workspace
from flows.work import chainroom
from flows.work.claiming import claim_record
from flows.work.trading import NotIssued
from models.errors import SatoyamaError
from mrv.bundle import Bundle
from mrv.evidence import roots_of
from registry.bench import Bench, bench_of
from registry.claimstruct import digest_of
from registry.court import ChallengeInfo, CourtInfo
from registry.court_events import Challenged, Resolved, Voted
from registry.port import ChainPort
from registry.refusals import ChainRefused
from registry.views import BatchInfo, BatchState


class SameResult(SatoyamaError):
    """The challenger's own bundle says what the batch says."""


class BundleSpoilt(SatoyamaError):
    """A file of the challenger's bundle is not the one it lists."""


@dataclass(frozen=True)
class Standing:
    """How a batch stands.

    Attributes
    ----------
    bond : int
        What the next challenger puts in, base units of yen.
    challenges : tuple of (number, ChallengeInfo)
        All that were opened, oldest first.
    reward_fund : int
        What is there for challengers who are right, base units of yen.
    warning : pair of str or None
        What is weak about those who would judge this batch, in English and Japanese.
    """

    batch_id: bytes
    batch: BatchInfo
    state: BatchState
    now: int
    bond: int
    challenges: tuple[tuple[int, ChallengeInfo], ...]
    reward_fund: int = 0
    warning: tuple[str, str] | None = None

    @property
    def word(self) -> str:
        """``annulled``, ``under challenge``, ``may be challenged`` or ``stands``."""
        if self.state.annulled:
            return "annulled"
        if self.state.frozen:
            return "under challenge"
        return "may be challenged" if self.now < self.batch.locked_until else "stands"


def batch_key(ws: Workspace, claim_or_batch_id: str) -> bytes:
    """Key of a batch: of a claim in this workspace, or, for a buyer who has none, the batch id itself."""
    try:
        return digest_of(claim_record(ws, claim_or_batch_id).claim.batch_id)
    except CatalogueError:
        return digest_of(claim_or_batch_id)


def issued_batch(port: ChainPort, key: bytes) -> BatchInfo:
    """A batch that is on the chain.

    Raises
    ------
    NotIssued
        If it is not.
    """
    batch = port.batch(key)
    if batch is None:
        raise NotIssued(
            en=f"The batch 0x{key.hex()} is not in the registry {port.deployment.registry}. Check its number.",
            ja=f"バッチ 0x{key.hex()} は登録簿 {port.deployment.registry} にありません。番号をご確認ください。",
        )
    return batch


def content_root_of(bundle: Path) -> bytes:
    """Content root of an evidence bundle whose files are what it says.

    Raises
    ------
    BundleSpoilt
        If a file is not the one that the bundle lists.
    """
    with Bundle(bundle) as opened:
        found = opened.compare_files()
        wrong = (*found.differing, *found.missing, *found.unexpected)
        if wrong:
            raise BundleSpoilt(
                en=f"The bundle {bundle.name} is not whole: {', '.join(wrong)}. Make it again, then challenge with it.",
                ja=f"証拠一式 {bundle.name} が不完全です: {'、'.join(wrong)}。作り直してから申し立ててください。",
            )
        return digest_of(roots_of(opened.evidence.leaves).content_root)


def open_challenge(
    ws: Workspace, claim_or_batch_id: str, other_root: bytes, uri: str = "", role: str = "buyer"
) -> Challenged:
    """Challenge a batch with another content root; approves and pays the bond, once however often this is run.

    Raises
    ------
    SameResult
        If the root is the batch's own.
    ChainRefused
        If its time is over, or it is under challenge already.
    """
    port, key = chainroom.open_port(ws), batch_key(ws, claim_or_batch_id)
    issued = port.issued(key)
    if issued is not None and issued.content_root == other_root:
        raise SameResult(
            en=f"The content root 0x{other_root.hex()} is the batch's own: your result is the same, so there is nothing to challenge.",
            ja=f"内容ルート 0x{other_root.hex()} はバッチのものと同じです。結果が一致しているため、異議はありません。",
        )
    return port.challenge(chainroom.accounts(ws).load(role), key, other_root, uri)


def resolve_challenge(ws: Workspace, challenge_id: int, uphold: bool, role: str = "guardian") -> Resolved:
    """A guardian decides; a decision that is there already is given back."""
    return chainroom.open_port(ws).resolve_challenge(chainroom.accounts(ws).load(role), challenge_id, uphold)


def vote_challenge(
    ws: Workspace, challenge_id: int, uphold: bool, role: str = "verifier"
) -> tuple[Voted, Resolved | None]:
    """A verifier of the panel votes, once."""
    return chainroom.open_port(ws).vote(chainroom.accounts(ws).load(role), challenge_id, uphold)


def expire_challenge(ws: Workspace, challenge_id: int, role: str = "buyer") -> Resolved:
    """Nobody decided in time: the batch is annulled, the bond comes back."""
    return chainroom.open_port(ws).expire_challenge(chainroom.accounts(ws).load(role), challenge_id)


def withdraw_bond(ws: Workspace, role: str = "buyer", to: str | None = None) -> int:
    """Take out what the court owes an account, base units of yen; 0 where that is nothing, as after a retry."""
    port, account = chainroom.open_port(ws), chainroom.accounts(ws).load(role)
    if port.owed(account.address) == 0:
        return 0
    try:
        return port.withdraw_bond(account, None if to is None else chainroom.checksum(to)).amount
    except ChainRefused as refused:
        if refused.name == "Payment_NothingDue":
            return 0
        raise


def standing(ws: Workspace, claim_or_batch_id: str) -> Standing:
    """How a batch stands now, with every challenge of it."""
    port, key = chainroom.open_port(ws), batch_key(ws, claim_or_batch_id)
    batch = issued_batch(port, key)
    court = bool(port.deployment.court)
    numbers = [e.challenge_id for e in port.challenges_of(batch.id)]
    known = [(number, port.challenge_info(number)) for number in numbers]
    return Standing(
        key,
        batch,
        port.batch_state(batch.id),
        port.head()[1],
        port.bond_of(batch.id) if court else 0,
        tuple((number, info) for number, info in known if info is not None),
        port.court().reward_fund if court else 0,
        _warning(port, key, [info.challenger for _, info in known if info and info.status == "open"]),
    )


def _warning(port: ChainPort, key: bytes, challengers: list[str]) -> tuple[str, str] | None:
    judges, issued = bench_of(port), port.issued(key)
    if judges is None or issued is None:
        return None
    return judges.without((issued.verifier, issued.recipient, *challengers)).warning()


@dataclass(frozen=True)
class CourtState:
    """The court as it stands: its terms and fund, who can judge there, and what is weak about that."""

    terms: CourtInfo
    bench: Bench
    warning: tuple[str, str] | None


def court_state(ws: Workspace) -> CourtState:
    """The court of the workspace's contracts.

    Raises
    ------
    PortError
        If the deployment has none.
    """
    port = chainroom.open_port(ws)
    terms, judges = port.court(), bench_of(port)
    assert judges is not None, "there is a court"
    return CourtState(terms, judges, judges.warning(signed=True))
