"""The signed claim: its values fit, its document is faithful, its digest is EIP-712's."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from mrv.results import Claim
from registry.claimstruct import (
    ClaimStruct,
    ClaimStructError,
    day_number,
    digest_of,
    plot_key,
    project_key,
)

REGISTRY = "0x" + "Aa" * 20
words = st.binary(min_size=32, max_size=32)


def uint(bits: int) -> st.SearchStrategy[int]:
    return st.integers(0, 2**bits - 1)


structs = st.builds(
    ClaimStruct,
    **dict.fromkeys(("project_id", "batch_id", "method_digest", "plan_digest"), words),
    content_root=words,
    evidence_root=words,
    period_start=uint(32),
    period_end=uint(32),
    vintage=uint(16),
    challenge_window=uint(32),
    **{name: uint(64) for name in ("estimate_kg", "standard_error_kg", "deduction_kg", "prior_gross_kg")},
    **{name: uint(64) for name in ("compensated_kg", "gross_kg", "buffer_kg", "deadline")},
    recipient=st.just("0x" + "11" * 20),
    plot_keys=st.sets(words, min_size=1, max_size=5).map(lambda keys: tuple(sorted(keys))),
    nonce=uint(256),
)


def example() -> ClaimStruct:
    return ClaimStruct(
        *(bytes([n]) * 32 for n in range(1, 7)), 19_000, 19_366, 2023, 0, 10, 2, 1, 0, 0, 9, 2,
        "0x" + "11" * 20, (b"\x01" * 32, b"\x02" * 32), 7, 4_000_000_000,
    )  # fmt: skip


@given(structs)
@settings(max_examples=50, deadline=None)
def test_documents_and_tuples_give_the_same_claim_back(claim: ClaimStruct) -> None:
    assert ClaimStruct.from_doc(claim.to_doc()) == claim
    assert ClaimStruct.from_tuple(claim.to_tuple()) == claim


def by_hand(claim: ClaimStruct, chain_id: int) -> bytes:
    """EIP-712 written out from the standard, apart from the library the program uses."""
    type_text = (
        "Claim(bytes32 projectId,bytes32 batchId,bytes32 methodDigest,bytes32 planDigest,bytes32 contentRoot,"
        "bytes32 evidenceRoot,uint32 periodStart,uint32 periodEnd,uint16 vintage,uint32 challengeWindow,"
        "uint64 estimateKg,uint64 standardErrorKg,uint64 deductionKg,uint64 priorGrossKg,uint64 compensatedKg,"
        "uint64 grossKg,uint64 bufferKg,address recipient,bytes32[] plotKeys,uint256 nonce,uint64 deadline)"
    )
    values = list(claim.to_tuple())
    keys = keccak(b"".join(values.pop(18)))
    types = ["bytes32"] * 7 + ["uint256"] * 11 + ["address", "bytes32", "uint256", "uint256"]
    words32 = [keccak(text=type_text), *values[:17], values[17], keys, *values[18:]]
    struct = keccak(encode(types, words32))
    domain_type = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    domain = keccak(
        encode(
            ["bytes32", "bytes32", "bytes32", "uint256", "address"],
            [
                keccak(text=domain_type),
                keccak(text="SatoyamaCreditRegistry"),
                keccak(text="1"),
                chain_id,
                REGISTRY,
            ],
        )
    )
    return keccak(b"\x19\x01" + domain + struct)


@given(structs, st.integers(1, 2**32))
@settings(max_examples=25, deadline=None)
def test_the_digest_is_the_one_the_standard_defines(claim: ClaimStruct, chain_id: int) -> None:
    assert claim.digest(chain_id, REGISTRY) == by_hand(claim, chain_id)


def test_a_signature_names_its_signer_on_one_chain_for_one_registry_only() -> None:
    claim, verifier = example(), Account.create()
    signature = claim.sign(verifier, 1, REGISTRY)
    assert claim.signer(signature, 1, REGISTRY) == verifier.address
    assert claim.signer(signature, 2, REGISTRY) != verifier.address
    assert claim.signer(signature, 1, "0x" + "bb" * 20) != verifier.address
    assert replace(claim, gross_kg=10).signer(signature, 1, REGISTRY) != verifier.address


@pytest.mark.parametrize(
    "changes",
    [
        {"gross_kg": -1},
        {"gross_kg": 2**64},
        {"gross_kg": 1.5},
        {"gross_kg": True},
        {"vintage": 2**16},
        {"batch_id": b"\x01" * 31},
        {"recipient": "0x1234"},
        {"plot_keys": ()},
        {"plot_keys": (b"\x02" * 32, b"\x01" * 32)},
        {"plot_keys": (b"\x01" * 32, b"\x01" * 32)},
        {"plot_keys": tuple(n.to_bytes(32, "big") for n in range(257))},
    ],
)
def test_a_value_that_does_not_fit_is_refused_before_it_is_signed(changes: dict[str, Any]) -> None:
    with pytest.raises(ClaimStructError):
        replace(example(), **changes)


def measured() -> Claim:
    digest = "sha256:" + "ab" * 32
    return Claim(
        project_id="miyama-1", batch_id=digest, method_id="m", method_version="1", method_digest=digest,
        plan_digest=digest, change_digest=digest, period_start=date(2023, 4, 1), period_end=date(2024, 4, 1),
        vintage=2024, confidence_ppm=666_667, deduction_policy="probability_of_exceedance", estimate_kg=10_000,
        standard_error_kg=2_000, df=12, deduction_kg=900, prior_gross_kg=0, compensated_kg=0, gross_kg=9_100,
        buffer_kg=1_820, credited_kg=7_280, area_mm2=10**10, register_ids=("b/2", "a/1"), unverified=(),
        simulated=True,
    )  # fmt: skip


def test_a_measured_claim_becomes_the_struct_field_by_field() -> None:
    claim = measured()
    struct = ClaimStruct.from_claim(
        claim,
        content_root="0x" + "01" * 32,
        evidence_root=b"\x02" * 32,
        recipient="0x" + "11" * 20,
        nonce=5,
        deadline=6,
    )
    assert struct.project_id == project_key("miyama-1")
    assert struct.batch_id == b"\xab" * 32
    assert (struct.period_start, struct.period_end) == (19_448, 19_814)
    assert struct.plot_keys == tuple(sorted((plot_key("a/1"), plot_key("b/2"))))
    assert struct.credited_kg == claim.credited_kg
    for name in ("estimate_kg", "standard_error_kg", "deduction_kg", "gross_kg", "buffer_kg", "vintage"):
        assert getattr(struct, name) == getattr(claim, name)


def test_keys_are_plain_sha2_so_that_anyone_can_recompute_them() -> None:
    # printf 'abc' | sha256sum
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert project_key("abc").hex() == abc
    assert plot_key("24209|012-い-1") == hashlib.sha256("satoyama-plot-v1|24209|012-い-1".encode()).digest()


def test_days_count_from_1970() -> None:
    assert (day_number(date(1970, 1, 1)), day_number(date(2000, 3, 1))) == (0, 11_017)


@pytest.mark.parametrize("text", ["sha256:" + "ab" * 32, "0x" + "ab" * 32, "ab" * 32, b"\xab" * 32])
def test_a_digest_is_read_in_every_spelling_in_use(text: str | bytes) -> None:
    assert digest_of(text) == b"\xab" * 32


@pytest.mark.parametrize("text", ["md5:" + "ab" * 32, "ab" * 31, "", b"\xab" * 33])
def test_what_is_no_digest_is_refused(text: str | bytes) -> None:
    with pytest.raises(ClaimStructError, match="32-byte digest"):
        digest_of(text)
