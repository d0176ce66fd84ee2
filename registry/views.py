"""Reading the contracts: plain typed answers, nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import ContractLogicError, Web3RPCError

from registry.abi import decode_call, decode_result, encode_call, signatures
from registry.claimstruct import ClaimStruct
from registry.deploy import Deployment, role_hash
from registry.events import BatchIssued, Event, decode_event
from registry.refusals import ChainRefused, refusal
from registry.sender import revert_data

LOG_SPAN_BLOCKS = 10_000
SHARES = 1_000_000
_CONTRACTS = ("CreditRegistry", "CreditSale", "RevenueSplit", "ChallengeWindow")


@dataclass(frozen=True)
class ProjectInfo:
    """A project as the registry has it. Kilograms CO2e; `last_period_end` in days since 1970-01-01."""

    project_id: bytes
    method_digest: bytes
    last_period_end: int
    challenge_window: int
    gross_kg: int
    compensated_kg: int
    buffer_issued_kg: int
    min_buffer_bps: int
    paused: bool
    index: int
    deficit_kg: int
    reversed_kg: int
    uri: str


@dataclass(frozen=True)
class BatchInfo:
    """A batch as the registry has it. Kilograms CO2e; periods in days, `issued_at` and `locked_until` in seconds."""

    id: int
    project_id: bytes
    vintage: int
    period_start: int
    period_end: int
    issued_at: int
    locked_until: int
    gross_kg: int
    buffer_issued_kg: int
    buffer_kg: int
    buffer_burned_kg: int
    retired_kg: int
    supply_kg: int


@dataclass(frozen=True)
class BatchState:
    """What became of a batch beyond `BatchInfo`, kilograms CO2e.

    Serial numbers run from 0 to the gross: ``[0, serial_next)`` has ended, ``[serial_next, serial_end)`` lives, and what is
    above is reversed.
    """

    frozen: bool
    annulled: bool
    buffer_out_kg: int
    gone_kg: int
    serial_next: int
    serial_end: int


@dataclass(frozen=True)
class Closing:
    """When a project closes here (unix seconds; 0: never), its batches under challenge, and whether a successor may take it."""

    closes_at: int
    frozen: int
    settled: bool


@dataclass(frozen=True)
class Migration:
    """The registry that follows, and from when on (unix seconds) that is final; no address where none is announced."""

    successor: str
    since: int

    @property
    def announced(self) -> bool:
        return int(self.successor, 16) != 0


@dataclass(frozen=True)
class ListingInfo:
    """A listing. `kg` still for sale; `price_per_tonne` in base units of the token per 1000 kg."""

    seller: str
    kg: int
    token: str
    price_per_tonne: int
    id: int


@dataclass(frozen=True)
class IssueCall:
    """What was sent to issue a batch, read back from its transaction."""

    claim: ClaimStruct
    verifier: str
    signature: bytes
    issuer: str


class ChainViews:
    """The deployed contracts over one web3 connection, read-only."""

    def __init__(self, w3: Web3, deployment: Deployment) -> None:
        self.w3 = w3
        self.deployment = deployment
        self._times: dict[HexBytes, int] = {}

    def view(self, contract: str, function: str, *arguments: Any, block: int | None = None) -> Any:
        """Result of a read; raises ChainRefused where the contract reverts."""
        data = encode_call(contract, function, *arguments)
        to = Web3.to_checksum_address(self.deployment.address_of(contract))
        try:
            result = self.w3.eth.call(
                {"to": to, "data": HexBytes(data)}, "latest" if block is None else block
            )
        except ContractLogicError as error:
            raise refusal(function, revert_data(error), note=str(error)) from error
        except Web3RPCError as error:
            raise refusal(function, b"", note=str(error)) from error
        return decode_result(contract, function, bytes(result))

    # Blocks

    def head(self) -> tuple[int, int]:
        """Number and time (unix seconds) of the newest block: the freshness of everything read now."""
        block = self.w3.eth.get_block("latest")
        return int(block["number"]), int(block["timestamp"])

    def block_time(self, block: int) -> int:
        """Time of a block in unix seconds."""
        return int(self.w3.eth.get_block(block)["timestamp"])

    def time_of_log(self, log: Any) -> int:
        """Time of a log's block in unix seconds; kept by hash, since another block may take the number."""
        block_hash = HexBytes(log["blockHash"])
        if block_hash not in self._times:
            self._times[block_hash] = int(self.w3.eth.get_block(block_hash)["timestamp"])
        return self._times[block_hash]

    # Registry

    def has_role(
        self, role: str, account: str, contract: str = "CreditRegistry", *, block: int | None = None
    ) -> bool:
        """Whether the account holds e.g. ``VERIFIER_ROLE``."""
        return bool(self.view(contract, "hasRole", role_hash(role), account, block=block))

    def project(self, project: bytes) -> ProjectInfo | None:
        """The project of this key (`registry.claimstruct.project_key`); None if it is not registered."""
        if not self.view("CreditRegistry", "projectKnown", project):
            return None
        return ProjectInfo(*self.view("CreditRegistry", "projects", project))

    def batch(self, batch_id: bytes) -> BatchInfo | None:
        """The batch of this batch id; None if it was not issued."""
        if not self.view("CreditRegistry", "batchKnown", batch_id):
            return None
        return BatchInfo(*self.view("CreditRegistry", "batches", batch_id))

    def batch_of(self, token_id: int) -> BatchInfo | None:
        """The batch of this token id; None if there is none."""
        try:
            return BatchInfo(*self.view("CreditRegistry", "batchOf", token_id))
        except ChainRefused as error:
            if error.name == "Batch_Unknown":
                return None
            raise

    def batch_state(self, token_id: int) -> BatchState:
        """Challenge, annulment and serial numbers of a batch; ChainRefused where there is none."""
        return BatchState(*self.view("CreditRegistry", "batchState", token_id))

    def closing(self, project: bytes) -> Closing:
        """When a project closes here, and whether it may be taken over."""
        return Closing(*self.view("CreditRegistry", "closing", project))

    def migration(self) -> Migration:
        """The registry that follows this one, if one is announced."""
        return Migration(*self.view("CreditRegistry", "migration"))

    def spent_until(self, plot_key: bytes) -> int:
        """Day (since 1970-01-01) until which, not including it, a plot is credited; 0 if never."""
        return int(self.view("CreditRegistry", "spentUntil", plot_key))

    def content_root_used(self, content_root: bytes) -> bool:
        """Whether a batch was issued on this content root."""
        return bool(self.view("CreditRegistry", "contentRootUsed", content_root))

    def nonce_used(self, verifier: str, nonce: int) -> bool:
        """Whether this nonce of the verifier is spent."""
        return bool(self.view("CreditRegistry", "nonceUsed", verifier, nonce))

    def claim_digest(self, claim: ClaimStruct) -> bytes:
        """The digest to sign as the contract computes it."""
        return bytes(self.view("CreditRegistry", "claimDigest", claim.to_tuple()))

    def balance(self, account: str, token_id: int, *, block: int | None = None) -> int:
        """Credits held, kg CO2e. For the registry's own address: the batch's buffer."""
        return int(self.view("CreditRegistry", "balanceOf", account, token_id, block=block))

    def total_supply(self, token_id: int) -> int:
        """Credits of a batch that exist, buffer included, kg CO2e."""
        return int(self.view("CreditRegistry", "totalSupply", token_id))

    def issued(self, batch_id: bytes) -> BatchIssued | None:
        """The event of a batch's issue; None if it was not issued."""
        events = self._logs(["CreditRegistry"], self.deployment.block, None, ["BatchIssued"], batch_id)
        return next((event for event in events if isinstance(event, BatchIssued)), None)

    def issue_call(self, tx_hash: str) -> IssueCall:
        """Claim, verifier and signature as they were sent, and by whom.

        Raises
        ------
        LookupError
            If the transaction does not call `issue` directly.
        """
        sent = self.w3.eth.get_transaction(HexBytes(tx_hash))
        decoded = decode_call("CreditRegistry", bytes(sent["input"]))
        if decoded is None or decoded[0] != "issue" or sent.get("to") != self.deployment.registry:
            raise LookupError(f"transaction {tx_hash} does not call the registry's issue itself")
        claim, verifier, signature = decoded[1]
        return IssueCall(ClaimStruct.from_tuple(claim), verifier, bytes(signature), str(sent["from"]))

    # Sale

    def listing(self, listing_id: int) -> ListingInfo:
        """A listing; ChainRefused if there is none."""
        return ListingInfo(*self.view("CreditSale", "listing", listing_id))

    def quote(self, listing_id: int, kg: int) -> int:
        """Cost of `kg` of a listing now, in base units of its token."""
        return int(self.view("CreditSale", "quote", listing_id, kg))

    # Money

    def yen_balance(self, account: str) -> int:
        """Yen token held, in base units."""
        return int(self.view("DevYen", "balanceOf", account))

    def yen_decimals(self) -> int:
        """Decimal places of the yen token."""
        return int(self.view("DevYen", "decimals"))

    def deposited(self, project: bytes, token: str | None = None, *, block: int | None = None) -> int:
        """Revenue of a project so far, base units."""
        return int(self.view("RevenueSplit", "deposited", project, token or self.deployment.yen, block=block))

    def claimable(
        self, project: bytes, payee: str, token: str | None = None, *, block: int | None = None
    ) -> int:
        """What a payee can be paid now, base units."""
        token = token or self.deployment.yen
        return int(self.view("RevenueSplit", "claimable", project, token, payee, block=block))

    def claimed(
        self, project: bytes, payee: str, token: str | None = None, *, block: int | None = None
    ) -> int:
        """What a payee was paid so far, base units."""
        token = token or self.deployment.yen
        return int(self.view("RevenueSplit", "claimed", project, token, payee, block=block))

    def remainder(
        self, project: bytes, payees: Sequence[str], token: str | None = None, *, block: int | None = None
    ) -> int:
        """Base units not yet anyone's; `payees` must be all who ever had shares while money came in."""
        ordered = sorted(payees, key=lambda address: int(address, 16))
        token = token or self.deployment.yen
        return int(self.view("RevenueSplit", "remainder", project, token, ordered, block=block))

    def current_epoch(self, project: bytes) -> int:
        """The share table that revenue is split by now; 0 before the first."""
        return int(self.view("RevenueSplit", "currentEpoch", project))

    def last_epoch(self, project: bytes) -> int:
        """The share table that was set last, in force or not; the next one gets the number after it."""
        return int(self.view("RevenueSplit", "lastEpoch", project))

    def share_delay(self, project: bytes) -> int:
        """Seconds for which a change of the project's shares is announced before it is in force."""
        return int(self.view("RevenueSplit", "delayOf", project))

    def pending_shares(self, project: bytes) -> tuple[int, int] | None:
        """The share table that is announced and from when (unix seconds) it is in force; None where none is."""
        epoch, start = self.view("RevenueSplit", "pendingShares", project)
        return (int(epoch), int(start)) if epoch else None

    # Events

    @property
    def with_events(self) -> list[str]:
        """The contracts whose events are of interest here."""
        return [name for name in _CONTRACTS if name != "ChallengeWindow" or self.deployment.court]

    def events(self, from_block: int | None = None, to_block: int | None = None) -> list[Event]:
        """Events of the registry, sale, split and court in chain order, from the deployment on unless said otherwise."""
        start = self.deployment.block if from_block is None else max(from_block, self.deployment.block)
        return list(self._logs(self.with_events, start, to_block, None, None))

    def _logs(
        self,
        contracts: Sequence[str],
        first: int,
        last: int | None,
        names: Sequence[str] | None,
        indexed: bytes | None,
    ) -> Iterator[Event]:
        by_address = {self.deployment.address_of(name).lower(): name for name in contracts}
        topics: list[Any] = []
        if names is not None:
            topics = [["0x" + signatures(c, "event")[n].digest.hex() for c in contracts for n in names]]
        if indexed is not None:
            topics.append("0x" + indexed.hex())
        end = self.head()[0] if last is None else last
        addresses = [Web3.to_checksum_address(address) for address in by_address]
        for start in range(first, end + 1, LOG_SPAN_BLOCKS):
            stop = min(end, start + LOG_SPAN_BLOCKS - 1)
            logs = self.w3.eth.get_logs(
                {"fromBlock": start, "toBlock": stop, "address": addresses, "topics": topics}
            )
            for log in logs:
                contract = by_address[str(log["address"]).lower()]
                event = decode_event(contract, log, self.time_of_log(log))
                if event is not None:
                    yield event
