"""The object store: bytes under the name of their own hash, in a folder or behind any fsspec address."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

from models.errors import SatoyamaError
from mrv.blob import Blob, digest_bytes, digest_file

_PREFIX = "sha256:"


class ObjectMissing(SatoyamaError, KeyError):
    """No object of this digest is stored."""


class ObjectDamaged(SatoyamaError):
    """Stored bytes do not have the digest they are stored under."""


class ObjectStore:
    """Objects by digest (`registry.ports.ObjectSource`). What is stored is never changed.

    Parameters
    ----------
    url : str
        A folder, or an fsspec address such as ``s3://bucket/prefix`` or ``memory://objects``.
    """

    def __init__(self, url: str) -> None:
        filesystem, root = fsspec.core.url_to_fs(url)
        self._fs = filesystem
        self._root = root.rstrip("/")
        self._local = isinstance(filesystem, LocalFileSystem)

    @property
    def root(self) -> Path:
        """Folder of the objects; of a remote store, its prefix."""
        return Path(self._root)

    def _place(self, digest: str) -> str:
        name = digest.removeprefix(_PREFIX)
        if not digest.startswith(_PREFIX) or len(name) != 64 or set(name) - set("0123456789abcdef"):
            raise ObjectMissing(
                en=f"Expected a digest 'sha256:<64 hexadecimal digits>', got {digest!r}.",
                ja=f"「sha256:＜16進64桁＞」が必要ですが、{digest!r} でした。",
            )
        return f"{self._root}/sha256/{name[:2]}/{name}"

    def has(self, digest: str) -> bool:
        """Whether the object is stored."""
        return bool(self._fs.exists(self._place(digest)))

    def size(self, digest: str) -> int:
        """Bytes of a stored object."""
        self._must_have(digest)
        return int(self._fs.size(self._place(digest)))

    def put_bytes(self, data: bytes) -> str:
        """Store bytes, return their digest. Whole or not at all; storing twice costs nothing."""
        digest = digest_bytes(data)
        place = self._place(digest)
        if self._fs.exists(place):
            return digest
        if self._local:
            with self._whole_file(place) as temporary:
                temporary.write_bytes(data)
        else:
            self._fs.pipe_file(place, data)
        return digest

    def put_file(self, path: Path, *, move: bool = False) -> str:
        """Store a file's bytes, return their digest.

        Parameters
        ----------
        path : Path
        move : bool
            Give the file to the store: it is renamed rather than copied where both lie on one disk.
        """
        digest = digest_file(path)
        place = self._place(digest)
        if not self._fs.exists(place):
            if self._local:
                with self._whole_file(place) as temporary:
                    if move:
                        shutil.move(path, temporary)
                    else:
                        shutil.copyfile(path, temporary)
                        if digest_file(temporary) != digest:
                            raise _changing(path)
            else:
                self._fs.put_file(str(path), place)
        if move:
            path.unlink(missing_ok=True)
        return digest

    @contextmanager
    def _whole_file(self, place: str) -> Iterator[Path]:
        """A temporary path beside `place` that becomes it, read-only and flushed, when the context ends well."""
        target = Path(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".part-")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o444)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)

    def read(self, digest: str) -> bytes:
        """All bytes of an object, checked against its digest."""
        self._must_have(digest)
        data = bytes(self._fs.cat_file(self._place(digest)))
        if digest_bytes(data) != digest:
            raise _damaged(digest)
        return data

    @contextmanager
    def open(self, digest: str) -> Iterator[Path]:
        """A local path of the object for reading: the stored file itself, or a checked copy of a remote one."""
        self._must_have(digest)
        if self._local:
            yield Path(self._place(digest))
            return
        with tempfile.TemporaryDirectory(prefix="satoyama-") as folder:
            copy = Path(folder) / "object"
            self._fs.get_file(self._place(digest), str(copy))
            if digest_file(copy) != digest:
                raise _damaged(digest)
            yield copy

    def blob(self, digest: str, name: str) -> Blob:
        """A `Blob` of a stored object under a logical name."""
        return Blob(digest, name, self.size(digest), lambda: self.open(digest))

    def check(self, digest: str) -> None:
        """Reread an object.

        Raises
        ------
        ObjectMissing, ObjectDamaged
        """
        with self.open(digest) as path:
            if digest_file(path) != digest:
                raise _damaged(digest)

    def _must_have(self, digest: str) -> None:
        if not self.has(digest):
            raise ObjectMissing(
                en=f"The object store has nothing under {digest}. Restore it from a backup, or submit the survey again.",
                ja=f"{digest} は保管されていません。バックアップから戻すか、調査データを再提出してください。",
            )


def _damaged(digest: str) -> ObjectDamaged:
    return ObjectDamaged(
        en=f"The bytes stored under {digest} have another hash: the store is damaged. Restore the object from a backup.",
        ja=f"{digest} として保管された内容のハッシュが一致しません。保管庫が壊れています。バックアップから戻してください。",
    )


def _changing(path: Path) -> ObjectDamaged:
    return ObjectDamaged(
        en=f"{path.name} changed while it was being read. Wait until it is written whole, then submit it again.",
        ja=f"{path.name} は読み取り中に変化しました。書き込みが終わってから再提出してください。",
    )


class StoreSink:
    """A sink (`mrv.blob.Sink`) that puts a run's outputs into the object store and remembers their names.

    Attributes
    ----------
    digests : dict of str to str
        Digest of each output by its name in the run.
    """

    def __init__(self, objects: ObjectStore, scratch: Path) -> None:
        self.digests: dict[str, str] = {}
        self._objects = objects
        self._scratch = scratch

    def put(self, name: str, data: bytes) -> str:
        self.digests[name] = self._objects.put_bytes(data)
        return self.digests[name]

    def path_for(self, name: str) -> AbstractContextManager[Path]:
        return self._writing(name)

    @contextmanager
    def _writing(self, name: str) -> Iterator[Path]:
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            path = Path(folder) / Path(name).name
            yield path
            self.digests[name] = self._objects.put_file(path, move=True)
