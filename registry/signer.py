"""Who signs: a key of this machine, or a signer elsewhere (hardware wallet bridge, Web3Signer, Clef) that never gives its key away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from models.errors import SatoyamaError
from registry.address import AddressRefused, checked_address

SIGNER_VARIABLE_PREFIX = "SATOYAMA_SIGNER_"
# A person may have to press a button.
TIMEOUT_S = 120.0


class SignerError(SatoyamaError):
    """A signer elsewhere cannot be reached, refuses, or answers with something else than what it was asked to sign."""


class Signed(Protocol):
    """A signature over a message."""

    @property
    def signature(self) -> bytes: ...
    @property
    def v(self) -> int: ...
    @property
    def r(self) -> int: ...
    @property
    def s(self) -> int: ...


class SignedTransaction(Protocol):
    """The bytes of a signed transaction and their hash."""

    @property
    def raw_transaction(self) -> bytes: ...
    @property
    def hash(self) -> bytes: ...


class Signer(Protocol):
    """An account that signs. `eth_account`'s local accounts are such, and so is `RemoteSigner`."""

    @property
    def address(self) -> Any: ...
    def sign_transaction(self, transaction_dict: Any, /) -> Any:
        """Bytes of an EIP-1559 transaction: `SignedTransaction`."""

    def sign_typed_data(self, *, full_message: Any) -> Any:
        """EIP-712 signature of typed data as wallets show it: `Signed`."""

    def sign_message(self, signable_message: SignableMessage, /) -> Any:
        """EIP-191 signature of a text: `Signed`."""


@dataclass(frozen=True)
class RemoteSignature:
    """65 bytes r, s, v; `v` is 27 or 28."""

    signature: bytes

    @property
    def r(self) -> int:
        return int.from_bytes(self.signature[:32], "big")

    @property
    def s(self) -> int:
        return int.from_bytes(self.signature[32:64], "big")

    @property
    def v(self) -> int:
        return self.signature[64]


@dataclass(frozen=True)
class RemoteTransaction:
    """Raw bytes and hash of a transaction that was signed elsewhere."""

    raw_transaction: bytes

    @property
    def hash(self) -> bytes:
        return bytes(keccak(self.raw_transaction))


class RemoteSigner:
    """An account whose key is held by another program, asked over JSON-RPC.

    Uses ``eth_signTransaction``, ``eth_signTypedData_v4`` and ``personal_sign``, which Clef, Web3Signer (eth1 mode), wallet bridges and
    development nodes know. Every answer is checked: the recovered address must be the account, and a transaction must
    be the one that was asked for, so that a signer gone wrong cannot spend elsewhere.

    Parameters
    ----------
    url
        Address of the signer; any password in it stays out of errors.
    address
        The account.
    """

    def __init__(self, url: str, address: str) -> None:
        self._url = url
        self._address = to_checksum_address(address)

    def __repr__(self) -> str:
        return f"RemoteSigner({self._place()!r}, {self._address!r})"

    @property
    def address(self) -> str:
        return self._address

    def sign_transaction(self, transaction_dict: Mapping[str, Any], /) -> RemoteTransaction:
        """Have an EIP-1559 transaction signed.

        Raises
        ------
        SignerError
            If the signer refuses, or signed another transaction or with another key.
        """
        asked = {**transaction_dict, "from": self._address}
        answer = self._ask("eth_signTransaction", [{k: _rpc_value(k, v) for k, v in asked.items()}])
        raw = answer.get("raw") if isinstance(answer, dict) else answer
        signed = self._bytes(raw)
        self._check_same(signed, transaction_dict)
        return RemoteTransaction(signed)

    def sign_typed_data(self, *, full_message: Mapping[str, Any]) -> RemoteSignature:
        """Have typed data (EIP-712) signed."""
        answer = self._ask("eth_signTypedData_v4", [self._address, _json_value(full_message)])
        return self._checked(answer, encode_typed_data(full_message=dict(full_message)))

    def sign_message(self, signable_message: SignableMessage, /) -> RemoteSignature:
        """Have a text (EIP-191, version E) signed."""
        if signable_message.version != b"E":
            raise self._error("only texts are signed this way", "署名できるのは文章のみです")
        answer = self._ask("personal_sign", ["0x" + signable_message.body.hex(), self._address])
        return self._checked(answer, signable_message)

    def _checked(self, answer: Any, message: SignableMessage) -> RemoteSignature:
        signature = self._bytes(answer)
        if len(signature) == 65 and signature[64] < 27:
            signature = signature[:64] + bytes([signature[64] + 27])
        try:
            signer = str(Account.recover_message(message, signature=signature))
        except Exception as error:
            raise self._error("the answer is no signature", "応答が署名ではありません") from error
        if signer != self._address:
            raise self._error(f"{signer} signed instead", f"{signer} が署名しました")
        return RemoteSignature(signature)

    def _check_same(self, raw: bytes, wanted: Mapping[str, Any]) -> None:
        try:
            signer = str(Account.recover_transaction(raw))
            found = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
        except Exception as error:
            raise self._error(
                "the answer is no EIP-1559 transaction", "応答がEIP-1559の取引ではありません"
            ) from error
        if signer != self._address:
            raise self._error(f"{signer} signed instead", f"{signer} が署名しました")
        for name, value in wanted.items():
            there = found.get(name, b"" if name == "to" else 0)
            if _bare(there) != _bare(value):
                raise self._error(
                    f"the signed transaction has another {name!r}", f"署名された取引の {name!r} が異なります"
                )

    def _bytes(self, answer: Any) -> bytes:
        if not isinstance(answer, str) or not answer.startswith("0x"):
            raise self._error("the answer is not 0x-hex", "応答が0x形式ではありません")
        try:
            return bytes.fromhex(answer[2:])
        except ValueError as error:
            raise self._error("the answer is not 0x-hex", "応答が0x形式ではありません") from error

    def _ask(self, method: str, params: list[Any]) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = Request(self._url, data=body, headers={"content-type": "application/json"})
        try:
            with urlopen(request, timeout=TIMEOUT_S) as response:
                answer = json.load(response)
        except (URLError, OSError, ValueError) as error:
            raise self._error(
                f"no answer ({type(error).__name__})", f"応答がありません（{type(error).__name__}）"
            ) from None
        if not isinstance(answer, dict) or "error" in answer:
            said = answer.get("error") if isinstance(answer, dict) else answer
            text = said.get("message", said) if isinstance(said, dict) else said
            raise self._error(f"{method} refused: {text}", f"{method} が拒否されました: {text}")
        return answer.get("result")

    def _place(self) -> str:
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.hostname}:{parts.port or ''}"

    def _error(self, en: str, ja: str) -> SignerError:
        return SignerError(
            en=f"The signer of {self._address} at {self._place()}: {en}. Look at the signer and run the same command again.",
            ja=f"{self._place()} の署名者（{self._address}）: {ja}。署名装置を確認し、同じ操作をもう一度実行してください。",
        )


def signer_from(text: str, variable: str) -> RemoteSigner:
    """Read ``0xADDRESS@http://host:port`` as the environment gives it.

    Raises
    ------
    SignerError
        If it is not of that form, or the address was mistyped.
    """
    address, _, url = text.strip().partition("@")
    if urlsplit(url).scheme not in ("http", "https"):
        raise SignerError(
            en=f"{variable} names no signer: expected ADDRESS@http://HOST:PORT with a 0x address.",
            ja=f"{variable} の形式が違います。0xアドレス@http://ホスト:ポート としてください。",
        )
    try:
        return RemoteSigner(url, checked_address(address, variable))
    except AddressRefused as refused:
        raise SignerError(en=refused.en, ja=refused.ja) from refused


def _rpc_value(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, bytes)):
        return value
    return hex(value) if isinstance(value, int) else "0x" + bytes(value).hex()


def _json_value(value: Any) -> Any:
    """Typed data as JSON: bytes in hex, whole numbers beyond 2**53 as decimal text, which every wallet reads alike."""
    if isinstance(value, Mapping):
        return {name: _json_value(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(v) for v in value]
    if isinstance(value, (bytes, bytearray)):
        return "0x" + bytes(value).hex()
    return str(value) if isinstance(value, int) and abs(value) > 2**53 else value


def _bare(value: Any) -> Any:
    """A transaction's field as a number or as bytes, however it is written."""
    if isinstance(value, str):
        value = bytes.fromhex(value.removeprefix("0x"))
    return bytes(value) if isinstance(value, (bytes, bytearray)) else value
