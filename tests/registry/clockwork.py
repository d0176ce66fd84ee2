"""Chains of a test module's own whose clock may be moved: the embedded chain by its clock, anvil by its own command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from registry.chain import ChainConfig, connect, create_embedded
from registry.deploy import Roles, deploy
from registry.plan_anchor import project_uri
from registry.port import ChainPort
from tests.registry.conftest import METHOD, Chain, World, sha, start_anvil

DAY = 86_400
WINDOW = 30 * DAY
ROLES = (
    "admin",
    "issuer",
    "verifier",
    "verifier2",
    "verifier3",
    "guardian",
    "guardian2",
    "seller",
    "buyer",
    "stranger",
)
_names = (f"court-{n}" for n in range(1, 1_000))


def roles_of(accounts: Mapping[str, LocalAccount]) -> Roles:
    return Roles(
        issuers=(accounts["issuer"].address,),
        verifiers=tuple(accounts[r].address for r in ("verifier", "verifier2", "verifier3")),
        guardians=tuple(accounts[r].address for r in ("guardian", "guardian2")),
        sellers=(accounts["seller"].address,),
    )


def chains(kind: str, folder: Path) -> Iterator[Chain]:
    """A fresh chain with the contracts; ends what it started."""
    accounts = {role: Account.create() for role in ROLES}
    if kind == "embedded":
        pytest.importorskip("eth", reason="the extra satoyama-mrv[chain] is not installed")
        path = folder / "chain.sqlite"
        w3 = create_embedded(path, [account.address for account in accounts.values()])
        yield _deployed(kind, w3, path, accounts)
        return
    anvil = start_anvil()
    try:
        w3 = connect(ChainConfig("rpc", url=anvil.url))
        for account in accounts.values():
            w3.provider.make_request("anvil_setBalance", [account.address, hex(10**24)])  # type: ignore[arg-type]
        yield _deployed(kind, w3, None, accounts)
    finally:
        anvil.end()


def _deployed(kind: str, w3: Web3, path: Path | None, accounts: Mapping[str, LocalAccount]) -> Chain:
    return Chain(kind, ChainPort(w3, deploy(w3, accounts["admin"], roles_of(accounts))), accounts, path)


def wait(chain: Chain, seconds: int) -> None:
    """Let so much time go by, with a block to show it."""
    w3 = chain.port.w3
    if chain.kind == "embedded":
        embedded = w3.provider.rpc.chain  # type: ignore[attr-defined]
        before = embedded.clock
        ahead = max(chain.port.head()[1] - before(), 0) + seconds
        embedded.clock = lambda: before() + ahead
    else:
        w3.provider.make_request("evm_increaseTime", [seconds])  # type: ignore[arg-type]
    chain.port.mint_yen(chain.accounts["admin"], chain.accounts["stranger"].address, 1)


def court_world(chain: Chain, window: int = WINDOW) -> World:
    """A fresh project whose batches may be challenged for `window` seconds."""
    world = World(chain, next(_names))
    uri = project_uri("p", sha("plan"))
    chain.port.register_project(chain.accounts["admin"], world.project, METHOD, 2_000, window, uri)
    return world


def another(chain: Chain) -> Chain:
    """The same chain and people, with contracts of their own."""
    port = chain.port
    made = deploy(port.w3, chain.accounts["admin"], roles_of(chain.accounts))
    return replace(chain, port=ChainPort(port.w3, made))


def rich(world: World, role: str, amount: int = 10**15) -> None:
    """Give somebody yen for bonds."""
    world.port.mint_yen(world["admin"], world[role].address, amount)


def key_of(world: World, year: int = 2015) -> bytes:
    """Batch id of the world's batch of that year."""
    return sha(f"{world.name} {year}")
