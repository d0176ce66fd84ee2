"""Putting the contracts on a chain, and checking later that they are still the ones that were built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from web3 import Web3

from registry import artifacts
from registry.abi import decode_result, encode_call, encode_constructor
from registry.checks import Check, compared
from registry.sender import Sender
from registry.signer import Signer

_FIELD_OF_CONTRACT = {
    "CreditRegistry": "registry",
    "CreditSale": "sale",
    "RevenueSplit": "split",
    "DevYen": "yen",
}


@dataclass(frozen=True)
class Roles:
    """Addresses that get a role at deployment; issuer and verifier must differ."""

    issuers: tuple[str, ...] = ()
    verifiers: tuple[str, ...] = ()
    guardians: tuple[str, ...] = ()
    sellers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deployment:
    """Where the contracts are.

    Parameters
    ----------
    chain_id : int
    block : int
        Block of the registry's creation; nothing of interest lies before it.
    registry, sale, split, yen : str
        Checksum addresses. `yen` is the ERC-20 that sales ask for.
    yen_is_ours : bool
        Whether `yen` is the development token deployed here (which has no value).
    artifact_digests : mapping of contract name to ``sha256:<hex>``
        The builds that were deployed.
    """

    chain_id: int
    block: int
    registry: str
    sale: str
    split: str
    yen: str
    yen_is_ours: bool
    artifact_digests: Mapping[str, str]

    def to_doc(self) -> dict[str, Any]:
        """Plain document."""
        return {**self.__dict__, "artifact_digests": dict(self.artifact_digests)}

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        """Inverse of `to_doc`."""
        return cls(**doc)

    def address_of(self, contract: str) -> str:
        """Address of a contract by its name."""
        address: str = getattr(self, _FIELD_OF_CONTRACT[contract])
        return address


def role_hash(role: str) -> bytes:
    """Identifier of a role on chain, e.g. of ``ISSUER_ROLE``."""
    return keccak(text=role)


def deploy(w3: Web3, admin: Signer, roles: Roles, *, yen: str | None = None) -> Deployment:
    """Deploy the contracts with `admin` in charge, grant the roles, allow the yen for sales.

    Parameters
    ----------
    yen
        Address of an existing ERC-20 yen stablecoin; without it the development token is deployed.

    Raises
    ------
    ChainRefused
        If a step is refused, e.g. an issuer who is also a verifier.
    """
    sender = Sender(w3)

    def create(contract: str, *arguments: Any) -> tuple[str, int]:
        mined = sender.transact(admin, f"deploy {contract}", None, encode_constructor(contract, *arguments))
        return to_checksum_address(str(mined.contract_address)), mined.block

    registry, block = create("CreditRegistry", admin.address)
    split, _ = create("RevenueSplit", admin.address)
    sale, _ = create("CreditSale", admin.address, registry, split)
    token = to_checksum_address(yen) if yen is not None else create("DevYen", admin.address)[0]

    def grant(contract: str, to: str, role: str, accounts: Sequence[str]) -> None:
        for account in accounts:
            data = encode_call(contract, "grantRole", role_hash(role), account)
            sender.transact(admin, f"grant {role}", to, data)

    grant("CreditRegistry", registry, "ISSUER_ROLE", roles.issuers)
    grant("CreditRegistry", registry, "VERIFIER_ROLE", roles.verifiers)
    grant("CreditRegistry", registry, "GUARDIAN_ROLE", roles.guardians)
    grant("CreditSale", sale, "SELLER_ROLE", roles.sellers)
    for contract, to in (("CreditSale", sale), ("RevenueSplit", split)):
        sender.transact(admin, "allow the yen", to, encode_call(contract, "setTokenAllowed", token, True))
    return Deployment(
        chain_id=sender.chain_id,
        block=block,
        registry=registry,
        sale=sale,
        split=split,
        yen=token,
        yen_is_ours=yen is None,
        artifact_digests={name: artifacts.load(name).digest for name in artifacts.CONTRACTS},
    )


def check_deployment(w3: Web3, deployment: Deployment) -> list[Check]:
    """Whether the code at each address is, byte for byte, what this program's artifacts say."""
    if int(w3.eth.chain_id) != deployment.chain_id:
        return [
            Check(
                "chain.id",
                "failed",
                f"the deployment is on chain {deployment.chain_id}, this is chain {w3.eth.chain_id}",
                f"配備先はチェーン {deployment.chain_id} ですが、接続先は {w3.eth.chain_id} です",
            )
        ]
    ours = [name for name in artifacts.CONTRACTS if name != "DevYen" or deployment.yen_is_ours]
    checks = [_check_code(w3, name, deployment.address_of(name)) for name in ours]
    if all(check.status == "passed" for check in checks):
        checks.append(_check_links(w3, deployment))
    return checks


def _check_links(w3: Web3, deployment: Deployment) -> Check:
    # The addresses a contract was built with are among what `masked` hides, so they are asked for.
    def linked(name: str) -> str:
        data = w3.eth.call(
            {"to": to_checksum_address(deployment.sale), "data": encode_call("CreditSale", name)}
        )
        return str(decode_result("CreditSale", name, bytes(data)))

    return compared(
        "chain.links",
        "the sale sells this registry's credits and pays into this split",
        "販売契約はこの登録簿のクレジットを売り、この分配契約に入金します",
        f"{deployment.registry}, {deployment.split}",
        f"{linked('registry')}, {linked('split')}",
    )


def _check_code(w3: Web3, contract: str, address: str) -> Check:
    artifact = artifacts.load(contract)
    found = bytes(w3.eth.get_code(to_checksum_address(address)))
    name = f"chain.code.{contract}"
    if masked(found, artifact.immutables) == masked(artifact.deployed_bytecode, artifact.immutables):
        return Check(
            name,
            "passed",
            f"the code of {contract} at {address} is the one built from the published source",
            f"{address} の {contract} のコードは公開ソースから作られたものと一致します",
        )
    got_en, got_ja = (
        (f"{len(found)} bytes of other code", f"別のコード({len(found)} バイト)")
        if found
        else (
            "no code",
            "コードなし",
        )
    )
    return Check(
        name,
        "failed",
        f"expected the published code of {contract} at {address}, found {got_en}",
        f"{address} に公開された {contract} のコードがあるはずですが、{got_ja}でした",
    )


def masked(code: bytes, immutables: Sequence[tuple[int, int]]) -> bytes:
    """Runtime code with the places that deployment fills in set to zero."""
    plain = bytearray(code)
    for start, length in immutables:
        if start + length <= len(plain):
            plain[start : start + length] = bytes(length)
    return bytes(plain)
