"""What every way of acting on the contracts shares: the connection, the sender, and the events of one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, Self, TypeVar

from web3 import Web3

from models.errors import SatoyamaError
from registry.abi import encode_call
from registry.deploy import Deployment
from registry.events import Event, decode_event
from registry.sender import Mined, Sender, SignedTx
from registry.signer import Signer
from registry.views import ChainViews

E = TypeVar("E", bound=Event)


class PortError(SatoyamaError):
    """A call that the port refuses before it asks the chain."""


class PortBase(ChainViews):
    """The deployed contracts over one web3 connection, with a sender.

    Parameters
    ----------
    confirmations : int
        Blocks, its own included, after which a transaction counts as final (`registry.chain.ChainConfig`).
    """

    def __init__(self, w3: Web3, deployment: Deployment, *, confirmations: int = 1) -> None:
        super().__init__(w3, deployment)
        self.confirmations = confirmations
        self.sender = Sender(w3)
        self._recorded: tuple[str, Callable[[Signer, Callable[[], SignedTx]], Mined]] | None = None
        if self.sender.chain_id != deployment.chain_id:
            raise PortError(
                en=f"The contracts are on chain {deployment.chain_id}, the connection is to chain "
                f"{self.sender.chain_id}. Correct the chain's address.",
                ja=f"契約はチェーン {deployment.chain_id} にありますが、接続先は {self.sender.chain_id} です。接続先を直してください。",
            )

    @property
    def chain_id(self) -> int:
        """Chain id of the connection."""
        return self.sender.chain_id

    def _prepare(self, account: Signer, contract: str, function: str, *arguments: Any) -> SignedTx:
        data = encode_call(contract, function, *arguments)
        return self.sender.prepare(account, function, self.deployment.address_of(contract), data)

    def recording(self, function: str, send: Callable[[Signer, Callable[[], SignedTx]], Mined]) -> Self:
        """The same port, whose transactions that call `function` go through `send` (`registry.actions`)."""
        other = copy(self)
        other._recorded = (function, send)
        return other

    def _send(self, account: Signer, contract: str, function: str, *arguments: Any) -> Mined:
        if self._recorded is not None and self._recorded[0] == function:
            return self._recorded[1](account, lambda: self._prepare(account, contract, function, *arguments))
        data = encode_call(contract, function, *arguments)
        return self.sender.transact(account, function, self.deployment.address_of(contract), data)

    def prepare_call(self, account: Signer, contract: str, function: str, *arguments: Any) -> SignedTx:
        """A signed call of a contract's function; nothing is sent. ChainRefused if it would be refused now."""
        return self._prepare(account, contract, function, *arguments)

    def send_call(self, account: Signer, contract: str, function: str, *arguments: Any) -> Mined:
        """Call a contract's function and wait for the receipt."""
        return self._send(account, contract, function, *arguments)

    def final_block(self) -> int:
        """The newest block that is as deep as `confirmations` asks for; -1 if the chain is not that long yet."""
        return self.head()[0] + 1 - self.confirmations

    def events_of(self, mined: Mined) -> list[Event]:
        """Events of one transaction."""
        by_address = {self.deployment.address_of(name): name for name in self.with_events}
        decoded = (
            decode_event(by_address[log["address"]], log, self.time_of_log(log))
            for log in mined.logs
            if log["address"] in by_address
        )
        return [event for event in decoded if event is not None]


def only(events: Sequence[Event], kind: type[E]) -> E:
    """The one event of that kind; LookupError where there are none or several."""
    found = [event for event in events if isinstance(event, kind)]
    if len(found) != 1:
        raise LookupError(f"expected one {kind.__name__} event in the transaction, found {len(found)}")
    return found[0]
