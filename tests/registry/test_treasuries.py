"""The co-op's treasury may be any address: a timelock with officers, or a Safe; both receive their share and spend it."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from registry.abi import encode_call
from registry.deploy_treasury import (
    Officers,
    Payment,
    Treasury,
    TreasuryDeployment,
    TreasuryRefused,
    check_treasury,
    checked,
    deploy_treasury,
)
from registry.refusals import ChainRefused
from registry.treasury import statement
from tests.conftest import ROOT, need
from tests.registry.conftest import World

SAFE = Path(__file__).parent / "safelike"
DELAY_S = 2


def earn(world: World, treasury: str, amount: int) -> None:
    """A project whose payees are the treasury and another; revenue comes in, and the treasury's share is pushed to it."""
    port, payer = world.port, world["buyer"]
    port.set_shares(world["admin"], world.project, {treasury: 600_000, world["guardian"].address: 400_000})
    port.mint_yen(world["admin"], payer.address, amount)
    port.deposit(payer, world.project, amount)
    port.claim_for(world["stranger"], world.project, treasury)
    assert port.yen_balance(treasury) == amount * 6 // 10


@pytest.fixture
def timelock(world: World) -> Treasury:
    who = Officers((world["issuer"].address,), (world["verifier"].address,), DELAY_S)
    deployed = deploy_treasury(world.port.w3, world["admin"], who, least_delay_s=1)
    assert TreasuryDeployment.from_doc(deployed.to_doc()) == deployed
    return Treasury(world.port.w3, deployed)


def when_ready(world: World, treasury: Treasury, payment: Payment) -> None:
    limit = time.monotonic() + 30
    while treasury.state(payment) != "ready":
        assert time.monotonic() < limit, treasury.state(payment)
        time.sleep(0.3)
        # A block, so that the chain's clock moves.
        world.port.mint_yen(world["admin"], world["admin"].address, 1)


def payment_of(world: World, amount: int, reference: str = "2026-001") -> Payment:
    return Payment(world.port.deployment.yen, Account.create().address, amount, reference)


def test_a_timelock_receives_and_two_officers_spend_after_the_delay(world: World, timelock: Treasury) -> None:
    earn(world, timelock.deployed.address, 1_000_003)
    payment = payment_of(world, 250_000)
    assert timelock.state(payment) == "unset"
    timelock.schedule(world["issuer"], payment)
    with pytest.raises(ChainRefused, match="TimelockUnexpectedOperationState"):
        timelock.execute(world["verifier"], payment)
    when_ready(world, timelock, payment)
    with pytest.raises(ChainRefused, match="AccessControlUnauthorizedAccount"):
        timelock.execute(world["issuer"], payment)
    timelock.execute(world["verifier"], payment)
    assert world.port.yen_balance(payment.to) == 250_000 and timelock.state(payment) == "done"
    assert world.port.yen_balance(timelock.deployed.address) == 1_000_003 * 6 // 10 - 250_000
    books = statement(world.port, world.project)
    assert books.paid_total + books.claimable + books.carried == 1_000_003


def test_the_same_payment_with_the_same_reference_cannot_be_made_twice(
    world: World, timelock: Treasury
) -> None:
    earn(world, timelock.deployed.address, 1_000)
    payment = payment_of(world, 10)
    timelock.schedule(world["issuer"], payment)
    when_ready(world, timelock, payment)
    timelock.execute(world["verifier"], payment)
    for officer, act in ((world["issuer"], timelock.schedule), (world["verifier"], timelock.execute)):
        with pytest.raises(ChainRefused, match="TimelockUnexpectedOperationState"):
            act(officer, payment)
    assert timelock.id_of(payment) != timelock.id_of(replace(payment, reference="2026-002"))


def test_a_cancelled_payment_is_not_made_and_strangers_can_do_nothing(
    world: World, timelock: Treasury
) -> None:
    earn(world, timelock.deployed.address, 1_000)
    payment = payment_of(world, 10)
    for act in (timelock.schedule, timelock.execute, timelock.cancel):
        for who in ("stranger", "admin"):
            with pytest.raises(ChainRefused):
                act(world[who], payment)
    timelock.schedule(world["issuer"], payment)
    timelock.cancel(world["issuer"], payment)
    assert timelock.state(payment) == "unset" and world.port.yen_balance(payment.to) == 0


def test_a_treasury_is_held_by_its_officers_and_nobody_else(world: World, timelock: Treasury) -> None:
    checks = check_treasury(world.port.w3, timelock.deployed)
    assert [c.status for c in checks] == ["passed"] * 3, checks
    deployed = timelock.deployed
    for wrong, name in (
        (replace(deployed, proposers=(*deployed.proposers, world["buyer"].address)), "treasury.roles"),
        (replace(deployed, executors=()), "treasury.roles"),
        (replace(deployed, delay_s=DELAY_S + 1), "treasury.delay"),
        (replace(deployed, address=world.port.deployment.yen), "treasury.code"),
    ):
        assert name in [c.name for c in check_treasury(world.port.w3, wrong) if c.status == "failed"]


A, B = "0x" + "a1" * 20, "0x" + "b2" * 20


@pytest.mark.parametrize(
    ("officers", "says"),
    [
        (Officers((A,), (A.upper().replace("X", "x"),), 10**6), "nobody both"),
        (Officers((A, B), (B,), 10**6), "nobody both"),
        (Officers((A,), (), 10**6), "nobody both"),
        (Officers((), (B,), 10**6), "nobody both"),
        (Officers((A,), ("0x" + "00" * 20,), 10**6), "officer who executes: the zero address"),
        (Officers(("treasurer",), (B,), 10**6), "officer who schedules: 'treasurer'"),
        (Officers((A,), ("0x5aAeb6058F3E94C9b9A09f33669435E7Ef1BeAed",), 10**6), "checksum"),
        (Officers((A,), (B,), 3_600), "time to see"),
    ],
)
def test_a_treasury_that_one_person_could_empty_is_not_deployed(officers: Officers, says: str) -> None:
    with pytest.raises(TreasuryRefused) as caught:
        checked(officers)
    assert says in caught.value.en


def safe_call(world: World, safe, owners: list[LocalAccount], to: str, data: bytes) -> None:
    digest = safe.functions.callHash(to, data, safe.functions.nonce().call()).call()
    ordered = sorted(owners, key=lambda o: int(o.address, 16))
    signed = (o.unsafe_sign_hash(digest) for o in ordered)
    signatures = b"".join(s.r.to_bytes(32, "big") + s.s.to_bytes(32, "big") + bytes([s.v]) for s in signed)
    call = safe.encode_abi("execute", args=[to, data, signatures])
    world.port.sender.transact(world["stranger"], "safe", safe.address, call)


def test_a_safe_receives_and_its_owners_spend(world: World) -> None:
    built = json.loads((SAFE / "SafeLike.json").read_text())
    owners = [Account.create() for _ in range(3)]
    factory = world.port.w3.eth.contract(abi=built["abi"], bytecode=built["bytecode"])
    code = factory.constructor([o.address for o in owners], 2).data_in_transaction
    address = world.port.sender.transact(world["stranger"], "deploy safe", None, code).contract_address
    safe = world.port.w3.eth.contract(address=address, abi=built["abi"])
    earn(world, address, 1_000_000)
    to, yen = Account.create().address, world.port.deployment.yen
    data = encode_call("DevYen", "transfer", to, 123_456)
    for too_few in (owners[:1], [owners[0], Account.create()], [owners[0], owners[0]]):
        with pytest.raises(ChainRefused):
            safe_call(world, safe, too_few, yen, data)
    safe_call(world, safe, owners[1:], yen, data)
    assert world.port.yen_balance(to) == 123_456 and world.port.yen_balance(address) == 600_000 - 123_456
    deposited = world.port.claimed(world.project, address)
    assert deposited == 600_000, "what the Safe spends does not touch what it was paid"


def test_the_safe_that_is_tested_is_built_from_its_source() -> None:
    node = need("node")
    if not (ROOT / "registry" / "contracts" / "node_modules" / "solc").is_dir():
        pytest.skip("the compiler is not installed (npm ci in registry/contracts)")
    out = subprocess.run([node, str(SAFE / "build.mjs")], check=True, capture_output=True, text=True).stdout
    assert out == (SAFE / "SafeLike.json").read_text()
