"""The same contracts on the embedded chain and on anvil; every test gets a project of its own."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import HTTPProvider, Web3

from registry.chain import ChainConfig, connect, create_embedded
from registry.claimstruct import ClaimStruct, day_number, plot_key, project_key
from registry.deploy import Deployment, Roles, deploy
from registry.plan_anchor import project_uri
from registry.port import ChainPort
from registry.views import BatchInfo
from tests.conftest import ROOT, need

ROLES = ("admin", "issuer", "verifier", "guardian", "seller", "buyer", "stranger")
METHOD = hashlib.sha256(b"method").digest()
DEADLINE = 4_000_000_000
_serial = itertools.count(1)
_nonces = itertools.count(1_000)  # below lie those of tests that ask for the next one


def sha(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True)
class Chain:
    """A chain with the contracts deployed and the roles given out."""

    kind: str
    port: ChainPort
    accounts: Mapping[str, LocalAccount]
    path: Path | None


@dataclass(frozen=True)
class World:
    """A chain and one fresh project on it."""

    chain: Chain
    name: str
    years: Iterator[int] = field(default_factory=lambda: itertools.count(2015))

    @property
    def port(self) -> ChainPort:
        return self.chain.port

    @property
    def project(self) -> bytes:
        return project_key(self.name)

    def __getitem__(self, role: str) -> LocalAccount:
        return self.chain.accounts[role]

    def claim(self, **changes: Any) -> ClaimStruct:
        """A claim that the chain accepts, for the next year of the project; `changes` spoil it."""
        year = next(self.years)
        info = self.port.project(self.project)
        assert info is not None
        batch_id = sha(f"{self.name} {year}")
        gross = 9_000
        claim = ClaimStruct(
            project_id=self.project,
            batch_id=batch_id,
            method_digest=METHOD,
            plan_digest=sha("plan"),
            content_root=sha(f"content {self.name} {year}"),
            evidence_root=sha(f"evidence {self.name} {year}"),
            period_start=day_number(date(year, 4, 1)),
            period_end=day_number(date(year + 1, 4, 1)),
            vintage=year + 1,
            challenge_window=0,
            estimate_kg=1_000 + info.gross_kg - info.compensated_kg + gross,
            standard_error_kg=2_500,
            deduction_kg=1_000,
            prior_gross_kg=info.gross_kg,
            compensated_kg=info.compensated_kg,
            gross_kg=gross,
            buffer_kg=1_800,
            recipient=self["seller"].address,
            plot_keys=tuple(sorted(plot_key(f"{self.name}/{n}") for n in range(3))),
            nonce=next(_nonces),
            deadline=DEADLINE,
        )
        return replace(claim, **changes)

    def issue(self, **changes: Any) -> BatchInfo:
        claim = self.claim(**changes)
        signature = self.port.sign_claim(self["verifier"], claim)
        self.port.issue(self["issuer"], claim, self["verifier"].address, signature)
        batch = self.port.batch(claim.batch_id)
        assert batch is not None
        return batch


def _deployed(kind: str, w3: Web3, path: Path | None, accounts: Mapping[str, LocalAccount]) -> Chain:
    roles = Roles(
        issuers=(accounts["issuer"].address,),
        verifiers=(accounts["verifier"].address,),
        guardians=(accounts["guardian"].address,),
        sellers=(accounts["seller"].address,),
    )
    deployment: Deployment = deploy(w3, accounts["admin"], roles)
    return Chain(kind, ChainPort(w3, deployment), accounts, path)


@pytest.fixture(scope="session")
def embedded_chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    pytest.importorskip("eth", reason="the extra satoyama-mrv[chain] is not installed")
    accounts = {role: Account.create() for role in ROLES}
    path = tmp_path_factory.mktemp("embedded") / "chain.sqlite"
    w3 = create_embedded(path, [account.address for account in accounts.values()])
    return _deployed("embedded", w3, path, accounts)


@dataclass
class Anvil:
    """A node of our own on loopback."""

    process: subprocess.Popen[bytes]
    url: str

    def end(self, by: signal.Signals = signal.SIGKILL) -> None:
        # The program found may be a wrapper: whatever it started is of its session, and ends too.
        os.killpg(self.process.pid, by)
        self.process.wait(30)


def start_anvil(*options: str, port: int | None = None) -> Anvil:
    modules = ROOT / "registry" / "contracts" / "node_modules"
    program = need("anvil", env="SATOYAMA_ANVIL", also=(modules / ".bin" / "anvil",))
    if port is None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    command = [program, "--silent", "--host", "127.0.0.1", "--port", str(port), "--accounts", "1", *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, **quiet, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    w3 = Web3(HTTPProvider(url))
    for _ in range(400):
        if w3.is_connected():
            break
        assert process.poll() is None, "anvil ended at once"
        time.sleep(0.05)
    return Anvil(process, url)


@pytest.fixture(scope="session")
def anvil_url() -> Iterator[str]:
    anvil = start_anvil()
    yield anvil.url
    anvil.end()


def contracts_on(url: str) -> Chain:
    """The contracts on a fresh node, all roles with gas."""
    accounts = {role: Account.create() for role in ROLES}
    w3 = connect(ChainConfig("rpc", url=url))
    for account in accounts.values():
        w3.provider.make_request("anvil_setBalance", [account.address, hex(10**24)])  # type: ignore[arg-type]
    return _deployed("anvil", w3, None, accounts)


@pytest.fixture(scope="session")
def anvil_chain(anvil_url: str) -> Chain:
    return contracts_on(anvil_url)


@pytest.fixture(params=["embedded", "anvil"])
def chain(request: pytest.FixtureRequest) -> Chain:
    found = request.getfixturevalue(f"{request.param}_chain")
    assert isinstance(found, Chain)
    return found


def new_world(chain: Chain) -> World:
    world = World(chain, f"project-{next(_serial)}")
    chain.port.register_project(
        chain.accounts["admin"], world.project, METHOD, 2_000, 0, project_uri("p", sha("plan"))
    )
    return world


@pytest.fixture
def world(chain: Chain) -> World:
    return new_world(chain)


@pytest.fixture
def embedded_copy(embedded_chain: Chain, tmp_path: Path) -> World:
    """A private copy of the embedded chain that a test may kill processes over, with one project on it."""
    assert embedded_chain.path is not None
    source = embedded_chain.path
    path = tmp_path / "chain.sqlite"
    for suffix in ("", "-wal"):
        if source.with_name(source.name + suffix).exists():
            shutil.copyfile(source.with_name(source.name + suffix), path.with_name(path.name + suffix))
    w3 = connect(ChainConfig("embedded", path=path))
    port = ChainPort(w3, embedded_chain.port.deployment)
    return new_world(Chain("embedded", port, embedded_chain.accounts, path))
