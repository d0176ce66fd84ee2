"""Content-addressed values: bytes named by their hash, and where stages put what they make."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import rfc8785
from numpy.typing import NDArray

CHUNK_BYTES = 1 << 20


def digest_bytes(data: bytes) -> str:
    """``sha256:<hex>`` of bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """``sha256:<hex>`` of a file, read in pieces."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            state.update(piece)
    return "sha256:" + state.hexdigest()


def canonical_json(doc: Any) -> bytes:
    """RFC 8785 canonical JSON of a plain document.

    Whole numbers beyond 2**53 must be written as text by the caller: RFC 8785 has none.
    """
    return bytes(rfc8785.dumps(doc))


def digest_doc(doc: Any) -> str:
    """``sha256:<hex>`` of the canonical JSON of a document."""
    return digest_bytes(canonical_json(doc))


def digest_array(values: NDArray[Any], grid: Mapping[str, Any]) -> str:
    """Digest of a decoded integer raster and its grid, whatever file format carried it.

    Parameters
    ----------
    values : ndarray of integers, shape (rows, cols)
    grid : mapping
        Plain document of the grid (CRS, origin and pixel size in mm, shape).

    Raises
    ------
    TypeError
        If the array is not of integers: floats are never compared by hash.
    """
    if values.dtype.kind not in "iu":
        raise TypeError(f"expected an integer raster, got {values.dtype}")
    little = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False)
    state = hashlib.sha256(canonical_json({"dtype": little.dtype.str, "shape": list(values.shape), **grid}))
    state.update(little.tobytes())
    return "sha256:" + state.hexdigest()


@dataclass(frozen=True)
class Blob:
    """Bytes known by their digest.

    Attributes
    ----------
    digest : str
        ``sha256:<hex>`` of the bytes.
    name : str
        Logical file name, for messages and file types (``chm.tif``).
    size : int
        Number of bytes.
    opener : callable
        Gives a context manager of a local path that holds the bytes.
    """

    digest: str
    name: str
    size: int
    opener: Callable[[], AbstractContextManager[Path]]

    def read_bytes(self) -> bytes:
        with self.opener() as path:
            return path.read_bytes()


def blob_of_file(path: Path, name: str | None = None) -> Blob:
    """A blob of a local file, hashed now."""

    @contextmanager
    def opener() -> Iterator[Path]:
        yield path

    return Blob(digest_file(path), name or path.name, path.stat().st_size, opener)


class Sink(Protocol):
    """Where a stage writes its outputs; an output is known by name within a run and by digest for ever."""

    def put(self, name: str, data: bytes) -> str:
        """Store bytes under `name`, return their digest."""
        ...

    def path_for(self, name: str) -> AbstractContextManager[Path]:
        """A local path to write a large output to; stored under `name` when the context ends."""
        ...


class FolderSink:
    """A sink that writes plain files into one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, data: bytes) -> str:
        with self.path_for(name) as path:
            path.write_bytes(data)
        return digest_bytes(data)

    @contextmanager
    def path_for(self, name: str) -> Iterator[Path]:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path


class NullSink:
    """A sink for recomputation: outputs are hashed and dropped."""

    def put(self, name: str, data: bytes) -> str:
        return digest_bytes(data)

    @contextmanager
    def path_for(self, name: str) -> Iterator[Path]:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / Path(name).name
