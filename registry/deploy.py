"""Putting the contracts on a chain, and checking later that they are still the ones that were built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3 import Web3

from mrv import __version__
from registry import artifacts
from registry.abi import decode_result, encode_call, encode_constructor
from registry.checks import Check, compared
from registry.deploy_steps import OtherContracts, Steps, checked_yen
from registry.sender import Sender
from registry.signer import Signer

_FIELD_OF_CONTRACT = {
    "CreditRegistry": "registry",
    "CreditSale": "sale",
    "RevenueSplit": "split",
    "DevYen": "yen",
    "ChallengeWindow": "court",
    "SuccessorRegistry": "registry",
}
_DAY_S = 86_400


@dataclass(frozen=True)
class Roles:
    """Addresses that get a role at deployment; issuer and verifier must differ."""

    issuers: tuple[str, ...] = ()
    verifiers: tuple[str, ...] = ()
    guardians: tuple[str, ...] = ()
    sellers: tuple[str, ...] = ()


@dataclass(frozen=True)
class CourtTerms:
    """On what terms a batch may be challenged; they never change once the court is deployed.

    Parameters
    ----------
    bond_yen : int
        Whole yen that a batch's first challenger puts in; doubles with every challenge dismissed.
    resolution_days : int
        Days (1 to 90) in which a challenge is to be decided; undecided, the batch is annulled.
    panel : int
        Verifiers who decide where they agree; a guardian alone can too.
    """

    bond_yen: int = 50_000
    resolution_days: int = 14
    panel: int = 2


@dataclass(frozen=True)
class Deployment:
    """Where the contracts are.

    Parameters
    ----------
    chain_id : int
    block : int
        Block of the first registry's creation; nothing of interest lies before it.
    registry, sale, split, yen : str
        Checksum addresses. `yen` is the ERC-20 that sales ask for.
    yen_is_ours : bool
        Whether `yen` is the development token deployed here (which has no value).
    artifact_digests : mapping of contract name to ``sha256:<hex>``
        The builds that were deployed.
    court : str
        Where challenges are tried; empty in a manifest from before there was a court.
    predecessor : str
        The registry before this one; empty where this is the first.
    program : str
        Version of the program that deployed them; empty in a manifest from before it was written down.
    """

    chain_id: int
    block: int
    registry: str
    sale: str
    split: str
    yen: str
    yen_is_ours: bool
    artifact_digests: Mapping[str, str]
    court: str = ""
    predecessor: str = ""
    program: str = ""

    def to_doc(self) -> dict[str, Any]:
        """Plain document."""
        return {**self.__dict__, "artifact_digests": dict(self.artifact_digests)}

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        """Inverse of `to_doc`; manifests without the newer fields are read too (files: `registry.manifest.read_manifest`)."""
        return cls(**doc)

    @property
    def contracts(self) -> dict[str, str]:
        """Artifact and address of every contract of ours; the registry's second half is found through the first."""
        named = {
            "SuccessorRegistry" if self.predecessor else "CreditRegistry": self.registry,
            "CreditSale": self.sale,
            "RevenueSplit": self.split,
        }
        if self.yen_is_ours:
            named["DevYen"] = self.yen
        if self.court:
            named["ChallengeWindow"] = self.court
        return named

    @property
    def desk(self) -> str:
        """Artifact of the registry's second half."""
        return "SuccessorDesk" if self.predecessor else "RegistryDesk"

    def built(self) -> dict[str, str]:
        """Digests of this program's builds of the same contracts."""
        return {name: artifacts.load(name).digest for name in (*self.contracts, self.desk)}

    def address_of(self, contract: str) -> str:
        """Address of a contract by its name."""
        address: str = getattr(self, _FIELD_OF_CONTRACT[contract])
        return address


def role_hash(role: str) -> bytes:
    """Identifier of a role on chain, e.g. of ``ISSUER_ROLE``."""
    return keccak(text=role)


class _Crew:
    """One administrator who creates contracts and gives out their roles."""

    def __init__(self, w3: Web3, admin: Signer, unfinished: Path | None, **asked: object) -> None:
        self.w3, self.admin, self.sender = w3, admin, Sender(w3)
        asked |= {"chain": self.sender.chain_id, "admin": admin.address}
        self.steps = Steps(unfinished, {name: str(value) for name, value in asked.items()})

    def create(self, contract: str, *arguments: Any) -> tuple[str, int]:
        return self.steps.create(self.sender, self.admin, contract, encode_constructor(contract, *arguments))

    def call(self, action: str, contract: str, to: str, function: str, *arguments: Any) -> None:
        data = encode_call(contract, function, *arguments)
        self.sender.transact(self.admin, action, to, data, repeatable=True)

    def grant(self, contract: str, to: str, role: str, accounts: Sequence[str]) -> None:
        for account in accounts:
            if not _asked(self.w3, contract, to, "hasRole", role_hash(role), account):
                self.call(f"grant {role}", contract, to, "grantRole", role_hash(role), account)

    def court(self, registry: str, yen: str, terms: CourtTerms) -> str:
        """The court of a registry, with the one role it needs there."""
        decimals = int(_asked(self.w3, "DevYen", yen, "decimals"))
        bond, seconds = terms.bond_yen * 10**decimals, terms.resolution_days * _DAY_S
        court, _ = self.create("ChallengeWindow", registry, yen, bond, seconds, terms.panel)
        self.grant("CreditRegistry", registry, "COURT_ROLE", [court])
        return court

    def give_roles(self, registry: str, sale: str, roles: Roles) -> None:
        self.grant("CreditRegistry", registry, "ISSUER_ROLE", roles.issuers)
        self.grant("CreditRegistry", registry, "VERIFIER_ROLE", roles.verifiers)
        self.grant("CreditRegistry", registry, "GUARDIAN_ROLE", roles.guardians)
        self.grant("CreditSale", sale, "SELLER_ROLE", roles.sellers)

    def allow_yen(self, contract: str, to: str, yen: str) -> None:
        if not _asked(self.w3, contract, to, "tokenAllowed", yen):
            self.call("allow the yen", contract, to, "setTokenAllowed", yen, True)

    def finished(self, made: Deployment) -> Deployment:
        """The manifest, once the code on the chain is what was sent there."""
        whole = replace(made, artifact_digests=made.built(), program=__version__)
        require_ours(self.w3, whole)
        return whole


def deploy(
    w3: Web3,
    admin: Signer,
    roles: Roles,
    *,
    yen: str | None = None,
    terms: CourtTerms | None = None,
    unfinished: Path | None = None,
) -> Deployment:
    """Deploy the contracts with `admin` in charge, grant the roles, allow the yen for sales.

    Parameters
    ----------
    yen
        Address of an existing ERC-20 yen stablecoin; without it the development token is deployed.
    terms
        Of the court that tries challenges.
    unfinished
        File in which every contract is written down as it is created: cut off, the next call with it goes on from there. The
        caller removes it once the deployment is on record.

    Raises
    ------
    AddressRefused, OtherContracts
        If `yen` is no address, or no token lies there; nothing is deployed then.
    ChainRefused
        If a step is refused, e.g. an issuer who is also a verifier.
    OtherContracts
        If what lies on the chain afterwards is not what was sent.
    """
    terms = terms or CourtTerms()
    if yen is not None:
        yen = checked_yen(w3, yen)
    crew = _Crew(w3, admin, unfinished, yen=yen, **asdict(terms))
    registry, block = crew.create("CreditRegistry", admin.address)
    split, _ = crew.create("RevenueSplit", admin.address)
    sale, _ = crew.create("CreditSale", admin.address, registry, split)
    token = yen if yen is not None else crew.create("DevYen", admin.address)[0]
    crew.give_roles(registry, sale, roles)
    crew.allow_yen("CreditSale", sale, token)
    crew.allow_yen("RevenueSplit", split, token)
    court = crew.court(registry, token, terms)
    made = Deployment(
        chain_id=crew.sender.chain_id,
        block=block,
        registry=registry,
        sale=sale,
        split=split,
        yen=token,
        yen_is_ours=yen is None,
        artifact_digests={},
        court=court,
    )
    return crew.finished(made)


def deploy_successor(
    w3: Web3,
    admin: Signer,
    roles: Roles,
    before: Deployment,
    *,
    terms: CourtTerms | None = None,
    unfinished: Path | None = None,
) -> Deployment:
    """Deploy the registry that follows `before`, with a sale and a court of its own; money goes on through the same split.

    Nothing moves by this: the registry before must announce it (`registry.moving.MovePort.announce_migration`). `unfinished` and
    what is raised: as of `deploy`.
    """
    terms = terms or CourtTerms()
    crew = _Crew(w3, admin, unfinished, predecessor=before.registry, **asdict(terms))
    registry, _ = crew.create("SuccessorRegistry", admin.address, before.registry)
    sale, _ = crew.create("CreditSale", admin.address, registry, before.split)
    crew.give_roles(registry, sale, roles)
    crew.allow_yen("CreditSale", sale, before.yen)
    court = crew.court(registry, before.yen, terms)
    made = replace(
        # Its block stays: the split's money was there before this registry was.
        before,
        registry=registry,
        sale=sale,
        artifact_digests={},
        court=court,
        predecessor=before.registry,
    )
    return crew.finished(made)


def _asked(w3: Web3, contract: str, address: str, function: str, *arguments: Any) -> Any:
    to = to_checksum_address(address)
    data = w3.eth.call({"to": to, "data": HexBytes(encode_call(contract, function, *arguments))})
    return decode_result(contract, function, bytes(data))


def require_ours(w3: Web3, deployment: Deployment, where_en: str = "", where_ja: str = "") -> None:
    """Go on only where the contracts on the chain are those of this program.

    Raises
    ------
    OtherContracts
        With what was found at which address, and the version that deployed them.
    """
    wrong = [check for check in check_deployment(w3, deployment) if check.status != "passed"]
    if not wrong:
        return
    names = ", ".join(check.name.rpartition(".")[2] for check in wrong)
    by = deployment.program
    told_en = f"version {by} of this program" if by else "another version of this program"
    told_ja = f"版 {by} のプログラム" if by else "別の版のプログラム"
    here_en, here_ja = (f" of {where_en}" if where_en else "", f"{where_ja}の" if where_ja else "")
    raise OtherContracts(
        en=f"The contracts {names}{here_en} are not those of this program (version {__version__}): {wrong[0].detail_en}. They were "
        f"deployed by {told_en}; use that with them, or correct the addresses. Look at all of it with: satoyama chain check",
        ja=f"{here_ja}契約 {names} は、このプログラム(版 {__version__})のものではありません: {wrong[0].detail_ja}。{told_ja}で配備されて"
        "います。その版を使うか、アドレスを直してください。一覧: satoyama chain check",
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
    checks = [_check_code(w3, name, address) for name, address in deployment.contracts.items()]
    if checks[0].status == "passed":
        desk = str(_asked(w3, "CreditRegistry", deployment.registry, "desk"))
        checks.insert(1, _check_code(w3, deployment.desk, desk))
    if all(check.status == "passed" for check in checks):
        checks.append(_check_links(w3, deployment))
    return checks


def _check_links(w3: Web3, deployment: Deployment) -> Check:
    # The addresses a contract was built with are among what `masked` hides, so they are asked for.
    links = [
        (deployment.registry, "CreditSale", deployment.sale, "registry"),
        (deployment.split, "CreditSale", deployment.sale, "split"),
    ]
    en, ja = (
        "the sale sells this registry's credits and pays into this split",
        "販売契約はこの登録簿のクレジットを売り、この分配契約に入金します",
    )
    if deployment.court:
        links += [
            (deployment.registry, "ChallengeWindow", deployment.court, "registry"),
            (deployment.yen, "ChallengeWindow", deployment.court, "token"),
        ]
        en += "; the court tries this registry's batches, with bonds in this yen"
        ja += "。異議申立ての契約はこの登録簿のバッチを扱い、保証金はこの円です"
    if deployment.predecessor:
        links.append((deployment.predecessor, "SuccessorRegistry", deployment.registry, "predecessor"))
        en += "; the registry follows the one it should"
        ja += "。この登録簿の前身は記載どおりです"
    wanted = [address for address, *_ in links]
    found = [str(_asked(w3, contract, at, name)) for _, contract, at, name in links]
    if deployment.court:
        court = _asked(
            w3, "CreditRegistry", deployment.registry, "hasRole", role_hash("COURT_ROLE"), deployment.court
        )
        wanted, found = [*wanted, "COURT_ROLE"], [*found, "COURT_ROLE" if court else "no COURT_ROLE"]
    return compared("chain.links", en, ja, ", ".join(wanted), ", ".join(found))


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
