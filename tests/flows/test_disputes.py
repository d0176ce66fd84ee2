"""A batch in its challenge window, a registry's end, and the buffer, as the people of a co-op and a buyer meet them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from apps.cli import main
from apps.demo.survey_files import DemoFiles
from flows import work
from flows.definition import DefinitionError, read_definition
from flows.settings import Workspace
from flows.work import buffers, chainroom, disputes, successor
from mrv.errors import ClaimRefused
from registry.chain import ChainConfig
from registry.claimstruct import project_key
from registry.court_events import Challenged
from registry.refusals import ChainRefused
from registry.verify_chain import check_chain
from tests.conftest import ROOT
from tests.flows.conftest import PASSWORD, PROJECT

DAY = 86_400
Later = Callable[[Workspace, int], None]
WINDOW_DAYS = 30
MINE = b"\x07" * 32
YEN = 10**6
DOCS = ROOT / "docs" / "challenges.md"


@pytest.fixture(scope="module")
def _issued_template(demo_files: DemoFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("disputes")
    toml = folder / "project.toml"
    window = f"\n[chain]\nchallenge_window_s = {WINDOW_DAYS * DAY}\n"
    toml.write_text(demo_files.project_toml.read_text() + window)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SATOYAMA_KEYSTORE_PASSWORD", PASSWORD)
        made = work.init_workspace(folder / "ws", toml)
        for archive in demo_files.survey_zips:
            assert work.submit_survey(made, archive).accepted
        work.set_up_chain(made)
        work.approve(made, work.make_claim(made, PROJECT).claim_id)
        work.issue(made, made.catalogue.claims_of()[-1].claim_id)
        work.give_test_yen(made, "buyer", 1_000_000 * YEN)
        made.catalogue.close()
    return made.root


@pytest.fixture
def ws(_issued_template: Path, tmp_path: Path) -> Workspace:
    """An issued batch in its challenge window, and a buyer with yen."""
    shutil.copytree(_issued_template, tmp_path / "ws")
    return Workspace.open(tmp_path / "ws")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Sets the embedded chain's clock so many days after its head."""
    plain = chainroom.chain_config

    def go(ws: Workspace, days: int) -> None:
        now = work.open_port(ws).head()[1] + days * DAY
        monkeypatch.setattr(chainroom, "chain_config", lambda w: _at(plain(w), now))
        monkeypatch.setattr(successor, "connect", lambda c: chainroom.connect(_at(c, now)))
        work.give_test_yen(ws, "buyer", 1)  # a block, so that the chain's clock moves

    return go


def _at(config: ChainConfig, now: int) -> ChainConfig:
    return replace(config, now=now)


def batch_of(ws: Workspace) -> str:
    return str(ws.catalogue.claims_of()[-1].batch_id)


def challenge_line(ws: Workspace) -> tuple[str, str]:
    port = work.open_port(ws)
    key = disputes.batch_key(ws, batch_of(ws))
    event = port.issued(key)
    assert event is not None
    checks = check_chain(port, port.issue_call(event.tx_hash).claim)
    (line,) = [c for c in checks if c.name == "chain.challenge"]
    return line.status, line.detail_en


def test_a_buyer_challenges_and_is_right_and_gets_the_bond_back_once(ws: Workspace) -> None:
    port, batch = work.open_port(ws), batch_of(ws)
    buyer = work.accounts(ws).load("buyer").address
    assert disputes.standing(ws, batch).word == "may be challenged"
    before = port.yen_balance(buyer)
    opened = disputes.open_challenge(ws, batch, MINE, "https://example.org/mine.zip")
    assert disputes.open_challenge(ws, batch, MINE) == opened
    assert before - port.yen_balance(buyer) == opened.bond == 50_000 * YEN
    assert disputes.standing(ws, batch).word == "under challenge"
    assert challenge_line(ws)[0] == "not_made"
    ruled = disputes.resolve_challenge(ws, opened.challenge_id, True)
    assert disputes.resolve_challenge(ws, opened.challenge_id, True) == ruled
    assert disputes.withdraw_bond(ws) == opened.bond and disputes.withdraw_bond(ws) == 0
    assert port.yen_balance(buyer) == before
    assert disputes.standing(ws, batch).word == "annulled"
    assert challenge_line(ws)[0] == "failed"
    with pytest.raises(ChainRefused, match="ERC1155InsufficientBalance"):
        work.retire(ws, batch, 1, beneficiary="a", purpose="b", holder_role="seller")


def test_after_an_annulment_the_same_survey_is_refused_and_the_account_starts_anew(ws: Workspace) -> None:
    opened = disputes.open_challenge(ws, batch_of(ws), MINE)
    disputes.resolve_challenge(ws, opened.challenge_id, True)
    history = work.history(ws, PROJECT)
    assert (history.gross_issued_kg, history.compensated_kg) == (0, 0)
    assert history.last_end == date(2025, 10, 20), "its period stays spent"
    with pytest.raises(ClaimRefused) as caught:
        work.make_claim(ws, PROJECT)
    assert [r.code for r in caught.value.reasons] == ["claim.period_already_credited"]


def test_what_agrees_with_the_batch_is_no_challenge(ws: Workspace, tmp_path: Path) -> None:
    batch = batch_of(ws)
    bundle = work.evidence_to(ws, batch, tmp_path / "evidence.zip")
    with pytest.raises(disputes.SameResult, match="nothing to challenge"):
        disputes.open_challenge(ws, batch, disputes.content_root_of(bundle))
    assert disputes.standing(ws, batch).challenges == ()


def test_a_buyer_without_the_claim_names_the_batch_itself(ws: Workspace) -> None:
    key = disputes.batch_key(ws, batch_of(ws))
    assert disputes.batch_key(ws, "0x" + "ab" * 32) == b"\xab" * 32
    event = work.open_port(ws).issued(key)
    assert event is not None and event.content_root != MINE


def test_a_dispute_is_in_the_index_and_on_the_batchs_page(ws: Workspace) -> None:
    from apps.web.reads import Reader

    batch = batch_of(ws)
    opened = disputes.open_challenge(ws, batch, MINE)
    work.index_events(ws)
    assert work.indexed_events(ws, "Challenged") == [opened]
    assert isinstance(opened, Challenged)
    assert Reader(ws).batch(batch).state == "challenged"
    disputes.resolve_challenge(ws, opened.challenge_id, False)
    work.index_events(ws)
    assert Reader(ws).batch(batch).state == "issued"
    again = disputes.open_challenge(ws, batch, b"\x08" * 32)
    disputes.resolve_challenge(ws, again.challenge_id, True)
    work.index_events(ws)
    assert Reader(ws).batch(batch).state == "annulled"


def test_the_certificate_names_its_serials(ws: Workspace, later: Later) -> None:
    from apps.web.reads import Reader

    later(ws, WINDOW_DAYS + 1)
    batch = batch_of(ws)
    first = work.retire(ws, batch, 10, beneficiary="a", purpose="b", holder_role="seller")
    second = work.retire(ws, batch, 5, beneficiary="a", purpose="b", holder_role="seller")
    work.index_events(ws)
    reader = Reader(ws)
    assert reader.certificate(first.certificate_id).serials == (0, 9)
    assert reader.certificate(second.certificate_id).serials == (10, 14)


def test_a_co_op_moves_to_a_successor_and_goes_on_there(ws: Workspace, later: Later) -> None:
    batch = batch_of(ws)
    first = work.deployment(ws)
    gross = work.history(ws, PROJECT).gross_issued_kg
    made = successor.prepare_successor(ws)
    assert successor.prepare_successor(ws) == made
    assert len(successor.announce_move(ws)) == 1 and successor.announce_move(ws) == []
    with pytest.raises(ChainRefused, match="Migration_Unsettled"):
        successor.adopt(ws)
    later(ws, 2 * WINDOW_DAYS + 1)
    assert successor.move_status(ws).projects[PROJECT].settled
    assert successor.adopt(ws) == made == work.deployment(ws) == successor.adopt(ws)
    assert chainroom.past_deployments(ws) == [first]
    assert work.history(ws, PROJECT).gross_issued_kg == gross
    moved = successor.move_credits(ws, batch, role="seller")
    assert moved is not None and successor.move_credits(ws, batch, role="seller") is None
    port = work.open_port(ws)
    seller = work.accounts(ws).load("seller").address
    assert port.balance(seller, moved.id) == moved.kg
    listed = work.list_for_sale(ws, batch, 1_000, 15_000 * YEN)
    work.buy(ws, listed.listing_id, 1_000)
    settled = work.settle(ws, PROJECT)
    assert settled.statement.revenue_total == 15_000 * YEN
    work.index_events(ws)
    names = [type(e).__name__ for e in work.indexed_events(ws)]
    assert names.count("BatchIssued") == 1 and names.count("Migrated") == 1 and names.count("Deposited") == 1
    assert successor.port_that_issued(ws, batch).deployment == first


def test_a_deficit_is_refilled_once_however_often_it_is_asked(ws: Workspace, later: Later) -> None:
    batch = batch_of(ws)
    claim = work.claim_record(ws, batch).claim
    work.reverse(ws, PROJECT, claim.buffer_kg + 500, "storm")
    assert buffers.buffer_status(ws, PROJECT).deficit_kg == 500
    with pytest.raises(ChainRefused, match="Batch_Locked"):
        buffers.refill_deficit(ws, PROJECT, batch)
    later(ws, WINDOW_DAYS + 1)
    done = buffers.refill_deficit(ws, PROJECT, batch)
    assert done is not None and (done.kg, done.deficit_kg) == (500, 0)
    assert buffers.refill_deficit(ws, PROJECT, batch) is None


def test_buffer_is_released_after_its_time_once_per_order(ws: Workspace, later: Later) -> None:
    batch = batch_of(ws)
    seller = work.accounts(ws).load("seller").address
    (line,) = buffers.buffer_status(ws, PROJECT).batches
    assert line.held_kg > 0 == line.releasable_kg
    later(ws, 3_653 + 1_826 + 2 * WINDOW_DAYS)
    signed = buffers.sign_release(ws, batch, line.held_kg, seller)
    assert buffers.SignedRelease.from_doc(json.loads(json.dumps(signed.to_doc()))) == signed
    released = buffers.release_buffer(ws, signed)
    assert buffers.release_buffer(ws, signed) == released
    (line,) = buffers.buffer_status(ws, PROJECT).batches
    assert (line.held_kg, line.releasable_kg) == (0, 0) and line.released_kg == released.kg
    with pytest.raises(buffers.OrderUnreadable, match="buffer sign"):
        buffers.SignedRelease.from_doc({"id": "0x1"})


def test_a_challenge_window_that_no_registry_takes_is_refused(demo_files: DemoFiles, tmp_path: Path) -> None:
    toml = tmp_path / "project.toml"
    toml.write_text(demo_files.project_toml.read_text() + "\n[chain]\nchallenge_window_s = 99999999\n")
    with pytest.raises(DefinitionError, match="challenge_window_s"):
        read_definition(toml)


# The commands of docs/challenges.md


def commands(title: str) -> list[list[str]]:
    """Commands of one section of the page, comments left out."""
    section = DOCS.read_text().split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```console\n(.*?)```", section, re.S)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line.split()[1:] for line in lines if line.startswith("satoyama ")]


def told(ws: Workspace, arguments: list[str]) -> Result:
    result = CliRunner().invoke(main, ["-w", str(ws.root), *arguments])
    assert result.exit_code == 0, (arguments, result.output)
    return result


def test_the_pages_commands_for_a_buyer_and_a_guardian_do_what_it_says(ws: Workspace) -> None:
    said = [told(ws, line).output for line in commands("A buyer who cannot reproduce a batch")]
    assert any("Challenge 1" in text for text in said)
    said = [told(ws, line).output for line in commands("A guardian or verifier who is to decide")]
    assert any("annulled" in text for text in said)
    (amount,) = [told(ws, line).output for line in commands("The bond")]
    assert "50,000 yen paid" in amount


def test_the_pages_commands_name_a_second_guardian_and_fund_rewards(ws: Workspace) -> None:
    said = [told(ws, line).output for line in commands("The court, and who can judge there")]
    assert "ONLY ONE guardian" in said[0] and "nothing was sent" in said[2] and "WARNING" not in said[4]
    line = commands("The reward fund")[0]
    assert "the fund holds 50,000" in told(ws, line).output
    assert "done before" in told(ws, line).output


def test_a_batch_whose_one_judge_may_be_silent_is_warned_of_by_its_status_and_by_verify(
    ws: Workspace,
) -> None:
    said = told(ws, ["challenge", "status"]).output
    assert "WARNING: ONLY ONE guardian" in said and "reward fund 0 yen" in said
    assert challenge_line(ws)[0] == "passed" and "ONLY ONE guardian" in challenge_line(ws)[1]
    disputes.open_challenge(ws, batch_of(ws), MINE, role="guardian")
    assert "NOBODY can judge" in told(ws, ["challenge", "status"]).output
    assert challenge_line(ws)[0] == "not_made" and "NOBODY can judge" in challenge_line(ws)[1]
    told(ws, ["chain", "grant", "guardian", "guardian_2"])
    told(ws, ["chain", "grant", "guardian", "guardian_3"])
    assert "WARNING" not in told(ws, ["challenge", "status"]).output
    assert "guardian" not in challenge_line(ws)[1]
    told(ws, ["challenge", "resolve", "1", "--dismiss", "--role", "guardian_2"])


def test_a_stated_amount_moves_to_the_successor_once(ws: Workspace, later: Later) -> None:
    batch = batch_of(ws)
    successor.prepare_successor(ws)
    successor.announce_move(ws)
    later(ws, 2 * WINDOW_DAYS + 1)
    successor.adopt(ws)
    move = ["migrate", "credits", "--role", "seller", "--kg", "300", "--batch", batch]
    told(ws, move)
    assert "done before" in told(ws, move).output
    told(ws, [*move, "--again", "second"])
    port, seller = work.open_port(ws), work.accounts(ws).load("seller").address
    assert port.balance(seller, disputes.issued_batch(port, disputes.batch_key(ws, batch)).id) == 600


def test_the_pages_commands_for_a_move_do_what_it_says(ws: Workspace, later: Later) -> None:
    first, then = commands("A co-op that moves to a new registry"), commands("Thirty days later")
    for line in first:
        told(ws, line)
    later(ws, 2 * WINDOW_DAYS + 1)
    for line in then:
        told(ws, line)
    assert work.deployment(ws).predecessor
    assert work.open_port(ws).project(project_key(PROJECT)) is not None


def test_the_pages_commands_put_the_contracts_on_a_fresh_anvil(
    demo_files: DemoFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from registry.deploy import check_deployment
    from tests.registry.conftest import start_anvil

    block = DOCS.read_text().split("\n## On a chain of your own\n", 1)[1].split("```")[1]
    node, initialise = block.splitlines()[1].split(), block.splitlines()[-1].split()
    options = [str(tmp_path / w) if w.endswith(".json") else w for w in node[3:-1]]
    anvil = start_anvil(*options)
    try:
        key = json.loads((tmp_path / "anvil.json").read_text())["private_keys"][0]
        monkeypatch.setenv("SATOYAMA_KEY_ADMIN", key)
        places = {
            "my-coop": str(tmp_path / "my-coop"),
            "project.toml": str(demo_files.project_toml),
            "http://127.0.0.1:8545": anvil.url,
        }
        result = CliRunner().invoke(main, [places.get(word, word) for word in initialise[1:]])
        assert result.exit_code == 0, result.output
        made = Workspace.open(tmp_path / "my-coop")
        port = work.open_port(made)
        assert {c.status for c in check_deployment(port.w3, port.deployment)} == {"passed"}
        buyer = work.accounts(made).load("buyer").address
        assert port.w3.eth.get_balance(buyer) == 10**18
    finally:
        anvil.end()


def test_the_pages_commands_for_the_buffer_are_understood(ws: Workspace) -> None:
    for line in commands("The buffer"):
        assert CliRunner().invoke(main, [*line[:2], "--help"]).exit_code == 0
