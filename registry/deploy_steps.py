"""A deployment that was cut off goes on where it stood: what was signed and where it came to lie is written down step by step."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import ContractLogicError

from models.errors import SatoyamaError
from registry.abi import encode_call
from registry.address import checked_address
from registry.refusals import ChainRefused
from registry.sender import Mined, NonceTaken, Sender, SignedTx
from registry.signer import Signer

_NONCE_TRIES = 8


class OtherContracts(SatoyamaError):
    """The contracts on the chain are not the ones this program was built with."""


class UnfinishedDeployment(SatoyamaError):
    """A deployment that was begun cannot be gone on with as asked."""


class Steps:
    """The contracts of one deployment, created once each.

    Parameters
    ----------
    path : Path or None
        Where it is written down until the deployment is whole; None writes nothing, and nothing can be continued.
    asked : mapping of text to text
        What the deployment is of: another demand does not go on with this one.

    Raises
    ------
    UnfinishedDeployment
        If the file is of another deployment, or cannot be read.
    """

    def __init__(self, path: Path | None, asked: Mapping[str, str]) -> None:
        self._path = path
        self._doc: dict[str, Any] = {"asked": dict(asked), "created": {}}
        if path is not None and path.is_file():
            self._doc = _read(path, asked)

    def create(self, sender: Sender, admin: Signer, contract: str, code: bytes) -> tuple[str, int]:
        """Address and block of a contract, created now or when this was last tried."""
        mined = self._before(sender, contract, code)
        for _ in range(_NONCE_TRIES):
            if mined is not None:
                break
            signed = sender.prepare(admin, f"deploy {contract}", None, code)
            self._record(contract, code, signed)
            try:
                mined = sender.send(replace(signed, recorded=self._path is not None), first_time=True)
            except NonceTaken:
                continue
        if mined is None:
            raise UnfinishedDeployment(
                en=f"{contract} could not be deployed: another program used the turn of {admin.address} {_NONCE_TRIES} times. "
                "Stop that program, then run the same command again.",
                ja=f"{contract} を配備できません。{admin.address} の順番が別のプログラムに {_NONCE_TRIES} 回使われました。"
                "そのプログラムを止めてから、もう一度実行してください。",
            )
        return to_checksum_address(str(mined.contract_address)), mined.block

    def _before(self, sender: Sender, contract: str, code: bytes) -> Mined | None:
        known = self._doc["created"].get(contract)
        if known is None or known["code"] != _digest(code):
            return None
        signed = SignedTx(
            bytes(HexBytes(known["raw"])), known["tx_hash"], known["nonce"], f"deploy {contract}"
        )
        if (found := sender.receipt(signed.tx_hash)) is not None:
            return found
        try:
            return sender.send(replace(signed, recorded=True))
        except ChainRefused:
            # Its turn has passed, or it was mined and did nothing: whatever holds is met again by a new one.
            return None

    def _record(self, contract: str, code: bytes, signed: SignedTx) -> None:
        entry = {"code": _digest(code), "tx_hash": signed.tx_hash, "nonce": signed.nonce}
        self._doc["created"][contract] = {**entry, "raw": "0x" + signed.raw.hex()}
        if self._path is not None:
            write_whole(self._path, json.dumps(self._doc, indent=1))


def _digest(code: bytes) -> str:
    return "0x" + keccak(code).hex()


def _read(path: Path, asked: Mapping[str, str]) -> dict[str, Any]:
    try:
        doc = json.loads(path.read_text(encoding="utf-8"))
        before = dict(doc["asked"])
        created = [
            (one["code"], one["tx_hash"], int(one["nonce"]), one["raw"]) for one in doc["created"].values()
        ]
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise UnfinishedDeployment(
            en=f"{path} should hold a deployment that was cut off, and cannot be read ({type(error).__name__}). Move it away; the "
            "contracts are then deployed anew.",
            ja=f"{path} には中断した配備の記録があるはずですが、読み取れません（{type(error).__name__}）。別の場所へ移すと、最初から配備します。",
        ) from error
    if created and before != dict(asked):
        other = sorted(name for name in {*before, *asked} if before.get(name) != asked.get(name))
        shown = ", ".join(f"{name}: {before.get(name)} then, {asked.get(name)} now" for name in other)
        shown_ja = "、".join(f"{name}: 当時 {before.get(name)}、今回 {asked.get(name)}" for name in other)
        raise UnfinishedDeployment(
            en=f"A deployment was begun and cut off with other settings ({shown}). Run it with the same, or move {path} away to "
            "begin another.",
            ja=f"別の設定で始めた配備が中断しています（{shown_ja}）。同じ設定で実行するか、{path} を移して新しく始めてください。",
        )
    return {"asked": dict(asked), "created": dict(doc["created"])}


def checked_yen(w3: Web3, yen: str) -> str:
    """The address of a token that is there, before anything is deployed for it.

    Raises
    ------
    AddressRefused
        If it is no address.
    OtherContracts
        If nothing at the address answers as an ERC-20 does.
    """
    token = checked_address(yen, "--yen")
    answer = b""
    if bytes(w3.eth.get_code(to_checksum_address(token))):
        try:
            data = encode_call("DevYen", "decimals")
            answer = bytes(w3.eth.call({"to": to_checksum_address(token), "data": HexBytes(data)}))
        except ContractLogicError:
            answer = b""
    if len(answer) != 32 or int.from_bytes(answer, "big") > 255:
        raise OtherContracts(
            en=f"--yen: expected the address of an ERC-20 token on chain {w3.eth.chain_id}, and nothing at {token} answers as one. "
            "Give the yen stablecoin's address on this chain. Nothing was deployed.",
            ja=f"--yen: チェーン {w3.eth.chain_id} の {token} は ERC-20 トークンとして応答しません。このチェーンでの円ステーブルコインの"
            "アドレスを指定してください。まだ何も配備していません。",
        )
    return token


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is there whole, or as it was before."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
