"""Whose share is whose: the table behind every epoch of the split, and the statement of every household and fund."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from flows.settings import Workspace
from flows.tables import PayoutLineRow, ShareTableRow
from flows.work import chainroom
from flows.work.claiming import change_document
from flows.work.projects import definition_of_project
from models.errors import SatoyamaError
from mrv.results import change_from_doc, digest_result
from registry.claimstruct import project_key
from registry.events import Event, SharesSet
from registry.households import BankPayment, Breakdown, break_down
from registry.pending import pending_shares
from registry.port import ChainPort
from registry.shares import Member, ShareTable, fixed_table, measured_table
from registry.treasury import statement


class NoClaim(SatoyamaError):
    """Nothing was measured and claimed yet, so there is no contribution to share by."""


def members_of(ws: Workspace, project_id: str) -> list[Member]:
    """Who takes part in a project's revenue, with addresses."""
    keys = chainroom.accounts(ws)
    return [
        Member(
            p.payee_id, chainroom.payee_address(ws, p, keys), p.share_ppm, tuple(sorted(p.plots)), p.by_bank
        )
        for p in definition_of_project(ws, project_id).payees
    ]


def share_table(ws: Workspace, project_id: str, claim_or_batch_id: str | None = None) -> ShareTable:
    """The table by the project's own rule; nothing is stored or sent.

    Parameters
    ----------
    claim_or_batch_id : str, optional
        The claim whose change counts; the newest by default.

    Raises
    ------
    NoClaim
        If shares go by what was measured, and nothing was claimed.
    SharesRefused
        If no table can be made.
    """
    members, basis = members_of(ws, project_id), definition_of_project(ws, project_id).sharing
    if basis == "fixed":
        return fixed_table(members)
    claims = ws.catalogue.claims_of(project_id)
    if not claims:
        raise NoClaim(
            en=f"The shares of {project_id!r} go by what was measured, and nothing was claimed yet. Run: satoyama claim",
            ja=f"{project_id!r} の配分は計測結果によりますが、申請がまだありません。実行してください: satoyama claim",
        )
    row = claims[-1] if claim_or_batch_id is None else ws.catalogue.claim_row(claim_or_batch_id)
    change = change_from_doc(change_document(ws, row))
    return measured_table(members, change.plots, basis, digest_result(change))


def share_out(ws: Workspace, project_id: str, claim_or_batch_id: str | None = None) -> tuple[ShareTable, int]:
    """Set the shares of later revenue on chain by the project's rule, and keep the table behind them; run again, nothing changes.

    A project with a delay announces a change first; another one that is announced and not in force yet is cancelled for it.

    Returns
    -------
    table : ShareTable
    epoch : int
        The epoch it stands in, or will when its delay is over (`announced`).
    """
    table, key = share_table(ws, project_id, claim_or_batch_id), project_key(project_id)
    chainroom.register_on_chain(ws, project_id)
    port = chainroom.open_port(ws)
    pending = port.pending_shares(key)
    # What holds in the end: the announced table if there is one, else the one in force.
    coming = port.current_epoch(key) if pending is None else pending[0]
    known = share_tables(ws, project_id, port.events()).get(coming)
    if known is not None and known.digest == table.digest:
        return table, coming
    admin, epoch = chainroom.accounts(ws).load("admin"), port.last_epoch(key) + 1
    row = ShareTableRow(
        project_id=project_id, epoch=epoch, digest=table.digest, doc=table.to_doc(), stored_at=ws.clock()
    )
    with ws.catalogue.write() as session:
        session.merge(row)
    if pending is not None:
        port.cancel_shares(admin, key)
    port.set_shares(admin, key, table.by_address())
    return table, port.last_epoch(key)


def announced(ws: Workspace, project_id: str) -> tuple[int, datetime] | None:
    """The epoch of shares that is announced on chain, and when it takes effect; None where none is."""
    pending = chainroom.open_port(ws).pending_shares(project_key(project_id))
    return None if pending is None else (pending[0], datetime.fromtimestamp(pending[1], UTC))


@dataclass(frozen=True)
class AnnouncedChange:
    """A change of shares that payees are told of before it holds.

    Attributes
    ----------
    rows : tuple of (str, int, int)
        Payee (its address where no table stands behind the chain's), parts of a million now, and then.
    """

    epoch: int
    announced_at: datetime
    effective_from: datetime
    rows: tuple[tuple[str, int, int], ...]

    def row(self, payee: str) -> tuple[int, int] | None:
        """What a payee has now and then; None for one who is in neither table."""
        return next(((now, then) for who, now, then in self.rows if who == payee), None)

    def to_doc(self) -> dict[str, object]:
        """Plain document."""
        rows = [{"payee": who, "ppm_now": now, "ppm_then": then} for who, now, then in self.rows]
        times = {
            "announced_at": self.announced_at.isoformat(),
            "effective_from": self.effective_from.isoformat(),
        }
        return {"epoch": self.epoch, **times, "rows": rows}


def announced_change(ws: Workspace, project_id: str) -> AnnouncedChange | None:
    """The change of shares that is announced on chain now, household by household; None where none is."""
    port, key = chainroom.open_port(ws), project_key(project_id)
    events = port.events()
    pending = pending_shares(events, key, _now(ws, port.head()[1]))
    if pending is None:
        return None
    tables = share_tables(ws, project_id, events)
    before, after = tables.get(pending.epoch_now), tables.get(pending.epoch)
    rows = pending.rows()
    if before is not None and after is not None:
        old, new = before.by_payee(), after.by_payee()
        rows = [(who, old.get(who, 0), new.get(who, 0)) for who in {**old, **new}]
    start, told = (datetime.fromtimestamp(t, UTC) for t in (pending.effective_from, pending.announced_at))
    return AnnouncedChange(pending.epoch, told, start, tuple(rows))


def _now(ws: Workspace, head: int) -> int:
    # A quiet chain's newest block may be days old, and a table comes into force without any.
    return max(head, int(ws.clock().timestamp()))


def share_tables(ws: Workspace, project_id: str, events: Sequence[Event]) -> dict[int, ShareTable]:
    """The table behind every epoch on chain, as far as there is one that says the same."""
    with ws.catalogue.read() as session:
        rows = session.scalars(select(ShareTableRow).where(ShareTableRow.project_id == project_id))
        stored = {row.epoch: ShareTable.from_doc(row.doc) for row in rows}
    fixed = fixed_table(members_of(ws, project_id))
    key, found = project_key(project_id), dict[int, ShareTable]()
    for event in events:
        if isinstance(event, SharesSet) and event.project_id == key:
            # Two workers may have set the same table twice; then the later epoch has no row of its own.
            earlier = [stored[e] for e in sorted(stored, reverse=True) if e < event.epoch]
            own = [stored[event.epoch]] if event.epoch in stored else []
            there = {a.lower(): s for a, s in zip(event.payees, event.shares, strict=True)}
            same = (t for t in (*own, *earlier, fixed) if _lower(t) == there)
            if (table := next(same, None)) is not None:
                found[event.epoch] = table
    return found


def _lower(table: ShareTable) -> dict[str, int]:
    return {address.lower(): ppm for address, ppm in table.by_address().items()}


def bank_payments(ws: Workspace, project_id: str, base_units_per_yen: int) -> list[BankPayment]:
    """What was marked as paid by bank, and what came back, in base units."""
    query = select(PayoutLineRow).where(PayoutLineRow.project_id == project_id)
    with ws.catalogue.read() as session:
        rows = list(session.scalars(query))
    out = [(row, row.paid_at, row.yen) for row in rows if row.paid_at]
    back = [(row, row.returned_at, -row.yen) for row in rows if row.returned_at]
    return [
        BankPayment(row.payee_id, int(when.timestamp()), yen * base_units_per_yen)
        for row, when, yen in (*out, *back)
    ]


def token_of(ws: Workspace, port: ChainPort) -> tuple[str, int]:
    """Symbol and decimal places of the yen token."""
    return "dJPY" if chainroom.deployment(ws).yen_is_ours else "JPY", port.yen_decimals()


def household_rows(ws: Workspace, project_id: str, made: Breakdown) -> list[list[str]]:
    """CSV rows by household and plot with names, token, decimals, period and block on every one."""
    names = {p.payee_id: [p.name_en, p.name_ja] for p in definition_of_project(ws, project_id).payees}
    header, *rows = made.to_csv_rows()
    named = [["name_en", "name_ja", *header], *([*names.get(row[0], ["", ""]), *row] for row in rows)]
    return made.statement.with_context(named, *token_of(ws, chainroom.open_port(ws)))


def household_statements(
    ws: Workspace, project_id: str, start: datetime | None = None, end: datetime | None = None
) -> Breakdown:
    """What every household and fund earned, got and is due over ``[start, end)``; by default all up to now.

    Raises
    ------
    StatementMismatch, BreakdownMismatch
        If events, contract, share tables and bank payouts do not agree to the base unit.
    """
    port = chainroom.open_port(ws)
    made = statement(
        port,
        project_key(project_id),
        start=0 if start is None else int(start.timestamp()),
        end=None if end is None else int(end.timestamp()),
    )
    events = port.events(to_block=made.read_at_block)
    payments = bank_payments(ws, project_id, 10 ** port.yen_decimals())
    if end is None:  # "up to now" includes what was paid since the newest block
        payments = [BankPayment(p.payee_id, min(p.time, made.end - 1), p.amount) for p in payments]
    return break_down(made, events, share_tables(ws, project_id, events), payments)
