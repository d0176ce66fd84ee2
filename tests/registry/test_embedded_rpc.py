"""The JSON-RPC face of the embedded chain, in process and over HTTP on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractCustomError, TransactionNotFound, Web3RPCError

from registry.chain import ChainConfig, ChainUnavailable, connect
from registry.embedded import EmbeddedChain
from registry.embeddedrpc import EmbeddedProvider
from registry.rpcserver import make_server
from tests.conftest import ROOT, need
from tests.registry.evmkit import FUNDER_KEY, deploy_counter, funder, new_chain, signed


@pytest.fixture
def chain(tmp_path: Path) -> EmbeddedChain:
    return new_chain(tmp_path / "chain.sqlite")


@pytest.fixture
def url(chain: EmbeddedChain) -> Iterator[str]:
    server = make_server(chain.path, 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["in process", "http"])
def w3(request: pytest.FixtureRequest, chain: EmbeddedChain) -> Web3:
    if request.param == "in process":
        return Web3(EmbeddedProvider(chain))
    return Web3(HTTPProvider(request.getfixturevalue("url")))


def post(url: str, body: Any, **headers: str) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request) as response:
        return json.loads(response.read())


def test_web3_reads_blocks_transactions_and_receipts(w3: Web3, chain: EmbeddedChain) -> None:
    counter = deploy_counter(chain)
    tx_hash = w3.eth.send_raw_transaction(signed(chain, to=counter))
    receipt = w3.eth.wait_for_transaction_receipt(tx_hash)
    block = w3.eth.get_block("latest", full_transactions=True)
    assert receipt["status"] == 1 and receipt["blockHash"] == block["hash"]
    assert block["transactions"][0]["hash"] == tx_hash  # type: ignore[index]
    assert w3.eth.get_block(block["hash"])["number"] == 2
    assert w3.eth.get_transaction(tx_hash)["from"] == funder().address
    assert w3.eth.get_transaction_count(funder().address) == 2
    assert w3.eth.get_storage_at(w3.to_checksum_address(counter), 0)[-1] == 1
    assert len(w3.eth.get_logs({"fromBlock": 0, "toBlock": "latest"})) == 1
    assert w3.eth.chain_id == chain.chain_id and w3.net.version == str(chain.chain_id)
    assert w3.eth.fee_history(2, "latest", [50])["oldestBlock"] == 1
    assert w3.eth.gas_price > 10**9 and w3.client_version.startswith("satoyama-embedded")


def test_a_revert_carries_its_data_through_web3(w3: Web3, chain: EmbeddedChain) -> None:
    counter = w3.to_checksum_address(deploy_counter(chain))
    with pytest.raises(ContractCustomError) as caught:
        w3.eth.call({"to": counter, "data": "0xdeadbeef"})
    assert caught.value.data == "0xdeadbeef"


def test_what_is_unknown_is_an_error_and_not_an_answer(w3: Web3) -> None:
    with pytest.raises(TransactionNotFound):
        w3.eth.get_transaction_receipt("0x" + "12" * 32)
    with pytest.raises(Web3RPCError, match="no method"):
        w3.manager.request_blocking("debug_nothing", [])  # type: ignore[arg-type]
    with pytest.raises(Web3RPCError, match="the head is 0"):
        w3.eth.get_balance(funder().address, 7)


def test_a_batch_is_answered_in_order(url: str) -> None:
    requests = [{"jsonrpc": "2.0", "id": n, "method": "eth_blockNumber"} for n in (5, 6)]
    assert [answer["id"] for answer in post(url, requests)] == [5, 6]
    assert post(url, {"id": 1})["error"]["code"] == -32600
    assert post(url, {"id": 1, "method": "eth_getBalance", "params": ["0x12"]})["error"]["code"] == -32602


def test_a_page_in_a_browser_cannot_reach_the_chain(url: str) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}
    for header in ({"Origin": "https://example.org"}, {"Host": "rebound.example.org"}):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            post(url, request, **header)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        post(url, b"{")


def test_an_address_where_nobody_answers_is_refused_without_its_secret() -> None:
    with pytest.raises(ChainUnavailable) as caught:
        connect(ChainConfig("rpc", url="http://user:pass@127.0.0.1:9/v3/secret-key"))
    assert "127.0.0.1:9" in caught.value.en and "secret" not in str(caught.value)
    assert "pass" not in str(caught.value)


def test_an_incomplete_configuration_names_what_is_absent() -> None:
    with pytest.raises(ChainUnavailable, match="'path'"):
        connect(ChainConfig("embedded"))


def test_without_the_extra_the_embedded_chain_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name == "eth" or name.startswith("eth.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("registry.embedded", "registry.evmdb", "registry.evmdocs", "registry.embeddedrpc"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "eth", None)
    with pytest.raises(ChainUnavailable) as caught:
        connect(ChainConfig("embedded", path=tmp_path / "c.sqlite"))
    assert "satoyama-mrv[chain]" in caught.value.en and "satoyama-mrv[chain]" in caught.value.ja


def test_cast_reads_and_sends(url: str, chain: EmbeddedChain) -> None:
    modules = ROOT / "registry" / "contracts" / "node_modules"
    cast = need("cast", env="SATOYAMA_CAST", also=(modules / ".bin" / "cast",))
    counter = "0x" + deploy_counter(chain).hex()

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [cast, *arguments, "--rpc-url", url], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert run("chain-id") == str(chain.chain_id)
    run("send", counter, "--private-key", FUNDER_KEY)
    assert int(run("storage", counter, "0"), 16) == 1
    assert int(run("call", counter), 16) == 2
    assert run("block-number") == "2"


def test_the_base_install_needs_no_evm_to_reach_a_chain_by_rpc() -> None:
    modules = (
        "abi",
        "accounts",
        "chain",
        "claimstruct",
        "deploy",
        "events",
        "issuance",
        "outbox",
        "port",
        "ports",
    )
    modules += (
        "refusals",
        "sender",
        "treasury",
        "verify_chain",
        "views",
        "address",
        "deploy_steps",
        "manifest",
    )
    code = "import sys\nfor name in ('eth', 'eth_tester', 'coincurve', 'trie'): sys.modules[name] = None\n"
    code += "".join(f"import registry.{name}\n" for name in modules)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_no_library_sends_a_transaction_a_second_time_by_itself(url: str) -> None:
    provider = connect(ChainConfig("rpc", url=url)).provider
    assert isinstance(provider, HTTPProvider) and provider.exception_retry_configuration is not None
    retried = provider.exception_retry_configuration.method_allowlist
    assert "eth_call" in retried and "eth_sendRawTransaction" not in retried
