"""The move of a co-op's projects to a new registry: prepared, announced, waited for, taken over. Every step may be run again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from flows.settings import Workspace
from flows.work import chainroom
from flows.work.disputes import batch_key, issued_batch
from flows.work.plans import anchor_again
from flows.work.projects import project_ids
from models.errors import SatoyamaError
from registry.chain import connect
from registry.claimstruct import project_key
from registry.court_events import BatchImported, Migrated, MigrationAnnounced
from registry.deploy import CourtTerms, Deployment, deploy_successor
from registry.events import BatchIssued
from registry.manifest import read_manifest
from registry.port import ChainPort
from registry.views import Closing


class NoSuccessor(SatoyamaError):
    """There is no successor on record."""


@dataclass(frozen=True)
class MoveStatus:
    """How far the move is.

    Attributes
    ----------
    successor : str
        Address of the registry that is announced or prepared; empty where there is none.
    since : int
        Unix seconds from which the move is in effect; 0 where it is not announced.
    projects : mapping of project id to Closing
        In the workspace's present registry.
    """

    registry: str
    successor: str
    since: int
    now: int
    projects: dict[str, Closing]


def _file(ws: Workspace) -> Path:
    return ws.chain_folder / "successor.json"


def successor(ws: Workspace) -> Deployment:
    """The successor's contracts.

    Raises
    ------
    NoSuccessor
        If none were prepared.
    """
    if not _file(ws).is_file():
        raise NoSuccessor(
            en="No successor registry was prepared in this workspace. Run: satoyama migrate prepare",
            ja="この作業場所では後継の登録簿が用意されていません。実行してください: satoyama migrate prepare",
        )
    return read_manifest(_file(ws))


def prepare_successor(ws: Workspace, terms: CourtTerms | None = None) -> Deployment:
    """Deploy the registry that is to follow, with sale and court; the one on record is given back."""
    if _file(ws).is_file():
        return successor(ws)
    keys = chainroom.accounts(ws)
    role_of = {role: keys.load(role) for role in chainroom.ROLES}
    w3 = connect(chainroom.chain_config(ws))
    roles = chainroom.roles_of(role_of)
    unfinished = ws.chain_folder / f"successor-{chainroom.UNFINISHED}"
    before = chainroom.deployment(ws)
    made = deploy_successor(w3, role_of["admin"], roles, before, terms=terms, unfinished=unfinished)
    chainroom.write_whole(_file(ws), json.dumps(made.to_doc(), indent=1))
    unfinished.unlink(missing_ok=True)
    return made


def announce_move(ws: Workspace) -> list[MigrationAnnounced]:
    """Announce that all of the workspace's projects go over; those announced already keep their day."""
    target, port = successor(ws), chainroom.open_port(ws)
    return port.announce_migration(chainroom.accounts(ws).load("admin"), _keys(ws, port), target.registry)


def take_back_move(ws: Workspace) -> list[MigrationAnnounced]:
    """Take back what is announced and not in effect yet."""
    port = chainroom.open_port(ws)
    return port.announce_migration(chainroom.accounts(ws).load("admin"), _keys(ws, port), None)


def _keys(ws: Workspace, port: ChainPort) -> list[bytes]:
    keys = [project_key(p) for p in project_ids(ws)]
    return [key for key in keys if port.project(key) is not None]


def move_status(ws: Workspace) -> MoveStatus:
    """What is announced, and how far each project is."""
    port = chainroom.open_port(ws)
    told = port.migration()
    here = successor(ws).registry if _file(ws).is_file() else ""
    closing = {p: port.closing(project_key(p)) for p in chainroom.projects_on_chain(ws)}
    return MoveStatus(
        port.deployment.registry,
        told.successor if told.announced else here,
        told.since,
        port.head()[1],
        closing,
    )


def adopt(ws: Workspace) -> Deployment:
    """Take the settled projects and their batches' buffers over, and make the successor the workspace's registry.

    Raises
    ------
    ChainRefused
        If a project is not settled yet: locks and challenges of its batches must be over.
    """
    before = chainroom.deployment(ws)
    if not _file(ws).is_file() and before.predecessor:
        return before
    target = successor(ws)
    if before.registry != target.registry:
        _take_over(ws, before, target)
        past = ws.chain_folder / f"deployment-{before.registry[2:10].lower()}.json"
        chainroom.write_whole(past, json.dumps(before.to_doc(), indent=1))
        chainroom.record_deployment(ws, target)
    for project_id in chainroom.projects_on_chain(ws):
        anchor_again(ws, project_id)
    _file(ws).unlink()
    return target


def _take_over(ws: Workspace, before: Deployment, target: Deployment) -> None:
    old, new = chainroom.open_port(ws, before), chainroom.open_port(ws, target)
    admin, keys = chainroom.accounts(ws).load("admin"), _keys(ws, old)
    for key in keys:
        new.import_project(admin, key)
    for event in old.events():
        if isinstance(event, BatchIssued | BatchImported) and event.project_id in keys:
            new.import_batch(admin, event.id)


def move_credits(
    ws: Workspace, claim_or_batch_id: str, kg: int | None = None, role: str = "buyer"
) -> Migrated | None:
    """Move a holder's credits of a batch to the registry that followed; None where the holder has none left.

    Parameters
    ----------
    kg : int, optional
        All by default, which may be run again; a stated amount is moved each time (`flows.work.once` moves it once).
    """
    past = chainroom.past_deployments(ws)
    port = chainroom.open_port(ws, past[-1] if past else None)
    holder = chainroom.accounts(ws).load(role)
    batch = issued_batch(port, batch_key(ws, claim_or_batch_id))
    held = port.balance(holder.address, batch.id)
    if kg is None and held == 0:
        return None
    return port.migrate(holder, batch.id, held if kg is None else kg)


def port_that_issued(ws: Workspace, batch_id: str) -> ChainPort:
    """The registry, of those the workspace has worked with, that issued a batch; the present one where none did."""
    for deployed in reversed(chainroom.past_deployments(ws)):
        port = chainroom.open_port(ws, deployed)
        if port.issued(batch_key(ws, batch_id)) is not None:
            return port
    return chainroom.open_port(ws)
