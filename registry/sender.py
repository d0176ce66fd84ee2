"""One transaction from call to receipt: estimate, sign, send the raw bytes, wait, explain a refusal.

A receipt means one block. A chain may still reorganise: what is kept outside the chain as a fact (an issued batch, the
index of events) waits for the depth of `registry.chain.ChainConfig.confirmations`; the rest is read anew from the chain.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import (
    BadResponseFormat,
    ContractLogicError,
    TransactionNotFound,
    Web3RPCError,
)
from web3.types import TxParams, Wei

from models.errors import SatoyamaError
from registry.chain import ChainUnavailable
from registry.refusals import ChainRefused, refusal
from registry.signer import Signer

RECEIPT_TIMEOUT_S = 180
RESEND_S = 15.0
_POLL_S = 0.1
_POLL_MOST_S = 2.0
# A node may count a mined transaction a moment before it finds the receipt.
_PASSED_S = 1.0
_GAS_MARGIN_PERCENT = 10
_NONCE_TRIES = 8
_NO_GAS = ("insufficient funds", "insufficientfunds", "enough balance", "enough funds", "cannot afford")
_WEI = 10**18
_ALREADY_THERE = (
    "already known",
    "already imported",
    "nonce too low",
    "known transaction",
    "replacement transaction underpriced",
)


class NonceTaken(ChainRefused):
    """The account's nonce was used by another transaction in between; nothing of this one happened."""


class ChainBusy(SatoyamaError):
    """A transaction was sent and has no receipt yet; it may still be mined."""


@dataclass(frozen=True)
class SignedTx:
    """A signed transaction that may be sent any number of times and is mined at most once.

    `recorded` says that whoever sends it has kept it and, asked again, sends the same: only then may an error promise that.
    """

    raw: bytes
    tx_hash: str
    nonce: int
    action: str
    recorded: bool = False


@dataclass(frozen=True)
class Mined:
    """A mined transaction that succeeded; `logs` are its raw JSON-RPC logs."""

    tx_hash: str
    block: int
    gas_used: int
    contract_address: str | None
    logs: tuple[Any, ...]


class Sender:
    """Sends transactions over one web3 connection with EIP-1559 fees.

    Parameters
    ----------
    before_signing : callable, optional
        Called before every signature; raises where nothing may be signed, e.g. for contracts that are not ours.
    """

    def __init__(self, w3: Web3, before_signing: Callable[[], None] | None = None) -> None:
        self.w3 = w3
        self.before_signing = before_signing
        self.chain_id = int(w3.eth.chain_id)

    def prepare(
        self, account: Signer, action: str, to: str | None, data: bytes | str, *, value_wei: int = 0
    ) -> SignedTx:
        """Estimate, price and sign; nothing is sent.

        Raises
        ------
        ChainRefused
            If the call would revert now.
        """
        if self.before_signing is not None:
            self.before_signing()
        call: TxParams = {"from": account.address, "data": HexBytes(data), "value": Wei(value_wei)}
        if to is not None:
            call["to"] = Web3.to_checksum_address(to)
        try:
            gas = self.w3.eth.estimate_gas(call)
        except ContractLogicError as error:
            if data := revert_data(error):
                raise refusal(action, data, note=str(error)) from error
            raise self._refused(action, account.address, value_wei, str(error)) from error
        except Web3RPCError as error:
            raise self._refused(action, account.address, value_wei, _rpc_message(error)) from error
        tip, most = self._fees()
        nonce = int(self.w3.eth.get_transaction_count(account.address, "pending"))
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": self.chain_id,
            "nonce": nonce,
            "gas": int(gas) * (100 + _GAS_MARGIN_PERCENT) // 100,
            "maxFeePerGas": most,
            "maxPriorityFeePerGas": tip,
            "value": value_wei,
            "data": HexBytes(data),
        }
        if to is not None:
            transaction["to"] = Web3.to_checksum_address(to)
        return self._signed(account, transaction, action)

    def _signed(self, account: Signer, transaction: dict[str, Any], action: str) -> SignedTx:
        signed = account.sign_transaction(transaction)
        tx_hash = "0x" + bytes(signed.hash).hex()
        return SignedTx(bytes(signed.raw_transaction), tx_hash, int(transaction["nonce"]), action)

    def _fees(self) -> tuple[int, int]:
        """Tip, and the most per gas: enough for six full blocks in a row (the base fee rises by an eighth at most)."""
        tip = int(self.w3.eth.max_priority_fee)
        return tip, 2 * self._base_fee() + tip

    def _base_fee(self) -> int:
        return int(self.w3.eth.get_block("latest")["baseFeePerGas"])

    def outpriced(self, signed: SignedTx) -> bool:
        """Whether the chain's base fee has risen above what a transaction offers, so that it waits for cheaper days."""
        return int(_fields(signed)["maxFeePerGas"]) < self._base_fee()

    def reprice(self, account: Signer, signed: SignedTx) -> SignedTx:
        """The same transaction, same nonce, at today's fees; nothing is sent. Of the two the chain takes one.

        Nodes let a transaction take another's place only where both fees rise by a tenth or more; an eighth is asked here.
        """
        kept = _fields(signed)
        tip, most = self._fees()
        transaction = {
            "type": 2,
            "chainId": self.chain_id,
            "nonce": signed.nonce,
            "gas": kept["gas"],
            "maxFeePerGas": max(most, kept["maxFeePerGas"] * 9 // 8 + 1),
            "maxPriorityFeePerGas": max(tip, kept["maxPriorityFeePerGas"] * 9 // 8 + 1),
            "value": kept["value"],
            "data": HexBytes(kept["data"]),
        }
        if kept["to"]:
            transaction["to"] = Web3.to_checksum_address(HexBytes(kept["to"]))
        return self._signed(account, transaction, signed.action)

    def _refused(self, action: str, account: str, wei: int, message: str) -> ChainRefused:
        """What the node said, in words where an account cannot pay its gas."""
        if not any(word in message.lower() for word in _NO_GAS):
            return refusal(action, b"", note=message)
        found = {
            "account": account,
            "balance": _coins(int(self.w3.eth.get_balance(Web3.to_checksum_address(account)))),
            "needed": _coins(wei) if wei else "> 0",
        }
        return ChainRefused(action, "Account_GasMissing", found, note=message)

    def send(self, signed: SignedTx, *, first_time: bool = False) -> Mined:
        """Send the bytes and wait for the receipt; bytes that are already there are only waited for.

        Signatures are deterministic, so another process that asks for the same thing at the same nonce signs the same
        bytes. `first_time` says that these bytes were signed just now: if they are there already, they are another's.
        Raises
        ------
        NonceTaken
            If another transaction of the account has its nonce; this one never will be mined, or is not ours.
        ChainRefused
            If the node does not take it, or it was mined and reverted.
        ChainBusy
            If no receipt came in time.
        """
        with _advised(signed):
            try:
                self.w3.eth.send_raw_transaction(signed.raw)
            except (Web3RPCError, BadResponseFormat) as error:
                self._judge(signed, _rpc_message(error), first_time, error)
        return self.wait(signed)

    def _judge(self, signed: SignedTx, message: str, first_time: bool, error: Exception) -> None:
        """Raise what a node's no to a transaction means; nothing where the node has these bytes already."""
        if not any(word in message.lower() for word in _ALREADY_THERE):
            fields = _fields(signed)
            wei = fields["value"] + fields["gas"] * fields["maxFeePerGas"]
            sender = str(Account.recover_transaction(HexBytes(signed.raw)))
            raise self._refused(signed.action, sender, wei, message) from error
        if first_time or ("nonce" in message.lower() and self._receipt(signed.tx_hash) is None):
            raise NonceTaken(signed.action, "", {}, note=message) from error

    def wait(self, signed: SignedTx) -> Mined:
        """Wait for the receipt of a transaction that was sent; one that the nodes have dropped is offered again.

        Raises
        ------
        NonceTaken
            If another transaction of the account was mined in its place.
        ChainRefused
            If it was mined and reverted.
        ChainBusy
            If no receipt came in time.
        """
        with _advised(signed):
            return self._wait(signed)

    def _wait(self, signed: SignedTx) -> Mined:
        until = time.monotonic() + RECEIPT_TIMEOUT_S
        resend_at, poll_s = time.monotonic() + RESEND_S, _POLL_S
        passed_since: float | None = None
        while (receipt := self._receipt(signed.tx_hash)) is None:
            now = time.monotonic()
            if now > until:
                raise _busy(signed)
            if not self._turn_has_passed(signed):
                passed_since = None
            elif passed_since is None:
                passed_since = now
            elif now - passed_since > _PASSED_S:
                raise NonceTaken(signed.action, "", {}, note="another transaction took its place")
            if now > resend_at:
                self._offer_again(signed)
                resend_at = now + RESEND_S
            time.sleep(poll_s)
            poll_s = min(_POLL_MOST_S, poll_s * 1.2)
        if receipt["status"] != 1:
            raise self._why_reverted(signed, int(receipt["blockNumber"]))
        return _mined(receipt)

    def _turn_has_passed(self, signed: SignedTx) -> bool:
        account = Account.recover_transaction(HexBytes(signed.raw))
        return int(self.w3.eth.get_transaction_count(account, "latest")) > signed.nonce

    def _offer_again(self, signed: SignedTx) -> None:
        try:
            self.w3.eth.send_raw_transaction(signed.raw)
        except (Web3RPCError, BadResponseFormat):
            # Most nodes still have it and say so; whatever they say, only a receipt or the account's count decides.
            return

    def _receipt(self, tx_hash: str) -> Any | None:
        try:
            return self.w3.eth.get_transaction_receipt(HexBytes(tx_hash))
        except TransactionNotFound:
            return None

    def transact(
        self, account: Signer, action: str, to: str | None, data: bytes | str, *, repeatable: bool = False
    ) -> Mined:
        """Prepare and send in one go; signed anew where another transaction of the account took the nonce.

        `repeatable` says that the caller looks at the chain before it asks again, and that twice would do no more than once.
        """

        def signed() -> SignedTx:
            return replace(self.prepare(account, action, to, data), recorded=repeatable)

        for _ in range(_NONCE_TRIES - 1):
            try:
                return self.send(signed(), first_time=True)
            except NonceTaken:
                continue
        return self.send(signed(), first_time=True)

    def pay(self, account: Signer, to: str, wei: int) -> Mined:
        """Send the chain's own coin, for gas."""
        return self.send(self.prepare(account, "pay", to, b"", value_wei=wei))

    def receipt(self, tx_hash: str) -> Mined | None:
        """The receipt of a transaction that succeeded; None if it is unknown, pending or reverted."""
        receipt = self._receipt(tx_hash)
        return _mined(receipt) if receipt is not None and receipt["status"] == 1 else None

    def _why_reverted(self, signed: SignedTx, block: int) -> Exception:
        # The reason is not kept on chain. The same call on the state before the block tells it, or on the state after it where
        # an earlier transaction of the same block was the reason.
        sent = self.w3.eth.get_transaction(HexBytes(signed.tx_hash))
        call: TxParams = {"from": sent["from"], "data": sent["input"], "gas": sent["gas"]}
        if sent.get("to"):
            call["to"] = sent["to"]
        for state in (max(0, block - 1), block):
            try:
                self.w3.eth.call(call, state)
            except ContractLogicError as error:
                return refusal(signed.action, revert_data(error), note=str(error), tx_hash=signed.tx_hash)
        return refusal(signed.action, b"", note="reverted in its block", tx_hash=signed.tx_hash)


def _fields(signed: SignedTx) -> dict[str, Any]:
    return TypedTransaction.from_bytes(HexBytes(signed.raw)).as_dict()


def _advice(signed: SignedTx) -> tuple[str, str]:
    if signed.recorded:
        return (
            "Run the same command again later: it will not be sent twice.",
            "後で同じ操作をもう一度実行してください。二重には送られません。",
        )
    return (
        f"Nothing keeps a record of it here: look at transaction {signed.tx_hash} first, and run the same command again only if it "
        "is not mined.",
        f"ここには記録が残りません。まず取引 {signed.tx_hash} を確認し、確定していない場合にだけ同じ操作を実行してください。",
    )


@contextmanager
def _advised(signed: SignedTx) -> Iterator[None]:
    """A node that went away after the transaction was offered: what that means for it, and what to do."""
    try:
        yield
    except ChainUnavailable as error:
        en, ja = _advice(signed)
        raise ChainUnavailable(
            en=f"{error.en} The transaction {signed.tx_hash} ('{signed.action}') may have arrived. {en}",
            ja=f"{error.ja}取引 {signed.tx_hash}（'{signed.action}'）は届いている可能性があります。{ja}",
        ) from error


def _coins(wei: int) -> str:
    whole, rest = divmod(wei, _WEI)
    return re.sub(r"\.?0+$", "", f"{whole}.{rest:018d}")


def _busy(signed: SignedTx) -> ChainBusy:
    en, ja = _advice(signed)
    return ChainBusy(
        en=f"'{signed.action}' was sent as {signed.tx_hash} and is not mined after {RECEIPT_TIMEOUT_S} s. {en}",
        ja=f"'{signed.action}' を {signed.tx_hash} として送りましたが、{RECEIPT_TIMEOUT_S} 秒たっても確定していません。{ja}",
    )


def _mined(receipt: Any) -> Mined:
    logs: Sequence[Any] = receipt["logs"]
    return Mined(
        tx_hash="0x" + bytes(receipt["transactionHash"]).hex(),
        block=int(receipt["blockNumber"]),
        gas_used=int(receipt["gasUsed"]),
        contract_address=receipt.get("contractAddress"),
        logs=tuple(logs),
    )


def revert_data(error: ContractLogicError) -> bytes:
    """Revert data of a web3 error; empty if it carries none."""
    data = error.data
    if isinstance(data, dict):
        data = data.get("data")
    return bytes.fromhex(data[2:]) if isinstance(data, str) and data.startswith("0x") else b""


def _rpc_message(error: Exception) -> str:
    response = getattr(error, "rpc_response", None)
    if isinstance(response, dict) and isinstance(response.get("error"), dict):
        return str(response["error"].get("message", error))
    return str(error)
