"""Approval by two persons: after the first treasurer and auditor, nobody becomes or ceases to be an officer by one hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from sqlalchemy import delete, select, update

from flows.settings import Workspace
from flows.tables import OfficerChangeRow, OfficerSignatureRow, PayoutRunRow
from flows.work import payout_officers, payouts
from registry.address import AddressRefused
from registry.officers import Officer, OfficerChange, OfficersRefused, Register
from registry.payouts import PayoutRefused, PayoutRun, message
from tests.flows.conftest import PROJECT
from tests.flows.test_payouts import DAY, approve, earned_and_settled, endorsed, ws

__all__ = ["ws"]  # the fixture of the payouts' tests

NEW, OTHER = Account.from_key("0x" + "51" * 32), Account.from_key("0x" + "52" * 32)


def propose(
    ws: Workspace, name: str = "理事 鈴木", duty: str = "auditor", key=NEW
) -> payout_officers.ChangeRecord:
    return payout_officers.add_officer(ws, PROJECT, name, duty, address=key.address)


def names(ws: Workspace) -> list[str]:
    return [o.name for o in payout_officers.register_of(ws, PROJECT)[0].officers]


def by_hand(text: str, key) -> str:
    return "0x" + key.sign_message(encode_defunct(text=text)).signature.hex()


def test_a_third_officer_counts_only_when_a_treasurer_and_an_auditor_have_signed(ws: Workspace) -> None:
    assert not propose(ws).done and names(ws) == ["会計 田中", "監事 佐藤"]
    for _ in range(2):
        one = payout_officers.sign_change(ws, PROJECT, role="treasurer")
        assert not one.done and one.signed == ("会計 田中",)
    assert names(ws) == ["会計 田中", "監事 佐藤"]
    assert payout_officers.sign_change(ws, PROJECT, role="auditor").done
    assert names(ws) == ["会計 田中", "監事 佐藤", "理事 鈴木"]
    assert propose(ws).done, "asked again, nothing changes"
    with pytest.raises(OfficersRefused, match="No change of officers waits"):
        payout_officers.sign_change(ws, PROJECT, role="treasurer")


def test_the_one_who_is_proposed_and_a_stranger_cannot_sign_the_proposal(ws: Workspace) -> None:
    change = propose(ws).change
    for key in (NEW, OTHER):
        with pytest.raises(OfficersRefused, match="no officer"):
            payout_officers.sign_change(ws, PROJECT, signature=by_hand(change.text, key))
    with pytest.raises(OfficersRefused, match="no signature"):
        payout_officers.sign_change(ws, PROJECT, signature="0x12")


def test_two_auditors_do_not_stand_in_for_a_treasurer(ws: Workspace) -> None:
    propose(ws)
    endorsed(ws)
    change = propose(ws, "理事 高橋", "treasurer", OTHER).change
    payout_officers.sign_change(ws, PROJECT, role="auditor")
    assert not payout_officers.sign_change(ws, PROJECT, signature=by_hand(change.text, NEW)).done
    assert payout_officers.sign_change(ws, PROJECT, role="treasurer").done


def test_a_signature_is_good_for_one_proposal_only(ws: Workspace) -> None:
    first = propose(ws).change
    payout_officers.sign_change(ws, PROJECT, role="treasurer")
    second = propose(ws, "理事 高橋", "auditor", OTHER)
    assert second.replaced == first and second.change.number == first.number
    assert payout_officers.sign_change(ws, PROJECT, role="auditor").signed == ("監事 佐藤",), "begun anew"
    assert names(ws) == ["会計 田中", "監事 佐藤"]


def test_an_officer_is_removed_by_two_signatures_and_the_last_of_a_duty_never(ws: Workspace) -> None:
    with pytest.raises(OfficersRefused, match=r"only auditor.*Add the successor first") as refused:
        payout_officers.remove_officer(ws, PROJECT, "監事 佐藤")
    assert "唯一の監事" in refused.value.ja
    with pytest.raises(OfficersRefused, match="No officer '山田'"):
        payout_officers.remove_officer(ws, PROJECT, "山田")
    propose(ws)
    endorsed(ws)
    assert not payout_officers.remove_officer(ws, PROJECT, "監事 佐藤").done
    assert endorsed(ws).done and names(ws) == ["会計 田中", "理事 鈴木"]


def test_a_mistyped_address_of_an_officer_is_refused(ws: Workspace) -> None:
    wrong = NEW.address[:-1] + ("0" if NEW.address[-1] != "0" else "1")
    with pytest.raises(AddressRefused, match="理事 鈴木"):
        payout_officers.add_officer(ws, PROJECT, "理事 鈴木", "auditor", address=wrong)
    with pytest.raises(OfficersRefused, match="name and a duty"):
        payout_officers.add_officer(ws, PROJECT, " ", "auditor", address=NEW.address)


def test_nobody_who_came_after_the_plan_approves_it_but_they_can_cancel(ws: Workspace) -> None:
    payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY)
    propose(ws)
    endorsed(ws)
    run = payouts.payout_run(ws, PROJECT, 1).run
    with pytest.raises(PayoutRefused, match="when the run was planned"):
        payouts.sign_payout(ws, PROJECT, 1, "pay", signature=by_hand(message(run, "pay"), NEW))
    payouts.sign_payout(ws, PROJECT, 1, "cancel", signature=by_hand(message(run, "cancel"), NEW))
    assert payouts.sign_payout(ws, PROJECT, 1, "cancel", role="treasurer").state == "cancelled"


def test_an_officer_who_was_removed_signs_nothing_more(ws: Workspace) -> None:
    propose(ws)
    endorsed(ws)
    payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY)
    payouts.sign_payout(ws, PROJECT, 1, "pay", role="auditor")
    payout_officers.remove_officer(ws, PROJECT, "監事 佐藤")
    endorsed(ws)
    assert payouts.sign_payout(ws, PROJECT, 1, "pay", role="treasurer").state == "planned", (
        "the auditor is gone"
    )
    with pytest.raises(PayoutRefused, match="no officer"):
        payouts.sign_payout(ws, PROJECT, 1, "cancel", role="auditor")
    text = message(payouts.payout_run(ws, PROJECT, 1).run, "pay")
    record = payouts.sign_payout(ws, PROJECT, 1, "pay", signature=by_hand(text, NEW))
    assert record.state == "approved" and payouts.payout_file(ws, PROJECT, 1)


def test_the_officers_are_part_of_what_is_signed(ws: Workspace) -> None:
    run = payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY).run
    assert {o.duty for o in run.officers} == {"treasurer", "auditor"}
    assert PayoutRun.from_doc(run.to_doc()) == run
    other = replace(run, officers=(*run.officers, Officer(NEW.address, "理事 鈴木", "auditor")))
    assert other.digest != run.digest
    with ws.catalogue.write() as session:
        session.execute(update(PayoutRunRow).values(doc=other.to_doc()))
    with pytest.raises(PayoutRefused, match="altered"):
        payouts.payout_run(ws, PROJECT, 1)


def test_a_run_of_before_officers_were_recorded_so_keeps_its_digest_and_is_cancelled(ws: Workspace) -> None:
    run = payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY).run
    old = replace(run, officers=(), officers_digest="")
    assert "officers" not in old.to_doc() and PayoutRun.from_doc(old.to_doc()) == old
    with ws.catalogue.write() as session:
        session.execute(update(PayoutRunRow).values(doc=old.to_doc(), digest=old.digest))
    with pytest.raises(PayoutRefused, match="plan anew"):
        payouts.sign_payout(ws, PROJECT, 1, "pay", role="treasurer")
    assert approve(ws, 1, "cancel").state == "cancelled"


def test_officers_written_in_by_hand_are_seen(ws: Workspace) -> None:
    payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY)
    register, _ = payout_officers.register_of(ws, PROJECT)
    forged = register.change(PROJECT, "add", Officer(NEW.address, "理事 鈴木", "auditor"))
    after = register.after(forged).change(PROJECT, "add", Officer(OTHER.address, "理事 高橋", "treasurer"))
    with ws.catalogue.write() as session:
        for change in (forged, after):
            session.add(
                OfficerChangeRow(
                    project_id=PROJECT,
                    number=change.number,
                    digest=change.digest,
                    doc=change.to_doc(),
                    recorded_at=ws.clock(),
                )
            )
    with pytest.raises(OfficersRefused, match="altered: change 3") as refused:
        payouts.sign_payout(ws, PROJECT, 1, "pay", role="treasurer")
    assert "改変されています" in refused.value.ja


def test_a_changed_name_or_key_and_a_lost_signature_are_seen(ws: Workspace) -> None:
    propose(ws)
    endorsed(ws)
    with ws.catalogue.write() as session:
        session.execute(delete(OfficerSignatureRow))
    register, waiting = payout_officers.register_of(ws, PROJECT)
    assert len(register.officers) == 2 and waiting is not None, "unsigned, it does not hold"
    with ws.catalogue.write() as session:
        row = session.scalar(select(OfficerChangeRow).where(OfficerChangeRow.number == 2))
        row.doc = {**row.doc, "officer": {**row.doc["officer"], "address": OTHER.address}}
    with pytest.raises(OfficersRefused, match="altered: change 2"):
        payout_officers.register_of(ws, PROJECT)


def test_a_register_made_anew_does_not_approve_what_was_planned_with_the_old_one(ws: Workspace) -> None:
    payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY)
    with ws.catalogue.write() as session:
        session.execute(delete(OfficerChangeRow))
    payout_officers.add_officer(ws, PROJECT, "会計 偽", "treasurer", role="treasurer")
    payout_officers.add_officer(ws, PROJECT, "監事 偽", "auditor", role="auditor")
    with pytest.raises(PayoutRefused, match="no longer tells of"):
        payouts.sign_payout(ws, PROJECT, 1, "pay", role="treasurer")


def test_no_payout_is_planned_without_a_treasurer_and_an_auditor(ws: Workspace) -> None:
    with ws.catalogue.write() as session:
        session.execute(delete(OfficerChangeRow))
    earned_and_settled(ws)
    for missing in ("treasurer, auditor", "treasurer"):
        with pytest.raises(OfficersRefused, match=f"missing: {missing}"):
            payouts.plan_payout(ws, PROJECT, DAY)
        payout_officers.add_officer(ws, PROJECT, "監事 佐藤", "auditor", role="auditor")


def test_it_is_said_when_one_workspace_can_sign_for_both(ws: Workspace) -> None:
    assert [o.name for o in payout_officers.in_one_keystore(ws, PROJECT)] == ["会計 田中", "監事 佐藤"]
    propose(ws)
    endorsed(ws)
    payout_officers.remove_officer(ws, PROJECT, "監事 佐藤")
    endorsed(ws)
    assert payout_officers.in_one_keystore(ws, PROJECT) == ()


def test_the_text_to_sign_names_the_person_the_duty_the_key_and_the_digest() -> None:
    change = Register().change("owase", "add", Officer(NEW.address, "会計 田中", "treasurer"))
    for words in ("owase", "change: 1", "会計 田中", "treasurer", NEW.address, change.digest):
        assert words in change.text
    assert OfficerChange.from_doc(change.to_doc()) == change
