"""Whatever is sent to the embedded chain's JSON-RPC is answered: malformed input by a JSON-RPC error, and filters with what is new."""

from __future__ import annotations

import logging
import random
import socket
from typing import Any

import pytest

pytest.importorskip("eth", reason="the extra satoyama-mrv[chain] is not installed")

import rlp
from eth_typing import BlockNumber
from web3 import Web3
from web3.exceptions import Web3RPCError

from registry import artifacts
from registry.embedded import EmbeddedChain
from registry.embeddedfilters import MAX_FILTERS
from registry.embeddedrpc import EmbeddedProvider, EmbeddedRpc, RpcError
from registry.embeddedrun import BLOCK_GAS_LIMIT
from tests.registry.conftest import World
from tests.registry.evmkit import creation, deploy_counter, signed
from tests.registry.test_embedded_rpc import chain, post, url, w3

__all__ = ["chain", "url", "w3"]

HERE = "0x" + "11" * 20


def asked(url: str, method: str, *params: Any) -> Any:
    return post(url, {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})


@pytest.mark.parametrize(
    "raw", ["0x", "0x00", "0x05", "0x7f", "0x0000", "0x04f8", "0x02c0", "0x03c0", "0xc0"]
)
def test_bytes_that_are_no_transaction_are_refused_and_the_server_goes_on(url: str, raw: str) -> None:
    error = asked(url, "eth_sendRawTransaction", raw)["error"]
    assert error["code"] == -32000 and "cannot decode the transaction" in error["message"]
    assert asked(url, "eth_blockNumber")["result"] == "0x0"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_call", [5]),
        ("eth_call", [{"to": [HERE]}]),
        ("eth_call", [{"to": HERE, "value": "-0x1"}]),
        ("eth_call", [{"to": HERE, "data": "0x1"}]),
        ("eth_call", [{"to": HERE, "gas": 1.5}]),
        ("eth_call", []),
        ("eth_call", [{"to": HERE}, [1]]),
        ("eth_estimateGas", ["0x"]),
        ("eth_getLogs", ["x"]),
        ("eth_getLogs", [{"address": [5]}]),
        ("eth_getLogs", [{"topics": "0x"}]),
        ("eth_getLogs", [{"topics": [None] * 5}]),
        ("eth_getLogs", [{"blockHash": "0x" + "11" * 32, "fromBlock": "0x0"}]),
        ("eth_getStorageAt", [HERE, -1]),
        ("eth_getStorageAt", [HERE, "0x1" + "00" * 32]),
        ("eth_getBalance", ["0x12"]),
        ("eth_getBalance", [HERE, {"blockHash": 5}]),
        ("eth_getBalance", [HERE, True]),
        ("eth_getBalance", [HERE, "0x"]),
        ("eth_getBlockByNumber", ["newest", False]),
        ("eth_getBlockByNumber", ["latest", "yes"]),
        ("eth_getBlockByHash", ["0x12"]),
        ("eth_feeHistory", [1, "latest", 5]),
        ("eth_sendRawTransaction", [5]),
        ("eth_sendRawTransaction", ["0xzz"]),
        ("eth_getFilterChanges", ["x"]),
        ("web3_sha3", ["hello"]),
    ],
)
def test_a_parameter_of_another_shape_is_refused_as_invalid(url: str, method: str, params: list[Any]) -> None:
    assert asked(url, method, *params)["error"]["code"] == -32602


def test_a_block_far_beyond_any_is_no_block(url: str) -> None:
    far = "0x" + "f" * 30
    assert asked(url, "eth_getBlockByNumber", far, False)["result"] is None
    assert "the head is 0" in asked(url, "eth_getBalance", HERE, far)["error"]["message"]


def test_a_call_with_more_than_its_sender_has_fails_in_words(url: str) -> None:
    error = asked(url, "eth_call", {"from": HERE, "to": HERE, "value": "0x1"})["error"]
    assert error["code"] == 3 and "InsufficientFunds" in error["message"]


def test_creation_code_beyond_the_limit_is_refused_and_the_file_not_called_damaged(
    url: str, chain: EmbeddedChain
) -> None:
    code = b"\x5b" * 50_000
    for method in ("eth_call", "eth_estimateGas"):
        error = asked(url, method, {"data": "0x" + code.hex()})["error"]
        assert error["code"] == 3 and "49152" in error["message"] and "damaged" not in error["message"]
    raw = signed(chain, data=code, gas=20_000_000)
    error = asked(url, "eth_sendRawTransaction", "0x" + raw.hex())["error"]
    assert error["code"] == -32000 and "damaged" not in error["message"]
    assert asked(url, "eth_blockNumber")["result"] == "0x0"


def test_whatever_noise_is_asked_the_answer_is_a_result_or_a_named_error(chain: EmbeddedChain) -> None:
    rpc, chance = EmbeddedRpc(chain), random.Random(20251122)
    texts = ["", "0x", "0x0", "0x1", "latest", "é", "0xé", "0x٣", HERE, "0x" + "11" * 32, "0x" + "f" * 80]
    calls = [
        {"to": HERE},
        {"to": HERE, "value": "0x" + "f" * 64},
        {"data": "0x60", "value": "0x1"},
        {"gas": "0x0"},
    ]
    places = [{"blockHash": "0x" + "11" * 32}, {"blockNumber": {}}, {"fromBlock": []}, {"topics": [[[]]]}]
    others = [None, True, 5, -1, 1.5, [], {}, [5], {"address": [HERE], "topics": [None, ["0x" + "11" * 32]]}]
    noise: list[Any] = [*texts, *calls, *places, *others]
    codes = set()
    for method in rpc._methods:
        for _ in range(60):
            params = [chance.choice(noise) for _ in range(chance.randint(0, 3))]
            try:
                rpc.handle(method, params)
            except RpcError as error:
                codes.add(error.code)
    assert codes == {3, -32000, -32001, -32602}, "and never an internal error"


def test_a_call_ends_at_the_blocks_gas_however_much_is_offered(chain: EmbeddedChain) -> None:
    chain.send_raw(signed(chain, data=creation(bytes.fromhex("5a60005260206000f3"))))
    receipt = chain.store.receipt(chain.store.block_by_number(1)["transactions"][0])  # type: ignore[index]
    assert receipt is not None
    call = {"to": receipt["contractAddress"], "gas": hex(1 << 200)}
    assert int(EmbeddedRpc(chain).handle("eth_call", [call]), 16) <= BLOCK_GAS_LIMIT


def test_what_nobody_foresaw_is_answered_as_an_internal_error_and_logged(
    chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> int:
        raise AttributeError("'NoneType' object has no attribute 'x'")

    rpc = EmbeddedRpc(chain)
    monkeypatch.setattr(chain, "balance", broken)
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(RpcError, match="internal error in eth_getBalance") as caught,
    ):
        rpc.handle("eth_getBalance", [HERE])
    assert caught.value.code == -32603 and "no attribute 'x'" in caplog.text


def test_a_table_that_is_gone_is_an_answer_too(url: str, chain: EmbeddedChain) -> None:
    chain.store.run("DROP TABLE log")
    error = asked(url, "eth_getLogs", {"fromBlock": "earliest"})["error"]
    assert error["code"] == -32603 and "log" in error["message"]


@pytest.mark.parametrize("length", ["x", "-5", "9" * 20])
def test_a_length_that_is_none_is_refused(url: str, length: str) -> None:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        request = f"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(request.encode())
        assert connection.recv(100).split()[1] in (b"400", b"413")


def test_who_leaves_before_the_answer_prints_no_traceback(
    url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    host, port = url.removeprefix("http://").split(":")
    for _ in range(5):
        connection = socket.create_connection((host, int(port)), timeout=10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        connection.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000\r\n\r\n{")
        connection.close()
    assert asked(url, "eth_blockNumber")["result"] == "0x0"
    assert post(url, [])["error"]["code"] == -32600
    assert "Traceback" not in capfd.readouterr().err


def test_web3_filters_give_what_is_new_each_time(w3: Web3, chain: EmbeddedChain) -> None:
    counter = w3.to_checksum_address(deploy_counter(chain))
    chain.send_raw(signed(chain, to=counter))
    logs, blocks = w3.eth.filter({"address": counter, "fromBlock": 0}), w3.eth.filter("latest")
    assert logs.get_new_entries() == [] and blocks.get_new_entries() == []
    assert len(logs.get_all_entries()) == 1
    sent = [chain.send_raw(signed(chain, to=counter)) for _ in range(2)]
    assert [bytes(log["transactionHash"]) for log in logs.get_new_entries()] == sent
    assert blocks.get_new_entries() == [w3.eth.get_block(n)["hash"] for n in (3, 4)]
    assert logs.get_new_entries() == [] and len(logs.get_all_entries()) == 3
    assert w3.eth.uninstall_filter(logs.filter_id) is True  # type: ignore[arg-type]
    assert w3.eth.uninstall_filter(logs.filter_id) is False  # type: ignore[arg-type]
    with pytest.raises(Web3RPCError, match="filter not found"):
        logs.get_new_entries()


def test_a_contracts_event_filter_of_web3_gives_each_event_once(embedded_copy: World) -> None:
    port = embedded_copy.port
    yen = port.w3.eth.contract(
        port.w3.to_checksum_address(port.deployment.yen), abi=artifacts.load("DevYen").abi
    )
    transfers = yen.events.Transfer.create_filter(from_block="latest")
    port.mint_yen(embedded_copy["admin"], HERE, 5)
    assert [entry["args"]["value"] for entry in transfers.get_new_entries()] == [5]
    assert transfers.get_new_entries() == []


def test_the_oldest_filters_are_forgotten_and_not_the_memory_filled(chain: EmbeddedChain) -> None:
    rpc = EmbeddedRpc(chain)
    names = [rpc.handle("eth_newBlockFilter", []) for _ in range(MAX_FILTERS + 1)]
    assert rpc.handle("eth_getFilterChanges", [names[1]]) == []
    with pytest.raises(RpcError, match="filter not found"):
        rpc.handle("eth_getFilterChanges", [names[0]])


def test_a_position_without_a_wish_still_wants_a_topic_there(chain: EmbeddedChain) -> None:
    counter = deploy_counter(chain)
    chain.send_raw(signed(chain, to=counter))
    w3 = Web3(EmbeddedProvider(chain))
    assert len(w3.eth.get_logs({"fromBlock": 0, "topics": [None]})) == 1
    assert w3.eth.get_logs({"fromBlock": 0, "topics": [None, None]}) == []


def test_blocks_are_read_by_place_and_their_receipts_at_once(w3: Web3, chain: EmbeddedChain) -> None:
    counter = deploy_counter(chain)
    tx_hash = chain.send_raw(signed(chain, to=counter))
    block = w3.eth.get_block(2)
    for at in (2, block["hash"]):
        assert w3.eth.get_block_transaction_count(at) == 1
        assert bytes(w3.eth.get_transaction_by_block(at, 0)["hash"]) == tx_hash
    (receipt,) = w3.eth.get_block_receipts(2)
    assert receipt == w3.eth.get_transaction_receipt(tx_hash) and w3.net.peer_count == 0
    rpc = EmbeddedRpc(chain)
    assert rpc.handle("eth_getBlockReceipts", ["0x" + bytes(block["hash"]).hex()])[0]["status"] == "0x1"
    assert rpc.handle("eth_getUncleCountByBlockNumber", ["0x2"]) == "0x0"
    assert rpc.handle("eth_getUncleCountByBlockHash", ["0x" + bytes(block["hash"]).hex()]) == "0x0"
    assert rpc.handle("eth_getTransactionByBlockNumberAndIndex", ["0x2", "0x1"]) is None
    for method in (
        "eth_getBlockReceipts",
        "eth_getBlockTransactionCountByNumber",
        "eth_getUncleCountByBlockNumber",
    ):
        assert rpc.handle(method, ["0x9"]) is None


def test_a_blocks_size_is_that_of_the_whole_block(chain: EmbeddedChain) -> None:
    deploy_counter(chain)
    for number in (0, 1):
        block = chain.store.block_by_number(number)
        whole = chain._chain.get_canonical_block_by_number(BlockNumber(number))
        assert block is not None and int(block["size"], 16) == len(rlp.encode(whole)) > 500
