"""A co-op's chain is looked after without tracebacks: gone, damaged, at a node, other contracts, other settings, a busy port."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from apps.cli import main
from flows import work
from flows.settings import Workspace
from flows.work import chainroom
from flows.work.chainroom import ChainGone, OtherContracts
from mrv import __version__
from registry.evmdb import ChainFileError
from registry.manifest import ManifestUnreadable
from registry.sender import Sender


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    """Contracts on an embedded chain, and no project."""
    made = Workspace.create(tmp_path / "ws")
    work.set_up_chain(made)
    return made


def run(ws: Workspace, *arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(main, ["-w", str(ws.root), *arguments])
    assert result.exit_code == status, (result.output, result.exception)
    return result


def test_the_check_names_every_contract_the_file_and_the_version_that_deployed(ws: Workspace) -> None:
    said = run(ws, "chain", "check").output
    assert "The chain's file is whole" in said and f"deployed by version {__version__}" in said
    assert said.count("[ok]") == 7
    doc = json.loads(run(ws, "--json", "chain", "check").output)
    assert doc["ok"] and doc["deployments"][0]["program"] == __version__ and doc["file"]["head"] > 0
    assert "チェーンのファイルは完全です" in run(ws, "--lang", "ja", "chain", "check").output


def test_the_check_fails_where_an_address_holds_other_code(ws: Workspace) -> None:
    deployed = work.deployment(ws)
    chainroom.record_deployment(ws, replace(deployed, sale=deployed.yen, program="0.0.7"))
    said = run(ws, "chain", "check", status=1).output
    assert "[FAILED]" in said and "CreditSale" in said and "0.0.7" in said


def test_nothing_is_signed_for_contracts_that_only_the_manifest_calls_ours(ws: Workspace) -> None:
    deployed = work.deployment(ws)
    # The digests on record are right; the address is not.
    chainroom.record_deployment(ws, replace(deployed, sale=deployed.yen))
    chainroom.look_again()
    admin, port = work.accounts(ws).load("admin"), work.open_port(ws)
    assert port.yen_decimals() == 6, "reading goes on"
    count = port.w3.eth.get_transaction_count(admin.address)
    with pytest.raises(OtherContracts, match="CreditSale"):
        port.mint_yen(admin, admin.address, 1)
    assert "CreditSale" in run(ws, "chain", "yen", "buyer", "5", status=1).output
    assert port.w3.eth.get_transaction_count(admin.address) == count


def test_the_code_is_compared_once_and_not_before_every_transaction(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    chainroom.look_again()
    calls = []
    monkeypatch.setattr(chainroom, "require_ours", lambda *a: calls.append(a))
    for _ in range(3):
        work.give_test_yen(ws, "buyer", 1)
    assert len(calls) == 1


def test_a_chain_that_is_gone_is_not_called_ready(ws: Workspace) -> None:
    for file in ws.chain_folder.glob("chain.sqlite*"):
        file.unlink()
    with pytest.raises(ChainGone, match="chain restore") as caught:
        work.set_up_chain(ws)
    assert "復元" in caught.value.ja
    said = CliRunner().invoke(main, ["init", str(ws.root), "--chain"])
    assert said.exit_code == 1 and "ready" not in said.output and "chain restore" in said.output
    assert "chain restore" in run(ws, "chain", "yen", "buyer", "5", status=1).output
    assert not (ws.chain_folder / "chain.sqlite").exists()


def test_another_chains_address_is_refused_for_a_workspace_that_has_one(ws: Workspace) -> None:
    said = CliRunner().invoke(main, ["init", str(ws.root), "--chain", "--chain-url", "http://127.0.0.1:9"])
    assert said.exit_code == 1 and "chain_kind is 'embedded'" in said.output and "別の設定" in said.output


def test_a_yen_that_is_no_address_is_refused_before_keys_or_contracts_are_made(tmp_path: Path) -> None:
    said = CliRunner().invoke(main, ["init", str(tmp_path / "new"), "--chain", "--yen", "0x12"])
    assert said.exit_code == 1 and "--yen" in said.output and "40 hex digits" in said.output
    assert list((tmp_path / "new" / "chain").iterdir()) == list((tmp_path / "new" / "keys").iterdir()) == []


def test_setting_up_goes_on_where_it_was_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, send, left = Workspace.create(tmp_path / "ws"), Sender.send, iter(range(2, -1, -1))

    def dying(self: Sender, *arguments: object, **named: object) -> object:
        if next(left) == 0:
            raise KeyboardInterrupt
        return send(self, *arguments, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Sender, "send", dying)
        with pytest.raises(KeyboardInterrupt):
            work.set_up_chain(made)
    assert (made.chain_folder / chainroom.UNFINISHED).is_file() and not work.is_set_up(made)
    deployed = work.set_up_chain(made)
    assert not (made.chain_folder / chainroom.UNFINISHED).exists() and work.deployment(made) == deployed
    port, admin = work.open_port(made), work.accounts(made).load("admin")
    assert port.w3.eth.get_transaction_count(admin.address) == 12, "as many as if it had not been cut off"


def test_a_chain_at_a_node_is_not_served_or_backed_up_here(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SATOYAMA_CHAIN_KIND", "rpc")
    said = run(ws, "chain", "serve", status=1).output
    assert "only the embedded chain" in said and "ノード" in said


def test_a_port_that_is_taken_is_named_and_no_address_is_promised(ws: Workspace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = run(ws, "chain", "serve", "--port", str(port), status=1).output
    assert f"port {port}" in said and "--port" in said and "JSON-RPC on" not in said


@pytest.mark.parametrize("text", ["{", "[]", '{"chain_id": 1}'])
def test_a_damaged_manifest_is_named_by_every_verb(ws: Workspace, text: str) -> None:
    (ws.chain_folder / "deployment.json").write_text(text)
    for verb in (("chain", "check"), ("chain", "yen", "buyer", "1"), ("statement", "--project", "p")):
        assert "deployment.json" in run(ws, *verb, status=1).output
    with pytest.raises(ManifestUnreadable):
        work.open_port(ws)


def test_a_damaged_chain_is_named_by_every_verb(ws: Workspace) -> None:
    import sqlite3

    with sqlite3.connect(ws.chain_folder / "chain.sqlite") as file:
        file.execute("DROP TABLE log")
    for verb in (("chain", "check"), ("chain", "roles")):
        said = run(ws, *verb, status=1).output
        assert "damaged" in said and "chain.sqlite" in said and "壊れています" in said
    with pytest.raises(ChainFileError, match="no such table: log"):
        work.index_events(ws)


def test_a_restored_chain_has_its_treasury_and_a_bad_one_leaves_all_as_it_was(
    ws: Workspace, tmp_path: Path
) -> None:
    from flows.work.treasuries import set_up_treasury, treasury_of
    from registry.deploy_treasury import Officers

    first, second, third = (f"0x{number:040x}" for number in (0xA1, 0xA2, 0xA3))
    made = set_up_treasury(ws, Officers((first, second), (third,), 172_800))
    work.backup_chain(ws, tmp_path / "backup")
    for file in ws.chain_folder.iterdir():
        file.unlink()
    spoilt = tmp_path / "backup" / "treasury.json"
    whole = spoilt.read_text()
    spoilt.write_text("{}")
    assert "treasury.json" in run(ws, "chain", "restore", str(tmp_path / "backup"), status=1).output
    assert not (ws.chain_folder / "chain.sqlite").exists()
    spoilt.write_text(whole)
    run(ws, "chain", "restore", str(tmp_path / "backup"))
    assert treasury_of(ws) == made
    # A backup from before treasuries were part of one: the treasury on the chain is not forgotten.
    spoilt.unlink()
    run(ws, "chain", "restore", str(tmp_path / "backup"), "--replace")
    assert treasury_of(ws) == made


def test_the_help_says_what_a_backup_leaves_out(ws: Workspace) -> None:
    said = run(ws, "chain", "backup", "--help").output
    assert "keys" in said and "catalogue" in said and "NOT" in said and "鍵" in said


@pytest.mark.parametrize("text", [None, "{", '{"chain_id": 1}', '{"registry": 5}'])
def test_a_buyer_with_a_bad_address_file_is_told_which_and_what_to_do(
    ws: Workspace, tmp_path: Path, text: str | None
) -> None:
    named, bundle = tmp_path / "named.json", tmp_path / "evidence.zip"
    bundle.write_bytes(b"not opened")
    if text is not None:
        named.write_text(text)
    said = run(
        ws, "verify", str(bundle), "--rpc", "http://127.0.0.1:9", "--deployment", str(named), status=1
    ).output
    assert "named.json is no deployment manifest" in said and "public page" in said and "公開ページ" in said
