"""Backups of a workspace's embedded chain, with the addresses of its contracts and treasury beside it.

Keys, catalogue and stored surveys are not part of it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from eth_utils.address import to_checksum_address
from web3 import Web3

from flows.outbox import CatalogueActions, CatalogueEvents
from flows.settings import Workspace
from flows.work import chainroom
from models.errors import SatoyamaError
from registry.actions import on_chain
from registry.chain import connect
from registry.deploy_treasury import TreasuryDeployment
from registry.manifest import read_manifest
from registry.sender import Sender

if TYPE_CHECKING:
    from registry.backup import ChainSummary

CHAIN_FILE, DEPLOYMENT_FILE, TREASURY = "chain.sqlite", "deployment.json", "treasury.json"


class NoBackup(SatoyamaError):
    """The chain cannot be backed up or restored from here."""


def backup_chain(ws: Workspace, folder: Path) -> ChainSummary:
    """Write chain, deployment and treasury to a new folder; the workspace may be in use meanwhile.

    Raises
    ------
    NoBackup
        If the workspace's chain is not the embedded one.
    ChainFileError
        If there is no chain yet, or the folder holds a backup.
    """
    from registry.backup import backup

    path = embedded_file(ws)
    deployed = chainroom.deployment(ws)
    made = backup(path, folder / CHAIN_FILE)
    (folder / DEPLOYMENT_FILE).write_text(json.dumps(deployed.to_doc(), indent=1))
    for manifest in _other_manifests(ws.chain_folder):
        shutil.copyfile(manifest, folder / manifest.name)
    _read_manifests(folder)
    return made


def restore_chain(ws: Workspace, folder: Path, *, replace: bool = False) -> ChainSummary:
    """Put a backup in place of the workspace's chain; events are read anew.

    Batches that the outbox has as mined and the restored chain has not are issued again by the next `settle`, with what
    was signed then. Sales, retirements and payouts made since the backup are gone, and asked for again are done again.

    Parameters
    ----------
    replace : bool
        Allow that blocks are forgotten.

    Raises
    ------
    NoBackup
        If the workspace's chain is not the embedded one, or the folder is no backup.
    ManifestUnreadable
        If the addresses beside the backup are damaged; the chain is not touched then.
    ChainFileError
        If the backup is not whole, or blocks would be forgotten and `replace` is not set.
    """
    from registry.backup import restore

    path, beside = embedded_file(ws), folder / DEPLOYMENT_FILE
    if not beside.is_file():
        raise NoBackup(
            en=f"{folder} is no backup of a chain: it has no {DEPLOYMENT_FILE}. Name a folder that satoyama chain backup has written.",
            ja=f"{folder} はチェーンのバックアップではありません（{DEPLOYMENT_FILE} がありません）。satoyama chain backup で作った"
            "フォルダーを指定してください。",
        )
    deployed = read_manifest(beside)
    _read_manifests(folder)
    restored = restore(folder / CHAIN_FILE, path, replace=replace)
    shutil.copyfile(beside, ws.chain_folder / DEPLOYMENT_FILE)
    chainroom.look_again()
    w3 = connect(chainroom.chain_config(ws))
    for manifest in _other_manifests(ws.chain_folder):
        if manifest.name != TREASURY or not _still_there(w3, _treasury(manifest)):
            manifest.unlink()
    for manifest in _other_manifests(folder):
        shutil.copyfile(manifest, ws.chain_folder / manifest.name)
    for known in (*chainroom.past_deployments(ws), deployed):
        CatalogueEvents(ws.catalogue, ws.clock).forget(known.chain_id, known.registry)
    sender = Sender(w3)
    actions = CatalogueActions(ws.catalogue, ws.clock)
    actions.forget_unless(deployed.chain_id, lambda entry: on_chain(sender, entry))
    return restored


def _other_manifests(folder: Path) -> list[Path]:
    """Of registries before, of one that is to follow, and of the treasury."""
    return sorted([*folder.glob("deployment-*.json"), *folder.glob("successor.json"), *folder.glob(TREASURY)])


def _read_manifests(folder: Path) -> None:
    """Raise where an address file of a backup cannot be read."""
    for manifest in _other_manifests(folder):
        if manifest.name == TREASURY:
            _treasury(manifest)
        else:
            read_manifest(manifest)


def _treasury(manifest: Path) -> TreasuryDeployment:
    try:
        return TreasuryDeployment.from_doc(json.loads(manifest.read_text(encoding="utf-8")))
    except (ValueError, LookupError, TypeError) as error:
        raise NoBackup(
            en=f"{manifest} should name the treasury, and cannot be read ({type(error).__name__}: {error}). Copy it again from the "
            "workspace's folder chain/, or take another backup.",
            ja=f"{manifest} には会計口座の記録があるはずですが、読み取れません（{type(error).__name__}: {error}）。作業場所の chain/ から"
            "写し直すか、別のバックアップを使ってください。",
        ) from error


def _still_there(w3: Web3, treasury: TreasuryDeployment) -> bool:
    # Backups of earlier versions have no treasury in them; it may be on the chain all the same.
    return bool(bytes(w3.eth.get_code(to_checksum_address(treasury.address))))


def read_whole(ws: Workspace) -> ChainSummary | None:
    """The embedded chain's file read from end to end; None where the chain is at a node.

    Raises
    ------
    ChainFileError
        If it is missing or damaged.
    """
    path = chainroom.chain_config(ws).path
    if path is None:
        return None
    from registry.backup import summary

    return summary(path)


def embedded_file(ws: Workspace) -> Path:
    """The embedded chain's file.

    Raises
    ------
    NoBackup
        If the workspace's chain is at a node.
    """
    path = chainroom.chain_config(ws).path
    if path is None:
        raise NoBackup(
            en=f"The chain of the workspace {ws.root} is at its node ({ws.settings.chain_kind}); only the embedded chain is backed up, "
            "restored or served here. Do that at the node.",
            ja=f"作業場所 {ws.root} のチェーンは外部ノード（{ws.settings.chain_kind}）にあります。ここで保存・復元・公開できるのは内蔵"
            "チェーンだけです。ノードの側で行ってください。",
        )
    return path
