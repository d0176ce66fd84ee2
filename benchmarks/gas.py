"""Gas of every act on the contracts, measured on the embedded chain as the program really sends it, beside its peers.

Whole transactions as their receipts state them: 21,000, calldata, roles and signature checks included. Nothing is warmed:
`issue` is the first batch of all, of a project, recipient and verifier that the registry has not seen before; `retire` the
first certificate. `deposit` is every deposit after a project's first in its share table; the first ones stand beside it.
Keys, claims and amounts are fixed, so a figure moves only with the contracts or the program.

    python benchmarks/gas.py [--quick] [--json [PATH]]

Says what moved since the committed `docs/benchmarks/gas.json`; ends with status 1 if a figure is over its budget.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from registry.chain import create_embedded
from registry.claimstruct import ClaimStruct, day_number, plot_key, project_key
from registry.deploy import Roles, deploy
from registry.issuance import execute, make_plan, next_nonce
from registry.outbox import JsonFileOutbox
from registry.port import ChainPort, Retirement
from registry.views import SHARES

YEN = 10**6
DEADLINE = 4_000_000_000
METHOD = hashlib.sha256(b"method").digest()
ROLES = ("admin", "issuer", "verifier", "guardian", "seller", "buyer")
ISSUE_BUDGET, KEY_BUDGET = 190_000, 23_500

# Figure: (budget, peer, the peer's gas as recorded from its own sources in the project's on-chain reference).
BESIDE: dict[str, tuple[int | None, str, int | None]] = {
    "issue": (ISSUE_BUDGET, "Toucan tokenize, first", 631_164),
    "issue_next": (ISSUE_BUDGET, "Toucan tokenize, next", 568_364),
    "issue_per_extra_key": (KEY_BUDGET, "Nori, per further removal", (2_921_030 - 177_323) // 15),
    "issue_16_keys": (ISSUE_BUDGET + 15 * KEY_BUDGET, "Nori, 16 removals", 2_921_030),
    "issue_256_keys": (ISSUE_BUDGET + 255 * KEY_BUDGET, "", None),
    "retire": (100_000, "Toucan, with certificate, first", 511_914),
    "retire_next": (100_000, "Toucan, with certificate, next", 477_714),
    "deposit_first_of_all": (None, "PullSplit, distribute to 4, cold", 217_911),
    "deposit_first_of_project": (None, "PullSplit, distribute to 4, cold", 217_911),
    "deposit_4": (60_000, "PullSplit, distribute to 4, warm", 105_794),
    "deposit_10": (60_000, "PullSplit, distribute to 10, warm", 163_492),
    "deposit_500": (60_000, "", None),
    "claim_cold": (85_000, "", None),
    "claim_warm": (50_000, "", None),
    "claim_for_warm": (None, "", None),
    "deposit_4_and_4_claims": (None, "PushSplit, distribute to 4, warm", 91_469),
    "buy": (None, "", None),
}


SNAPSHOT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "gas.json"


def account_of(name: str) -> LocalAccount:
    """An account for this benchmark's own chain; its key is public."""
    account: LocalAccount = Account.from_key(hashlib.sha256(f"gas benchmark {name}".encode()).digest())
    return account


@dataclass
class Bench:
    """A fresh embedded chain with the contracts on it, and an outbox."""

    port: ChainPort
    outbox: JsonFileOutbox
    by_role: dict[str, LocalAccount]

    @classmethod
    def on(cls, folder: Path) -> Bench:
        by_role = {role: account_of(role) for role in ROLES}
        w3 = create_embedded(folder / "chain.sqlite", [a.address for a in by_role.values()])
        roles = Roles(
            *((by_role[role].address,) for role in ("issuer", "verifier", "guardian", "seller")),
        )
        deployed = deploy(w3, by_role["admin"], roles)
        return cls(ChainPort(w3, deployed), JsonFileOutbox(folder / "outbox.json"), by_role)

    def project(self, name: str) -> bytes:
        key = project_key(name)
        self.port.register_project(self.by_role["admin"], key, METHOD, 2_000)
        return key

    def issue(self, project: bytes, name: str, year: int, keys: int) -> tuple[int, int]:
        """Gas and token id of one batch, issued as the program does: counted nonce, plan, outbox, receipt."""
        claim = replace(self._claim(project, f"{name} {year}"), **_period(year, name, keys))
        verifier = self.by_role["verifier"]
        claim = replace(claim, nonce=next_nonce(self.port, verifier.address))
        signature = self.port.sign_claim(verifier, claim)
        issuer = self.by_role["issuer"]
        plan = make_plan(
            self.port, claim, verifier=verifier.address, signature=signature, issuer=issuer.address
        )
        issued = execute(plan, self.port, self.outbox, issuer)
        return self._gas(issued.event.tx_hash), issued.event.id

    def _claim(self, project: bytes, text: str) -> ClaimStruct:
        info = self.port.project(project)
        assert info is not None
        gross = 9_123_456
        roots = {name: hashlib.sha256(f"{name} {text}".encode()).digest() for name in ("b", "p", "c", "e")}
        return ClaimStruct(
            project_id=project,
            batch_id=roots["b"],
            method_digest=METHOD,
            plan_digest=roots["p"],
            content_root=roots["c"],
            evidence_root=roots["e"],
            period_start=0,
            period_end=1,
            vintage=1970,
            challenge_window=0,
            estimate_kg=gross + info.gross_kg + 3_210_987,
            standard_error_kg=1_987_654,
            deduction_kg=3_210_987,
            prior_gross_kg=info.gross_kg,
            compensated_kg=0,
            gross_kg=gross,
            buffer_kg=1_824_692,
            recipient=self.by_role["seller"].address,
            plot_keys=(project,),
            nonce=0,
            deadline=DEADLINE,
        )

    def _gas(self, tx_hash: str) -> int:
        mined = self.port.sender.receipt(tx_hash)
        assert mined is not None
        return mined.gas_used

    def shares(self, project: bytes, payees: list[str]) -> None:
        each = SHARES // len(payees)
        shares = dict.fromkeys(payees, each)
        shares[payees[0]] += SHARES - each * len(payees)
        self.port.set_shares(self.by_role["admin"], project, shares)

    def deposit(self, project: bytes) -> int:
        arguments = (project, self.port.deployment.yen, 123_456_789)
        return self.port._send(self.by_role["buyer"], "RevenueSplit", "deposit", *arguments).gas_used

    def claim(self, project: bytes, payee: LocalAccount) -> int:
        return self.port._send(payee, "RevenueSplit", "claim", project, self.port.deployment.yen).gas_used


def _period(year: int, name: str, keys: int) -> dict[str, Any]:
    return {
        "period_start": day_number(date(year, 4, 1)),
        "period_end": day_number(date(year + 1, 4, 1)),
        "vintage": year + 1,
        "plot_keys": tuple(sorted(plot_key(f"{name}|{n}") for n in range(keys))),
    }


def measure(folder: Path) -> dict[str, int]:
    """Every figure, in gas."""
    bench = Bench.on(folder)
    found: dict[str, int] = {}
    first = bench.project("gas-1")
    found["issue"], token = bench.issue(first, "gas-1", 2021, 1)
    found["issue_next"], _ = bench.issue(first, "gas-1", 2022, 1)
    for keys in (16, 256):
        name = f"gas-{keys}"
        found[f"issue_{keys}_keys"], _ = bench.issue(bench.project(name), name, 2021, keys)
    found["issue_per_extra_key"] = max(
        -(-(found[f"issue_{k}_keys"] - found["issue"]) // (k - 1)) for k in (16, 256)
    )
    found |= _retire(bench, token)
    found |= _money(bench, token)
    return {name: found[name] for name in BESIDE if name in found}


def _retire(bench: Bench, token: int) -> dict[str, int]:
    seller = bench.by_role["seller"]
    who = Retirement("例示株式会社", "2025年度の排出", "JP", 20_179, 20_544)
    arguments = (token, 1_234, who.to_tuple())
    first, following = (
        bench.port._send(seller, "CreditRegistry", "retire", *arguments).gas_used for _ in range(2)
    )
    return {"retire": first, "retire_next": following}


def _money(bench: Bench, token: int) -> dict[str, int]:
    port, buyer, found = bench.port, bench.by_role["buyer"], {}
    payee = account_of("payee")
    port.send_gas(bench.by_role["admin"], payee.address, 10**18)
    port.mint_yen(bench.by_role["admin"], buyer.address, 10**9 * YEN)
    port._send(buyer, "DevYen", "approve", port.deployment.split, 10**15)
    for payees in (4, 10, 500):
        project = bench.project(f"money-{payees}")
        bench.shares(project, [payee.address, *(account_of(f"payee {n}").address for n in range(payees - 1))])
        before = bench.deposit(project)
        found.setdefault("deposit_first_of_all", before)
        found["deposit_first_of_project"] = before
        found[f"deposit_{payees}"] = bench.deposit(project)
    found["claim_cold"] = bench.claim(project_key("money-4"), payee)
    bench.deposit(project_key("money-4"))
    found["claim_warm"] = bench.claim(project_key("money-4"), payee)
    bench.deposit(project_key("money-4"))
    mined = port.claim_for(bench.by_role["issuer"], project_key("money-4"), payee.address)
    found["claim_for_warm"] = mined.gas_used
    found["deposit_4_and_4_claims"] = found["deposit_4"] + 4 * found["claim_warm"]
    bench.shares(project_key("gas-1"), [payee.address])
    listed = port.list_batch(bench.by_role["seller"], token, 5_000, 12_345 * YEN)
    for _ in range(2):
        sold = port.buy(buyer, listed.listing_id, 1_234, deadline=DEADLINE)
    found["buy"] = bench._gas(sold.tx_hash)
    return found


def table(found: dict[str, int]) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| act | gas | budget | peer | peer's gas | peer / ours |",
        "|---|--:|--:|---|--:|--:|",
    ]
    for name, gas in found.items():
        budget, peer, peer_gas = BESIDE[name]
        shown = (
            f"{budget:,}" if budget else "",
            peer,
            f"{peer_gas:,}" if peer_gas else "",
            f"{peer_gas / gas:.1f}" if peer_gas else "",
        )
        lines.append(f"| {name} | {gas:,} | {' | '.join(shown)} |")
    return "\n".join(lines)


def over_budget(found: dict[str, int]) -> list[str]:
    """Names of the figures that are over their budget."""
    return [name for name, gas in found.items() if (limit := BESIDE[name][0]) and gas > limit]


def moved(found: dict[str, int], snapshot: Path = SNAPSHOT) -> list[str]:
    """What differs from the committed figures, in words."""
    if not snapshot.is_file():
        return []
    before: dict[str, int] = json.loads(snapshot.read_text())
    return [
        f"{name}: {before[name]:,} -> {gas:,} ({gas - before[name]:+,})"
        for name, gas in found.items()
        if before.get(name, gas) != gas
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="changes nothing: all of it takes seconds")
    parser.add_argument(
        "--json", nargs="?", const="-", help="write the figures as JSON to PATH, else to stdout"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder))
    to_stdout = arguments.json == "-"
    print(table(found), file=sys.stderr if to_stdout else sys.stdout)
    if to_stdout:
        print(json.dumps(found, indent=2))
    elif arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=2) + "\n")
    for line in moved(found):
        print(f"moved since {SNAPSHOT.name}: {line}", file=sys.stderr)
    over = over_budget(found)
    if over:
        print(f"over budget: {', '.join(over)}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
