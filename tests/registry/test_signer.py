"""A signer elsewhere signs the same bytes as a key of this machine, and is never believed unchecked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct

from registry.accounts import AccountError, Accounts
from registry.signer import RemoteSigner, SignerError, signer_from
from tests.registry.conftest import Chain, World

KEY = Account.from_key("0x" + "17" * 32)
OTHER = Account.from_key("0x" + "18" * 32)
TRANSACTION = {
    "type": 2,
    "chainId": 7,
    "nonce": 3,
    "gas": 21_000,
    "maxFeePerGas": 10**10,
    "maxPriorityFeePerGas": 10**9,
    "value": 5,
    "data": b"\x01\x02",
    "to": OTHER.address,
}


class Wallet:
    """What a wallet bridge does: signs what it is asked, with `account`; `spoil` changes a transaction first."""

    def __init__(self, account: Any = KEY, spoil: dict[str, Any] | None = None) -> None:
        self.account, self.spoil, self.asked = account, spoil or {}, []

    def answer(self, method: str, params: list[Any]) -> Any:
        self.asked.append(method)
        if method == "eth_signTransaction":
            fields = {
                k: int(v, 16) if k not in ("to", "data", "from") and isinstance(v, str) else v
                for k, v in params[0].items()
            }
            fields.pop("from")
            return {
                "raw": "0x"
                + bytes(self.account.sign_transaction({**fields, **self.spoil}).raw_transaction).hex()
            }
        if method == "eth_signTypedData_v4":
            return "0x" + bytes(self.account.sign_typed_data(full_message=params[1]).signature).hex()
        if method == "personal_sign":
            message = encode_defunct(hexstr=params[0])
            return "0x" + bytes(self.account.sign_message(message).signature).hex()
        raise LookupError(method)


@contextmanager
def listening(wallet: Wallet) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            try:
                doc = {"result": wallet.answer(asked["method"], asked["params"])}
            except LookupError as error:
                doc = {"error": {"code": -32601, "message": f"no {error}"}}
            body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], **doc}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def test_it_signs_the_same_bytes_as_the_key_itself_would():
    with listening(Wallet()) as url:
        remote = RemoteSigner(url, KEY.address)
        assert (
            remote.sign_transaction(TRANSACTION).raw_transaction
            == KEY.sign_transaction(TRANSACTION).raw_transaction
        )
        assert remote.sign_transaction(TRANSACTION).hash == bytes(KEY.sign_transaction(TRANSACTION).hash)
        text = encode_defunct(text="支払 100 円")
        assert remote.sign_message(text).signature == bytes(KEY.sign_message(text).signature)


def test_a_verifier_elsewhere_signs_a_claim_and_an_issuer_elsewhere_issues_it(
    world: World, chain: Chain
) -> None:
    port, claim = world.port, world.claim()
    with listening(Wallet(world["verifier"])) as one, listening(Wallet(world["issuer"])) as two:
        verifier, issuer = (
            RemoteSigner(one, world["verifier"].address),
            RemoteSigner(two, world["issuer"].address),
        )
        signature = port.sign_claim(verifier, claim)
        assert signature == port.sign_claim(world["verifier"], claim)
        port.issue(issuer, claim, verifier.address, signature)
    assert port.batch(claim.batch_id) is not None


@pytest.mark.parametrize(
    "field", [{"to": "0x" + "11" * 20}, {"value": 10**18}, {"nonce": 4}, {"data": b"\x09"}]
)
def test_a_transaction_other_than_the_one_asked_for_is_not_used(field):
    with (
        listening(Wallet(spoil=field)) as url,
        pytest.raises(SignerError, match="another '" + next(iter(field))),
    ):
        RemoteSigner(url, KEY.address).sign_transaction(TRANSACTION)


def test_a_signature_of_another_key_is_not_used():
    with listening(Wallet(OTHER)) as url:
        remote = RemoteSigner(url, KEY.address)
        for sign in (
            lambda: remote.sign_transaction(TRANSACTION),
            lambda: remote.sign_message(encode_defunct(text="x")),
        ):
            with pytest.raises(SignerError, match="signed instead"):
                sign()


def test_a_signer_that_is_off_or_refuses_is_told_in_both_languages_without_its_password():
    with pytest.raises(SignerError) as off:
        RemoteSigner("http://me:secret@127.0.0.1:9", KEY.address).sign_transaction(TRANSACTION)
    assert "secret" not in str(off.value.en) + off.value.ja + repr(
        RemoteSigner("http://me:secret@x:1", KEY.address)
    )
    assert "応答がありません" in off.value.ja
    with listening(Wallet()) as url, pytest.raises(SignerError, match="refused"):
        RemoteSigner(url, KEY.address)._ask("eth_unknown", [])


def test_a_role_is_given_to_a_signer_by_the_environment(tmp_path):
    named = {
        "SATOYAMA_SIGNER_ISSUER": f"{KEY.address}@http://127.0.0.1:8550",
        "SATOYAMA_KEY_ISSUER": "0x" + "19" * 32,
    }
    accounts = Accounts(tmp_path, named)
    assert accounts.has("issuer")
    assert accounts.load("issuer").address == KEY.address
    assert accounts.addresses() == {"issuer": KEY.address}
    with pytest.raises(AccountError, match="ADDRESS@http"):
        Accounts(tmp_path, {"SATOYAMA_SIGNER_ISSUER": "127.0.0.1"}).load("issuer")
    with pytest.raises(SignerError, match="names no signer"):
        signer_from("0x12@ftp://x", "X")


def test_the_mistyped_address_of_a_signer_elsewhere_is_refused_and_its_variable_named():
    right = KEY.address
    assert signer_from(f"{right.lower()}@http://127.0.0.1:8550", "X").address == right
    wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
    for address in (wrong, right[:-1], "0x" + "00" * 20):
        with pytest.raises(SignerError, match="SATOYAMA_SIGNER_ISSUER: ") as refused:
            signer_from(f"{address}@http://127.0.0.1:8550", "SATOYAMA_SIGNER_ISSUER")
        assert "ウォレット" in refused.value.ja or "ゼロアドレス" in refused.value.ja
