"""JSON-RPC documents of blocks, transactions and receipts of the embedded chain (one transaction a block)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eth._utils.address import generate_contract_address

Doc = dict[str, Any]
# py-evm's interfaces declare fields of later forks as optional or not at all; these are Cancun's.
Header = Any
Transaction = Any
Receipt = Any


def hex_bytes(value: bytes) -> str:
    """0x-prefixed bytes."""
    return "0x" + bytes(value).hex()


def hex_int(value: int) -> str:
    """0x-prefixed quantity."""
    return hex(value)


def block_doc(header: Header, tx_hashes: Sequence[bytes], size: int) -> Doc:
    """Block with the hashes of its transactions."""
    return {
        "number": hex_int(header.block_number),
        "hash": hex_bytes(header.hash),
        "parentHash": hex_bytes(header.parent_hash),
        "nonce": hex_bytes(header.nonce),
        "sha3Uncles": hex_bytes(header.uncles_hash),
        "logsBloom": f"0x{header.bloom:0512x}",
        "transactionsRoot": hex_bytes(header.transaction_root),
        "stateRoot": hex_bytes(header.state_root),
        "receiptsRoot": hex_bytes(header.receipt_root),
        "miner": hex_bytes(header.coinbase),
        "difficulty": hex_int(header.difficulty),
        "totalDifficulty": "0x0",
        "mixHash": hex_bytes(header.mix_hash),
        "extraData": hex_bytes(header.extra_data),
        "size": hex_int(size),
        "gasLimit": hex_int(header.gas_limit),
        "gasUsed": hex_int(header.gas_used),
        "timestamp": hex_int(header.timestamp),
        "baseFeePerGas": hex_int(header.base_fee_per_gas),
        "blobGasUsed": "0x0",
        "excessBlobGas": "0x0",
        "parentBeaconBlockRoot": hex_bytes(header.parent_beacon_block_root),
        "withdrawalsRoot": hex_bytes(header.withdrawals_root),
        "withdrawals": [],
        "transactions": [hex_bytes(tx_hash) for tx_hash in tx_hashes],
        "uncles": [],
    }


def _type_id(transaction: Transaction) -> int:
    return int(getattr(transaction, "type_id", None) or 0)


def _gas_price(header: Header, transaction: Transaction) -> int:
    if _type_id(transaction) < 2:
        return int(transaction.gas_price)
    tip = transaction.max_priority_fee_per_gas
    return int(min(transaction.max_fee_per_gas, tip + header.base_fee_per_gas))


def transaction_doc(header: Header, transaction: Transaction) -> Doc:
    """Mined transaction."""
    type_id = _type_id(transaction)
    doc: Doc = {
        "type": hex_int(type_id),
        "hash": hex_bytes(transaction.hash),
        "nonce": hex_int(transaction.nonce),
        "blockHash": hex_bytes(header.hash),
        "blockNumber": hex_int(header.block_number),
        "transactionIndex": "0x0",
        "from": hex_bytes(transaction.sender),
        "to": hex_bytes(transaction.to) if transaction.to else None,
        "value": hex_int(transaction.value),
        "gas": hex_int(transaction.gas),
        "gasPrice": hex_int(_gas_price(header, transaction)),
        "input": hex_bytes(transaction.data),
        "r": hex_int(transaction.r),
        "s": hex_int(transaction.s),
    }
    if type_id == 0:
        return {**doc, "v": hex_int(transaction.v)}
    doc |= {"v": hex_int(transaction.y_parity), "yParity": hex_int(transaction.y_parity)}
    doc |= {"chainId": hex_int(transaction.chain_id), "accessList": _access_list(transaction)}
    if type_id >= 2:
        doc["maxFeePerGas"] = hex_int(transaction.max_fee_per_gas)
        doc["maxPriorityFeePerGas"] = hex_int(transaction.max_priority_fee_per_gas)
    return doc


def _access_list(transaction: Transaction) -> list[Doc]:
    return [
        {"address": hex_bytes(address), "storageKeys": [f"0x{key:064x}" for key in keys]}
        for address, keys in transaction.access_list
    ]


def receipt_doc(header: Header, transaction: Transaction, receipt: Receipt) -> Doc:
    """Receipt with its logs."""
    created = None
    if not transaction.to:
        created = hex_bytes(generate_contract_address(transaction.sender, transaction.nonce))
    where = {
        "transactionHash": hex_bytes(transaction.hash),
        "transactionIndex": "0x0",
        "blockHash": hex_bytes(header.hash),
        "blockNumber": hex_int(header.block_number),
    }
    logs = [
        {
            **where,
            "logIndex": hex_int(index),
            "address": hex_bytes(log.address),
            "topics": [f"0x{topic:064x}" for topic in log.topics],
            "data": hex_bytes(log.data),
            "removed": False,
        }
        for index, log in enumerate(receipt.logs)
    ]
    return {
        **where,
        "type": hex_int(_type_id(transaction)),
        "from": hex_bytes(transaction.sender),
        "to": hex_bytes(transaction.to) if transaction.to else None,
        "contractAddress": created,
        "cumulativeGasUsed": hex_int(receipt.gas_used),
        "gasUsed": hex_int(receipt.gas_used),
        "effectiveGasPrice": hex_int(_gas_price(header, transaction)),
        "logs": logs,
        "logsBloom": f"0x{receipt.bloom:0512x}",
        "status": "0x1" if receipt.state_root == b"\x01" else "0x0",
    }
