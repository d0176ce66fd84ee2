"""What `faults.py` kills: workspaces at the point where a batch is to be issued, or revenue to be paid out, on each chain."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from eth_account import Account
from sqlalchemy import event
from sqlalchemy.orm import Session
from web3 import HTTPProvider, Web3

from apps.demo import survey_files
from flows import work
from flows.settings import SETTINGS_FILE, Workspace
from flows.work import chainroom
from registry import chain as chain_module
from registry.claimstruct import digest_of, project_key
from registry.embeddedrpc import EmbeddedProvider
from registry.events import BatchIssued
from registry.evmdb import ChainStore
from registry.treasury import statement

ChainKind = Literal["embedded", "anvil"]
Stage = Literal["new", "registered", "sold"]
STAGES: tuple[Stage, ...] = ("new", "registered", "sold")
PROJECT = "owase-demo"
YEN = 10**6
ROOT = Path(__file__).resolve().parent.parent


# Processes


@dataclass(frozen=True)
class Ended:
    """How a child ended: killed, or with a JSON value."""

    killed: bool
    value: Any
    seconds: float


class Child:
    """A fork of this process that does one thing and ends without any clean-up."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self._read, write = os.pipe()
        self._since = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._read)
            status = 1
            try:
                os.write(write, json.dumps(act()).encode())
                status = 0
            except BaseException:
                traceback.print_exc()
                raise
            finally:
                # A fork must never run on into the parent's code; the parent raises on its status.
                sys.stderr.flush()
                os._exit(status)
        os.close(write)

    def end(self, *, kill_after_s: float | None = None) -> Ended:
        """Wait for it, or kill it after a while; RuntimeError if it failed by itself."""
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            os.kill(self.pid, signal.SIGKILL)
        with os.fdopen(self._read, "rb") as pipe:
            told = pipe.read()
        status = os.waitpid(self.pid, 0)[1]
        seconds = time.monotonic() - self._since
        if os.WIFSIGNALED(status):
            return Ended(True, None, seconds)
        if os.waitstatus_to_exitcode(status) != 0:
            raise RuntimeError("a run failed by itself; its traceback is above")
        return Ended(False, json.loads(told), seconds)


class Steps:
    """Counts what can be seen from outside (requests, writes to the chain file, commits) and dies at one of them."""

    def __init__(self, die_at: int | None = None) -> None:
        self.count, self.die_at = 0, die_at

    def step(self, *_: Any) -> None:
        if self.count == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def arm(self) -> None:
        """Hook into this process; only ever called in a fork."""
        for provider in (EmbeddedProvider, chain_module._HttpProvider):
            self._around(provider, "make_request")
        plain = ChainStore.run

        def run(store: ChainStore, sql: str, arguments: Any = ()) -> Any:
            if not sql.startswith(("SELECT", "INSERT OR REPLACE INTO kv")):
                self.step()
            return plain(store, sql, arguments)

        setattr(ChainStore, "run", run)  # noqa: B010  mypy takes the assignment for an error
        for moment in ("before_commit", "after_commit"):
            event.listen(Session, moment, self.step)

    def _around(self, kind: type, name: str) -> None:
        plain = getattr(kind, name)

        def counted(*arguments: Any) -> Any:
            self.step()
            answer = plain(*arguments)
            self.step()
            return answer

        setattr(kind, name, counted)


# Nodes


def find_anvil() -> str | None:
    """Path of anvil: from ``SATOYAMA_ANVIL``, PATH, or the contracts' own packages."""
    beside = ROOT / "registry" / "contracts" / "node_modules" / ".bin" / "anvil"
    found = os.environ.get("SATOYAMA_ANVIL") or shutil.which("anvil")
    return found or (str(beside) if beside.exists() else None)


class Node:
    """An anvil of our own on loopback."""

    def __init__(self, program: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [program, "--silent", "--host", "127.0.0.1", "--port", str(port), "--accounts", "1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._w3 = Web3(HTTPProvider(self.url))
        for _ in range(600):
            if self._w3.is_connected():
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError("anvil does not answer")

    def rpc(self, method: str, *params: Any) -> Any:
        answer = self._w3.provider.make_request(method, list(params))  # type: ignore[arg-type]  # anvil has methods that web3 does not list
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def mine_by_itself(self, every_s: int | None) -> None:
        """A block per transaction (None), or one every so often, so that transactions wait."""
        self.rpc("evm_setIntervalMining", every_s or 0)
        self.rpc("evm_setAutomine", every_s is None)

    def stop(self) -> None:
        # The program may be a wrapper: what it started is of its session.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


# Workspaces


def make_keys() -> None:
    """Keys of the roles and the keystore's password, for this process and its children only."""
    os.environ["SATOYAMA_KEYSTORE_PASSWORD"] = secrets.token_hex(16)
    for role in chainroom.ROLES:
        os.environ[f"SATOYAMA_KEY_{role.upper()}"] = "0x" + bytes(Account.create().key).hex()


def make_claimed(folder: Path) -> Workspace:
    """A workspace with the demo's surveys measured and a claim made; no chain yet. At a grid of 1 m, which is enough here."""
    # In a child: measuring starts threads, and a process with threads cannot be forked safely.
    Child(lambda: _make_claimed(folder)).end()
    return Workspace.open(folder / "claimed")


def _make_claimed(folder: Path) -> None:
    survey_files.PIXEL_M = 1.0
    files = survey_files.write_demo(folder / "files", 1, "gain")
    ws = work.init_workspace(folder / "claimed", files.project_toml)
    for archive in files.survey_zips:
        if not work.submit_survey(ws, archive).accepted:
            raise RuntimeError(f"the demo's survey {archive} was not accepted")
    work.make_claim(ws, PROJECT)
    ws.catalogue.close()


def copied(source: Path, target: Path) -> Workspace:
    """A workspace that shares the objects of another, which nothing here changes."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("objects"))
    (target / "objects").symlink_to((source / "objects").resolve(), target_is_directory=True)
    return Workspace.open(target)


@dataclass
class World:
    """A chain and a workspace that is moved from stage to stage; every try starts from a copy of the stage."""

    kind: ChainKind
    folder: Path
    node: Node | None
    claim_id: str
    _snapshot: str = ""
    _tries: int = field(default=0)

    @classmethod
    def make(cls, kind: ChainKind, folder: Path, claimed: Workspace, node: Node | None) -> Self:
        """The first stage: contracts deployed, the claim approved."""
        claim_id = Child(lambda: claimed.catalogue.claims_of(PROJECT)[-1].claim_id).end().value
        world = cls(kind, folder / kind, node, claim_id)
        world.folder.mkdir()
        ws = copied(claimed.root, world.folder / "stage")
        if node is not None:
            (ws.root / SETTINGS_FILE).unlink()
            ws = Workspace.create(ws.root, chain_kind="rpc", chain_url=node.url)
            for role in chainroom.ROLES:
                node.rpc("anvil_setBalance", work.accounts(ws).load(role).address, hex(10**24))
        world._in_child(lambda: [work.set_up_chain(ws), work.approve(ws, world.claim_id), None][-1])
        return world

    def _in_child(self, act: Callable[[], Any]) -> Any:
        # The parent opens no connection that its children would inherit.
        return Child(act).end().value

    def move_to(self, stage: Stage) -> None:
        """Do what lies between the stages, and keep the result as where tries start."""
        ws = Workspace.open(self.folder / "stage")
        if self.node is not None and self._snapshot:
            self.node.mine_by_itself(None)
            self.node.rpc("evm_revert", self._snapshot)
        if stage == "registered":
            self._in_child(lambda: work.register_on_chain(ws, PROJECT))
        elif stage == "sold":
            self._in_child(lambda: _issue_and_sell(ws, self.claim_id))
        if self.node is not None:
            self._snapshot = self.node.rpc("evm_snapshot")

    def begin(self, *, block_every_s: int | None = None) -> Workspace:
        """A fresh copy of the stage, and the chain as it was then."""
        if self.node is not None:
            self.node.mine_by_itself(None)
            self.node.rpc("evm_revert", self._snapshot)
            self._snapshot = self.node.rpc("evm_snapshot")
            self.node.mine_by_itself(block_every_s)
        shutil.rmtree(self.folder / f"try{self._tries}", ignore_errors=True)
        self._tries += 1
        return copied(self.folder / "stage", self.folder / f"try{self._tries}")


def _issue_and_sell(ws: Workspace, claim_id: str) -> None:
    issued = work.issue(ws, claim_id)
    kg = work.claim_record(ws, claim_id).claim.credited_kg
    work.give_test_yen(ws, "buyer", 10**9 * YEN)
    listed = work.list_for_sale(ws, claim_id, kg, 12_345 * YEN)
    for part in (kg // 3, 777, 1):
        work.buy(ws, listed.listing_id, part)
    assert issued.sent_now


# What must hold


def books(ws: Workspace, claim_id: str) -> dict[str, int | str]:
    """The workspace's batch and money as chain and outbox have them; every count is of what must not be."""
    port = work.open_port(ws)
    claim = work.claim_record(ws, claim_id).claim
    batch_id = digest_of(claim.batch_id)
    events = [e for e in port.events() if isinstance(e, BatchIssued)]
    mints = sum(e.batch_id == batch_id for e in events)
    entry = work.outbox(ws).get("0x" + batch_id.hex())
    state = "nothing" if entry is None else entry.state
    found: dict[str, int | str] = {"mints": mints, "state": state, "other_batches": len(events) - mints}
    if mints:
        seller, token = work.accounts(ws).load("seller").address, events[0].id
        held = sum(port.balance(a, token) for a in (seller, port.deployment.sale, port.deployment.registry))
        found["kg_short"] = abs(claim.gross_kg - held - port.balance(_buyer(ws), token))
    return found | _money(ws)


def _buyer(ws: Workspace) -> str:
    return str(work.accounts(ws).load("buyer").address)


def _money(ws: Workspace) -> dict[str, int]:
    port, key = work.open_port(ws), project_key(PROJECT)
    if port.project(key) is None or port.current_epoch(key) == 0:
        return {"payees_paid": 0, "units_short": 0, "units_due": 0}
    made = statement(port, key)
    payees = list(work.payee_names(ws, PROJECT))
    got = {payee: port.yen_balance(payee) for payee in payees}
    # Every unit that came in is with a payee, or due to one, or carried; and nobody got other than the books say.
    short = abs(port.deposited(key) - sum(got.values()) - made.claimable - made.carried)
    short += sum(abs(got[payee] - port.claimed(key, payee)) for payee in payees)
    short += abs(port.yen_balance(port.deployment.split) - made.claimable - made.carried)
    return {
        "payees_paid": sum(amount > 0 for amount in got.values()),
        "units_short": short,
        "units_due": made.claimable,
    }
