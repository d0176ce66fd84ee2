"""Salted Merkle evidence: known values, roots, proofs and withheld leaves."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrv.blob import digest_bytes
from mrv.errors import Refusal
from mrv.evidence import (
    Evidence,
    Proof,
    Roots,
    build_evidence,
    check_path,
    leaf_hash,
    merkle_root,
    node_hash,
    prove,
    roots_of,
    salt_for,
    withhold_leaves,
)

SECRET = b"sixteen bytes or more"
NAMES = st.text("abcあ.-", min_size=1, max_size=6).filter(lambda n: n not in (".", ".."))
FILES = st.dictionaries(NAMES, st.binary(max_size=8), min_size=1, max_size=9)


def _sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _digests(content: dict[str, bytes], run: dict[str, bytes]) -> dict[str, str]:
    return {f"content/{n}": digest_bytes(d) for n, d in content.items()} | {
        f"run/{n}": digest_bytes(d) for n, d in run.items()
    }


def test_a_leaf_is_the_hash_written_in_the_format():
    path, data = "content/木.csv", b"data"
    salt = hmac.new(SECRET, path.encode(), hashlib.sha256).digest()
    by_hand = _sha(b"\x00" + salt + (15).to_bytes(4, "big") + path.encode() + _sha(data))
    assert len(path.encode()) == 15
    assert leaf_hash(salt_for(SECRET, path), path, digest_bytes(data)) == by_hand


def test_roots_of_three_and_two_files_are_those_made_by_hand():
    digests = _digests({"a": b"1", "b": b"2", "c": b"3"}, {"x": b"4", "y": b"5"})
    a, b, c, x, y = (leaf_hash(salt_for(SECRET, p), p, d) for p, d in digests.items())
    content, run = node_hash(node_hash(a, b), c), node_hash(x, y)
    expected = Roots("0x" + content.hex(), "0x" + run.hex(), "0x" + node_hash(content, run).hex())
    assert build_evidence(digests, SECRET).roots == expected
    assert node_hash(a, b) == _sha(b"\x01" + a + b)


def test_a_tree_of_one_leaf_is_that_leaf_and_an_empty_one_has_no_root():
    assert merkle_root([b"x" * 32]) == b"x" * 32
    with pytest.raises(ValueError, match="at least one leaf"):
        merkle_root([])


@settings(max_examples=60, deadline=None)
@given(FILES, FILES)
def test_every_file_is_proven_by_its_proof_alone_and_survives_json(content, run):
    digests = _digests(content, run)
    evidence = build_evidence(digests, SECRET)
    for path, digest in digests.items():
        proof = Proof.from_doc(prove(evidence, path, digest).to_doc())
        assert proof.root() == evidence.evidence_root


@settings(max_examples=60, deadline=None)
@given(FILES, FILES, st.data())
def test_any_changed_file_name_or_salt_leads_to_another_root(content, run, data):
    digests = _digests(content, run)
    evidence = build_evidence(digests, SECRET)
    path = data.draw(st.sampled_from(sorted(digests)))
    proof = prove(evidence, path, digests[path])
    changed = [
        replace(proof, file_digest=digest_bytes(b"another file, longer than any drawn")),
        replace(proof, path=path + "x"),
        replace(proof, salt="00" * 32),
        replace(proof, steps=proof.steps[1:]),
    ]
    assert all(p.root() != evidence.evidence_root for p in changed)


@settings(max_examples=60, deadline=None)
@given(FILES, FILES, st.data())
def test_withholding_files_keeps_every_root_and_every_other_proof(content, run, data):
    digests = _digests(content, run)
    evidence = build_evidence(digests, SECRET)
    kept_back = data.draw(st.sets(st.sampled_from(sorted(digests))))
    public = Evidence.from_doc(withhold_leaves(evidence, tuple(kept_back)).to_doc())
    assert roots_of(public.leaves) == evidence.roots
    for path, digest in digests.items():
        if path in kept_back:
            assert not public.by_path[path].holds(digest)
            with pytest.raises(ValueError, match="salt is known"):
                prove(public, path, digest)
        assert prove(evidence, path, digest).root() == public.evidence_root


def test_the_order_in_which_files_are_given_does_not_matter():
    digests = _digests({"b": b"1", "a": b"2"}, {"x": b"3"})
    assert build_evidence(digests, SECRET) == build_evidence(dict(reversed(digests.items())), SECRET)


def test_the_content_root_does_not_depend_on_the_run():
    first = build_evidence(_digests({"a": b"1"}, {"x": b"2"}), SECRET)
    second = build_evidence(_digests({"a": b"1"}, {"x": b"3", "y": b"4"}), SECRET)
    assert first.content_root == second.content_root
    assert first.evidence_root != second.evidence_root


def test_a_node_cannot_pass_for_a_leaf():
    left, right = b"l" * 32, b"r" * 32
    assert node_hash(left, right) != _sha(left + right)
    assert node_hash(left, right) != leaf_hash(left, "r", "sha256:" + right.hex())


def test_a_short_secret_is_refused():
    with pytest.raises(ValueError, match="at least 16 bytes"):
        salt_for(b"guess me", "content/a")


def test_a_proof_of_another_file_is_not_made():
    evidence = build_evidence(_digests({"a": b"1"}, {"x": b"2"}), SECRET)
    with pytest.raises(ValueError, match="not the file"):
        prove(evidence, "content/a", digest_bytes(b"2"))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../a",
        "a/../b",
        "a//b",
        "a/",
        "./a",
        "a\\b",
        "c:/a",
        "a\nb",
        "a\x00",
        "\ud800",
        "a" * 256,
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path):
    with pytest.raises(Refusal) as refused:
        check_path(path)
    assert refused.value.codes == ("bundle.unsafe_path",)


def _doc() -> dict:
    return build_evidence(_digests({"a": b"1", "b": b"2"}, {"x": b"2"}), SECRET).to_doc()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("leaves"),
        lambda d: d.update(format="other"),
        lambda d: d["leaves"].reverse(),
        lambda d: d["leaves"].append(d["leaves"][-1]),
        lambda d: d["leaves"][0].update(leaf="zz" * 32),
        lambda d: d["leaves"][0].update(salt="00"),
        lambda d: d["leaves"][0].update(subtree="run"),
        lambda d: d["leaves"][0].update(path=7),
        lambda d: d.update(leaves=d["leaves"][:2]),
        lambda d: d.update(evidence_root=None),
        lambda d: d.update(leaves=None),
    ],
)
def test_a_malformed_evidence_document_is_refused(spoil):
    doc = _doc()
    assert Evidence.from_doc(doc).to_doc() == doc
    spoil(doc)
    with pytest.raises(Refusal) as refused:
        Evidence.from_doc(doc)
    assert refused.value.codes == ("bundle.evidence_malformed",)


@pytest.mark.parametrize("doc", [None, [], "text", 3])
def test_something_that_is_no_evidence_at_all_is_refused(doc):
    with pytest.raises(Refusal):
        Evidence.from_doc(doc)
