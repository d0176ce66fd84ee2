"""Paying households by bank: accounts, officers, runs that two officers sign, and the file for the bank.

A run sets its yen aside in the same transaction that reads what earlier runs took, so that nothing is paid twice however many plan
at once. A state follows from signatures on record, each checked anew when it counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from flows.settings import Workspace
from flows.tables import (
    BankAccountRow,
    PayoutLineRow,
    PayoutOfficerRow,
    PayoutRunRow,
    PayoutSignatureRow,
    ProjectRow,
)
from flows.work import chainroom
from flows.work.projects import definition_of_project
from flows.work.sharing import household_statements
from registry import payouts
from registry.payouts import PayoutRefused, PayoutRun
from registry.zengin import BankAccount, Requester, check_account

_TAKEN = ("reserved", "paid")
_OWN = ""


@dataclass(frozen=True)
class RunRecord:
    """A run with what became of it.

    Attributes
    ----------
    lines : mapping of payee id to state
        ``reserved``, ``paid``, ``returned`` or ``cancelled``.
    signed : tuple of (action, officer's name)
    """

    run: PayoutRun
    state: payouts.State
    lines: dict[str, str]
    signed: tuple[tuple[str, str], ...]

    def to_doc(self) -> dict[str, Any]:
        """Plain document, with the digest that officers sign."""
        signed = [list(one) for one in self.signed]
        return {
            **self.run.to_doc(),
            "digest": self.run.digest,
            "state": self.state,
            "line_states": self.lines,
            "signed": signed,
        }


def set_bank_account(ws: Workspace, project_id: str, payee_id: str, account: BankAccount) -> BankAccount:
    """Record where a payee without a wallet is paid; runs already planned keep the account they were planned with.

    Raises
    ------
    PayoutRefused
        If the payee is not paid by bank.
    ZenginRefused
        If no bank has such an account.
    """
    by_bank = [p.payee_id for p in definition_of_project(ws, project_id).payees if p.by_bank]
    if payee_id not in by_bank:
        raise PayoutRefused(
            en=f'{payee_id!r} is not paid by bank. Payees with pay_by = "bank" are: {", ".join(by_bank) or "none"}.',
            ja=f'{payee_id!r} は銀行振込の支払先ではありません。pay_by = "bank" の支払先: {"、".join(by_bank) or "なし"}',
        )
    checked = check_account(account, payee_id)
    _put_account(ws, project_id, payee_id, checked.to_doc())
    return checked


def set_requester(ws: Workspace, project_id: str, requester: Requester) -> Requester:
    """Record the co-op's own account, from which transfers are ordered."""
    checked = Requester(requester.code, check_account(requester.account, "requester / 振込依頼人"))
    _put_account(ws, project_id, _OWN, checked.to_doc())
    return checked


def bank_accounts(ws: Workspace, project_id: str) -> dict[str, BankAccount]:
    """Accounts on record by payee; without the co-op's own."""
    query = select(BankAccountRow).where(
        BankAccountRow.project_id == project_id, BankAccountRow.payee_id != _OWN
    )
    with ws.catalogue.read() as session:
        return {row.payee_id: BankAccount.from_doc(row.doc) for row in session.scalars(query)}


def _put_account(ws: Workspace, project_id: str, payee_id: str, doc: dict[str, Any]) -> None:
    with ws.catalogue.write() as session:
        session.merge(
            BankAccountRow(project_id=project_id, payee_id=payee_id, doc=doc, changed_at=ws.clock())
        )


def add_officer(ws: Workspace, project_id: str, name: str, *, role: str = "", address: str = "") -> str:
    """Record an officer whose signature counts; the key is a role of the keystore (made at first use) or held elsewhere.

    Returns
    -------
    str
        The officer's address.

    Raises
    ------
    PayoutRefused
        If one person would count twice, under another name.
    """
    ws.catalogue.project_row(project_id)
    account = address or str(chainroom.accounts(ws).load_or_create(role).address)
    account = chainroom.checksum(account)
    with ws.catalogue.write() as session:
        officers = session.scalars(
            select(PayoutOfficerRow).where(PayoutOfficerRow.project_id == project_id)
        ).all()
        for have in officers:
            if have.address == account and have.name == name:
                return account
            if have.address == account or have.name == name:
                raise PayoutRefused(
                    en=f"An officer {have.name!r} with the key {have.address} is on record; two officers are two persons with two keys.",
                    ja=f"役員「{have.name}」（鍵 {have.address}）は登録済みです。役員2名には別々の氏名と鍵が必要です。",
                )
        session.add(PayoutOfficerRow(project_id=project_id, address=account, name=name, added_at=ws.clock()))
    return account


def plan_payout(ws: Workspace, project_id: str, day: date) -> RunRecord:
    """Plan a run that pays every household all whole yen due to it, and set them aside.

    Raises
    ------
    PayoutRefused
        If nothing is due, an account is missing, or the money has not come from the split yet.
    """
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
        requester, accounts = _accounts(session, project_id)
        taken = _taken(session, project_id)
        lines = payouts.lines_of(payouts.payable_yen(made.lines, taken, unit), accounts)
        payouts.check_covered(book, sum(taken.values()), sum(line.yen for line in lines), unit)
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
        )
        run.to_file()  # refused now rather than after two officers have signed
        _store(session, run, ws)
    return payout_run(ws, project_id, run.number)


def _accounts(session: Session, project_id: str) -> tuple[Requester, dict[str, BankAccount]]:
    rows = session.scalars(select(BankAccountRow).where(BankAccountRow.project_id == project_id)).all()
    docs = {row.payee_id: row.doc for row in rows}
    if _OWN not in docs:
        raise PayoutRefused(
            en="The co-op's own account is not on record. Run: satoyama payout bank --own --code CODE …",
            ja="組合の振込元口座が未登録です。実行してください: satoyama payout bank --own --code 委託者コード …",
        )
    requester = Requester.from_doc(docs.pop(_OWN))
    return requester, {payee: BankAccount.from_doc(doc) for payee, doc in docs.items()}


def _taken(session: Session, project_id: str) -> dict[str, int]:
    query = (
        select(PayoutLineRow.payee_id, func.sum(PayoutLineRow.yen))
        .where(PayoutLineRow.project_id == project_id, PayoutLineRow.state.in_(_TAKEN))
        .group_by(PayoutLineRow.payee_id)
    )
    return {payee: int(yen) for payee, yen in session.execute(query)}


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
    """Add an officer's signature of an action; the second officer's carries it out. The same signature again changes nothing.

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
        names = _officers(session, project_id)
        if officer not in names:
            raise PayoutRefused(
                en=f"{officer} is no officer of {project_id!r}. Officers: {', '.join(names.values()) or 'none'} (satoyama payout officer).",
                ja=f"{officer} は {project_id!r} の役員として登録されていません。登録済み: {'、'.join(names.values()) or 'なし'}",
            )
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
            if payouts.enough(_signers(session, run, action)):
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


def _officers(session: Session, project_id: str) -> dict[str, str]:
    query = select(PayoutOfficerRow).where(PayoutOfficerRow.project_id == project_id)
    return {row.address: row.name for row in session.scalars(query)}


def _signers(session: Session, run: PayoutRun, action: str) -> list[str]:
    """Officers whose signature of the action, on this very run, is on record and good."""
    officers = _officers(session, run.project_id)
    query = select(PayoutSignatureRow).where(
        PayoutSignatureRow.project_id == run.project_id,
        PayoutSignatureRow.number == run.number,
        PayoutSignatureRow.action == action,
    )
    found = (payouts.signer(run, action, row.signature) for row in session.scalars(query))
    return [officer for officer in found if officer in officers]


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
    names = _officers(session, row.project_id)
    query = select(PayoutSignatureRow).where(
        PayoutSignatureRow.project_id == row.project_id, PayoutSignatureRow.number == row.number
    )
    signed = [(s.action, names.get(s.officer, s.officer)) for s in session.scalars(query)]
    state: Any = row.state
    return RunRecord(run, state, {p: one.state for p, one in lines.items()}, tuple(sorted(signed)))


def payout_file(ws: Workspace, project_id: str, number: int) -> bytes:
    """The transfer file of a run that two officers approved; the same bytes whenever it is asked for.

    Raises
    ------
    PayoutRefused
        If it is not approved, or was cancelled.
    """
    record = payout_run(ws, project_id, number)
    with ws.catalogue.read() as session:
        approved = payouts.enough(_signers(session, record.run, "pay"))
    if record.state not in ("approved", "paid") or not approved:
        raise PayoutRefused(
            en=f"Payout run {number} is {record.state}; the bank's file is given out when two officers have signed 'pay' "
            f"(satoyama payout sign {number} pay --role ROLE).",
            ja=f"支払 {number} の状態は {record.state} です。振込データは役員2名が pay に署名した後に出力できます。",
        )
    return record.run.to_file()
