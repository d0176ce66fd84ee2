"""The buffer of a project's batches: what it holds, what may be released, and how a deficit is made smaller."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

from flows.settings import Workspace
from flows.work import chainroom
from flows.work.disputes import batch_key, issued_batch
from models.errors import SatoyamaError
from registry.claimstruct import project_key
from registry.court_events import BatchImported, BufferReleased, DeficitRefilled
from registry.events import BatchIssued
from registry.moving import ReleaseOrder
from registry.port import ChainPort
from registry.refusals import ChainRefused

SIGNATURE_LIFE_S = 30 * 86_400


class OrderUnreadable(SatoyamaError):
    """A release order is not one that a verifier wrote."""


@dataclass(frozen=True)
class BufferLine:
    """Buffer of one batch, kilograms; `releasable_kg` by the schedule, now."""

    id: int
    period_end: int
    held_kg: int
    burned_kg: int
    released_kg: int
    releasable_kg: int


@dataclass(frozen=True)
class BufferStatus:
    """Buffer of a project and its public deficit, kilograms."""

    deficit_kg: int
    batches: tuple[BufferLine, ...]


@dataclass(frozen=True)
class SignedRelease:
    """A release order with a verifier's signature, as it goes to the guardian."""

    order: ReleaseOrder
    signature: bytes

    def to_doc(self) -> dict[str, object]:
        """Plain document; the token id as text, since it has 256 bits."""
        order = asdict(self.order)
        return {
            **order,
            "id": f"0x{self.order.id:064x}",
            "nonce": f"0x{self.order.nonce:064x}",
            "signature": "0x" + self.signature.hex(),
        }

    @classmethod
    def from_doc(cls, doc: dict[str, object]) -> SignedRelease:
        """Inverse of `to_doc`.

        Raises
        ------
        OrderUnreadable
            If a field is missing or is not what it should be.
        """
        try:
            order = ReleaseOrder(
                id=int(str(doc["id"]), 16),
                kg=int(str(doc["kg"])),
                to=str(doc["to"]),
                verifier=str(doc["verifier"]),
                nonce=int(str(doc["nonce"]), 16),
                deadline=int(str(doc["deadline"])),
            )
            return cls(order, bytes.fromhex(str(doc["signature"]).removeprefix("0x")))
        except (KeyError, ValueError) as error:
            raise OrderUnreadable(
                en=f"This is no release order ({error}). Ask the verifier to run: satoyama buffer sign",
                ja=f"解放の指図書ではありません（{error}）。検証者に satoyama buffer sign を依頼してください。",
            ) from error


def buffer_status(ws: Workspace, project_id: str) -> BufferStatus:
    """What every batch of a project keeps in the buffer, and what the project owes."""
    port, key = chainroom.open_port(ws), project_key(project_id)
    info = port.project(key)
    ids = {
        e.id: None
        for e in port.events()
        if isinstance(e, BatchIssued | BatchImported) and e.project_id == key
    }
    return BufferStatus(0 if info is None else info.deficit_kg, tuple(_line(port, one) for one in ids))


def _line(port: ChainPort, token_id: int) -> BufferLine:
    batch, state = port.batch_of(token_id), port.batch_state(token_id)
    assert batch is not None, "its issue was read from the chain"
    return BufferLine(
        token_id,
        batch.period_end,
        batch.buffer_kg,
        batch.buffer_burned_kg,
        state.buffer_out_kg,
        port.releasable(token_id),
    )


def refill_deficit(
    ws: Workspace, project_id: str, claim_or_batch_id: str, kg: int | None = None, role: str = "seller"
) -> DeficitRefilled | None:
    """Give credits of a batch (of any project) to make a project's deficit smaller; None where there is no deficit.

    Parameters
    ----------
    kg : int, optional
        The whole deficit by default, which may be run again; a stated amount is given each time (`flows.work.once` gives it once).
    """
    port, key = chainroom.open_port(ws), project_key(project_id)
    holder = chainroom.accounts(ws).load(role)
    info = port.project(key)
    if info is None or info.deficit_kg == 0:
        return None
    batch = issued_batch(port, batch_key(ws, claim_or_batch_id))
    most = min(info.deficit_kg, port.balance(holder.address, batch.id))
    return port.refill(holder, key, batch.id, most if kg is None else kg)


def sign_release(
    ws: Workspace, claim_or_batch_id: str, kg: int, to: str, role: str = "verifier"
) -> SignedRelease:
    """A verifier signs that so much of a batch's buffer may be given out; a guardian carries it out, once."""
    port, verifier = chainroom.open_port(ws), chainroom.accounts(ws).load(role)
    batch = issued_batch(port, batch_key(ws, claim_or_batch_id))
    receiver = chainroom.checksum(to)
    out = port.batch_state(batch.id).buffer_out_kg
    order = ReleaseOrder(
        id=batch.id,
        kg=kg,
        to=receiver,
        verifier=verifier.address,
        nonce=_nonce(batch.id, kg, receiver, out),
        deadline=port.head()[1] + SIGNATURE_LIFE_S,
    )
    return SignedRelease(order, port.sign_release(verifier, order))


def _nonce(token_id: int, kg: int, to: str, out_kg: int) -> int:
    # Of the upper half, far from the counted nonces of claims; the same release asked for twice has the same.
    text = f"release {token_id:x} {kg} {to} {out_kg}"
    return 1 << 255 | int.from_bytes(hashlib.sha256(text.encode()).digest()) >> 1


def release_buffer(ws: Workspace, signed: SignedRelease, role: str = "guardian") -> BufferReleased:
    """Carry out a signed release; one that was carried out before is given back as it happened."""
    port, order = chainroom.open_port(ws), signed.order
    guardian = chainroom.accounts(ws).load(role)
    try:
        return port.release(guardian, order, signed.signature)
    except ChainRefused as refused:
        # Done before, the schedule may have no more to give, and its refusal then comes first.
        if not port.nonce_used(order.verifier, order.nonce):
            raise
        done = [e for e in port.events() if isinstance(e, BufferReleased)]
        known = [
            e
            for e in done
            if (e.id, e.kg, e.to, e.verifier) == (order.id, order.kg, order.to, order.verifier)
        ]
        if not known:
            raise refused
        return known[-1]
