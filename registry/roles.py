"""Who holds which role of the contracts, and giving or taking one after the deployment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from eth_utils.address import to_checksum_address
from web3 import Web3

from models.errors import SatoyamaError
from registry.abi import decode_log, event_of_topic, signatures
from registry.deploy import role_hash
from registry.port import ChainPort
from registry.sender import Mined, SignedTx
from registry.signer import Signer
from registry.views import LOG_SPAN_BLOCKS

RoleVerb = Literal["grant", "revoke", "suspend"]


@dataclass(frozen=True)
class RoleKind:
    """A role that accounts hold at one contract. `given` tells whether it is handed out one by one after deployment."""

    word: str
    contract: str
    name: str
    given: bool
    en: str
    ja: str

    @property
    def id(self) -> bytes:
        """Its identifier on chain; the administration's is zero."""
        return bytes(32) if self.name == "DEFAULT_ADMIN_ROLE" else role_hash(self.name)


ROLE_KINDS: tuple[RoleKind, ...] = (
    RoleKind(
        "issuer",
        "CreditRegistry",
        "ISSUER_ROLE",
        True,
        "issues batches; never verifies",
        "発行（検証は不可）",
    ),
    RoleKind(
        "verifier",
        "CreditRegistry",
        "VERIFIER_ROLE",
        True,
        "signs claims, votes on challenges; never issues",
        "申請への署名・異議の投票（発行は不可）",
    ),
    RoleKind(
        "guardian",
        "CreditRegistry",
        "GUARDIAN_ROLE",
        True,
        "pauses, suspends, records losses, decides challenges",
        "停止・権限停止・反転の記録・異議の決定",
    ),
    RoleKind("seller", "CreditSale", "SELLER_ROLE", True, "puts credits up for sale", "売り出し"),
    RoleKind(
        "share-guardian",
        "RevenueSplit",
        "GUARDIAN_ROLE",
        True,
        "cancels an announced change of shares",
        "予告された配分変更の取消し",
    ),
    RoleKind(
        "court", "CreditRegistry", "COURT_ROLE", False, "freezes, thaws, annuls locked batches", "異議の契約"
    ),
    RoleKind("admin", "CreditRegistry", "DEFAULT_ADMIN_ROLE", False, "gives and takes roles", "登録簿の管理"),
    RoleKind("sale-admin", "CreditSale", "DEFAULT_ADMIN_ROLE", False, "runs the sale", "販売の管理"),
    RoleKind("split-admin", "RevenueSplit", "DEFAULT_ADMIN_ROLE", False, "sets shares", "配分の管理"),
)
GIVEN_ROLES: tuple[str, ...] = tuple(kind.word for kind in ROLE_KINDS if kind.given)
SUSPENDABLE: tuple[str, ...] = ("issuer", "verifier")


class RoleUnknown(SatoyamaError):
    """There is no such role to give."""


@dataclass(frozen=True)
class Holder:
    """An account that holds a role now. `since` in unix seconds: when it was given last."""

    role: RoleKind
    account: str
    since: int


@dataclass(frozen=True)
class RolePlan:
    """A role to be given or taken, as it is shown before it is sent.

    Parameters
    ----------
    by : str
        Who signs.
    needed : bool
        False where it is so already, and nothing is to be sent.
    """

    verb: RoleVerb
    role: RoleKind
    account: str
    by: str
    needed: bool

    def to_doc(self) -> dict[str, object]:
        """Plain document."""
        return {
            "verb": self.verb,
            "role": self.role.word,
            "contract": self.role.contract,
            "account": self.account,
            "by": self.by,
            "needed": self.needed,
        }


def role_kind(word: str) -> RoleKind:
    """The role of that word that may be given after deployment.

    Raises
    ------
    RoleUnknown
        If it is none of `GIVEN_ROLES`.
    """
    for kind in ROLE_KINDS:
        if kind.word == word and kind.given:
            return kind
    known = ", ".join(GIVEN_ROLES)
    raise RoleUnknown(
        en=f"{word!r} is no role that is given after the deployment. Known: {known}. The court and the administration are fixed "
        "when the contracts are put on the chain.",
        ja=f"{word!r} は配備後に付与できる役割ではありません。付与できる役割: {known}。異議の契約と管理者は配備時に決まります。",
    )


def role_holders(port: ChainPort) -> list[Holder]:
    """Every account that holds a role now: of those ever given one, whom the contract still knows; in the order of `ROLE_KINDS`."""
    given: dict[tuple[str, bytes, str], int] = {}
    for contract, role, account, at in _granted(port):
        given[contract, role, account] = at
    return [
        Holder(kind, account, at)
        for kind in ROLE_KINDS
        for (contract, role, account), at in given.items()
        if (contract, role) == (kind.contract, kind.id) and _holds(port, kind, account)
    ]


def _granted(port: ChainPort) -> Iterator[tuple[str, bytes, str, int]]:
    contracts = ("CreditRegistry", "CreditSale", "RevenueSplit")
    names = {Web3.to_checksum_address(port.deployment.address_of(name)): name for name in contracts}
    topic = "0x" + signatures("CreditRegistry", "event")["RoleGranted"].digest.hex()
    head = port.head()[0]
    for start in range(port.deployment.block, head + 1, LOG_SPAN_BLOCKS):
        stop = min(head, start + LOG_SPAN_BLOCKS - 1)
        logs = port.w3.eth.get_logs(
            {"fromBlock": start, "toBlock": stop, "address": list(names), "topics": [topic]}
        )
        for log in logs:
            contract, topics = (
                names[Web3.to_checksum_address(log["address"])],
                list(map(bytes, log["topics"])),
            )
            signature = event_of_topic(contract, topics[0])
            assert signature is not None, "the filter asked for it"
            said = decode_log(signature, topics, bytes(log["data"]))
            yield contract, bytes(said["role"]), str(said["account"]), port.time_of_log(log)


def _holds(port: ChainPort, kind: RoleKind, account: str) -> bool:
    return bool(port.view(kind.contract, "hasRole", kind.id, account))


def plan_role(port: ChainPort, verb: RoleVerb, role: str, account: str, by: str) -> RolePlan:
    """What giving or taking a role comes to now; nothing is sent."""
    kind = role_kind(role)
    address = str(to_checksum_address(account))
    return RolePlan(verb, kind, address, by, _holds(port, kind, address) != (verb == "grant"))


def prepare_role(port: ChainPort, plan: RolePlan, signer: Signer) -> SignedTx:
    """The signed transaction; nothing is sent.

    Raises
    ------
    ChainRefused
        If the chain would refuse it: duties that must be separate, or a signer who may not.
    """
    return port.prepare_call(signer, plan.role.contract, *_call(plan))


def change_role(port: ChainPort, plan: RolePlan, signer: Signer) -> Mined | None:
    """Carry a plan out; None where it is so already. Done twice it is done once: the contract's answer is the same.

    Raises
    ------
    ChainRefused
        If the chain refuses it.
    """
    if not plan_role(port, plan.verb, plan.role.word, plan.account, plan.by).needed:
        return None
    return port.send_call(signer, plan.role.contract, *_call(plan))


def _call(plan: RolePlan) -> tuple[str, bytes, str]:
    function = {"grant": "grantRole", "revoke": "revokeRole", "suspend": "suspend"}[plan.verb]
    return function, plan.role.id, plan.account
