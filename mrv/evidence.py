"""Evidence: one salted leaf per file, two Merkle subtrees, one root that goes on chain.

::

    leaf = sha256(0x00 | salt | length of path (4 bytes, big-endian) | path (UTF-8) | sha256(file))
    node = sha256(0x01 | left | right)                 an odd node moves up unchanged
    salt = HMAC-SHA256(project secret, path)           32 bytes
    evidence_root = node(content_root, run_root)

Leaves stand in the order of their paths' UTF-8 bytes. The prefixes keep a leaf from passing for a node (RFC 6962 §2.1). ``content_root``
is over ``content/`` (inputs, outputs, claim: the same survey gives the same one), ``run_root`` over the rest (times, environment).
The salt lets a file be withheld, and yet be proven later: without it nobody can test a guess against the leaf.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from mrv.errors import Problem, Refusal

Subtree = Literal["content", "run"]
Side = Literal["left", "right"]

EVIDENCE_NAME = "evidence.json"
FORMAT = "satoyama-evidence/1"
ALGORITHM = (
    "leaf = sha256(0x00 | salt | uint32be(len(path)) | utf8(path) | sha256(file)); node = sha256(0x01 | left | right); "
    "an odd node moves up unchanged; leaves in order of path bytes; content_root over content/, run_root over the rest; "
    "evidence_root = node(content_root, run_root); a null salt marks a withheld file"
)
# The demonstration's secret is public on purpose: its bundle must come out the same everywhere.
DEMO_SECRET = b"satoyama demonstration, not a secret"
MAX_PATH_BYTES = 1024


def _refuse(code: str, where: str, expected: tuple[str, str], got: tuple[str, str]) -> Refusal:
    todo_en = "Ask whoever gave you the bundle for an untouched copy."
    todo_ja = "渡した人に、手を加えていない証拠一式を求めてください。"
    return Refusal([Problem(code, where, *expected, *got, todo_en, todo_ja)])


def check_path(path: str) -> str:
    """Return `path` if it is a plain relative path with ``/`` between names.

    Raises
    ------
    Refusal
        ``bundle.unsafe_path`` for absolute paths, ``..``, backslashes, control characters and the like.
    """
    names = path.split("/")
    plain = (
        0 < len(path.encode("utf-8", "surrogatepass")) <= MAX_PATH_BYTES
        and all(
            name not in ("", ".", "..") and len(name.encode("utf-8", "surrogatepass")) <= 255
            for name in names
        )
        and not any(
            c in "\\:" or ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in path
        )
    )
    if not plain:
        raise _refuse(
            "bundle.unsafe_path",
            ascii(path[:200]),
            ("a plain relative path inside the bundle", "証拠一式の中を指す相対パス"),
            ("a path that leads elsewhere", "外を指すパス"),
        )
    return path


def subtree_of(path: str) -> Subtree:
    """The subtree that a path of the bundle belongs to."""
    return "content" if path.startswith("content/") else "run"


def salt_for(secret: bytes, path: str) -> bytes:
    """Salt of one leaf, 32 bytes.

    Raises
    ------
    ValueError
        If the secret is shorter than 16 bytes: its salts could be guessed.
    """
    if len(secret) < 16:
        raise ValueError(f"expected a project secret of at least 16 bytes, got {len(secret)}")
    return hmac.new(secret, path.encode(), hashlib.sha256).digest()


def leaf_hash(salt: bytes, path: str, file_digest: str) -> bytes:
    """Hash of one leaf; `file_digest` is ``sha256:<hex>``."""
    name = path.encode()
    file_hash = bytes.fromhex(file_digest.removeprefix("sha256:"))
    if len(salt) != 32 or len(file_hash) != 32:
        raise ValueError(f"expected a salt and a hash of 32 bytes, got {len(salt)} and {len(file_hash)}")
    return hashlib.sha256(b"\x00" + salt + len(name).to_bytes(4, "big") + name + file_hash).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of two children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _level_up(hashes: Sequence[bytes]) -> list[bytes]:
    paired = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes) - 1, 2)]
    return [*paired, hashes[-1]] if len(hashes) % 2 else paired


def merkle_root(hashes: Sequence[bytes]) -> bytes:
    """Root over leaf hashes in their order.

    Raises
    ------
    ValueError
        If there are none: an empty tree has no root.
    """
    if not hashes:
        raise ValueError("expected at least one leaf, got none")
    level = list(hashes)
    while len(level) > 1:
        level = _level_up(level)
    return level[0]


@dataclass(frozen=True)
class Step:
    """One step of a proof: the neighbour's hash and on which side it stands."""

    side: Side
    hash: str


def merkle_path(hashes: Sequence[bytes], index: int) -> tuple[Step, ...]:
    """Neighbours on the way from leaf `index` to the root."""
    level, steps = list(hashes), list[Step]()
    while len(level) > 1:
        neighbour = index ^ 1
        if neighbour < len(level):
            steps.append(Step("right" if neighbour > index else "left", level[neighbour].hex()))
        level, index = _level_up(level), index // 2
    return tuple(steps)


@dataclass(frozen=True)
class Leaf:
    """One file of the bundle.

    Attributes
    ----------
    salt : str or None
        Hex; None where the file is withheld.
    leaf : str
        Hex of the leaf hash.
    """

    path: str
    salt: str | None
    leaf: str

    @property
    def withheld(self) -> bool:
        return self.salt is None

    def holds(self, file_digest: str) -> bool:
        """Whether a file with this digest belongs to this leaf; never so for a withheld one."""
        if self.salt is None:
            return False
        return leaf_hash(bytes.fromhex(self.salt), self.path, file_digest).hex() == self.leaf


@dataclass(frozen=True)
class Roots:
    """The three roots, ``0x`` and 64 hex digits each, as they stand on chain (bytes32)."""

    content_root: str
    run_root: str
    evidence_root: str


def _hashes(leaves: Sequence[Leaf], subtree: Subtree) -> list[bytes]:
    return [bytes.fromhex(leaf.leaf) for leaf in leaves if subtree_of(leaf.path) == subtree]


def roots_of(leaves: Sequence[Leaf]) -> Roots:
    """Roots over leaves that stand in path order.

    Raises
    ------
    ValueError
        If a subtree is empty.
    """
    content, run = (merkle_root(_hashes(leaves, tree)) for tree in ("content", "run"))
    return Roots("0x" + content.hex(), "0x" + run.hex(), "0x" + node_hash(content, run).hex())


@dataclass(frozen=True)
class Evidence:
    """What ``evidence.json`` says: the leaves in path order and the roots over them."""

    leaves: tuple[Leaf, ...]
    roots: Roots

    @property
    def content_root(self) -> str:
        return self.roots.content_root

    @property
    def evidence_root(self) -> str:
        return self.roots.evidence_root

    @property
    def by_path(self) -> dict[str, Leaf]:
        return {leaf.path: leaf for leaf in self.leaves}

    def to_doc(self) -> dict[str, Any]:
        leaves = [
            {"path": x.path, "subtree": subtree_of(x.path), "salt": x.salt, "leaf": x.leaf}
            for x in self.leaves
        ]
        return {
            "format": FORMAT,
            "algorithm": ALGORITHM,
            "content_root": self.roots.content_root,
            "run_root": self.roots.run_root,
            "evidence_root": self.roots.evidence_root,
            "leaves": leaves,
        }

    @classmethod
    def from_doc(cls, doc: Any) -> Self:
        """Read ``evidence.json`` strictly; the roots it states are kept as stated, see `roots_of`.

        Raises
        ------
        Refusal
            ``bundle.evidence_malformed`` or ``bundle.unsafe_path``.
        """
        try:
            if doc["format"] != FORMAT:
                raise ValueError(f"format {doc['format']!r}")
            leaves = tuple(_leaf_from_doc(entry) for entry in doc["leaves"])
            roots = Roots(*(_hex32(doc[k], "0x") for k in ("content_root", "run_root", "evidence_root")))
            paths = [leaf.path.encode() for leaf in leaves]
            if paths != sorted(set(paths)):
                raise ValueError("the leaves are not in ascending order of their paths")
            if {subtree_of(leaf.path) for leaf in leaves} != {"content", "run"}:
                raise ValueError("a subtree without leaves")
        except Refusal:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _refuse(
                "bundle.evidence_malformed",
                EVIDENCE_NAME,
                (f"a document of format {FORMAT}", f"{FORMAT} 形式の文書"),
                (f"{type(error).__name__}: {error}", f"{type(error).__name__}: {error}"),
            ) from error
        return cls(leaves, roots)


def _hex32(text: Any, prefix: str = "") -> str:
    if not isinstance(text, str) or not text.startswith(prefix) or len(text) != len(prefix) + 64:
        raise ValueError(f"expected {prefix}<64 hex digits>, got {str(text)[:80]!r}")
    digits = text[len(prefix) :]
    if any(c not in "0123456789abcdef" for c in digits):
        raise ValueError(f"expected lower-case hex digits, got {digits!r}")
    return text


def _leaf_from_doc(doc: Mapping[str, Any]) -> Leaf:
    path = check_path(doc["path"])
    if doc["subtree"] != subtree_of(path) or path == EVIDENCE_NAME:
        raise ValueError(f"{path} stands in the wrong subtree")
    salt = doc["salt"]
    return Leaf(path, None if salt is None else _hex32(salt), _hex32(doc["leaf"]))


def build_evidence(digests: Mapping[str, str], secret: bytes) -> Evidence:
    """Leaves and roots over files.

    Parameters
    ----------
    digests : mapping of path to str
        ``sha256:<hex>`` of every file of the bundle but ``evidence.json``.
    secret : bytes
        The project's secret, at least 16 bytes.

    Raises
    ------
    ValueError
        If the secret is too short, ``content/`` or the rest is empty, or ``evidence.json`` itself is named.
    Refusal
        If a path is not a plain relative one.
    """
    if EVIDENCE_NAME in digests:
        raise ValueError(f"{EVIDENCE_NAME} cannot be a leaf of itself")
    leaves = []
    for path in sorted(digests, key=lambda p: check_path(p).encode()):
        salt = salt_for(secret, path)
        leaves.append(Leaf(path, salt.hex(), leaf_hash(salt, path, digests[path]).hex()))
    return Evidence(tuple(leaves), roots_of(leaves))


def withhold_leaves(evidence: Evidence, paths: Sequence[str]) -> Evidence:
    """The same evidence with the salts of `paths` removed; every root stays.

    Raises
    ------
    ValueError
        If a path is not in the evidence.
    """
    missing = sorted(set(paths) - set(evidence.by_path))
    if missing:
        raise ValueError(f"expected files of the bundle to withhold, got {missing}")
    leaves = tuple(Leaf(x.path, None if x.path in paths else x.salt, x.leaf) for x in evidence.leaves)
    return Evidence(leaves, evidence.roots)


@dataclass(frozen=True)
class Proof:
    """That one file belongs to an evidence root; needs neither the bundle nor the other files."""

    path: str
    salt: str
    file_digest: str
    steps: tuple[Step, ...]

    def root(self) -> str:
        """The evidence root that this proof leads to, ``0x`` and 64 hex digits."""
        value = leaf_hash(bytes.fromhex(self.salt), self.path, self.file_digest)
        for step in self.steps:
            other = bytes.fromhex(step.hash)
            value = node_hash(value, other) if step.side == "right" else node_hash(other, value)
        return "0x" + value.hex()

    def to_doc(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "salt": self.salt,
            "file_digest": self.file_digest,
            "steps": [{"side": s.side, "hash": s.hash} for s in self.steps],
        }

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        steps = tuple(Step(s["side"], _hex32(s["hash"])) for s in doc["steps"])
        return cls(check_path(doc["path"]), _hex32(doc["salt"]), doc["file_digest"], steps)


def prove(evidence: Evidence, path: str, file_digest: str) -> Proof:
    """A proof that the file at `path` belongs to the evidence root.

    Parameters
    ----------
    evidence : Evidence
        The holder's full evidence, with the salt of this file.
    file_digest : str
        ``sha256:<hex>`` of the file.

    Raises
    ------
    ValueError
        If the path is unknown or withheld here, or the file is not the one that the leaf was made of.
    """
    leaf = evidence.by_path.get(path)
    if leaf is None or leaf.salt is None:
        raise ValueError(f"expected a file whose salt is known, got {path}")
    if not leaf.holds(file_digest):
        raise ValueError(f"{path} is not the file that the leaf was made of ({file_digest})")
    tree = subtree_of(path)
    siblings = [x.path for x in evidence.leaves if subtree_of(x.path) == tree]
    steps = merkle_path(_hashes(evidence.leaves, tree), siblings.index(path))
    roots = evidence.roots
    top = Step("right", roots.run_root[2:]) if tree == "content" else Step("left", roots.content_root[2:])
    return Proof(path, leaf.salt, file_digest, (*steps, top))
