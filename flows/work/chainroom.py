"""The workspace's chain: accounts, deployment, the project as the chain has it, and the index of its events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

from eth_utils.address import to_checksum_address
from web3 import Web3

from flows.definition import Payee, accounts_of
from flows.outbox import CatalogueEvents, CatalogueOutbox
from flows.settings import Workspace
from flows.work.projects import definition_of_project, first_plan, project_ids
from models.errors import SatoyamaError
from mrv.credits import method_digest
from mrv.results import History
from registry.accounts import Accounts
from registry.address import checked_address
from registry.chain import ChainConfig, connect, create_embedded
from registry.checks import Check
from registry.claimstruct import digest_of, project_key
from registry.deploy import (
    CourtTerms,
    Deployment,
    Roles,
    check_deployment,
    deploy,
    require_ours,
)
from registry.deploy_steps import OtherContracts, checked_yen, write_whole
from registry.events import Event, event_from_doc
from registry.issuance import REORG_HORIZON_BLOCKS
from registry.manifest import read_manifest
from registry.plan_anchor import project_uri
from registry.port import ChainPort
from registry.refusals import ChainRefused
from registry.sender import Sender
from registry.signer import Signer

UNFINISHED = "unfinished.json"
ROLES = ("admin", "issuer", "verifier", "guardian", "seller", "buyer")
PPM_PER_BPS = 100
_EPOCH = date(1970, 1, 1)
# Workspaces with their registries whose code this process has found to be this program's.
_found_ours: set[tuple[Path, int, str]] = set()

__all__ = ["OtherContracts", "write_whole"]


class NoDeployment(SatoyamaError):
    """The contracts are not on this workspace's chain yet."""


class ChainGone(SatoyamaError):
    """The contracts' addresses are on record and the chain they are on is not there."""


class SameAccount(SatoyamaError):
    """Verifier and issuer must be two accounts."""


def accounts(ws: Workspace) -> Accounts:
    """Keys of the roles: environment first, then the workspace's encrypted keystore."""
    return Accounts(ws.keys_folder)


def chain_config(ws: Workspace) -> ChainConfig:
    """Where the workspace's chain is."""
    if ws.settings.chain_kind == "rpc":
        url, confirmations = ws.settings.chain_url or None, ws.settings.chain_confirmations
        return ChainConfig("rpc", url=url, confirmations=confirmations)
    return ChainConfig("embedded", path=_chain_file(ws))


def _chain_file(ws: Workspace) -> Path:
    return ws.chain_folder / "chain.sqlite"


def _deployment_file(ws: Workspace) -> Path:
    return ws.chain_folder / "deployment.json"


def is_set_up(ws: Workspace) -> bool:
    """Whether the contracts' addresses are on record."""
    return _deployment_file(ws).is_file()


def set_up_chain(
    ws: Workspace, *, yen: str | None = None, terms: CourtTerms | None = None, gas_wei: int = 0
) -> Deployment:
    """Make what is missing: keys of all roles, the embedded chain, the contracts with their roles granted.

    Parameters
    ----------
    yen : str, optional
        Address of an existing yen stablecoin; without it the development yen (no value) is deployed.
    terms : CourtTerms, optional
        Bond, time and panel of challenges.
    gas_wei : int
        At a node: what the admin's account gives every other role that has less, of the chain's own coin, to pay gas with.

    Raises
    ------
    SameAccount
        If the verifier's key is the issuer's.
    AccountError
        If the keystore has no password.
    AddressRefused
        If `yen` is no address.
    ChainGone
        If contracts are on record and the embedded chain's file is not there.
    OtherContracts
        If what is on record is not what lies on the chain, or `yen` is no token.
    """
    if yen is not None:
        yen = checked_address(yen, "--yen")
    if is_set_up(ws):
        _require_chain(ws)
    keys = accounts(ws)
    role_of = {role: keys.load_or_create(role) for role in ROLES}
    if role_of["verifier"].address == role_of["issuer"].address:
        raise same_account(role_of["issuer"].address)
    if is_set_up(ws):
        deployed = deployment(ws)
        require_ours(open_port(ws, deployed).w3, deployed, *_here(ws))
        return deployed
    config = chain_config(ws)
    if config.kind == "embedded":
        w3 = create_embedded(_chain_file(ws), [account.address for account in role_of.values()])
    else:
        w3 = connect(config)
        if yen is not None:
            checked_yen(w3, yen)
        _give_gas(w3, role_of, gas_wei)
    unfinished = ws.chain_folder / UNFINISHED
    deployed = deploy(w3, role_of["admin"], roles_of(role_of), yen=yen, terms=terms, unfinished=unfinished)
    record_deployment(ws, deployed)
    unfinished.unlink(missing_ok=True)
    return deployed


def _require_chain(ws: Workspace) -> None:
    file = chain_config(ws).path
    if file is None or file.is_file():
        return
    raise ChainGone(
        en=f"The contracts of the workspace {ws.root} are on record ({_deployment_file(ws).name}), and their chain {file} is gone. Put a "
        "backup in its place: satoyama chain restore FOLDER. Only where there is none and nothing was issued yet, move "
        f"{_deployment_file(ws)} away and run satoyama init --chain again.",
        ja=f"作業場所 {ws.root} の契約は記録されています（{_deployment_file(ws).name}）が、チェーンのファイル {file} がありません。"
        "バックアップから復元してください: satoyama chain restore フォルダー。バックアップがなく、まだ何も発行していない場合だけ、"
        f"{_deployment_file(ws)} を別の場所へ移して satoyama init --chain を実行してください。",
    )


def _give_gas(w3: Web3, keys: Mapping[str, Signer], gas_wei: int) -> None:
    for role, account in keys.items():
        if role != "admin" and w3.eth.get_balance(to_checksum_address(account.address)) < gas_wei:
            Sender(w3).pay(keys["admin"], account.address, gas_wei)


def record_deployment(ws: Workspace, deployed: Deployment) -> None:
    """Let these be the workspace's contracts."""
    write_whole(_deployment_file(ws), json.dumps(deployed.to_doc(), indent=1))


def roles_of(keys: Mapping[str, Signer]) -> Roles:
    """Who gets which role of the contracts."""
    return Roles(
        issuers=(keys["issuer"].address,),
        verifiers=(keys["verifier"].address,),
        guardians=(keys["guardian"].address,),
        sellers=(keys["seller"].address,),
    )


def deployment(ws: Workspace) -> Deployment:
    """Addresses of the contracts.

    Raises
    ------
    NoDeployment
        If they were not deployed from this workspace.
    ManifestUnreadable
        If the file that says so is damaged.
    """
    if not is_set_up(ws):
        raise NoDeployment(
            en=f"The contracts are not deployed for the workspace {ws.root}. Run: satoyama init --chain",
            ja=f"作業場所 {ws.root} では契約がまだ配備されていません。実行してください: satoyama init --chain",
        )
    return read_manifest(_deployment_file(ws))


def open_port(ws: Workspace, deployed: Deployment | None = None) -> ChainPort:
    """The contracts on the workspace's chain.

    Parameters
    ----------
    deployed : Deployment, optional
        Other contracts there: a registry before, or the successor. The workspace's own by default.

    Raises
    ------
    ChainGone
        If the embedded chain's file is not there.
    OtherContracts
        If they are not the ones this program was built with: their answers would be misread. What the manifest says is believed
        for reading; before this process first signs anything for them, the code at their addresses is compared.
    """
    deployed = deployed or deployment(ws)
    _require_chain(ws)
    config = chain_config(ws)
    w3 = connect(config)
    if dict(deployed.artifact_digests) != deployed.built():
        require_ours(w3, deployed, *_here(ws))
    port = ChainPort(w3, deployed, confirmations=config.confirmations)
    port.sender.before_signing = partial(_require_ours, ws, w3, deployed)
    return port


def _require_ours(ws: Workspace, w3: Web3, deployed: Deployment) -> None:
    known = (ws.root, deployed.chain_id, deployed.registry)
    if known not in _found_ours:
        require_ours(w3, deployed, *_here(ws))
        _found_ours.add(known)


def _here(ws: Workspace) -> tuple[str, str]:
    return f"the workspace {ws.root}", f"作業場所 {ws.root} "


def look_again() -> None:
    """Forget which contracts were found to be this program's; a chain was put in another's place."""
    _found_ours.clear()


def check_contracts(ws: Workspace) -> list[tuple[Deployment, list[Check]]]:
    """Whether the code at every address on record is this program's, the registries before included; oldest first."""
    _require_chain(ws)
    every = [*past_deployments(ws), deployment(ws)]
    w3 = connect(chain_config(ws))
    return [(one, check_deployment(w3, one)) for one in every]


def same_account(address: str) -> SameAccount:
    return SameAccount(
        en=f"The verifier's key is the issuer's key (both {address}): whoever issues must not verify. Give the verifier a key of its own.",
        ja=f"検証者の鍵が発行者の鍵と同じです（{address}）。発行者は検証者を兼ねられません。検証者には別の鍵を用意してください。",
    )


def payee_address(ws: Workspace, payee: Payee, keys: Accounts | None = None) -> str:
    """Where a payee is paid: the address in the definition, else the keystore's (made at first use)."""
    if payee.address:
        return checksum(payee.address)
    return str((keys or accounts(ws)).load_or_create(payee.role).address)


def checksum(address: str) -> str:
    """The address as the chain's events write it.

    Raises
    ------
    AddressRefused
        If it is no address, or its checksum is wrong.
    """
    return checked_address(address)


def register_on_chain(ws: Workspace, project_id: str) -> None:
    """Open the project in the registry and set who is paid, where that is not done yet; the plan must be stored."""
    definition = definition_of_project(ws, project_id)
    plan = first_plan(ws, project_id)
    port, keys, key = open_port(ws), accounts(ws), project_key(project_id)
    admin = keys.load("admin")
    if port.project(key) is None:
        try:
            port.register_project(
                admin,
                key,
                digest_of(method_digest(plan)),
                definition.project.buffer_ppm // PPM_PER_BPS,
                definition.challenge_window_s,
                project_uri(project_id, digest_of(plan.digest)),
            )
        except ChainRefused:
            # Another run may have registered it in between; only then is the refusal none.
            if port.project(key) is None:
                raise
    if port.share_delay(key) < definition.share_delay_s:
        port.set_share_delay(admin, key, definition.share_delay_s)
    if definition.payees and port.current_epoch(key) == 0:
        address_of = {p.payee_id: payee_address(ws, p, keys) for p in definition.payees}
        accounts_there = accounts_of(definition.payees, address_of)
        port.set_shares(admin, key, {a: ppm for a, (_, _, ppm) in accounts_there.items()})


def anchor_plan(ws: Workspace, project_id: str) -> SatoyamaError | None:
    """Put a project with its monitoring plan on the chain as soon as both are there, so that the block's time proves the plan's age.

    Returns
    -------
    SatoyamaError or None
        Why it could not be done now (no chain set up, keys locked, node not reached); the first issue does it otherwise.
    """
    if not is_set_up(ws):
        return SatoyamaError(
            en="No chain is set up, so nothing proves yet when the monitoring plan was fixed. Run: satoyama init --chain",
            ja="チェーンが未設定のため、計画を定めた時期はまだ証明されません。satoyama init --chain を実行してください。",
        )
    try:
        register_on_chain(ws, project_id)
    except SatoyamaError as error:
        return error
    return None


def history(ws: Workspace, project_id: str) -> History:
    """What the project was issued before, as the chain has it; nothing where no chain was ever set up."""
    if not is_set_up(ws):
        return History()
    found = open_port(ws).project(project_key(project_id))
    if found is None:
        return History()
    last = _EPOCH + timedelta(days=found.last_period_end) if found.last_period_end else None
    return History(found.gross_kg, found.compensated_kg, last)


def outbox(ws: Workspace) -> CatalogueOutbox:
    """The issuances of this workspace."""
    return CatalogueOutbox(ws.catalogue, ws.clock)


def index_events(ws: Workspace) -> int:
    """Read new events into the catalogue, those as deep as the settings ask; returns how many came.

    The last blocks are read again, so that what a reorganised chain has dropped leaves the index; the embedded chain
    never reorganises.
    """
    return sum(_index(ws, open_port(ws, one)) for one in (*past_deployments(ws), deployment(ws)))


def _index(ws: Workspace, port: ChainPort) -> int:
    index = CatalogueEvents(ws.catalogue, ws.clock)
    chain_id, registry = port.chain_id, port.deployment.registry
    last, through = index.last_block(chain_id, registry), port.final_block()
    again = REORG_HORIZON_BLOCKS if ws.settings.chain_kind == "rpc" else 0
    start = 0 if last is None else max(0, min(last, through) + 1 - again)
    new = port.events(from_block=start, to_block=through)
    return index.put(chain_id, registry, (event.to_doc() for event in new), start, through)


def indexed_events(ws: Workspace, *names: str) -> list[Event]:
    """Events in the catalogue, of the given names or all, in chain order, those of registries before included; needs no chain."""
    index = CatalogueEvents(ws.catalogue)
    found: dict[tuple[int, int], Event] = {}
    for deployed in (*past_deployments(ws), deployment(ws)):
        # The split is the same for all of them, so that its events come once each.
        for row in index.events(deployed.chain_id, deployed.registry, *names):
            event = event_from_doc(row.doc)
            found[event.block, event.log_index] = event
    return [found[place] for place in sorted(found)]


def past_deployments(ws: Workspace) -> list[Deployment]:
    """Contracts whose projects have gone over to the workspace's present registry, oldest first."""
    files = ws.chain_folder.glob("deployment-*.json")
    found = [read_manifest(file) for file in files]
    after = {one.predecessor: one for one in found}
    ordered, before = [], ""
    while before in after:
        ordered.append(after.pop(before))
        before = ordered[-1].registry
    return ordered


def read_at(ws: Workspace) -> tuple[int, datetime] | None:
    """Block and time up to which the index was read; pages state it."""
    if not is_set_up(ws):
        return None
    deployed = deployment(ws)
    return CatalogueEvents(ws.catalogue).read_at(deployed.chain_id, deployed.registry)


def projects_on_chain(ws: Workspace) -> list[str]:
    """Ids of the workspace's projects that the registry knows; none where no chain was set up."""
    if not is_set_up(ws):
        return []
    port = open_port(ws)
    return [p for p in project_ids(ws) if port.project(project_key(p)) is not None]
