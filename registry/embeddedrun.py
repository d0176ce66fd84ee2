"""Running one message on a state of the embedded chain: for an answer, or to learn the gas it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eth.abc import ComputationAPI, StateAPI
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.exceptions import Revert, VMError
from eth.vm.forks.cancun import CancunVM
from eth.vm.message import Message
from eth.vm.spoof import SpoofTransaction
from eth_typing import Address
from eth_utils.exceptions import ValidationError

from registry.evmdocs import Transaction

BLOCK_GAS_LIMIT = 30_000_000
_ZERO_ADDRESS = b"\x00" * 20


class ExecutionFailed(ValueError):
    """A call ended without a result; `data` holds the revert data, empty for other halts."""

    def __init__(self, message: str, data: bytes) -> None:
        super().__init__(message)
        self.data = data


@dataclass(frozen=True)
class Call:
    """A message to simulate. `to` None creates a contract; `value` in wei."""

    to: bytes | None
    data: bytes = b""
    sender: bytes = _ZERO_ADDRESS
    value: int = 0
    gas: int | None = None


def run_message(state: StateAPI, call: Call) -> ComputationAPI:
    """Run a message; its gas is at most a block's."""
    context = state.get_transaction_context_class()(gas_price=0, origin=Address(call.sender))
    gas = BLOCK_GAS_LIMIT if call.gas is None else min(call.gas, BLOCK_GAS_LIMIT)
    if call.to is None:
        message = Message(
            gas=gas,
            to=CREATE_CONTRACT_ADDRESS,
            sender=Address(call.sender),
            value=call.value,
            data=b"",
            code=call.data,
            create_address=Address(b"\xff" * 20),
        )
        return state.computation_class.apply_create_message(state, message, context)
    message = Message(
        gas=gas,
        to=Address(call.to),
        sender=Address(call.sender),
        value=call.value,
        data=call.data,
        code=state.get_code(Address(call.to)),
    )
    return state.computation_class.apply_message(state, message, context)


def run_spoofed(state: StateAPI, call: Call, gas: int) -> ComputationAPI:
    """Run a message as a transaction with that gas limit, which nobody signed."""
    builder: Any = CancunVM.get_transaction_builder()
    unsigned = builder.new_unsigned_dynamic_fee_transaction(
        chain_id=state.execution_context.chain_id,
        nonce=state.get_nonce(Address(call.sender)),
        max_priority_fee_per_gas=0,
        max_fee_per_gas=0,
        gas=gas,
        to=Address(call.to) if call.to is not None else b"",
        value=call.value,
        data=call.data,
        access_list=(),
    )
    snapshot = state.snapshot()
    try:
        spoofed: Transaction = SpoofTransaction(unsigned, from_=call.sender)
        return state.apply_transaction(spoofed)
    except (ValidationError, VMError) as error:
        # What ends it before any code runs: money it does not have, or creation code beyond the limit.
        raise ExecutionFailed(f"{type(error).__name__}: {error}", b"") from error
    finally:
        state.revert(snapshot)


def depth(computation: ComputationAPI) -> int:
    """How many calls lie inside each other."""
    return 1 + max((depth(child) for child in computation.children), default=0)


def raise_if_failed(computation: ComputationAPI) -> None:
    """Raise `ExecutionFailed` for a message that ended without a result."""
    if not computation.is_error:
        return
    if isinstance(computation.error, Revert):
        raise ExecutionFailed("execution reverted", bytes(computation.output))
    raise ExecutionFailed(f"{type(computation.error).__name__}: {computation.error}", b"")
