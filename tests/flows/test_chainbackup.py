"""A workspace's chain is backed up and restored; what the outbox had issued since is issued again, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows import work
from flows.settings import Workspace
from flows.work.chainbackup import NoBackup
from registry.events import BatchIssued
from registry.evmdb import ChainFileError
from tests.flows.conftest import PROJECT


def test_a_batch_issued_after_the_backup_is_issued_again_on_the_restored_chain(
    approved_ws: Workspace, tmp_path: Path
) -> None:
    ws = approved_ws
    work.register_on_chain(ws, PROJECT)
    work.backup_chain(ws, tmp_path / "backup")
    issued = work.issue(ws, work.make_claim(ws, PROJECT).claim_id)
    work.index_events(ws)
    with pytest.raises(ChainFileError, match="forgotten"):
        work.restore_chain(ws, tmp_path / "backup")
    restored = work.restore_chain(ws, tmp_path / "backup", replace=True)
    assert restored.head < issued.event.block
    (again,) = work.settle(ws, PROJECT).finished
    assert again.event.tx_hash == issued.event.tx_hash, "what was signed then"
    assert again.event.content_root == issued.event.content_root
    port = work.open_port(ws)
    assert [e for e in port.events() if isinstance(e, BatchIssued)] == [again.event]
    assert work.indexed_events(ws) == port.events()


def test_a_lost_chain_comes_back_with_the_addresses_of_its_contracts(
    approved_ws: Workspace, tmp_path: Path
) -> None:
    ws = approved_ws
    before = work.deployment(ws)
    work.backup_chain(ws, tmp_path / "backup")
    for file in ws.chain_folder.iterdir():
        file.unlink()
    work.restore_chain(ws, tmp_path / "backup")
    assert work.deployment(ws) == before
    assert work.issue(ws, work.make_claim(ws, PROJECT).claim_id).sent_now


def test_a_folder_that_is_no_backup_and_a_chain_that_is_elsewhere_are_named(
    approved_ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoBackup, match=r"no deployment\.json"):
        work.restore_chain(approved_ws, tmp_path)
    monkeypatch.setenv("SATOYAMA_CHAIN_KIND", "rpc")
    with pytest.raises(NoBackup, match="only the embedded chain"):
        work.backup_chain(Workspace.open(approved_ws.root), tmp_path / "backup")
