"""One way to a chain: any JSON-RPC address, or the embedded chain of a workspace."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from web3 import HTTPProvider, Web3
from web3.providers.rpc.utils import REQUEST_RETRY_ALLOWLIST, ExceptionRetryConfiguration
from web3.types import RPCEndpoint, RPCResponse

from models.errors import SatoyamaError

if TYPE_CHECKING:
    from registry.embedded import EmbeddedChain

GENESIS_FUND_WEI = 10**24
_RPC_TIMEOUT_S = 30
_EXTRA = "satoyama-mrv[chain]"


class ChainUnavailable(SatoyamaError):
    """The chain named in the configuration cannot be opened."""


@dataclass(frozen=True)
class ChainConfig:
    """Where the chain is.

    Parameters
    ----------
    kind : {"embedded", "rpc"}
    path : Path, optional
        Chain file of the embedded chain.
    url : str, optional
        JSON-RPC address (http or https).
    now : int, optional
        Fixed present in seconds since 1970-01-01 for the embedded chain's block times; the wall clock if absent.
    confirmations : int
        Blocks, its own included, after which what a transaction did is kept as a fact. 1 suits the embedded chain, which
        never reorganises; a public chain needs what its finality asks for.
    """

    kind: Literal["embedded", "rpc"]
    path: Path | None = None
    url: str | None = None
    now: int | None = None
    confirmations: int = 1

    def __post_init__(self) -> None:
        if self.confirmations < 1:
            raise ChainUnavailable(
                en=f"The confirmations of a chain are 1 or more, got {self.confirmations}.",
                ja=f"チェーンの確認ブロック数は 1 以上です。受け取った値: {self.confirmations}",
            )


def connect(config: ChainConfig) -> Web3:
    """Open the chain.

    Raises
    ------
    ChainUnavailable
        If the configuration is incomplete, the extra is not installed, or nobody answers at the address.
    ChainFileError
        If the embedded chain's file is missing.
    """
    if config.kind == "embedded":
        return _embedded_web3(open_embedded(_required(config.path, "path", "embedded"), now=config.now))
    url = _required(config.url, "url", "rpc")
    w3 = _web3(_http_provider(url))
    w3.provider.make_request(RPCEndpoint("eth_chainId"), [])
    return w3


class _HttpProvider(HTTPProvider):
    """web3's provider with every failure of the network named in words, and without the key that a URL may carry."""

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        try:
            return super().make_request(method, params)
        except (OSError, ValueError) as error:
            # What requests raises is an OSError, an answer that is no JSON a ValueError. Both may quote the whole URL: not chained.
            raise _unreachable(str(self.endpoint_uri), method, error) from None


def _unreachable(url: str, method: str, error: Exception) -> ChainUnavailable:
    where, status = _without_secrets(url), getattr(getattr(error, "response", None), "status_code", None)
    why = type(error).__name__ if status is None else f"HTTP {status}"
    return ChainUnavailable(
        en=f"No chain answers at {where} ({method}: {why}). Start the node or correct the address.",
        ja=f"{where} のチェーンから応答がありません({method}: {why})。ノードを起動するか、URLを直してください。",
    )


def _http_provider(url: str) -> HTTPProvider:
    # A transaction is never sent again behind the sender's back: its "already known" would then be mistaken.
    reads = [method for method in REQUEST_RETRY_ALLOWLIST if method != "eth_sendRawTransaction"]
    retries = ExceptionRetryConfiguration(errors=(OSError,), method_allowlist=reads)
    return _HttpProvider(
        url, request_kwargs={"timeout": _RPC_TIMEOUT_S}, exception_retry_configuration=retries
    )


def create_embedded(path: Path, funded: Sequence[str], *, now: int | None = None) -> Web3:
    """Make the embedded chain of a workspace (or open it if it is there), funding `funded` in its first block."""
    module = _embedded_module()
    funds = dict.fromkeys(funded, GENESIS_FUND_WEI)
    return _embedded_web3(module.EmbeddedChain.create(path, funds, clock=_clock(now)))


def open_embedded(path: Path, *, now: int | None = None) -> EmbeddedChain:
    """The embedded chain at `path`."""
    chain: EmbeddedChain = _embedded_module().EmbeddedChain(path, clock=_clock(now))
    return chain


def _clock(now: int | None) -> Any:
    return (lambda: now) if now is not None else (lambda: int(time.time()))


def _embedded_module() -> Any:
    try:
        import registry.embedded
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in {"eth", "rlp", "trie", "eth_bloom", "lru"}:
            raise
        raise ChainUnavailable(
            en=f"The embedded chain needs the extra {_EXTRA}: pip install '{_EXTRA}'",
            ja=f"内蔵チェーンには追加パッケージ {_EXTRA} が必要です: pip install '{_EXTRA}'",
        ) from error
    return registry.embedded


def _embedded_web3(chain: EmbeddedChain) -> Web3:
    from registry.embeddedrpc import EmbeddedProvider

    return _web3(EmbeddedProvider(chain))


def _web3(provider: Any) -> Web3:
    w3 = Web3(provider)
    # Addresses are given as addresses; no name is ever looked up.
    w3.ens = None
    return w3


def _required(value: Any, name: str, kind: str) -> Any:
    if value is None:
        raise ChainUnavailable(
            en=f"A chain of kind '{kind}' needs '{name}' in its configuration, and it is absent.",
            ja=f"種類 '{kind}' のチェーンの設定に '{name}' が必要ですが、ありません。",
        )
    return value


def _without_secrets(url: str) -> str:
    # Hosted nodes carry their key in the path, the query or the user part.
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.split('/')[0].split('@')[-1]}"
