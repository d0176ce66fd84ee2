"""Events of disputes and of endings: challenges, annulments, serial numbers, refill, release, and the move to a successor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from registry.eventbase import Event


@dataclass(frozen=True)
class SerialsEnded(Event):
    """Credits of a holder ended: serial numbers ``[first, end)`` of the batch, on that certificate (0: on none)."""

    contract: ClassVar[str] = "CreditRegistry"
    renamed: ClassVar[dict[str, str]] = {"from": "first", "to": "end"}
    certificate_id: int
    id: int
    first: int
    end: int


@dataclass(frozen=True)
class BatchFrozen(Event):
    """A challenge stopped a batch."""

    contract: ClassVar[str] = "CreditRegistry"
    id: int
    court: str


@dataclass(frozen=True)
class BatchThawed(Event):
    """A challenge was dismissed; the batch stays locked until then (unix seconds)."""

    contract: ClassVar[str] = "CreditRegistry"
    id: int
    court: str
    locked_until: int


@dataclass(frozen=True)
class BatchAnnulled(Event):
    """A batch was undone: its credits are burned and out of the project's account. `deficit_kg` is the project's afterwards."""

    contract: ClassVar[str] = "CreditRegistry"
    id: int
    project_id: bytes
    court: str
    gross_kg: int
    buffer_burned_kg: int
    deficit_kg: int


@dataclass(frozen=True)
class DeficitRefilled(Event):
    """Somebody gave credits of batch `id` to make a project's deficit smaller; `deficit_kg` is left."""

    contract: ClassVar[str] = "CreditRegistry"
    project_id: bytes
    id: int
    account: str
    kg: int
    deficit_kg: int


@dataclass(frozen=True)
class BufferReleased(Event):
    """Buffer whose time of permanence is over was given out."""

    contract: ClassVar[str] = "CreditRegistry"
    project_id: bytes
    id: int
    to: str
    kg: int
    guardian: str
    verifier: str


@dataclass(frozen=True)
class MigrationAnnounced(Event):
    """A project closes here at `closes_at` (unix seconds; 0: it was taken back) and goes over to the successor."""

    contract: ClassVar[str] = "CreditRegistry"
    project_id: bytes
    successor: str
    closes_at: int


@dataclass(frozen=True)
class Migrated(Event):
    """A holder's credits were burned here and minted by the successor, under the same id."""

    contract: ClassVar[str] = "CreditRegistry"
    id: int
    account: str
    successor: str
    kg: int


@dataclass(frozen=True)
class ProjectImported(Event):
    """This registry carries on the account that a project had in the one before."""

    contract: ClassVar[str] = "CreditRegistry"
    project_id: bytes
    last_period_end: int
    gross_kg: int
    compensated_kg: int
    deficit_kg: int


@dataclass(frozen=True)
class BatchImported(Event):
    """This registry knows a batch of the one before, and holds its buffer."""

    contract: ClassVar[str] = "CreditRegistry"
    id: int
    project_id: bytes
    buffer_kg: int


@dataclass(frozen=True)
class Challenged(Event):
    """Somebody recomputed a batch otherwise, and says so with a bond (base units of yen). `deadline` in unix seconds."""

    contract: ClassVar[str] = "ChallengeWindow"
    challenge_id: int
    id: int
    challenger: str
    content_root: bytes
    other_root: bytes
    recipient: str
    bond: int
    deadline: int
    evidence_uri: str


@dataclass(frozen=True)
class Voted(Event):
    """A verifier of the panel voted on a challenge."""

    contract: ClassVar[str] = "ChallengeWindow"
    challenge_id: int
    verifier: str
    uphold: bool


@dataclass(frozen=True)
class Resolved(Event):
    """A challenge ended. `status` as in `registry.court.STATUSES`; `amount` in base units is due to `paid_to`."""

    contract: ClassVar[str] = "ChallengeWindow"
    challenge_id: int
    id: int
    by: str
    status: int
    paid_to: str
    amount: int


@dataclass(frozen=True)
class RewardFunded(Event):
    """Somebody gave to the fund that rewards challengers who were right."""

    contract: ClassVar[str] = "ChallengeWindow"
    renamed: ClassVar[dict[str, str]] = {"from": "payer"}
    payer: str
    amount: int


@dataclass(frozen=True)
class Withdrawn(Event):
    """An account took out what the court owed it."""

    contract: ClassVar[str] = "ChallengeWindow"
    account: str
    to: str
    amount: int


COURT_EVENTS: tuple[type[Event], ...] = (
    SerialsEnded,
    BatchFrozen,
    BatchThawed,
    BatchAnnulled,
    DeficitRefilled,
    BufferReleased,
    MigrationAnnounced,
    Migrated,
    ProjectImported,
    BatchImported,
    Challenged,
    Voted,
    Resolved,
    RewardFunded,
    Withdrawn,
)
