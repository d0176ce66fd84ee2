"""Ten thousand deposits to two hundred payees through the real RevenueSplit, against exact fractions kept apart.

Shares change four times on the way and payees are paid in between, at random but from a fixed seed. In the end every payee's total must
be the floor of its exact rational share, and claims + claimable + remainder the deposits, to the base unit: by the contract's own
views, by the statement from events, and by the oracle. Exit status 1 otherwise.

    python benchmarks/split_simulation.py [--quick] [--json PATH] [--chain anvil|embedded]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from web3 import Web3

from registry.abi import encode_call
from registry.chain import ChainConfig, connect, create_embedded
from registry.claimstruct import project_key
from registry.deploy import Roles, deploy
from registry.port import ChainPort
from registry.shares import SHARES, apportion
from registry.treasury import statement

ROOT = Path(__file__).resolve().parent.parent
ANVIL = ROOT / "registry" / "contracts" / "node_modules" / ".bin" / "anvil"
SEED, PAYEES, EPOCHS = 20_261_121, 200, 5
GAS = 200_000


@contextmanager
def opened(kind: str, accounts: list[LocalAccount]) -> Iterator[Web3]:
    """A fresh chain whose accounts can pay gas."""
    if kind == "embedded":
        with tempfile.TemporaryDirectory() as folder:
            yield create_embedded(Path(folder) / "chain.sqlite", [a.address for a in accounts])
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = anvil()
    assert program is not None
    command = [program, "--silent", "--host", "127.0.0.1", "--port", str(port), "--accounts", "1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        w3 = Web3(Web3.HTTPProvider(url))
        for _ in range(200):
            if w3.is_connected():
                break
            time.sleep(0.05)
        w3 = connect(ChainConfig("rpc", url=url))
        for account in accounts:
            w3.provider.make_request("anvil_setBalance", [account.address, hex(10**24)])  # type: ignore[arg-type]  # anvil has methods that web3 does not list
        yield w3
    finally:
        process.kill()
        process.wait()


def anvil() -> str | None:
    found = os.environ.get("SATOYAMA_ANVIL") or shutil.which("anvil") or str(ANVIL)
    return found if Path(found).exists() else None


class Stream:
    """Transactions of one account, signed with nonces counted here and sent one after the other."""

    def __init__(self, port: ChainPort, account: LocalAccount) -> None:
        self.port, self.account = port, account
        self.nonce = int(port.w3.eth.get_transaction_count(account.address))

    def send(self, contract: str, function: str, *arguments: object) -> None:
        signed = self.account.sign_transaction(
            {
                "type": 2,
                "chainId": self.port.chain_id,
                "nonce": self.nonce,
                "gas": GAS,
                "maxFeePerGas": 10**11,
                "maxPriorityFeePerGas": 10**9,
                "value": 0,
                "to": self.port.deployment.address_of(contract),
                "data": encode_call(contract, function, *arguments),
            }
        )
        tx_hash = self.port.w3.eth.send_raw_transaction(signed.raw_transaction)
        self.nonce += 1
        # Anvil loses sight of transactions that come faster than it mines.
        self.port.w3.eth.wait_for_transaction_receipt(tx_hash, timeout=60, poll_latency=0.002)


def simulate(
    port: ChainPort, admin: LocalAccount, payer: LocalAccount, deposits: int
) -> dict[str, int | float]:
    """Run it, and compare contract, statement and oracle."""
    source, key = random.Random(SEED), project_key("simulation")
    payees = [to_checksum_address(f"0x{0xBEEF0000 + n:040x}") for n in range(PAYEES)]
    owed = dict.fromkeys(payees, Fraction(0))
    paid = dict.fromkeys(payees, 0)
    port.mint_yen(admin, payer.address, 10**25)
    yen, total, claims = port.deployment.yen, 0, 0
    approval = encode_call("DevYen", "approve", port.deployment.split, 10**25)
    port.sender.transact(payer, "approve", yen, approval)
    stream = Stream(port, payer)
    started = time.perf_counter()
    table: dict[str, int] = {}
    for n in range(deposits):
        if n % -(-deposits // EPOCHS) == 0:
            weights = {p: source.choice((1, 7, 9_973, 10**6)) for p in payees}
            table = {p: ppm + 1 for p, ppm in apportion(SHARES - PAYEES, weights).items()}
            port.set_shares(admin, key, table)
        amount = source.choice((1, 3, source.randrange(1, 10**4), source.randrange(1, 10**13)))
        stream.send("RevenueSplit", "deposit", key, yen, amount)
        total += amount
        for payee, ppm in table.items():
            owed[payee] += Fraction(amount * ppm, SHARES)
        if n % 20 == 19:
            payee = source.choice(payees)
            due = int(owed[payee]) - paid[payee]
            if due:
                stream.send("RevenueSplit", "claimFor", key, yen, payee)
                paid[payee] += due
                claims += 1
    seconds = time.perf_counter() - started
    books = statement(port, key)  # raises unless events and the contract's own figures agree
    totals = {p: port.claimable(key, p) + port.claimed(key, p) for p in payees}
    assert {p: port.yen_balance(p) for p in payees} == paid, "each payee holds what was claimed for it"
    return {
        "deposits": len(books.deposits),
        "payees": PAYEES,
        "share_tables": port.current_epoch(key),
        "claims": claims,
        "worst_error_base_units": float(max(abs(owed[p] - totals[p]) for p in payees)),
        "payees_off_the_exact_floor": sum(int(owed[p]) != totals[p] for p in payees),
        "books_difference": books.paid_total + books.claimable + books.carried - total,
        "remainder_difference": port.remainder(key, payees) - (total - sum(totals.values())),
        "split_balance_difference": port.yen_balance(port.deployment.split) - (total - sum(paid.values())),
        "remainder": books.carried,
        "seconds": round(seconds, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chain", choices=("anvil", "embedded"))
    options = parser.parse_args()
    kind = options.chain or ("anvil" if anvil() else "embedded")
    deposits = (1_000 if kind == "anvil" else 100) if options.quick else 10_000
    admin, payer = Account.create(), Account.create()
    with opened(kind, [admin, payer]) as w3:
        port = ChainPort(w3, deploy(w3, admin, Roles()))
        found = simulate(port, admin, payer, deposits)
    print(f"RevenueSplit on {kind}, seed {SEED}")
    for name, value in found.items():
        print(f"  {name:28s} {value:>16,}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    differences = (
        "payees_off_the_exact_floor",
        "books_difference",
        "remainder_difference",
        "split_balance_difference",
    )
    good = found["worst_error_base_units"] < 1 and not any(found[name] for name in differences)
    print(
        "every payee within 1 base unit; books close to the unit"
        if good and found["deposits"] == deposits
        else "DIFFERS"
    )
    return 0 if good and found["deposits"] == deposits else 1


if __name__ == "__main__":
    sys.exit(main())
