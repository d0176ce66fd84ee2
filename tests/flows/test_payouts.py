"""Households without a wallet are paid by bank, by two officers, once; and every statement comes out."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from sqlalchemy import update

from apps.demo.survey_files import DemoFiles
from flows import work
from flows.definition import DefinitionError, Payee, definition_of, read_definition
from flows.settings import Workspace
from flows.tables import PayoutLineRow, PayoutRunRow, ProjectRow
from flows.work import bank_accounts, chainroom, payout_officers, payouts, sharing
from registry.claimstruct import project_key
from registry.households import BreakdownMismatch
from registry.officers import OfficersRefused
from registry.payouts import PayoutRefused, message
from registry.port import ChainPort
from registry.treasury import JST
from registry.zengin import BankAccount, Requester, ZenginRefused, next_weekday
from tests.apps.samples import PLAN
from tests.flows.conftest import PROJECT

YEN = 10**6
TODAY = datetime.now(JST).date()
DAY = next_weekday(TODAY + timedelta(days=14))
PAYEES = (
    Payee("treasury", "Co-op treasury", "組合会計", 500_000),
    Payee("owner-a", "Owner A", "所有者A", 168_313, plots=("P1", "P2", "P5"), pay_by="bank"),
    Payee("owner-b", "Owner B", "所有者B", 160_073, plots=("P3", "P4", "P6"), pay_by="bank"),
    Payee("owner-c", "Owner C", "所有者C", 21_614, plots=("P7", "P8")),
    Payee("workers", "Workers' fund", "林業従事者基金", 150_000),
)
ACCOUNTS = {
    "owner-a": BankAccount("0155", "101", "ordinary", "1234567", "ヤマダ　ハナコ"),
    "owner-b": BankAccount("9900", "058", "ordinary", "7654321", "スズキ　イチロー"),
}
OWN = Requester("123", BankAccount("0155", "123", "checking", "1", "オワセシンリンクミアイ"))


@pytest.fixture
def ws(approved_ws: Workspace) -> Workspace:
    """The demo project with two owners who are paid by bank, shares by net change, officers and accounts on record."""
    definition = replace(
        work.definition_of_project(approved_ws, PROJECT), payees=PAYEES, sharing="net_change"
    )
    with approved_ws.catalogue.write() as session:
        session.execute(update(ProjectRow).values(settings=definition.settings_doc()))
    assert work.definition_of_project(approved_ws, PROJECT) == definition
    bank_accounts.set_requester(approved_ws, PROJECT, OWN)
    for payee, account in ACCOUNTS.items():
        bank_accounts.set_bank_account(approved_ws, PROJECT, payee, account)
    payout_officers.add_officer(approved_ws, PROJECT, "会計 田中", "treasurer", role="treasurer")
    payout_officers.add_officer(approved_ws, PROJECT, "監事 佐藤", "auditor", role="auditor")
    return approved_ws


def earn(ws: Workspace, yen: int, *, extra_units: int = 1) -> None:
    port, keys = work.open_port(ws), work.accounts(ws)
    amount = yen * YEN + extra_units
    port.mint_yen(keys.load("admin"), keys.load("buyer").address, amount)
    port.deposit(keys.load("buyer"), project_key(PROJECT), amount)


def endorsed(ws: Workspace) -> payout_officers.ChangeRecord:
    payout_officers.sign_change(ws, PROJECT, role="treasurer")
    return payout_officers.sign_change(ws, PROJECT, role="auditor")


def approve(ws: Workspace, number: int, action: str) -> payouts.RunRecord:
    payouts.sign_payout(ws, PROJECT, number, action, role="treasurer")
    return payouts.sign_payout(ws, PROJECT, number, action, role="auditor")


def earned_and_settled(ws: Workspace, yen: int = 1_000_000) -> Workspace:
    sharing.share_out(ws, PROJECT)
    earn(ws, yen)
    work.settle(ws, PROJECT)
    return ws


def test_owners_share_by_what_their_plots_gained_and_the_table_is_set_once(ws: Workspace) -> None:
    table, epoch = sharing.share_out(ws, PROJECT)
    assert (table, epoch) == sharing.share_out(ws, PROJECT)
    assert epoch == 2 and table.basis == "net_change"
    grown = {p.plot_id: p.measured_g for p in table.parts if p.plot_id}
    assert set(grown) == {f"P{n}" for n in range(1, 9)} and sum(grown.values()) > 0
    assert sum(p.share_ppm for p in table.parts if p.plot_id) == 168_313 + 160_073 + 21_614
    assert work.open_port(ws).current_epoch(project_key(PROJECT)) == 2


def test_with_a_delay_new_shares_are_announced_and_money_of_the_meantime_goes_by_the_old_table(
    ws: Workspace,
) -> None:
    definition = replace(work.definition_of_project(ws, PROJECT), share_delay_s=14 * 86_400)
    with ws.catalogue.write() as session:
        session.execute(update(ProjectRow).values(settings=definition.settings_doc()))
    work.register_on_chain(ws, PROJECT)
    port, key = work.open_port(ws), project_key(PROJECT)
    assert port.share_delay(key) == 14 * 86_400
    table, epoch = sharing.share_out(ws, PROJECT)
    assert (table, epoch) == sharing.share_out(ws, PROJECT), "announced once"
    coming = sharing.announced(ws, PROJECT)
    assert epoch == 2 and coming is not None and coming[0] == 2
    head = datetime.fromtimestamp(port.head()[1], UTC)
    assert timedelta(days=13) < coming[1] - head <= timedelta(days=14)
    assert port.current_epoch(key) == 1
    earn(ws, 1_000_000)
    made = sharing.household_statements(ws, PROJECT)
    owed = {line.payee_id: line.earned for line in made.lines}
    units = 1_000_000 * YEN + 1
    assert all(abs(owed[p.payee_id] - units * p.share_ppm // 10**6) <= 1 for p in PAYEES), "the fixed table's"

    # Another rule in the meantime: the announced table gives way to the new one, which is announced anew.
    other = replace(definition, sharing="growth")
    with ws.catalogue.write() as session:
        session.execute(update(ProjectRow).values(settings=other.settings_doc()))
    newer, third = sharing.share_out(ws, PROJECT)
    assert newer.basis == "growth" and third == 3 and port.current_epoch(key) == 1
    assert port.pending_shares(key) is not None and sharing.share_out(ws, PROJECT) == (newer, 3)


def test_every_household_has_a_statement_and_the_bank_account_balances(ws: Workspace) -> None:
    made = sharing.household_statements(earned_and_settled(ws), PROJECT)
    assert {line.payee_id for line in made.lines} == {p.payee_id for p in PAYEES}
    (book,) = made.banks
    assert book.received == book.held > 0 and book.claimable == 0
    assert sum(line.due for line in made.lines if line.by_bank) + book.carried == book.held
    total = sum(line.earned for line in made.lines)
    assert total + book.carried + made.statement.carried == made.statement.revenue_total


def test_whole_yen_go_out_once_and_fractions_stay_due(ws: Workspace) -> None:
    before = sharing.household_statements(earned_and_settled(ws), PROJECT)
    run = payouts.plan_payout(ws, PROJECT, DAY).run
    assert {one.payee_id: one.yen for one in run.lines} == {
        p: before.line(p).due // YEN for p in ("owner-a", "owner-b")
    }
    with pytest.raises(PayoutRefused, match=r"no whole yen .* run 1 \(planned\)") as refused:
        payouts.plan_payout(ws, PROJECT, DAY)
    assert "支払 1（planned）" in refused.value.ja
    assert approve(ws, 1, "pay").state == "approved"
    record = approve(ws, 1, "paid 振込受付 20261225-001")
    assert record.state == "paid" and set(record.lines.values()) == {"paid"}
    after = sharing.household_statements(ws, PROJECT)
    for payee in ("owner-a", "owner-b"):
        assert after.line(payee).due == before.line(payee).due % YEN
    assert after.banks[0].paid == run.total_yen * YEN
    with pytest.raises(PayoutRefused, match="no whole yen"):
        payouts.plan_payout(ws, PROJECT, DAY)
    earn(ws, 300_000)
    with pytest.raises(PayoutRefused, match="satoyama settle"):
        payouts.plan_payout(ws, PROJECT, DAY)
    work.settle(ws, PROJECT)
    second = payouts.plan_payout(ws, PROJECT, DAY).run
    assert second.number == 2 and 0 < second.total_yen < run.total_yen


def test_with_12_confirmations_money_that_is_not_12_blocks_deep_is_neither_stated_nor_paid(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sharing.share_out(ws, PROJECT)
    work.settle(ws, PROJECT)
    admin, opened = work.accounts(ws).load("admin"), chainroom.open_port

    def deep(where: Workspace) -> ChainPort:
        port = opened(where)
        port.confirmations = 12
        return port

    def mine(blocks: int) -> None:
        for _ in range(blocks):
            opened(ws).mint_yen(admin, admin.address, 1)

    mine(12)
    earn(ws, 1_000_000)
    monkeypatch.setattr(chainroom, "open_port", deep)
    assert sharing.household_statements(ws, PROJECT).statement.revenue_total == 0
    with pytest.raises(PayoutRefused, match="no whole yen"):
        payouts.plan_payout(ws, PROJECT, DAY)
    mine(11)
    port, key = opened(ws), project_key(PROJECT)
    book = sharing.household_statements(ws, PROJECT).banks[0]
    assert book.claimable > 0
    port.claim_for(admin, key, book.address)
    with pytest.raises(PayoutRefused, match="12 blocks deep") as refused:
        payouts.plan_payout(ws, PROJECT, DAY)
    assert "確認ブロック数 12" in refused.value.ja
    mine(11)
    run = payouts.plan_payout(ws, PROJECT, DAY).run
    assert run.total_yen > 0 and run.read_at_block == opened(ws).head()[0] - 11


def test_the_bank_gets_a_file_only_after_two_officers_signed(ws: Workspace) -> None:
    run = payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY).run
    with pytest.raises(PayoutRefused, match="two officers"):
        payouts.payout_file(ws, PROJECT, 1)
    for _ in range(3):
        assert payouts.sign_payout(ws, PROJECT, 1, "pay", role="treasurer").state == "planned"
    with pytest.raises(PayoutRefused):
        payouts.payout_file(ws, PROJECT, 1)
    assert payouts.sign_payout(ws, PROJECT, 1, "pay", role="auditor").state == "approved"
    data = payouts.payout_file(ws, PROJECT, 1)
    header, first, second, trailer, end, _ = data.split(b"\r\n")
    assert header[54:58] == f"{DAY:%m%d}".encode() and first[:8] == b"20155   " and second[:5] == b"29900"
    assert "ﾔﾏﾀﾞ ﾊﾅｺ".encode("cp932") in first and int(trailer[7:19]) == run.total_yen and end[:1] == b"9"
    assert payouts.payout_file(ws, PROJECT, 1, again=True) == data


def test_a_file_is_handed_out_once_and_every_time_is_on_record(ws: Workspace) -> None:
    payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY)
    approve(ws, 1, "pay")
    assert payouts.payout_run(ws, PROJECT, 1).files == ()
    data = payouts.payout_file(ws, PROJECT, 1)
    for state in ("approved", "paid"):
        with pytest.raises(PayoutRefused, match=rf"{state}.*handed out before.*--again") as refused:
            payouts.payout_file(ws, PROJECT, 1)
        assert "二重に振り込まれます" in refused.value.ja
        if state == "approved":
            approve(ws, 1, "paid X1")
    assert payouts.payout_file(ws, PROJECT, 1, again=True) == data
    files = payouts.payout_run(ws, PROJECT, 1).files
    assert [digest for _, digest in files] == [hashlib.sha256(data).hexdigest()] * 2
    assert files[0][0] in str(refused.value.en) and files[0][0] < files[1][0]


def test_the_file_of_a_paid_run_that_was_never_handed_out_here_is_refused_too(ws: Workspace) -> None:
    payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY)
    approve(ws, 1, "pay")
    approve(ws, 1, "paid X1")
    with pytest.raises(PayoutRefused, match="--again"):
        payouts.payout_file(ws, PROJECT, 1)


@pytest.mark.parametrize(
    ("day", "says"),
    [
        (TODAY - timedelta(days=1), "month and day only"),
        (TODAY + timedelta(days=365), "month and day only"),
        (TODAY + timedelta(days=12 - TODAY.weekday()), "Saturday.*next weekday"),
    ],
)
def test_a_day_on_which_no_bank_pays_is_refused_before_anything_is_set_aside(
    ws: Workspace, day: date, says: str
) -> None:
    with pytest.raises(ZenginRefused, match=says):
        payouts.plan_payout(earned_and_settled(ws), PROJECT, day)
    assert payouts.payout_runs(ws, PROJECT) == []


def test_a_requesters_code_that_is_none_is_refused_at_once(ws: Workspace) -> None:
    with pytest.raises(ZenginRefused, match="'abc'"):
        bank_accounts.set_requester(ws, PROJECT, replace(OWN, code="abc"))


def test_only_officers_count_and_a_signature_is_good_for_one_run_and_action(ws: Workspace) -> None:
    outside = Account.create()
    payout_officers.add_officer(ws, PROJECT, "理事 鈴木", "treasurer", address=outside.address.lower())
    endorsed(ws)
    payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY)
    with pytest.raises(PayoutRefused, match="no officer"):
        payouts.sign_payout(ws, PROJECT, 1, "pay", role="seller")
    run = payouts.payout_run(ws, PROJECT, 1).run
    assert [o.name for o in run.officers] == ["会計 田中", "監事 佐藤", "理事 鈴木"]
    for other in (message(run, "cancel"), message(replace(run, number=2), "pay")):
        signature = "0x" + outside.sign_message(encode_defunct(text=other)).signature.hex()
        with pytest.raises(PayoutRefused, match="no officer"):
            payouts.sign_payout(ws, PROJECT, 1, "pay", signature=signature)
    with pytest.raises(PayoutRefused, match="no signature"):
        payouts.sign_payout(ws, PROJECT, 1, "pay", signature="0x1234")
    good = "0x" + outside.sign_message(encode_defunct(text=message(run, "pay"))).signature.hex()
    payouts.sign_payout(ws, PROJECT, 1, "pay", signature=good)
    assert payouts.sign_payout(ws, PROJECT, 1, "pay", role="treasurer").state == "planned", "no auditor yet"
    assert payouts.sign_payout(ws, PROJECT, 1, "pay", role="auditor").state == "approved"


def test_one_person_cannot_be_two_officers(ws: Workspace) -> None:
    for again in ({"name": "別名", "role": "treasurer"}, {"name": "会計 田中", "role": "third"}):
        with pytest.raises(OfficersRefused, match="two persons"):
            payout_officers.add_officer(ws, PROJECT, duty="auditor", **again)


@pytest.mark.parametrize(
    ("done", "refused"),
    [
        ([], "paid X1"),
        ([], "return owner-a moved away"),
        (["pay"], "pay "),
        (["pay", "paid X1"], "cancel"),
        (["pay", "paid X1"], "paid X2"),
        (["cancel"], "pay"),
        (["pay", "paid X1", "return owner-a closed"], "return owner-a again"),
        (["pay", "paid X1"], "return treasury why"),
    ],
)
def test_what_was_done_cannot_be_undone_or_done_twice(ws: Workspace, done: list[str], refused: str) -> None:
    payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY)
    for action in done:
        approve(ws, 1, action)
    with pytest.raises(PayoutRefused):
        payouts.sign_payout(ws, PROJECT, 1, refused, role="treasurer")


def test_two_officers_must_name_the_same_bank_reference(ws: Workspace) -> None:
    payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY)
    approve(ws, 1, "pay")
    payouts.sign_payout(ws, PROJECT, 1, "paid X1", role="treasurer")
    assert payouts.sign_payout(ws, PROJECT, 1, "paid X2", role="auditor").state == "approved"
    assert payouts.sign_payout(ws, PROJECT, 1, "paid X1", role="auditor").state == "paid"


def test_a_cancelled_run_and_a_returned_transfer_are_due_again(ws: Workspace) -> None:
    first = payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY).run
    approve(ws, 1, "cancel")
    second = payouts.plan_payout(ws, PROJECT, DAY).run
    assert [(one.payee_id, one.yen) for one in second.lines] == [
        (one.payee_id, one.yen) for one in first.lines
    ]
    approve(ws, 2, "pay")
    approve(ws, 2, "paid X1")
    assert approve(ws, 2, "return owner-b account closed").lines == {"owner-a": "paid", "owner-b": "returned"}
    (line,) = payouts.plan_payout(ws, PROJECT, DAY).run.lines
    assert (line.payee_id, line.yen) == ("owner-b", second.lines[1].yen)
    made = sharing.household_statements(ws, PROJECT)
    assert made.line("owner-b").paid_total == 0 and made.banks[0].paid == second.lines[0].yen * YEN


@pytest.fixture
def bare_ws(tmp_path: Path, catalogue_url: str, demo_files: DemoFiles) -> Workspace:
    """Nothing measured, shares by the fixed table, on either database."""
    made = Workspace.create(tmp_path / "bare", catalogue_url=catalogue_url)
    definition = read_definition(demo_files.project_toml)
    work.register_project(made, replace(definition, payees=PAYEES))
    work.store_plan(made, PLAN)
    work.set_up_chain(made)
    work.register_on_chain(made, PROJECT)
    bank_accounts.set_requester(made, PROJECT, OWN)
    for payee, account in ACCOUNTS.items():
        bank_accounts.set_bank_account(made, PROJECT, payee, account)
    payout_officers.add_officer(made, PROJECT, "会計 田中", "treasurer", role="treasurer")
    payout_officers.add_officer(made, PROJECT, "監事 佐藤", "auditor", role="auditor")
    earn(made, 1_000_000)
    work.settle(made, PROJECT)
    return made


AT_ONCE = """
import sys
from datetime import date
from flows.settings import Workspace
from flows.work import payouts
from registry.payouts import PayoutRefused
ws, project, what = Workspace.open(sys.argv[1]), sys.argv[2], sys.argv[3]
try:
    if what == "plan":
        payouts.plan_payout(ws, project, date.fromisoformat(sys.argv[4]))
    else:
        payouts.sign_payout(ws, project, 1, "pay", role=what)
    print("done")
except PayoutRefused:
    print("refused")
"""


def at_once(ws: Workspace, *whats: str) -> list[str]:
    def one(what: str) -> str:
        command = [sys.executable, "-c", AT_ONCE, str(ws.root), PROJECT, what, DAY.isoformat()]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    with ThreadPoolExecutor(len(whats)) as pool:
        return sorted(pool.map(one, whats))


def test_planning_at_once_sets_the_money_aside_once_and_two_who_sign_at_once_approve(
    bare_ws: Workspace,
) -> None:
    assert at_once(bare_ws, "plan", "plan", "plan") == ["done", "refused", "refused"]
    (record,) = payouts.payout_runs(bare_ws, PROJECT)
    assert record.state == "planned"
    assert at_once(bare_ws, "treasurer", "auditor") == ["done", "done"]
    assert payouts.payout_run(bare_ws, PROJECT, 1).state == "approved"
    approve(bare_ws, 1, "paid X1")
    made = sharing.household_statements(bare_ws, PROJECT)
    assert made.banks[0].paid == record.run.total_yen * YEN
    bare_ws.catalogue.close()


def test_an_altered_record_is_refused(ws: Workspace) -> None:
    payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY)
    approve(ws, 1, "pay")
    with ws.catalogue.write() as session:
        session.execute(update(PayoutLineRow).values(yen=PayoutLineRow.yen + 1))
    with pytest.raises(PayoutRefused, match="altered"):
        payouts.payout_file(ws, PROJECT, 1)


def test_a_state_without_signatures_gives_no_file(ws: Workspace) -> None:
    payouts.plan_payout(earned_and_settled(ws), PROJECT, DAY)
    with ws.catalogue.write() as session:
        session.execute(update(PayoutRunRow).values(state="approved"))
    with pytest.raises(PayoutRefused, match="two officers"):
        payouts.payout_file(ws, PROJECT, 1)


def test_accounts_are_checked_when_they_are_recorded(ws: Workspace) -> None:
    with pytest.raises(PayoutRefused, match="owner-a, owner-b"):
        bank_accounts.set_bank_account(ws, PROJECT, "owner-c", ACCOUNTS["owner-a"])
    with pytest.raises(ZenginRefused, match="katakana"):
        bank_accounts.set_bank_account(
            ws, PROJECT, "owner-a", replace(ACCOUNTS["owner-a"], holder="山田 花子")
        )


def test_shares_set_past_the_program_stop_the_statement_by_household(ws: Workspace) -> None:
    earned_and_settled(ws)
    admin = work.accounts(ws).load("admin")
    work.open_port(ws).set_shares(admin, project_key(PROJECT), {admin.address: 1_000_000})
    with pytest.raises(BreakdownMismatch, match="payout shares"):
        sharing.household_statements(ws, PROJECT)


def test_a_period_is_half_open_and_two_add_up(ws: Workspace) -> None:
    earned_and_settled(ws)
    cut = datetime.now(UTC) + timedelta(days=3650)
    first = sharing.household_statements(ws, PROJECT, end=cut)
    second = sharing.household_statements(ws, PROJECT, start=cut, end=cut + timedelta(days=1))
    for one, two in zip(first.lines, second.lines, strict=True):
        assert (two.opening, two.earned) == (one.due, 0)


def test_the_definition_names_plots_ways_of_paying_and_the_basis(
    demo_files: object, tmp_path: object
) -> None:
    file = demo_files.project_toml
    base = read_definition(file)
    docs = [{**asdict(p), "id": p.payee_id} for p in PAYEES]
    for doc in docs:
        del doc["payee_id"]
    import tomllib

    doc = tomllib.loads(file.read_text(encoding="utf-8"))
    made = definition_of({**doc, "payees": docs, "sharing": {"basis": "growth", "delay_days": 14}}, file)
    assert made.payees == PAYEES and made.sharing == "growth" and made.share_delay_s == 14 * 86_400
    assert type(made).from_docs(made.project.to_doc(), made.settings_doc()) == made
    assert base.sharing == "fixed" and all(not p.by_bank for p in base.payees)
    with pytest.raises(DefinitionError, match="basis"):
        definition_of({**doc, "sharing": {"basis": "luck"}}, file)
    for days in (-1, 181, 1.5, True):
        with pytest.raises(DefinitionError, match="delay_days"):
            definition_of({**doc, "sharing": {"delay_days": days}}, file)
    with pytest.raises(DefinitionError, match="pay_by"):
        definition_of({**doc, "payees": [{**docs[0], "pay_by": "cheque"}, *docs[1:]]}, file)
