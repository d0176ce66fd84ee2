"""Doing a thing once however often it is asked for, where the contract itself would do it every time.

What is to be done is recorded under a key of its own words, the signed transaction before it is sent; asked for again,
the recorded bytes are looked for on the chain, and sent again as long as they may still be mined. New bytes are signed
only when those on record never can be: their turn has passed, as deep as the port's confirmations ask.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from models.errors import SatoyamaError
from mrv.blob import digest_doc
from registry.portbase import PortBase
from registry.ports import OutboxEntry
from registry.sender import ChainBusy, Mined, NonceTaken, Sender, SignedTx
from registry.signer import Signer

_TRIES = 8
# A node may count a mined transaction a moment before it finds the receipt.
_RECEIPT_LAG_S = 1.0


class ActionLog(Protocol):
    """Durable record of what was asked for; each method has committed when it returns."""

    def put_plan(self, batch_id: str, plan: dict[str, Any]) -> OutboxEntry:
        """Record the plan, or give back the entry already there under this key, unchanged."""
        ...

    def take(self, batch_id: str, before: str | None, tx_hash: str, raw_tx: str) -> OutboxEntry:
        """Record signed bytes, if those on record are still `before`; what is on record then."""
        ...

    def mark_mined(self, batch_id: str, receipt: dict[str, Any]) -> None:
        """Record that it is done."""
        ...


@dataclass(frozen=True)
class Action:
    """One thing asked for, once.

    Parameters
    ----------
    function : str
        Of the contract; the transaction that calls it is the one recorded.
    chain_id : int
    registry : str
        Which deployment it is for.
    account : str
        Who does it.
    arguments : mapping
        What the person asked for, in plain values. The same again is the same action.
    reference : str
        A word that tells a deliberate second one from the first; empty for the first.
    """

    function: str
    chain_id: int
    registry: str
    account: str
    arguments: Mapping[str, Any]
    reference: str = ""

    def to_doc(self) -> dict[str, Any]:
        """Plain document, shown and recorded; whole numbers as text, since JSON has none beyond 2**53."""
        return {
            "function": self.function,
            "chain_id": self.chain_id,
            "registry": self.registry,
            "account": self.account,
            "arguments": {name: None if v is None else str(v) for name, v in self.arguments.items()},
            "reference": self.reference,
        }

    @property
    def key(self) -> str:
        """Digest of the document: the same asked for twice has the same."""
        return digest_doc(self.to_doc())


@dataclass(frozen=True)
class Performed:
    """A transaction that carried an action out. `sent_now` tells whether this run signed it."""

    mined: Mined
    sent_now: bool


class NotInTurn(SatoyamaError):
    """A recorded transaction waits behind one that the nodes have lost."""


def perform(
    port: PortBase, log: ActionLog, action: Action, account: Signer, act: Callable[[PortBase], object]
) -> Performed:
    """Carry an action out, or find that it was.

    Parameters
    ----------
    act : callable
        Called with a port that records the action's transaction, where nothing on record has been or can be mined. What it
        sends before (an allowance) must not matter when it is sent twice.

    Raises
    ------
    ChainRefused
        If the chain says no; nothing was sent then, or it was sent and did nothing.
    ChainBusy
        If what was sent before is neither mined nor passed over for good.
    """
    entry = log.put_plan(action.key, action.to_doc())
    done = _resume(port, log, action, account, entry)
    if done is not None:
        return Performed(done, sent_now=False)
    found: list[Performed] = []

    def send(signer: Signer, prepare: Callable[[], SignedTx]) -> Mined:
        found.append(_send(port, log, action, signer, prepare))
        return found[0].mined

    act(port.recording(action.function, send))
    if len(found) != 1:
        raise LookupError(f"expected one transaction of {action.function}, {len(found)} were sent")
    return found[0]


def on_chain(sender: Sender, entry: OutboxEntry) -> bool:
    """Whether a transaction that was recorded for an action is on the chain, and succeeded."""
    return any(sender.receipt(one.tx_hash) is not None for one in _recorded(entry, ""))


def _send(
    port: PortBase, log: ActionLog, action: Action, account: Signer, prepare: Callable[[], SignedTx]
) -> Performed:
    for _ in range(_TRIES):
        entry = log.put_plan(action.key, action.to_doc())
        done = _resume(port, log, action, account, entry)
        if done is not None:
            return Performed(done, sent_now=False)  # by another run meanwhile
        signed = prepare()
        if log.take(action.key, entry.raw_tx, signed.tx_hash, _hex(signed)).raw_tx != _hex(signed):
            continue  # another run was first; its bytes count
        try:
            mined = port.sender.send(replace(signed, recorded=True))
            return Performed(_mined(port, log, action, mined), sent_now=True)
        except NonceTaken:
            continue
    raise _busy(action)


def _resume(
    port: PortBase, log: ActionLog, action: Action, account: Signer, entry: OutboxEntry
) -> Mined | None:
    """What became of the bytes on record, sent again while they may be mined; None where there are none that can be."""
    signed = _recorded(entry, action.function)
    if not signed:
        return None
    if (found := _receipt(port, signed)) is not None:
        return _mined(port, log, action, found)
    if _passed(port, account, signed[-1], port.final_block()):
        time.sleep(_RECEIPT_LAG_S)
        found = _receipt(port, signed)
        return None if found is None else _mined(port, log, action, found)
    if _passed(port, account, signed[-1], "latest"):
        raise _busy(action)
    if signed[-1].nonce > _count(port, account, "pending"):
        raise _not_in_turn(action, signed[-1])
    last = signed[-1]
    if port.sender.outpriced(last):
        last = port.sender.reprice(account, last)
        kept = log.take(action.key, entry.raw_tx, last.tx_hash, f"{entry.raw_tx} {_hex(last)}")
        if kept.raw_tx is None or not kept.raw_tx.endswith(_hex(last)):
            raise _busy(action)
        signed = [*signed, last]
    try:
        return _mined(port, log, action, port.sender.send(replace(last, recorded=True)))
    except NonceTaken:
        if (found := _receipt(port, signed)) is not None:
            return _mined(port, log, action, found)
        raise _busy(action) from None


def _mined(port: PortBase, log: ActionLog, action: Action, mined: Mined) -> Mined:
    if mined.block <= port.final_block():
        log.mark_mined(action.key, {"tx_hash": mined.tx_hash, "block": mined.block})
    return mined


def _receipt(port: PortBase, signed: Sequence[SignedTx]) -> Mined | None:
    found = (port.sender.receipt(one.tx_hash) for one in signed)
    return next((mined for mined in found if mined is not None), None)


def _passed(port: PortBase, account: Signer, signed: SignedTx, block: int | str) -> bool:
    return block != -1 and _count(port, account, block) > signed.nonce


def _count(port: PortBase, account: Signer, block: int | str) -> int:
    tag: Any = block
    return int(port.w3.eth.get_transaction_count(to_checksum_address(account.address), tag))


def _hex(signed: SignedTx) -> str:
    return "0x" + signed.raw.hex()


def _recorded(entry: OutboxEntry, function: str) -> list[SignedTx]:
    """Every version that was signed for one turn of the account: the same call at other fees."""
    found = []
    for text in (entry.raw_tx or "").split():
        typed = TypedTransaction.from_bytes(HexBytes(text))
        nonce = int(typed.as_dict()["nonce"])
        raw = bytes(HexBytes(text))
        found.append(SignedTx(raw, "0x" + keccak(raw).hex(), nonce, function))
    return found


def _busy(action: Action) -> ChainBusy:
    return ChainBusy(
        en=f"'{action.function}' was signed before and its turn is being decided right now. Run the same command again in a "
        "moment: it will not be done twice.",
        ja=f"'{action.function}' は署名済みで、いま確定を待っています。少し後で同じ操作を実行してください。二重には行われません。",
    )


def _not_in_turn(action: Action, signed: SignedTx) -> NotInTurn:
    return NotInTurn(
        en=f"'{action.function}' was signed as transaction {signed.tx_hash} (number {signed.nonce} of {action.account}) and waits "
        "behind an earlier one of that account that the node no longer has. Do anything else from that account first, then "
        "run this again.",
        ja=f"'{action.function}' は取引 {signed.tx_hash}（{action.account} の {signed.nonce} 番）として署名済みですが、"
        "同じアカウントの前の取引がノードにありません。そのアカウントで別の操作を行ってから、もう一度実行してください。",
    )
