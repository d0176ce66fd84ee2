"""A tiny hand-assembled contract and helpers, for tests of the embedded chain alone."""

from __future__ import annotations

from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from registry.embedded import EmbeddedChain

# With call data: reverts with exactly that data. Without: counter += 1, logs it as topic and data, returns it.
RUNTIME = bytes.fromhex("3615600f573660006000373660 00fd5b600054600101806000558060005260206000a160206000f3")


def creation(runtime: bytes) -> bytes:
    """Creation code that deploys `runtime` (up to 255 bytes)."""
    return bytes([0x60, len(runtime), 0x80, 0x60, 0x0B, 0x60, 0x00, 0x39, 0x60, 0x00, 0xF3]) + runtime


CREATION = creation(RUNTIME)

# Answers every call with EIP-1271's magic value: a wallet that approves anything.
YES_WALLET = bytes.fromhex("631626ba7e60e01b60005260206000f3")


def forwarder(target: str) -> bytes:
    """Runtime that passes its call data on to `target` and reverts if that does: the least multisig there is."""
    return bytes.fromhex(f"36600060003760006000366000600073{target[2:]}5af1602e5760006000fd5b00")


FUNDER_KEY = "0x" + "5a" * 32  # of these tests only


def funder() -> LocalAccount:
    account: LocalAccount = Account.from_key(FUNDER_KEY)
    return account


def new_chain(path: Path) -> EmbeddedChain:
    return EmbeddedChain.create(path, {funder().address: 10**24})


def signed(chain: EmbeddedChain, *, nonce: int | None = None, **fields: object) -> bytes:
    sender = funder()
    transaction = {
        "type": 2,
        "chainId": chain.chain_id,
        "nonce": chain.nonce(bytes.fromhex(sender.address[2:])) if nonce is None else nonce,
        "gas": 200_000,
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 10**9,
        "value": 0,
        **fields,
    }
    return bytes(sender.sign_transaction(transaction).raw_transaction)


def deploy_counter(chain: EmbeddedChain) -> bytes:
    tx_hash = chain.send_raw(signed(chain, data=CREATION))
    receipt = chain.store.receipt("0x" + tx_hash.hex())
    assert receipt is not None and receipt["status"] == "0x1"
    return bytes.fromhex(receipt["contractAddress"][2:])


def assert_whole(chain: EmbeddedChain, counter: bytes) -> int:
    """Every block links to its parent, has its transaction and receipt, and the state agrees; gives the head."""
    store = chain.store
    head = store.head_number()
    assert head is not None
    for number in range(1, head + 1):
        block, parent = store.block_by_number(number), store.block_by_number(number - 1)
        assert block is not None and parent is not None
        assert block["parentHash"] == parent["hash"]
        assert int(block["timestamp"], 16) > int(parent["timestamp"], 16)
        (tx_hash,) = block["transactions"]
        receipt = store.receipt(tx_hash)
        assert receipt is not None and receipt["blockHash"] == block["hash"]
        assert store.transaction_by_hash(tx_hash) is not None
    assert chain.head().block_number == head
    assert chain.storage(counter, 0) == head - 1
    assert chain.nonce(bytes.fromhex(funder().address[2:])) == head
    assert len(store.logs(0, head, [], [])) == head - 1
    return head
