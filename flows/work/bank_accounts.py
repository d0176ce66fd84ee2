"""Bank accounts of households and of the co-op itself, on record for payouts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from flows.settings import Workspace
from flows.tables import BankAccountRow
from flows.work.projects import definition_of_project
from registry.payouts import PayoutRefused
from registry.zengin import BankAccount, Requester, check_account, check_requester

_OWN = ""


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
    """Record the co-op's own account, from which transfers are ordered.

    Raises
    ------
    ZenginRefused
        If the code or the account is not what a bank takes.
    """
    checked = check_requester(requester)
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


def accounts_on_record(session: Session, project_id: str) -> tuple[Requester, dict[str, BankAccount]]:
    """The co-op's own account and those of payees.

    Raises
    ------
    PayoutRefused
        If the co-op's own is not on record.
    """
    rows = session.scalars(select(BankAccountRow).where(BankAccountRow.project_id == project_id)).all()
    docs = {row.payee_id: row.doc for row in rows}
    if _OWN not in docs:
        raise PayoutRefused(
            en="The co-op's own account is not on record. Run: satoyama payout bank --own --code CODE …",
            ja="組合の振込元口座が未登録です。実行してください: satoyama payout bank --own --code 委託者コード …",
        )
    requester = Requester.from_doc(docs.pop(_OWN))
    return requester, {payee: BankAccount.from_doc(doc) for payee, doc in docs.items()}
