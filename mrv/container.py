"""The container of a bundle: a folder, or a zip whose every byte is determined by the names and bytes of its files.

Files in the zip are stored, never compressed (rasters and tables are small or compressed already), in path order, with one fixed date and nothing
between them. So the zip does not depend on a zlib version, no archive can unpack to more than its own size, and a byte changed between the
files is found as surely as one within them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self

from mrv.blob import CHUNK_BYTES, Blob, digest_file
from mrv.errors import Problem, Refusal
from mrv.evidence import check_path

MAX_FILES = 20_000
MAX_ZIP_BYTES = 0xFFFF_FFFF
# 1980-01-01, the first day a zip can name.
_DATE, _TIME = (1 << 5) | 1, 0
_VERSION, _UNIX_020, _UTF8 = 20, 3 << 8, 0x800
_MODE = 0o100644 << 16


# What zipfile raises on archives that are damaged, encrypted (RuntimeError) or of a kind it does not know.
_DAMAGED = (zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, struct.error, zlib.error)


def refusal(
    code: str, where: str, expected: tuple[str, str], got: tuple[str, str], todo: tuple[str, str]
) -> Refusal:
    """A refusal with one problem."""
    return Refusal([Problem(code, where, *expected, *got, *todo)])


_ASK = (
    "Ask whoever gave you the bundle for an untouched copy.",
    "渡した人に、手を加えていない証拠一式を求めてください。",
)
_UNPACK = (
    "Unpack it and verify the folder instead, or ask for an untouched copy.",
    "展開したフォルダを検証するか、手を加えていない証拠一式を求めてください。",
)


def _local_header(name: bytes, crc: int, size: int) -> bytes:
    fields = (b"PK\3\4", _VERSION, _UTF8, 0, _TIME, _DATE, crc, size, size, len(name), 0)
    return struct.pack("<4s5H3I2H", *fields) + name


def _central_header(name: bytes, crc: int, size: int, offset: int) -> bytes:
    fields = (b"PK\1\2", _UNIX_020 | _VERSION, _VERSION, _UTF8, 0, _TIME, _DATE, crc, size, size)
    return struct.pack("<4s6H3I5H2I", *fields, len(name), 0, 0, 0, 0, _MODE, offset) + name


def _end_record(count: int, size: int, offset: int) -> bytes:
    return struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, offset, 0)


def _crc(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            value = zlib.crc32(piece, value)
    return value


def write_zip(target: Path, files: Mapping[str, Blob]) -> None:
    """Write files to a zip that is a pure function of their names and bytes; replaces `target` whole or not at all.

    Raises
    ------
    Refusal
        ``bundle.too_large`` beyond 4 GiB or 20,000 files: a folder holds those.
    """
    total = sum(b.size + 2 * len(n.encode()) + 128 for n, b in files.items())
    if total > MAX_ZIP_BYTES or len(files) > MAX_FILES:
        raise refusal(
            "bundle.too_large",
            target.name,
            ("a zip of less than 4 GiB and 20,000 files", "4 GiB・2万ファイル未満のZIP"),
            (f"{total} bytes in {len(files)} files", f"{len(files)} ファイル、{total} バイト"),
            ("Write the bundle to a folder instead.", "フォルダとして書き出してください。"),
        )
    partial = target.with_name(target.name + ".part")
    with partial.open("wb") as out:
        central = b""
        for name in sorted(files, key=str.encode):
            encoded, blob = check_path(name).encode(), files[name]
            with blob.opener() as path, path.open("rb") as source:
                crc = _crc(path)
                central += _central_header(encoded, crc, blob.size, out.tell())
                out.write(_local_header(encoded, crc, blob.size))
                shutil.copyfileobj(source, out, CHUNK_BYTES)
        offset = out.tell()
        out.write(central + _end_record(len(files), len(central), offset))
    os.replace(partial, target)


def write_folder(target: Path, files: Mapping[str, Blob]) -> None:
    """Write files into a new or empty folder.

    Raises
    ------
    Refusal
        ``bundle.target_not_empty``: nothing is ever overwritten.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise refusal(
            "bundle.target_not_empty",
            target.name,
            ("a new or empty folder", "新規または空のフォルダ"),
            ("something that is there already", "既存のファイルまたはフォルダ"),
            ("Name another folder.", "別のフォルダを指定してください。"),
        )
    for name, blob in files.items():
        place = target / check_path(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        with blob.opener() as path:
            shutil.copyfile(path, place)


class Container:
    """Files of a bundle on disk, read only; a zip's files are unpacked one by one, when asked for, to a temporary folder.

    Attributes
    ----------
    names : tuple of str
        Paths of all files, sorted.
    damage : str
        What is wrong with the zip outside its files; "" where nothing is, and for folders.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage = ""
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._zip: zipfile.ZipFile | None = None
        if path.is_dir():
            self.names = tuple(sorted(_walk(path), key=str.encode))
            return
        self._zip = _open_zip(path)
        try:
            self.names = _checked_names(path, self._zip.infolist())
            self.damage = _damage(path, self._zip.infolist())
            self._scratch = tempfile.TemporaryDirectory(prefix="satoyama-bundle-")
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the zip and drop what was unpacked."""
        if self._zip is not None:
            self._zip.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    def pieces(self, name: str) -> Iterator[bytes]:
        """One file's bytes, piece by piece.

        Raises
        ------
        Refusal
            ``bundle.file_damaged`` if a zip cannot give the file, or its own checksum of it does not hold.
        """
        try:
            with self._zip.open(name) if self._zip else (self.path / name).open("rb") as file:
                while piece := file.read(CHUNK_BYTES):
                    yield piece
        except _DAMAGED as error:
            raise refusal(
                "bundle.file_damaged",
                name,
                ("the bytes that were packed", "梱包時のままのデータ"),
                (f"something that cannot be read ({error})", f"読めないデータ ({error})"),
                _ASK,
            ) from error

    def digest(self, name: str) -> str | None:
        """``sha256:<hex>`` of one file; None if it is damaged."""
        state = hashlib.sha256()
        try:
            for piece in self.pieces(name):
                state.update(piece)
        except Refusal:
            return None
        return "sha256:" + state.hexdigest()

    def read(self, name: str) -> bytes:
        """All bytes of one file."""
        return b"".join(self.pieces(name))

    def local(self, name: str) -> Path:
        """A local path that holds one file's bytes, good until the container is closed."""
        if self._scratch is None:
            return self.path / name
        place = Path(self._scratch.name) / name
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            partial = place.with_name(place.name + ".part")
            with partial.open("wb") as out:
                out.writelines(self.pieces(name))
            partial.rename(place)
        return place

    def blob(self, name: str, shown: str | None = None) -> Blob:
        """One file as a blob, good until the container is closed."""

        @contextmanager
        def opener() -> Iterator[Path]:
            yield self.local(name)

        path = self.local(name)
        return Blob(digest_file(path), shown or name.rsplit("/", 1)[-1], path.stat().st_size, opener)


def _walk(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder, followlinks=False):
        for entry in (*folders, *files):
            path = Path(place) / entry
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise refusal(
                    "bundle.not_a_plain_file",
                    path.relative_to(folder).as_posix(),
                    ("plain files and folders", "通常のファイルとフォルダ"),
                    ("a link or a special file", "リンクまたは特殊ファイル"),
                    _ASK,
                )
        yield from (check_path((Path(place) / name).relative_to(folder).as_posix()) for name in files)


def _open_zip(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except _DAMAGED as error:
        raise refusal(
            "bundle.unreadable",
            path.name,
            ("an evidence bundle: a folder or a zip", "証拠一式(フォルダまたはZIP)"),
            (f"something that cannot be opened ({error})", f"開けないもの ({error})"),
            _ASK,
        ) from error


def _checked_names(path: Path, entries: list[zipfile.ZipInfo]) -> tuple[str, ...]:
    names = [check_path(entry.orig_filename) for entry in entries]
    packed = next((e.filename for e in entries if e.compress_type != zipfile.ZIP_STORED), None)
    folders = {parent.as_posix() for name in names for parent in PurePosixPath(name).parents}
    if folders & set(names):
        names = [*names, *(folders & set(names))]
    if len(names) > MAX_FILES or len(set(names)) != len(names) or packed is not None:
        got_en = f"{len(names)} entries, {len(names) - len(set(names))} named twice"
        got_ja = f"{len(names)} 件、うち重複 {len(names) - len(set(names))} 件"
        raise refusal(
            "bundle.repacked",
            path.name if packed is None else packed,
            (f"at most {MAX_FILES} files, each named once and stored as it is", "重複のない無圧縮のファイル"),
            (got_en if packed is None else "a compressed one", got_ja if packed is None else "圧縮ファイル"),
            _UNPACK,
        )
    return tuple(sorted(names, key=str.encode))


def _damage(path: Path, entries: list[zipfile.ZipInfo]) -> str:
    """Compare every byte outside the files with what the names, sizes and checksums demand."""
    place, central = 0, b""
    with path.open("rb") as file:
        for entry in sorted(entries, key=lambda e: e.orig_filename.encode()):
            name = entry.orig_filename.encode()
            header = _local_header(name, entry.CRC, entry.file_size)
            file.seek(place)
            if entry.header_offset != place or file.read(len(header)) != header:
                return f"the header of {entry.orig_filename} at byte {place}"
            central += _central_header(name, entry.CRC, entry.file_size, place)
            place += len(header) + entry.file_size
        file.seek(place)
        ending = central + _end_record(len(entries), len(central), place)
        if file.read(len(ending) + 1) != ending:
            return f"the directory of the zip from byte {place} on"
    return ""
