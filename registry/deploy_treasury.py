"""A treasury for real use: OpenZeppelin's TimelockController, held by officers of the co-op and by nobody else.

One officer schedules a payment, everybody can see it for the delay, an officer of the other group executes it; no one account can do
both, and there is no administrator. The contract is the library's own, not a line of ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import ContractLogicError

from models.errors import SatoyamaError
from registry import artifacts
from registry.abi import decode_log, decode_result, encode_call, encode_constructor, signatures
from registry.address import AddressRefused, checked_address
from registry.checks import Check, compared
from registry.deploy import masked, role_hash
from registry.refusals import refusal
from registry.sender import Mined, Sender, revert_data
from registry.signer import Signer

CONTRACT = "TimelockController"
DAY_S = 86_400
LEAST_DELAY_S = DAY_S
_ADMIN = bytes(32)
_NO_PREDECESSOR = bytes(32)
State = Literal["unset", "waiting", "ready", "done"]
_STATES: tuple[State, ...] = ("unset", "waiting", "ready", "done")


class TreasuryRefused(SatoyamaError):
    """A treasury that would not protect the money."""


@dataclass(frozen=True)
class Officers:
    """Who may do what with the treasury.

    Parameters
    ----------
    proposers : tuple of str
        Addresses that schedule and cancel payments (e.g. president, treasurer).
    executors : tuple of str
        Addresses that execute them after the delay (e.g. auditors); none of them a proposer.
    delay_s : int
        Seconds between schedule and execution.
    """

    proposers: tuple[str, ...]
    executors: tuple[str, ...]
    delay_s: int


def checked(officers: Officers, *, least_delay_s: int = LEAST_DELAY_S) -> Officers:
    """The officers with checksum addresses.

    Raises
    ------
    TreasuryRefused
        If a group is empty, one account is in both, an address is none, mistyped or zero (which would let anybody execute), or
        the delay is too short.
    """
    proposers = _addresses(officers.proposers, "officer who schedules", "予定する役員")
    executors = _addresses(officers.executors, "officer who executes", "実行する役員")
    both = sorted(set(proposers) & set(executors))
    if both or not proposers or not executors:
        raise TreasuryRefused(
            en="A treasury needs at least one officer who schedules and another who executes, nobody both; "
            f"in both groups: {', '.join(both) or '-'}, schedule: {len(proposers)}, execute: {len(executors)}.",
            ja="予定する役員と実行する役員がそれぞれ1名以上、兼務なしで必要です。"
            f"兼務: {'、'.join(both) or '-'}、予定 {len(proposers)} 名、実行 {len(executors)} 名。",
        )
    if officers.delay_s < least_delay_s:
        raise TreasuryRefused(
            en=f"The delay is {officers.delay_s} s; at least {least_delay_s} s give members time to see a payment coming.",
            ja=f"待機時間が {officers.delay_s} 秒です。組合員が確認できるよう {least_delay_s} 秒以上にしてください。",
        )
    return Officers(proposers, executors, officers.delay_s)


def _addresses(group: tuple[str, ...], who_en: str, who_ja: str) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(checked_address(a, who_en, who_ja) for a in group))
    except AddressRefused as refused:
        raise TreasuryRefused(en=refused.en, ja=refused.ja) from refused


@dataclass(frozen=True)
class TreasuryDeployment:
    """Where the treasury is and who holds it."""

    chain_id: int
    block: int
    address: str
    proposers: tuple[str, ...]
    executors: tuple[str, ...]
    delay_s: int
    artifact_digest: str

    def to_doc(self) -> dict[str, Any]:
        """Plain document."""
        return {**self.__dict__, "proposers": list(self.proposers), "executors": list(self.executors)}

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        """Inverse of `to_doc`."""
        return cls(**{**doc, "proposers": tuple(doc["proposers"]), "executors": tuple(doc["executors"])})


def deploy_treasury(
    w3: Web3, deployer: Signer, officers: Officers, *, least_delay_s: int = LEAST_DELAY_S
) -> TreasuryDeployment:
    """Deploy a treasury; `deployer` pays the gas and has no say in it afterwards.

    Raises
    ------
    TreasuryRefused
        See `checked`.
    """
    who = checked(officers, least_delay_s=least_delay_s)
    sender = Sender(w3)
    nobody = "0x" + "00" * 20
    code = encode_constructor(CONTRACT, who.delay_s, list(who.proposers), list(who.executors), nobody)
    mined = sender.transact(deployer, f"deploy {CONTRACT}", None, code)
    return TreasuryDeployment(
        chain_id=sender.chain_id,
        block=mined.block,
        address=to_checksum_address(str(mined.contract_address)),
        proposers=who.proposers,
        executors=who.executors,
        delay_s=who.delay_s,
        artifact_digest=artifacts.load(CONTRACT).digest,
    )


def check_treasury(w3: Web3, deployed: TreasuryDeployment) -> list[Check]:
    """Whether the treasury is the published code, with these officers, nobody else, and no administrator but itself."""
    artifact = artifacts.load(CONTRACT)
    code = bytes(w3.eth.get_code(to_checksum_address(deployed.address)))
    same = masked(code, artifact.immutables) == masked(artifact.deployed_bytecode, artifact.immutables)
    delay = _read(w3, deployed.address, "getMinDelay") if same else None
    expected = {
        ("DEFAULT_ADMIN", deployed.address),
        *(("PROPOSER", a) for a in deployed.proposers),
        *(("CANCELLER", a) for a in deployed.proposers),
        *(("EXECUTOR", a) for a in deployed.executors),
    }
    return [
        compared(
            "treasury.code",
            "the treasury's code is the library's timelock",
            "会計口座のコードはライブラリのタイムロックです",
            f"{len(artifact.deployed_bytecode)} bytes",
            f"{len(artifact.deployed_bytecode)} bytes" if same else f"{len(code)} other bytes",
        ),
        compared(
            "treasury.roles",
            "exactly the officers hold it",
            "登録された役員だけが操作できます",
            _shown(expected),
            _shown(_holders(w3, deployed)) if same else "-",
        ),
        compared(
            "treasury.delay",
            "the delay is as set",
            "待機時間は設定どおりです",
            str(deployed.delay_s),
            str(delay),
        ),
    ]


def _shown(roles: set[tuple[str, str]]) -> str:
    return ", ".join(f"{role} {account}" for role, account in sorted(roles))


def _holders(w3: Web3, deployed: TreasuryDeployment) -> set[tuple[str, str]]:
    """All who hold a role now, from every grant and revocation since the deployment."""
    names = {role_hash(f"{role}_ROLE"): role for role in ("PROPOSER", "CANCELLER", "EXECUTOR")}
    names[_ADMIN] = "DEFAULT_ADMIN"
    events = {signatures(CONTRACT, "event")[n].digest: n for n in ("RoleGranted", "RoleRevoked")}
    logs = w3.eth.get_logs(
        {
            "fromBlock": deployed.block,
            "toBlock": "latest",
            "address": to_checksum_address(deployed.address),
            "topics": [["0x" + digest.hex() for digest in events]],
        }
    )
    held: set[tuple[str, str]] = set()
    for log in logs:
        topics = [bytes(topic) for topic in log["topics"]]
        name = events[topics[0]]
        said = decode_log(signatures(CONTRACT, "event")[name], topics, bytes(log["data"]))
        one = (names.get(said["role"], said["role"].hex()), said["account"])
        held = held | {one} if name == "RoleGranted" else held - {one}
    return held


@dataclass(frozen=True)
class Payment:
    """A payment out of the treasury: base units of an ERC-20, with a reference of the co-op's books.

    The same payment with the same reference has the same id, so it can be scheduled once only.
    """

    token: str
    to: str
    amount: int
    reference: str

    @property
    def salt(self) -> bytes:
        return hashlib.sha256(self.reference.encode()).digest()

    @property
    def data(self) -> bytes:
        """What the treasury will call the token with."""
        return encode_call("DevYen", "transfer", to_checksum_address(self.to), self.amount)

    def arguments(self) -> tuple[Any, ...]:
        return (to_checksum_address(self.token), 0, self.data, _NO_PREDECESSOR, self.salt)


class Treasury:
    """Acting on a deployed treasury; each method is one transaction, done when it returns.

    Raises `ChainRefused` where the timelock says no: another than an officer, too early, twice.
    """

    def __init__(self, w3: Web3, deployed: TreasuryDeployment) -> None:
        self.w3 = w3
        self.deployed = deployed
        self.sender = Sender(w3)

    def schedule(self, proposer: Signer, payment: Payment) -> Mined:
        """Announce a payment; it can be executed after the delay."""
        arguments = (*payment.arguments(), self.deployed.delay_s)
        return self._send(proposer, "schedule", *arguments)

    def execute(self, executor: Signer, payment: Payment) -> Mined:
        """Carry out a payment whose delay has passed."""
        return self._send(executor, "execute", *payment.arguments())

    def cancel(self, proposer: Signer, payment: Payment) -> Mined:
        """Take back a payment that was not executed."""
        return self._send(proposer, "cancel", self.id_of(payment))

    def id_of(self, payment: Payment) -> bytes:
        """The timelock's id of a payment."""
        return bytes(_read(self.w3, self.deployed.address, "hashOperation", *payment.arguments()))

    def state(self, payment: Payment) -> State:
        """How far a payment got."""
        return _STATES[int(_read(self.w3, self.deployed.address, "getOperationState", self.id_of(payment)))]

    def ready_at(self, payment: Payment) -> int:
        """Unix seconds from which a scheduled payment can be executed; 0 if it is not scheduled, 1 if done."""
        return int(_read(self.w3, self.deployed.address, "getTimestamp", self.id_of(payment)))

    def _send(self, account: Signer, function: str, *arguments: Any) -> Mined:
        data = encode_call(CONTRACT, function, *arguments)
        return self.sender.transact(account, function, self.deployed.address, data)


def _read(w3: Web3, address: str, function: str, *arguments: Any) -> Any:
    data = encode_call(CONTRACT, function, *arguments)
    try:
        result = w3.eth.call({"to": to_checksum_address(address), "data": HexBytes(data)})
    except ContractLogicError as error:
        raise refusal(function, revert_data(error), note=str(error)) from error
    return decode_result(CONTRACT, function, bytes(result))
