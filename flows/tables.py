"""The catalogue's tables: what was handed in, measured, claimed, signed, sent and read back from the chain.

Large things are in the object store and stand here by digest. Kilograms are integers; token amounts may exceed
64 bits and stand inside event documents as decimal text.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

Document = JSON().with_variant(JSONB(), "postgresql")


class UtcTime(TypeDecorator[datetime]):
    """An instant, always aware and in UTC; SQLite forgets time zones, so they are put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"expected an aware time, got {value!r}")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all tables."""


class ProjectRow(Base):
    """A crediting project, as defined when it was registered."""

    __tablename__ = "projects"
    project_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    doc: Mapped[dict[str, Any]] = mapped_column(Document)
    settings: Mapped[dict[str, Any]] = mapped_column(Document)
    registered_at: Mapped[datetime] = mapped_column(UtcTime)


class PlanRow(Base):
    """A monitoring plan and when it was stored: before the second date was read.

    A changed one is for surveys later than `after_survey`, the newest that had been accepted when it was stored.
    """

    __tablename__ = "plans"
    digest: Mapped[str] = mapped_column(String(80), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), index=True)
    doc: Mapped[dict[str, Any]] = mapped_column(Document)
    stored_at: Mapped[datetime] = mapped_column(UtcTime)
    after_survey: Mapped[str | None] = mapped_column(String(120))


class SurveyRow(Base):
    """An accepted survey: its files by digest, and in `known` what later uploads are compared with."""

    __tablename__ = "surveys"
    survey_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), index=True)
    day: Mapped[date] = mapped_column(Date)
    upload_name: Mapped[str] = mapped_column(Text)
    upload_digest: Mapped[str] = mapped_column(String(80), unique=True)
    content_digest: Mapped[str] = mapped_column(String(80), unique=True)
    files: Mapped[dict[str, Any]] = mapped_column(Document)
    known: Mapped[dict[str, Any]] = mapped_column(Document)
    plan_doc: Mapped[dict[str, Any]] = mapped_column(Document)
    simulated: Mapped[bool]
    accepted_at: Mapped[datetime] = mapped_column(UtcTime)


class QuarantineRow(Base):
    """A refused upload, kept whole, with the reasons."""

    __tablename__ = "quarantine"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    upload_name: Mapped[str] = mapped_column(Text)
    upload_digest: Mapped[str] = mapped_column(String(80), index=True)
    place: Mapped[str] = mapped_column(Text)
    problems: Mapped[list[dict[str, Any]]] = mapped_column(Document)
    received_at: Mapped[datetime] = mapped_column(UtcTime)


class StageRow(Base):
    """A stage's stored result: looked up by what went in, so that nothing is computed twice."""

    __tablename__ = "stage_results"
    inputs_digest: Mapped[str] = mapped_column(String(80), primary_key=True)
    stage: Mapped[str] = mapped_column(String(40), index=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), index=True)
    result_digest: Mapped[str] = mapped_column(String(80))
    outputs: Mapped[dict[str, str]] = mapped_column(Document)
    seconds: Mapped[float]
    made_at: Mapped[datetime] = mapped_column(UtcTime)


class ClaimRow(Base):
    """A claim (or a refusal to make one) of one project and period."""

    __tablename__ = "claims"
    claim_id: Mapped[str] = mapped_column(String(80), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), index=True)
    batch_id: Mapped[str] = mapped_column(String(80), index=True)
    doc: Mapped[dict[str, Any]] = mapped_column(Document)
    surveys: Mapped[list[str]] = mapped_column(Document)
    outputs: Mapped[dict[str, str]] = mapped_column(Document)
    content_root: Mapped[str | None] = mapped_column(String(80))
    evidence_root: Mapped[str | None] = mapped_column(String(80))
    bundle_digest: Mapped[str | None] = mapped_column(String(80))
    made_at: Mapped[datetime] = mapped_column(UtcTime)


class ClaimRefusalRow(Base):
    """A change of which no credit may be made, with the reasons."""

    __tablename__ = "claim_refusals"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), index=True)
    change_digest: Mapped[str] = mapped_column(String(80))
    reasons: Mapped[list[dict[str, Any]]] = mapped_column(Document)
    refused_at: Mapped[datetime] = mapped_column(UtcTime)


class ApprovalRow(Base):
    """A verifier's signature of a claim, made after recomputing it."""

    __tablename__ = "approvals"
    claim_id: Mapped[str] = mapped_column(ForeignKey("claims.claim_id"), primary_key=True)
    verifier: Mapped[str] = mapped_column(String(64))
    struct: Mapped[dict[str, Any]] = mapped_column(Document)
    signature: Mapped[str] = mapped_column(Text)
    recomputed_kg: Mapped[int] = mapped_column(BigInteger)
    signed_at: Mapped[datetime] = mapped_column(UtcTime)


class OutboxRow(Base):
    """An issuance: its plan, then what was sent, then what the chain answered. Written before anything is sent."""

    __tablename__ = "outbox"
    batch_id: Mapped[str] = mapped_column(String(80), primary_key=True)
    plan: Mapped[dict[str, Any]] = mapped_column(Document)
    state: Mapped[str] = mapped_column(String(12), index=True)
    tx_hash: Mapped[str | None] = mapped_column(String(80))
    raw_tx: Mapped[str | None] = mapped_column(Text)
    receipt: Mapped[dict[str, Any] | None] = mapped_column(Document)
    changed_at: Mapped[datetime] = mapped_column(UtcTime)


class ActionRow(Base):
    """Something asked for once, other than an issue: its words, then what was signed, then what the chain answered."""

    __tablename__ = "actions"
    batch_id: Mapped[str] = mapped_column("action_id", String(80), primary_key=True)
    plan: Mapped[dict[str, Any]] = mapped_column(Document)
    state: Mapped[str] = mapped_column(String(12), index=True)
    tx_hash: Mapped[str | None] = mapped_column(String(80))
    raw_tx: Mapped[str | None] = mapped_column(Text)
    receipt: Mapped[dict[str, Any] | None] = mapped_column(Document)
    changed_at: Mapped[datetime] = mapped_column(UtcTime)


class ChainEventRow(Base):
    """One event as read from the chain, with its block and time."""

    __tablename__ = "chain_events"
    chain_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    registry_address: Mapped[str] = mapped_column(String(64), primary_key=True)
    tx_hash: Mapped[str] = mapped_column(String(80), primary_key=True)
    log_index: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(40), index=True)
    block: Mapped[int] = mapped_column(BigInteger, index=True)
    block_time: Mapped[datetime] = mapped_column(UtcTime)
    doc: Mapped[dict[str, Any]] = mapped_column(Document)


class ChainCursorRow(Base):
    """Up to which block events of a registry were read, and when."""

    __tablename__ = "chain_cursors"
    chain_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    registry_address: Mapped[str] = mapped_column(String(64), primary_key=True)
    last_block: Mapped[int] = mapped_column(BigInteger)
    read_at: Mapped[datetime] = mapped_column(UtcTime)


class SceneRow(Base):
    """Satellite indices of one plot in one scene; a scene is read once."""

    __tablename__ = "scenes"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), primary_key=True)
    scene_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    plot_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    day: Mapped[date] = mapped_column(Date)
    pixels: Mapped[int]
    clear: Mapped[int]
    ndmi_e4: Mapped[int | None]
    nbr_e4: Mapped[int | None]
    __table_args__ = (Index("scenes_by_plot", "project_id", "plot_id", "day"),)


class AlertRow(Base):
    """A break found in a plot's series: when it set in, and how strongly."""

    __tablename__ = "alerts"
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), index=True)
    plot_id: Mapped[str] = mapped_column(String(120))
    index_name: Mapped[str] = mapped_column(String(12))
    break_day: Mapped[date] = mapped_column(Date)
    magnitude_e4: Mapped[int]
    explained_by: Mapped[str] = mapped_column(Text)
    raised_at: Mapped[datetime] = mapped_column(UtcTime)
    __table_args__ = (UniqueConstraint("project_id", "plot_id", "index_name", "break_day"),)


class ShareTableRow(Base):
    """The share table behind an epoch of the revenue split: who gets what for which plot. Written before the chain is told."""

    __tablename__ = "share_tables"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True)
    digest: Mapped[str] = mapped_column(String(80))
    doc: Mapped[dict[str, Any]] = mapped_column(Document)
    stored_at: Mapped[datetime] = mapped_column(UtcTime)


class BankAccountRow(Base):
    """Where a payee without a wallet is paid; for the payee id "" the account that transfers are ordered from."""

    __tablename__ = "bank_accounts"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), primary_key=True)
    payee_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    doc: Mapped[dict[str, Any]] = mapped_column(Document)
    changed_at: Mapped[datetime] = mapped_column(UtcTime)


class PayoutOfficerRow(Base):
    """An officer recorded before changes of officers were signed: names for old signatures; no such officer counts."""

    __tablename__ = "payout_officers"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), primary_key=True)
    address: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    added_at: Mapped[datetime] = mapped_column(UtcTime)


class PayoutRunRow(Base):
    """One run of bank transfers, as planned; its state follows from the officers' signatures."""

    __tablename__ = "payout_runs"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    digest: Mapped[str] = mapped_column(String(80), unique=True)
    doc: Mapped[dict[str, Any]] = mapped_column(Document)
    state: Mapped[str] = mapped_column(String(12))
    planned_at: Mapped[datetime] = mapped_column(UtcTime)
    changed_at: Mapped[datetime] = mapped_column(UtcTime)


class PayoutLineRow(Base):
    """One transfer of a run. Its whole yen are taken from what the payee is due until it is cancelled or comes back."""

    __tablename__ = "payout_lines"
    project_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    payee_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    yen: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(12))
    paid_at: Mapped[datetime | None] = mapped_column(UtcTime)
    returned_at: Mapped[datetime | None] = mapped_column(UtcTime)
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "number"], ["payout_runs.project_id", "payout_runs.number"], name="line_of_run"
        ),
    )


class PayoutSignatureRow(Base):
    """An officer's signature of one action on a run; an action is done when two officers have signed it."""

    __tablename__ = "payout_signatures"
    project_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    action: Mapped[str] = mapped_column(String(200), primary_key=True)
    officer: Mapped[str] = mapped_column(String(64), primary_key=True)
    signature: Mapped[str] = mapped_column(Text)
    signed_at: Mapped[datetime] = mapped_column(UtcTime)
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "number"],
            ["payout_runs.project_id", "payout_runs.number"],
            name="signature_of_run",
        ),
    )


class OfficerChangeRow(Base):
    """An officer added or removed (`registry.officers`); it holds when two officers have signed it, the first ones at once."""

    __tablename__ = "payout_officer_changes"
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.project_id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    digest: Mapped[str] = mapped_column(String(80))
    doc: Mapped[dict[str, Any]] = mapped_column(Document)
    recorded_at: Mapped[datetime] = mapped_column(UtcTime)


class OfficerSignatureRow(Base):
    """An officer's signature of a change of officers."""

    __tablename__ = "payout_officer_signatures"
    project_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    officer: Mapped[str] = mapped_column(String(64), primary_key=True)
    signature: Mapped[str] = mapped_column(Text)
    signed_at: Mapped[datetime] = mapped_column(UtcTime)
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "number"],
            ["payout_officer_changes.project_id", "payout_officer_changes.number"],
            name="signature_of_officer_change",
        ),
    )


class PayoutFileRow(Base):
    """One hand-out of a run's transfer file."""

    __tablename__ = "payout_files"
    project_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    place: Mapped[int] = mapped_column(Integer, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(80))
    size_bytes: Mapped[int] = mapped_column(Integer)
    given_at: Mapped[datetime] = mapped_column(UtcTime)
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "number"],
            ["payout_runs.project_id", "payout_runs.number"],
            name="file_of_run",
        ),
    )
