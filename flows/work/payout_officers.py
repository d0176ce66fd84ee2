"""Who may sign payouts: officers added and removed by changes that two officers sign, replayed from the record whenever they count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from flows.settings import Workspace
from flows.tables import OfficerChangeRow, OfficerSignatureRow, ProjectRow
from flows.work import chainroom
from registry import officers
from registry.address import checked_address
from registry.officers import DUTY_JA, Duty, Officer, OfficerChange, OfficersRefused, Open, Register


@dataclass(frozen=True)
class ChangeRecord:
    """A change of officers, and whether it holds.

    Attributes
    ----------
    signed : tuple of str
        Names of the officers who signed it.
    replaced : OfficerChange or None
        Another change that waited for signatures and gave way to this one.
    """

    change: OfficerChange
    done: bool
    signed: tuple[str, ...] = ()
    replaced: OfficerChange | None = None

    def to_doc(self) -> dict[str, Any]:
        """Plain document."""
        who = self.change.officer
        return {
            **self.change.to_doc(),
            "name": who.name,
            "address": who.address,
            "duty": who.duty,
            "digest": self.change.digest,
            "done": self.done,
            "signed": list(self.signed),
            "replaced": None if self.replaced is None else self.replaced.number,
        }


def read_register(session: Session, project_id: str) -> tuple[Register, Open | None]:
    """The officers on record and the change that waits for signatures, replayed and checked.

    Raises
    ------
    OfficersRefused
        If the record was altered.
    """
    query = select(OfficerChangeRow).where(OfficerChangeRow.project_id == project_id)
    changes = []
    for row in session.scalars(query.order_by(OfficerChangeRow.number)):
        change = OfficerChange.from_doc(row.doc)
        if (change.digest, change.project_id) != (row.digest, project_id):
            raise officers.altered(row.number)
        signed = select(OfficerSignatureRow.signature).where(
            OfficerSignatureRow.project_id == project_id, OfficerSignatureRow.number == row.number
        )
        changes.append((change, tuple(session.scalars(signed.order_by(OfficerSignatureRow.signed_at)))))
    return officers.replay(changes)


def register_of(ws: Workspace, project_id: str) -> tuple[Register, Open | None]:
    """See `read_register`."""
    ws.catalogue.project_row(project_id)
    with ws.catalogue.read() as session:
        return read_register(session, project_id)


def add_officer(
    ws: Workspace, project_id: str, name: str, duty: Duty, *, role: str = "", address: str = ""
) -> ChangeRecord:
    """Record an officer whose signature counts; proposed, once there is a treasurer and an auditor, until two of them sign.

    Parameters
    ----------
    address : str
        Of a key that the officer holds elsewhere; or `role`, a key of the keystore (made at first use), for trying things out.

    Raises
    ------
    OfficersRefused
        If one person would count twice, under another name.
    AddressRefused
        If the address was mistyped.
    """
    if not name.strip() or duty not in officers.DUTIES:
        raise OfficersRefused(
            en=f"An officer has a name and a duty, treasurer or auditor; got {name!r}, {duty!r}. Give NAME and --duty.",
            ja=f"役員には氏名と職務（treasurer 会計 | auditor 監事）が必要です。受け取った値: {name!r}、{duty!r}。氏名と --duty を指定してください。",
        )
    ws.catalogue.project_row(project_id)
    if address:
        account = checked_address(address, f"key of officer {name!r}", f"役員「{name}」の鍵")
    else:
        account = str(chainroom.accounts(ws).load_or_create(role).address)
    officer = Officer(account, name.strip(), duty)
    with ws.catalogue.write() as session:
        register, waiting = _locked(session, project_id)
        if officer in register.officers:
            return _done(session, project_id, officer)
        return _propose(ws, session, register.change(project_id, "add", officer), register, waiting)


def remove_officer(ws: Workspace, project_id: str, name: str) -> ChangeRecord:
    """Take an officer off the record; proposed likewise. The officer's earlier signatures stay good.

    Raises
    ------
    OfficersRefused
        If there is no such officer, or a duty would be without one.
    """
    ws.catalogue.project_row(project_id)
    with ws.catalogue.write() as session:
        register, waiting = _locked(session, project_id)
        officer = next((o for o in register.officers if o.name == name), None)
        wanted = officer or Officer("", name, "treasurer")
        return _propose(ws, session, register.change(project_id, "remove", wanted), register, waiting)


def sign_change(ws: Workspace, project_id: str, *, role: str = "", signature: str = "") -> ChangeRecord:
    """Add an officer's signature to the change that waits; a treasurer's and an auditor's make it hold.

    Raises
    ------
    OfficersRefused
        If no change waits, or the signer is no officer.
    """
    waiting = waiting_change(ws, project_id)
    given = signature or waiting.sign(chainroom.accounts(ws).load(role))
    address = waiting.signer(given)
    with ws.catalogue.write() as session:
        register, still = _locked(session, project_id)
        officer = register.by_address().get(address)
        if still is None or still.change != waiting or officer is None:
            names = ", ".join(f"{o.name} ({o.duty})" for o in register.officers)
            raise OfficersRefused(
                en=f"{address} is no officer of {project_id!r}, or another text was signed. Officers: {names}. Sign the text of 'payout endorse --text'.",
                ja=f"{address} は {project_id!r} の役員ではないか、別の文に署名しています。役員: {names}。payout endorse --text の文に署名してください。",
            )
        key = (project_id, waiting.number, address)
        if session.get(OfficerSignatureRow, key) is None:
            session.add(
                OfficerSignatureRow(
                    project_id=project_id,
                    number=waiting.number,
                    officer=address,
                    signature=given,
                    signed_at=ws.clock(),
                )
            )
        names_signed = tuple(dict.fromkeys((*(o.name for o in still.signed), officer.name)))
        return ChangeRecord(waiting, officers.both_duties((*still.signed, officer)), names_signed)


def waiting_change(ws: Workspace, project_id: str) -> OfficerChange:
    """The change of officers that waits for signatures.

    Raises
    ------
    OfficersRefused
        If there is none.
    """
    _, waiting = register_of(ws, project_id)
    if waiting is None:
        raise OfficersRefused(
            en="No change of officers waits for signatures. Propose one with 'satoyama payout officer' or 'payout dismiss'.",
            ja="署名待ちの役員変更はありません。satoyama payout officer または payout dismiss で提案してください。",
        )
    return waiting.change


def in_one_keystore(ws: Workspace, project_id: str) -> tuple[Officer, ...]:
    """Officers whose keys this workspace can use, where a treasurer and an auditor are among them: one person could sign for both."""
    register, _ = register_of(ws, project_id)
    here = set(chainroom.accounts(ws).addresses().values())
    found = tuple(o for o in register.officers if o.address in here)
    return found if officers.both_duties(found) else ()


def check_both(register: Register) -> None:
    """Refuse to go on while a duty has no officer.

    Raises
    ------
    OfficersRefused
    """
    missing = [d for d in officers.DUTIES if all(o.duty != d for o in register.officers)]
    if missing:
        words = ", ".join(missing)
        raise OfficersRefused(
            en=f"A payout needs a treasurer and an auditor on record; missing: {words}. Run: satoyama payout officer NAME --duty {missing[0]} --address 0x…",
            ja=f"支払には会計と監事の登録が必要です。未登録: {'、'.join(DUTY_JA[d] for d in missing)}。"
            f"実行してください: satoyama payout officer 氏名 --duty {missing[0]} --address 0x…",
        )


def _locked(session: Session, project_id: str) -> tuple[Register, Open | None]:
    session.get(ProjectRow, project_id, with_for_update=True)
    return read_register(session, project_id)


def _done(session: Session, project_id: str, officer: Officer) -> ChangeRecord:
    query = select(OfficerChangeRow).where(OfficerChangeRow.project_id == project_id)
    changes = [OfficerChange.from_doc(row.doc) for row in session.scalars(query)]
    made = max((c for c in changes if c.officer == officer and c.kind == "add"), key=lambda c: c.number)
    return ChangeRecord(made, True)


def _propose(
    ws: Workspace, session: Session, change: OfficerChange, register: Register, waiting: Open | None
) -> ChangeRecord:
    replaced = None
    if waiting is not None:
        if waiting.change == change:
            return ChangeRecord(change, False, tuple(o.name for o in waiting.signed))
        replaced = waiting.change
        for table in (OfficerSignatureRow, OfficerChangeRow):
            session.execute(
                delete(table).where(table.project_id == change.project_id, table.number == change.number)
            )
    session.add(
        OfficerChangeRow(
            project_id=change.project_id,
            number=change.number,
            digest=change.digest,
            doc=change.to_doc(),
            recorded_at=ws.clock(),
        )
    )
    return ChangeRecord(change, not register.closed, (), replaced)
