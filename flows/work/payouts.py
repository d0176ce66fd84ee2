"""Paying households by bank: runs that two officers sign, and the file for the bank.

A run sets its yen aside in the same transaction that reads what earlier runs took, so that nothing is paid twice however many plan
at once. A state follows from signatures on record, each checked anew when it counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from flows.settings import Workspace
from flows.tables import (
    PayoutFileRow,
    PayoutLineRow,
    PayoutOfficerRow,
    PayoutRunRow,
    PayoutSignatureRow,
    ProjectRow,
)
from flows.work import chainroom
from flows.work.bank_accounts import accounts_on_record
from flows.work.payout_officers import check_both, read_register
from flows.work.sharing import household_statements
from registry import payouts
from registry.officers import Officer, Register, both_duties
from registry.payouts import PayoutRefused, PayoutRun
from registry.treasury import JST
from registry.zengin import check_day

_TAKEN = ("reserved", "paid")


@dataclass(frozen=True)
class RunRecord:
    """A run with what became of it.

    Attributes
    ----------
    lines : mapping of payee id to state
        ``reserved``, ``paid``, ``returned`` or ``cancelled``.
    signed : tuple of (action, officer's name)
    files : tuple of (time, SHA-256)
        When its file was handed out, ISO 8601.
    """

    run: PayoutRun
    state: payouts.State
    lines: dict[str, str]
    signed: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...] = ()

    def to_doc(self) -> dict[str, Any]:
        """Plain document, with the digest that officers sign."""
        signed = [list(one) for one in self.signed]
        return {
            **self.run.to_doc(),
            "digest": self.run.digest,
            "state": self.state,
            "line_states": self.lines,
            "signed": signed,
            "files": [{"given_at": when, "sha256": digest} for when, digest in self.files],
        }


def plan_payout(ws: Workspace, project_id: str, day: date) -> RunRecord:
    """Plan a run that pays every household all whole yen due to it, and set them aside.

    The officers of this moment are frozen into the run: nobody added later approves it.

    Raises
    ------
    PayoutRefused
        If nothing is due, an account is missing, or the money has not come from the split yet.
    ZenginRefused
        If no bank pays on that day.
    OfficersRefused
        If there is no treasurer or no auditor on record.
    """
    check_day(day, ws.clock().astimezone(JST).date())
    port = chainroom.open_port(ws)
    unit = 10 ** port.yen_decimals()
    made = household_statements(ws, project_id)
    if not made.banks:
        raise PayoutRefused(
            en='No payee of the project is paid by bank yet (pay_by = "bank" in [[payees]], and a sale).',
            ja='銀行振込の支払先がまだありません（[[payees]] の pay_by = "bank" と売上が必要です）。',
        )
    (book,) = made.banks
    with ws.catalogue.write() as session:
        # Whoever plans holds the project's row, so that two plans never count on the same money.
        session.get(ProjectRow, project_id, with_for_update=True)
        requester, accounts = accounts_on_record(session, project_id)
        taken, (register, _) = _taken(session, project_id), read_register(session, project_id)
        payable = payouts.payable_yen(made.lines, taken, unit)
        lines = payouts.lines_of(payable, accounts, _open_runs(session, project_id))
        new_yen = sum(line.yen for line in lines)
        payouts.check_covered(book, sum(taken.values()), new_yen, unit, port.confirmations)
        check_both(register)
        last = session.scalar(
            select(func.max(PayoutRunRow.number)).where(PayoutRunRow.project_id == project_id)
        )
        run = PayoutRun(
            project_id=project_id,
            number=(last or 0) + 1,
            chain_id=port.chain_id,
            token_address=port.deployment.yen,
            bank_address=book.address,
            day=day,
            read_at_block=made.statement.read_at_block,
            requester=requester,
            lines=lines,
            officers=register.officers,
            officers_digest=register.digest,
        )
        run.to_file()  # refused now rather than after two officers have signed
        _store(session, run, ws)
    return payout_run(ws, project_id, run.number)


def _taken(session: Session, project_id: str) -> dict[str, int]:
    query = (
        select(PayoutLineRow.payee_id, func.sum(PayoutLineRow.yen))
        .where(PayoutLineRow.project_id == project_id, PayoutLineRow.state.in_(_TAKEN))
        .group_by(PayoutLineRow.payee_id)
    )
    return {payee: int(yen) for payee, yen in session.execute(query)}


def _open_runs(session: Session, project_id: str) -> dict[int, payouts.State]:
    query = (
        select(PayoutRunRow)
        .where(PayoutRunRow.project_id == project_id, PayoutRunRow.state.in_(("planned", "approved")))
        .order_by(PayoutRunRow.number)
    )
    return {row.number: row.state for row in session.scalars(query)}  # type: ignore[misc]  # plain text in the catalogue, a closed set here


def _store(session: Session, run: PayoutRun, ws: Workspace) -> None:
    now = ws.clock()
    session.add(
        PayoutRunRow(
            project_id=run.project_id,
            number=run.number,
            digest=run.digest,
            doc=run.to_doc(),
            state="planned",
            planned_at=now,
            changed_at=now,
        )
    )
    session.flush()
    for line in run.lines:
        session.add(
            PayoutLineRow(
                project_id=run.project_id,
                number=run.number,
                payee_id=line.payee_id,
                yen=line.yen,
                state="reserved",
            )
        )


def sign_payout(
    ws: Workspace, project_id: str, number: int, action: str, *, role: str = "", signature: str = ""
) -> RunRecord:
    """Add an officer's signature of an action; a treasurer's and an auditor's carry it out. The same signature again changes nothing.

    An approval (``pay``) counts from officers who were on record when the run was planned and are now; all else from those of now.

    Parameters
    ----------
    action : str
        ``pay``, ``cancel``, ``paid REFERENCE`` or ``return PAYEE REASON``.
    role : str
        Key of the keystore that signs; or `signature`, made elsewhere over `registry.payouts.message`.

    Raises
    ------
    PayoutRefused
        If the signer is no officer, or the run's state does not allow the action.
    """
    run = payout_run(ws, project_id, number).run
    payouts.check_action(run, action)
    given = signature or payouts.sign(run, action, chainroom.accounts(ws).load(role))
    officer = payouts.signer(run, action, given)
    with ws.catalogue.write() as session:
        row = _locked(session, project_id, number)
        register, _ = read_register(session, project_id)
        able = _able(run, action, register)
        if officer not in {o.address for o in able}:
            raise _no_officer(run, action, officer, able)
        key = (project_id, number, action, officer)
        if session.get(PayoutSignatureRow, key) is None:
            lines = _lines(session, project_id, number)
            payouts.may_follow(row.state, action, {p: line.state for p, line in lines.items()})  # type: ignore[arg-type]  # plain text in the catalogue, closed sets here
            session.add(
                PayoutSignatureRow(
                    project_id=project_id,
                    number=number,
                    action=action,
                    officer=officer,
                    signature=given,
                    signed_at=ws.clock(),
                )
            )
            session.flush()
            if both_duties(_signers(session, run, action, able)):
                _carry_out(row, lines, action, ws)
    return payout_run(ws, project_id, number)


def _carry_out(row: PayoutRunRow, lines: dict[str, PayoutLineRow], action: str, ws: Workspace) -> None:
    now, kind = ws.clock(), action.split(" ")[0]
    row.changed_at = now
    if kind == "return":
        line = lines[action.split(" ")[1]]
        line.state, line.returned_at = "returned", now
        return
    row.state = {"pay": "approved", "paid": "paid", "cancel": "cancelled"}[kind]
    for line in lines.values():
        if kind == "paid":
            line.state, line.paid_at = "paid", now
        elif kind == "cancel":
            line.state = "cancelled"


def _locked(session: Session, project_id: str, number: int) -> PayoutRunRow:
    row = session.get(PayoutRunRow, (project_id, number), with_for_update=True)
    if row is None:
        raise _no_run(project_id, number)
    return row


def _no_run(project_id: str, number: int) -> PayoutRefused:
    return PayoutRefused(
        en=f"The project {project_id!r} has no payout run {number}. See: satoyama payout list",
        ja=f"プロジェクト {project_id!r} に支払 {number} はありません。確認: satoyama payout list",
    )


def _lines(session: Session, project_id: str, number: int) -> dict[str, PayoutLineRow]:
    query = select(PayoutLineRow).where(
        PayoutLineRow.project_id == project_id, PayoutLineRow.number == number
    )
    return {row.payee_id: row for row in session.scalars(query)}


def _able(run: PayoutRun, action: str, register: Register) -> tuple[Officer, ...]:
    """Officers whose signature of the action counts now."""
    if action != "pay":
        return register.officers
    if run.officers_digest not in register.history:
        raise PayoutRefused(
            en=f"Run {run.number} was planned with officers (register {run.officers_digest or 'not recorded'}) that the record no longer tells of. "
            f"If nobody altered the record, cancel the run and plan anew: satoyama payout sign {run.number} cancel",
            ja=f"支払 {run.number} を計画した時の役員（登録簿 {run.officers_digest or '記録なし'}）が今の記録にありません。記録の改変でなければ、"
            f"取り消して計画し直してください: satoyama payout sign {run.number} cancel",
        )
    return tuple(o for o in run.officers if o in register.officers)


def _no_officer(run: PayoutRun, action: str, got: str, able: Iterable[Officer]) -> PayoutRefused:
    names = ", ".join(f"{o.name} ({o.duty})" for o in able) or "-"
    late_en = ", on record when the run was planned and now" if action == "pay" else ""
    late_ja = "（計画時と現在の両方で登録されている役員に限ります）" if action == "pay" else ""
    return PayoutRefused(
        en=f"{got} is no officer of {run.project_id!r} who can sign {action!r} on run {run.number}{late_en}, or another text was signed. "
        f"Who can: {names} (satoyama payout officers). Sign what 'payout sign … --text' prints; cancel the run if its officers are gone.",
        ja=f"{got} は支払 {run.number} の「{action}」に署名できる {run.project_id!r} の役員ではないか、別の文に署名しています{late_ja}。"
        f"署名できる役員: {names}（satoyama payout officers）。payout sign … --text の文に署名してください。計画時の役員がいなければ取り消してください。",
    )


def _signers(session: Session, run: PayoutRun, action: str, able: Iterable[Officer]) -> list[Officer]:
    """Those of the officers whose signature of the action, on this very run, is on record and good."""
    query = select(PayoutSignatureRow).where(
        PayoutSignatureRow.project_id == run.project_id,
        PayoutSignatureRow.number == run.number,
        PayoutSignatureRow.action == action,
    )
    found = {payouts.signer(run, action, row.signature) for row in session.scalars(query)}
    return [officer for officer in able if officer.address in found]


def payout_run(ws: Workspace, project_id: str, number: int) -> RunRecord:
    """A run and what became of it.

    Raises
    ------
    PayoutRefused
        If there is none, or it is not the one that was planned.
    """
    with ws.catalogue.read() as session:
        row = session.get(PayoutRunRow, (project_id, number))
        if row is None:
            raise _no_run(project_id, number)
        return _record(session, row)


def payout_runs(ws: Workspace, project_id: str) -> Sequence[RunRecord]:
    """All runs of a project, oldest first."""
    query = select(PayoutRunRow).where(PayoutRunRow.project_id == project_id).order_by(PayoutRunRow.number)
    with ws.catalogue.read() as session:
        return [_record(session, row) for row in session.scalars(query).all()]


def _record(session: Session, row: PayoutRunRow) -> RunRecord:
    run = PayoutRun.from_doc(row.doc)
    lines = _lines(session, row.project_id, row.number)
    if run.digest != row.digest or {p: one.yen for p, one in lines.items()} != {
        one.payee_id: one.yen for one in run.lines
    }:
        raise PayoutRefused(
            en=f"The record of payout run {row.number} was altered since it was planned: its digest is not {row.digest}.",
            ja=f"支払 {row.number} の記録が計画時から変わっています（ダイジェスト {row.digest} と不一致）。",
        )
    names = _names(session, run)
    query = select(PayoutSignatureRow).where(
        PayoutSignatureRow.project_id == row.project_id, PayoutSignatureRow.number == row.number
    )
    signed = [(s.action, names.get(s.officer, s.officer)) for s in session.scalars(query)]
    given = select(PayoutFileRow).where(
        PayoutFileRow.project_id == row.project_id, PayoutFileRow.number == row.number
    )
    files = tuple(
        (f.given_at.isoformat(), f.sha256) for f in session.scalars(given.order_by(PayoutFileRow.place))
    )
    state: Any = row.state
    return RunRecord(run, state, {p: one.state for p, one in lines.items()}, tuple(sorted(signed)), files)


def _names(session: Session, run: PayoutRun) -> dict[str, str]:
    old = select(PayoutOfficerRow).where(PayoutOfficerRow.project_id == run.project_id)
    register, _ = read_register(session, run.project_id)
    now = {o.address: o.name for o in (*run.officers, *register.officers)}
    return {**{row.address: row.name for row in session.scalars(old)}, **now}


def payout_file(ws: Workspace, project_id: str, number: int, *, again: bool = False) -> bytes:
    """Hand out the transfer file of a run that two officers approved, and record that; the same bytes every time.

    Parameters
    ----------
    again : bool
        Hand it out although it was before, or the run is paid: a bank that gets it twice pays twice.

    Raises
    ------
    PayoutRefused
        If it is not approved, was cancelled, or was handed out before.
    """
    with ws.catalogue.write() as session:
        record = _record(session, _locked(session, project_id, number))
        approved = both_duties(_signers(session, record.run, "pay", record.run.officers))
        if record.state not in ("approved", "paid") or not approved:
            raise PayoutRefused(
                en=f"Payout run {number} is {record.state}; the bank's file is given out when two officers, a treasurer and an auditor, have signed 'pay' "
                f"(satoyama payout sign {number} pay).",
                ja=f"支払 {number} の状態は {record.state} です。振込データは役員2名（会計と監事）が pay に署名した後に出力できます（satoyama payout sign {number} pay）。",
            )
        if not again and (record.files or record.state == "paid"):
            raise _given_before(record)
        data = record.run.to_file()
        session.add(
            PayoutFileRow(
                project_id=project_id,
                number=number,
                place=len(record.files) + 1,
                sha256=hashlib.sha256(data).hexdigest(),
                size_bytes=len(data),
                given_at=ws.clock(),
            )
        )
    return data


def _given_before(record: RunRecord) -> PayoutRefused:
    number, state = record.run.number, record.state
    times = ", ".join(when for when, _ in record.files) or "-"
    return PayoutRefused(
        en=f"The file of run {number} ({state}) was handed out before ({times}); a bank that gets it twice pays twice. "
        f"If the bank has not got it, give --again: satoyama payout file {number} FILE --again",
        ja=f"支払 {number}（{state}）の振込データは出力済みです（{times}）。銀行に二度渡すと二重に振り込まれます。"
        f"銀行に渡っていないことを確かめた場合だけ --again を付けてください: satoyama payout file {number} FILE --again",
    )
