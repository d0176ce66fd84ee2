"""The workspace's chain: accounts, deployment, the project as the chain has it, and the index of its events."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

from eth_utils.address import is_hex_address, to_checksum_address
from web3 import Web3

from flows.definition import Payee, accounts_of
from flows.outbox import CatalogueEvents, CatalogueOutbox
from flows.settings import Workspace
from flows.work.projects import definition_of_project, first_plan, project_ids
from models.errors import SatoyamaError
from mrv.credits import method_digest
from mrv.results import History
from registry.accounts import Accounts
from registry.chain import ChainConfig, connect, create_embedded
from registry.claimstruct import digest_of, project_key
from registry.deploy import CourtTerms, Deployment, Roles, check_deployment, deploy
from registry.events import Event, event_from_doc
from registry.issuance import REORG_HORIZON_BLOCKS
from registry.plan_anchor import project_uri
from registry.port import ChainPort
from registry.refusals import ChainRefused
from registry.sender import Sender
from registry.signer import Signer

ROLES = ("admin", "issuer", "verifier", "guardian", "seller", "buyer")
PPM_PER_BPS = 100
_EPOCH = date(1970, 1, 1)


class NoDeployment(SatoyamaError):
    """The contracts are not on this workspace's chain yet."""


class OtherContracts(SatoyamaError):
    """The deployed contracts are not the ones this program was built with."""


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
    """
    keys = accounts(ws)
    role_of = {role: keys.load_or_create(role) for role in ROLES}
    if role_of["verifier"].address == role_of["issuer"].address:
        raise same_account(role_of["issuer"].address)
    if is_set_up(ws):
        return deployment(ws)
    config = chain_config(ws)
    if config.kind == "embedded":
        w3 = create_embedded(_chain_file(ws), [account.address for account in role_of.values()])
    else:
        w3 = connect(config)
        _give_gas(w3, role_of, gas_wei)
    deployed = deploy(w3, role_of["admin"], roles_of(role_of), yen=yen, terms=terms)
    record_deployment(ws, deployed)
    return deployed


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
    """
    if not is_set_up(ws):
        raise NoDeployment(
            en=f"The contracts are not deployed for the workspace {ws.root}. Run: satoyama init --chain",
            ja=f"作業場所 {ws.root} では契約がまだ配備されていません。実行してください: satoyama init --chain",
        )
    return Deployment.from_doc(json.loads(_deployment_file(ws).read_text()))


def open_port(ws: Workspace, deployed: Deployment | None = None) -> ChainPort:
    """The contracts on the workspace's chain.

    Parameters
    ----------
    deployed : Deployment, optional
        Other contracts there: a registry before, or the successor. The workspace's own by default.

    Raises
    ------
    OtherContracts
        If they are not the ones this program was built with: their answers would be misread.
    """
    deployed = deployed or deployment(ws)
    config = chain_config(ws)
    w3 = connect(config)
    ours = deployed.built()
    if dict(deployed.artifact_digests) != ours:
        wrong = [c.name.rpartition(".")[2] for c in check_deployment(w3, deployed) if c.status != "passed"]
        if wrong:
            raise OtherContracts(
                en=f"The contracts {', '.join(wrong)} of the workspace {ws.root} were deployed by another version of this program. "
                "Use that version with this workspace.",
                ja=f"作業場所 {ws.root} の契約 {'、'.join(wrong)} は別の版のプログラムで配備されています。その版を使ってください。",
            )
    return ChainPort(w3, deployed, confirmations=config.confirmations)


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
    SatoyamaError
        If it is no address.
    """
    if not is_hex_address(address):
        raise SatoyamaError(
            en=f"{address!r} is no account on a chain: expected 0x and 40 hex digits.",
            ja=f"{address!r} はチェーン上のアドレスではありません（0x と16進40桁）。",
        )
    return str(to_checksum_address(address))


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
    found = [Deployment.from_doc(json.loads(file.read_text())) for file in files]
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


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole, or as it was before."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
