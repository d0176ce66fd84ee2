"""Issuing a batch exactly once: the plan as data, and the thin shell that carries it out.

The plan is recorded before anything is done, the signed transaction before it is sent, and the chain is asked before
anything is sent again. Killed anywhere, a rerun mints exactly once; and were two runs to race, the contract refuses
the second batch of the same id. A batch is recorded as mined when it lies as deep as the port's confirmations ask; one
that a reorganised chain has dropped is sent again, the same bytes while their turn has not passed.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from models.errors import SatoyamaError
from registry.claimstruct import ClaimStruct
from registry.events import BatchIssued
from registry.port import ChainPort
from registry.ports import Outbox, OutboxEntry
from registry.refusals import ChainRefused
from registry.sender import ChainBusy, NonceTaken, SignedTx
from registry.signer import Signer

# A receipt younger than this is looked at again when a program starts; no chain in use reorganises deeper.
REORG_HORIZON_BLOCKS = 64
FINAL_TIMEOUT_S = 900.0
_FINAL_POLL_S = 1.0
_SIGNING_TRIES = 4


class IssuanceConflict(SatoyamaError):
    """What is to be issued differs from what is recorded or on the chain under the same batch id."""


@dataclass(frozen=True)
class IssuancePlan:
    """All that is needed to issue one batch, signed by the verifier.

    Parameters
    ----------
    chain_id : int
    registry : str
        Address of the registry the signature is for.
    claim : ClaimStruct
    verifier, issuer : str
        Checksum addresses; two different accounts.
    signature : bytes
        The verifier's, over the claim for this chain and registry.
    """

    chain_id: int
    registry: str
    claim: ClaimStruct
    verifier: str
    issuer: str
    signature: bytes

    @property
    def batch_id(self) -> str:
        """``0x`` and 64 hex digits; the same for the same project, method and period on every chain."""
        return "0x" + self.claim.batch_id.hex()

    def to_doc(self) -> dict[str, Any]:
        """Plain document, to print, record and send."""
        return {
            "chain_id": self.chain_id,
            "registry": self.registry,
            "claim": self.claim.to_doc(),
            "verifier": self.verifier,
            "issuer": self.issuer,
            "signature": "0x" + self.signature.hex(),
        }

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        """Inverse of `to_doc`."""
        signature = bytes(HexBytes(doc["signature"]))
        return cls(**{**doc, "claim": ClaimStruct.from_doc(doc["claim"]), "signature": signature})


@dataclass(frozen=True)
class Issued:
    """A batch on the chain. `sent_now` tells whether this run sent the transaction."""

    event: BatchIssued
    sent_now: bool

    def to_doc(self) -> dict[str, Any]:
        """The receipt as the outbox records it."""
        return {
            "tx_hash": self.event.tx_hash,
            "block": self.event.block,
            "block_time": self.event.block_time,
            "token_id": f"0x{self.event.id:064x}",
        }


def next_nonce(
    port: ChainPort, verifier: str, *, reserved: Collection[int] = (), kept: int | None = None
) -> int:
    """The nonce to sign a verifier's next claim with: counted, so that 256 of them share a storage word of the registry.

    It is read when a claim is signed and kept with the approval: the same batch signed again takes the same nonce
    (`kept`), hence of two signatures over one batch the chain takes at most one. Nonces that approvals still to be issued
    hold are `reserved`.

    Returns
    -------
    int
        `kept` if the chain has not seen it; else an unused nonce right above used ones, found in O(log n) reads.
    """
    if kept is not None and not port.nonce_used(verifier, kept):
        return kept
    used, unused = -1, 0
    while port.nonce_used(verifier, unused):
        used, unused = unused, 2 * unused + 1
    while unused - used > 1:
        middle = (used + unused) // 2
        used, unused = (middle, unused) if port.nonce_used(verifier, middle) else (used, middle)
    while unused in reserved or port.nonce_used(verifier, unused):
        unused += 1
    return unused


def make_plan(
    port: ChainPort, claim: ClaimStruct, *, verifier: str, signature: bytes, issuer: str
) -> IssuancePlan:
    """Plan of one batch; nothing is recorded or sent.

    Raises
    ------
    IssuanceConflict
        If verifier and issuer are one account.
    """
    if verifier.lower() == issuer.lower():
        raise IssuanceConflict(
            en=f"The verifier and the issuer are the same account, {issuer}. They must be two.",
            ja=f"検証者と発行者が同じアカウント {issuer} です。別々でなければなりません。",
        )
    return IssuancePlan(port.chain_id, port.deployment.registry, claim, verifier, issuer, signature)


def execute(plan: IssuancePlan, port: ChainPort, outbox: Outbox, issuer: Signer) -> Issued:
    """Carry out a plan, or finish one that was begun; run it again as often as needed.

    A plan recorded earlier for the same batch and content goes before the one given while its transaction may be on its
    way. One whose transaction was never signed, or can no longer be mined, gives way to the one given.

    Raises
    ------
    IssuanceConflict
        If other content is on the chain or on its way under this batch id, or the plan is for another chain or issuer.
    ChainRefused
        If the chain refuses the claim; the plan stays recorded.
    """
    _check_here(plan, port, issuer)
    entry = outbox.put_plan(plan.batch_id, plan.to_doc())
    done = _on_chain(plan, port)
    if done is None:
        if entry.state == "mined":
            entry = outbox.reopen(plan.batch_id)
        entry = _current(entry, plan, port, outbox, issuer)
        done = _finish(IssuancePlan.from_doc(entry.plan), entry, port, outbox, issuer)
    done = _when_final(plan, done, port, outbox, issuer)
    outbox.mark_mined(plan.batch_id, done.to_doc())
    return done


def _current(
    entry: OutboxEntry, plan: IssuancePlan, port: ChainPort, outbox: Outbox, issuer: Signer
) -> OutboxEntry:
    recorded = IssuancePlan.from_doc(entry.plan)
    if recorded == plan:
        return entry
    signed = _recorded_tx(entry)
    if signed is None or _turn_has_passed(signed, port, issuer):
        outbox.withdraw(plan.batch_id)
        return outbox.put_plan(plan.batch_id, plan.to_doc())
    _check_here(recorded, port, issuer)
    _check_same(plan, recorded)
    return entry


def to_finish(port: ChainPort, outbox: Outbox, issuer: Signer) -> list[IssuancePlan]:
    """Plans of this chain and issuer that are not mined, or were and are no longer on the chain (reorganised, restored)."""
    entries = list(outbox.pending())
    for entry in outbox.mined_since(port.head()[0] - REORG_HORIZON_BLOCKS):
        if _is_for(entry, port, issuer) and port.batch(bytes(HexBytes(entry.batch_id))) is None:
            entries.append(entry)
    return [IssuancePlan.from_doc(entry.plan) for entry in entries if _is_for(entry, port, issuer)]


def _is_for(entry: OutboxEntry, port: ChainPort, issuer: Signer) -> bool:
    planned = (entry.plan["chain_id"], entry.plan["registry"], entry.plan["issuer"])
    return planned == (port.chain_id, port.deployment.registry, issuer.address)


def reconcile(port: ChainPort, outbox: Outbox, issuer: Signer) -> list[Issued]:
    """Finish what was begun on this chain; called when a program starts."""
    return [execute(plan, port, outbox, issuer) for plan in to_finish(port, outbox, issuer)]


def _finish(
    plan: IssuancePlan, entry: OutboxEntry, port: ChainPort, outbox: Outbox, issuer: Signer
) -> Issued:
    signed = _recorded_tx(entry)
    if signed is not None and not _may_be_sent(signed, port, issuer):
        signed = None
    elif signed is not None and port.sender.outpriced(signed):
        signed = port.sender.reprice(issuer, signed)
        outbox.mark_sent(plan.batch_id, signed.tx_hash, "0x" + signed.raw.hex())
    for tries_left in reversed(range(_SIGNING_TRIES)):
        try:
            if signed is None:
                signed = port.prepare_issue(issuer, plan.claim, plan.verifier, plan.signature)
                outbox.mark_sent(plan.batch_id, signed.tx_hash, "0x" + signed.raw.hex())
            port.send_signed(replace(signed, recorded=True))
            break
        except ChainRefused as refused:
            # Another run may have issued the batch in between; only then is the refusal none.
            done = _on_chain(plan, port)
            if done is not None:
                return done
            if not isinstance(refused, NonceTaken) or not tries_left:
                raise
            signed = None  # another transaction took its place, so these bytes can never be mined
    done = _on_chain(plan, port)
    if done is None:
        raise IssuanceConflict(
            en=f"The issue of batch {plan.batch_id} was mined, but the chain does not show it. "
            "The node may have dropped a block; run again.",
            ja=f"バッチ {plan.batch_id} の発行は確定しましたが、チェーンに見当たりません。もう一度実行してください。",
        )
    return Issued(done.event, sent_now=True)


def _when_final(plan: IssuancePlan, done: Issued, port: ChainPort, outbox: Outbox, issuer: Signer) -> Issued:
    """Wait until the batch is deep enough, sending it again if a reorganisation drops it."""
    until = time.monotonic() + FINAL_TIMEOUT_S
    while done.event.block > port.final_block():
        if time.monotonic() > until:
            raise _not_final(plan, done, port)
        time.sleep(_FINAL_POLL_S)
        found = _on_chain(plan, port)
        if found is None:
            entry = outbox.put_plan(plan.batch_id, plan.to_doc())
            found = _finish(IssuancePlan.from_doc(entry.plan), entry, port, outbox, issuer)
        done = Issued(found.event, sent_now=done.sent_now or found.sent_now)
    return done


def _not_final(plan: IssuancePlan, done: Issued, port: ChainPort) -> ChainBusy:
    depth, wanted = port.head()[0] + 1 - done.event.block, port.confirmations
    return ChainBusy(
        en=f"Batch {plan.batch_id} is on the chain in block {done.event.block}, {depth} of {wanted} blocks deep. "
        "Run the same command again later: nothing is sent twice.",
        ja=f"バッチ {plan.batch_id} はブロック {done.event.block} にありますが、確認は {wanted} ブロック中 {depth} です。"
        "後で同じ操作をもう一度実行してください。二重には送られません。",
    )


def _on_chain(plan: IssuancePlan, port: ChainPort) -> Issued | None:
    event = port.issued(plan.claim.batch_id)
    if event is None:
        return None
    if event.content_root != plan.claim.content_root:
        raise IssuanceConflict(
            en=f"Batch {plan.batch_id} is on the chain with content root 0x{event.content_root.hex()}, "
            f"the plan has 0x{plan.claim.content_root.hex()}. The same period cannot be issued twice.",
            ja=f"バッチ {plan.batch_id} は内容 0x{event.content_root.hex()} でチェーンにあり、"
            f"計画の内容は 0x{plan.claim.content_root.hex()} です。同じ期間を二度発行することはできません。",
        )
    return Issued(event, sent_now=False)


def _recorded_tx(entry: OutboxEntry) -> SignedTx | None:
    if entry.raw_tx is None or entry.tx_hash is None:
        return None
    raw = HexBytes(entry.raw_tx)
    fields = TypedTransaction.from_bytes(raw).as_dict()
    return SignedTx(bytes(raw), entry.tx_hash, int(fields["nonce"]), "issue")


def _turn_has_passed(signed: SignedTx, port: ChainPort, issuer: Signer) -> bool:
    # Counted on the newest block, not on pending ones: the recorded bytes themselves may be pending.
    assert Account.recover_transaction(HexBytes(signed.raw)) == issuer.address
    return int(port.w3.eth.get_transaction_count(issuer.address, "latest")) > signed.nonce


def _may_be_sent(signed: SignedTx, port: ChainPort, issuer: Signer) -> bool:
    """Whether these bytes are next in turn, or behind others that wait: behind a gap they would wait for ever."""
    if _turn_has_passed(signed, port, issuer):
        return False
    return signed.nonce <= int(port.w3.eth.get_transaction_count(issuer.address, "pending"))


def _check_same(plan: IssuancePlan, recorded: IssuancePlan) -> None:
    if plan.claim.content_root != recorded.claim.content_root:
        raise IssuanceConflict(
            en=f"Batch {plan.batch_id} is on its way with content root 0x{recorded.claim.content_root.hex()}, "
            f"the plan given has 0x{plan.claim.content_root.hex()}. Finish the recorded one first (reconcile).",
            ja=f"バッチ {plan.batch_id} は内容 0x{recorded.claim.content_root.hex()} で発行手続き中ですが、"
            f"渡された計画の内容は 0x{plan.claim.content_root.hex()} です。先に記録済みの発行を完了してください(reconcile)。",
        )


def _check_here(plan: IssuancePlan, port: ChainPort, issuer: Signer) -> None:
    planned = (plan.chain_id, plan.registry, plan.issuer)
    here = (port.chain_id, port.deployment.registry, issuer.address)
    if planned != here:
        raise IssuanceConflict(
            en=f"The plan is for (chain, registry, issuer) {planned}, this is {here}.",
            ja=f"計画の(チェーン, 登録簿, 発行者)は {planned} ですが、ここは {here} です。",
        )
