"""Filters of the embedded chain's JSON-RPC: what came since somebody last asked. They live as long as the program that answers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from registry.embeddedparams import LogQuery, RpcError, quantity
from registry.evmdocs import Doc, hex_int

MAX_FILTERS = 1_000


@dataclass
class _Filter:
    query: LogQuery | None
    seen: int


class Filters:
    """The filters of one server.

    Parameters
    ----------
    head
        Gives the number of the newest block.
    logs
        Gives the logs of a query, of its own range or of the blocks given.
    hashes
        Gives the hashes of the blocks from the first to the last, both included.
    """

    def __init__(
        self,
        head: Callable[[], int],
        logs: Callable[[LogQuery, tuple[int, int] | None], list[Doc]],
        hashes: Callable[[int, int], list[str]],
    ) -> None:
        self._head, self._logs, self._hashes = head, logs, hashes
        self._filters: dict[int, _Filter] = {}
        self._ids = itertools.count(1)

    def new(self, query: LogQuery | None) -> str:
        """A filter for logs, or for blocks where there is no query; the oldest is dropped where there are too many."""
        number = next(self._ids)
        self._filters[number] = _Filter(query, self._head())
        while len(self._filters) > MAX_FILTERS:
            self._filters.pop(next(iter(self._filters)))
        return hex_int(number)

    def drop(self, name: object) -> bool:
        """Forget a filter; whether there was one."""
        return self._filters.pop(quantity(name), None) is not None

    def changes(self, name: object) -> list[Doc] | list[str]:
        """Logs, or hashes of blocks, that came since the last call or since the filter was made."""
        found = self._found(name)
        # A restored chain may be shorter than what was seen: what is mined on it from here on is new.
        first, head = min(found.seen, self._head()) + 1, self._head()
        found.seen = head
        if first > head:
            return []
        return self._hashes(first, head) if found.query is None else self._logs(found.query, (first, head))

    def all_logs(self, name: object) -> list[Doc]:
        """Every log of the filter's own range."""
        found = self._found(name)
        if found.query is None:
            raise RpcError(-32000, f"filter {name} is for blocks, not for logs")
        return self._logs(found.query, None)

    def _found(self, name: object) -> _Filter:
        found = self._filters.get(quantity(name))
        if found is None:
            raise RpcError(-32000, f"filter not found: {name}. Make it again with eth_newFilter.")
        return found
