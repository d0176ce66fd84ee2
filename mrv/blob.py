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


class RasterDigest:
    """Digest of a decoded integer raster and its grid, whatever file format carried it, fed in strips of rows.

    Parameters
    ----------
    dtype : dtype of an integer kind
    shape : (rows, cols) of the whole raster
    grid : mapping
        Plain document of the grid.

    Raises
    ------
    TypeError
        If the raster is not of integers: floats are never compared by hash.
    """

    def __init__(self, dtype: np.dtype[Any], shape: tuple[int, int], grid: Mapping[str, Any]) -> None:
        if dtype.kind not in "iu":
            raise TypeError(f"expected an integer raster, got {dtype}")
        self._dtype = dtype.newbyteorder("<")
        self._state = hashlib.sha256(
            canonical_json({"dtype": self._dtype.str, "shape": list(shape), "grid": dict(grid)})
        )

    def update(self, strip: NDArray[Any]) -> None:
        self._state.update(np.ascontiguousarray(strip).astype(self._dtype, copy=False).tobytes())

    def hexdigest(self) -> str:
        return "sha256:" + self._state.hexdigest()


def digest_array(values: NDArray[Any], grid: Mapping[str, Any]) -> str:
    """Digest of a whole integer raster, shape (rows, cols), and its grid."""
    digest = RasterDigest(values.dtype, (int(values.shape[0]), int(values.shape[1])), grid)
    digest.update(values)
    return digest.hexdigest()


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
