"""An upload, a folder or a zip, as blobs by name; nothing is written outside a temporary folder."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath

from mrv.blob import CHUNK_BYTES, Blob, blob_of_file, digest_doc, digest_file
from mrv.readers.findings import Findings, listed

MANIFEST = "survey.toml"
MAX_FILES = 2_000
MAX_TOTAL_BYTES = 64 << 30
# Deflate cannot do better than 1:1032; tree lists reach 1:20, empty rasters that are large enough to hurt do not come unpacked.
MAX_RATIO = 200
RATIO_FREE_BYTES = 16 << 20
_IGNORED_PARTS = frozenset({"__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini"})
_ARCHIVE_MAGIC = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!",
    b"BZh",
    b"\xfd7zXZ",
)
_ARCHIVE_SUFFIXES = frozenset({".zip", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz", ".tar", ".kmz"})
_OFFICE_SUFFIXES = frozenset({".xlsx", ".xlsm", ".docx", ".pptx", ".ods", ".odt"})


@dataclass(frozen=True)
class Upload:
    """What was handed in.

    Attributes
    ----------
    digest : str
        Of the zip's bytes; of a folder, its content digest.
    content_digest : str
        Of names and bytes alone: a zip and its unpacked folder share it.
    files : mapping of name to Blob
    """

    digest: str
    content_digest: str
    files: Mapping[str, Blob]


def content_digest(files: Mapping[str, Blob]) -> str:
    """Digest of names and bytes of a set of files."""
    return digest_doc({name: files[name].digest for name in sorted(files)})


def read_upload(path: Path, findings: Findings) -> Upload:
    """Files of an upload; whatever is wrong with it goes to `findings` and leaves no file readable."""
    if path.is_dir():
        files = _folder_files(path, findings)
        files = _below_manifest(files)
        digest = content_digest(files)
        return Upload(digest, digest, files)
    if not path.is_file():
        findings.add(
            "upload.missing",
            path.name,
            expected=("a folder or zip file", "フォルダまたはzipファイル"),
            got=("nothing there", "見つからないパス"),
            todo=("Check the path.", "パスを確認してください。"),
        )
        return Upload("", content_digest({}), {})
    digest = digest_file(path)
    files = _below_manifest(_zip_files(path, findings))
    return Upload(digest, content_digest(files), files)


def _below_manifest(files: dict[str, Blob]) -> dict[str, Blob]:
    """Drop the one folder that everything lies in, where the manifest lies in it."""
    homes = [PurePosixPath(name).parent for name in files if PurePosixPath(name).name == MANIFEST]
    if MANIFEST in files or len(homes) != 1:
        return files
    home = homes[0]
    if not all(PurePosixPath(name).is_relative_to(home) for name in files):
        return files
    moved = {str(PurePosixPath(name).relative_to(home)): blob for name, blob in files.items()}
    return {name: replace(blob, name=name) for name, blob in moved.items()}


def _ignored(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part in _IGNORED_PARTS or part.startswith("._") for part in parts)


def _below(folder: Path) -> Iterator[Path]:
    """All that lies in a folder, links not followed, leftovers of file managers left out."""
    for home, folders, names in os.walk(folder, followlinks=False):
        for name in names + [f for f in folders if Path(home, f).is_symlink()]:
            path = Path(home, name)
            if not _ignored(path.relative_to(folder).as_posix()):
                yield path


def _folder_files(folder: Path, findings: Findings) -> dict[str, Blob]:
    files: dict[str, Blob] = {}
    paths = list(islice(_below(folder), MAX_FILES + 1))
    if len(paths) > MAX_FILES:
        _too_much(folder.name, (f"more than {MAX_FILES} files", f"{MAX_FILES}個を超えるファイル"), findings)
        return {}
    for path in sorted(paths):
        name = unicodedata.normalize("NFC", path.relative_to(folder).as_posix())
        if path.is_symlink() or not path.is_file():
            _bad_name("archive.link", name, ("a link or device", "リンクまたは特殊ファイル"), findings)
            continue
        files[name] = blob_of_file(path, name)
    if not files and not findings.refused:
        _empty(folder.name, findings)
    return files


def _zip_files(path: Path, findings: Findings) -> dict[str, Blob]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = _safe_members(path, archive, findings)
            return {} if members is None else _hashed_members(path, archive, members, findings)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, OSError, ValueError, NotImplementedError) as error:
        # What the zipfile module raises for a directory that cannot be read; the message goes to the team.
        findings.add(
            "archive.damaged",
            path.name,
            expected=("a whole zip file", "完全なzipファイル"),
            got=(f"a file that is none ({error})", f"zipとして読めないファイル（{error}）"),
            todo=("Make the zip again and upload it whole.", "zipを作り直して再度送ってください。"),
        )
        return {}


def _member_name(info: zipfile.ZipInfo) -> str:
    """Name of a member; names without the UTF-8 mark are CP932 where Windows in Japanese wrote them."""
    name = info.filename
    if not info.flag_bits & 0x800:
        try:
            name = name.encode("cp437").decode("cp932")
        except (UnicodeEncodeError, UnicodeDecodeError):
            name = info.filename
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _safe_members(
    path: Path, archive: zipfile.ZipFile, findings: Findings
) -> dict[str, zipfile.ZipInfo] | None:
    infos = [i for i in archive.infolist() if not i.is_dir()]
    total = sum(i.file_size for i in infos)
    if not infos:
        _empty(path.name, findings)
        return None
    if len(infos) > MAX_FILES:
        _too_much(path.name, (f"{len(infos)} files", f"{len(infos)}個のファイル"), findings)
        return None
    bombs = [i for i in infos if _is_bomb(i)]
    if total > MAX_TOTAL_BYTES or bombs:
        what = f"{path.stat().st_size} bytes that unpack to {total}"
        _too_much(path.name, (what, f"{path.stat().st_size}バイトが{total}バイトに展開されるzip"), findings)
        return None
    members: dict[str, zipfile.ZipInfo] = {}
    folded: set[str] = set()
    for info in infos:
        name = _member_name(info)
        if _ignored(name):
            continue
        if not _checked_name(name, info, folded, findings):
            continue
        folded.add(name.casefold())
        members[name] = info
    return None if findings.refused else members


def _is_bomb(info: zipfile.ZipInfo) -> bool:
    return info.file_size > RATIO_FREE_BYTES and info.file_size > MAX_RATIO * max(info.compress_size, 1)


def _checked_name(name: str, info: zipfile.ZipInfo, folded: set[str], findings: Findings) -> bool:
    pure = PurePosixPath(name)
    raw_parts = info.filename.replace("\\", "/").split("/")
    escapes = pure.is_absolute() or ".." in pure.parts or ".." in raw_parts or ":" in name or "\x00" in name
    if escapes or not name.strip("/"):
        _bad_name("archive.path", name, ("a path out of the folder", "フォルダの外を指すパス"), findings)
    elif stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        _bad_name("archive.link", name, ("a link or device", "リンクまたは特殊ファイル"), findings)
    elif info.flag_bits & 0x1:
        _bad_name("archive.encrypted", name, ("an encrypted file", "暗号化されたファイル"), findings)
    elif name.casefold() in folded:
        _bad_name("archive.name_twice", name, ("the same name twice", "重複した名前"), findings)
    else:
        return True
    return False


def _hashed_members(
    path: Path, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], findings: Findings
) -> dict[str, Blob]:
    files: dict[str, Blob] = {}
    for name, info in members.items():
        state, size, head = hashlib.sha256(), 0, b""
        try:
            with archive.open(info) as member:
                while piece := member.read(CHUNK_BYTES):
                    head = head or piece[:8]
                    state.update(piece)
                    size += len(piece)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            # A member that does not decompress or fails its checksum; RuntimeError is zipfile's word for a password.
            _bad_name("archive.damaged", name, (f"{error}", f"壊れたファイル（{error}）"), findings)
            continue
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in _ARCHIVE_SUFFIXES or (
            head.startswith(_ARCHIVE_MAGIC) and suffix not in _OFFICE_SUFFIXES
        ):
            _bad_name(
                "archive.nested", name, ("an archive in the archive", "zipの中の圧縮ファイル"), findings
            )
            continue
        files[name] = Blob("sha256:" + state.hexdigest(), name, size, _member_opener(path, info))
    if not files and not findings.refused:
        _empty(path.name, findings)
    return files


def _member_opener(path: Path, info: zipfile.ZipInfo) -> Callable[[], AbstractContextManager[Path]]:
    suffix = PurePosixPath(info.filename).suffix
    safe_suffix = suffix if suffix.isascii() and suffix[1:].isalnum() else ""

    @contextmanager
    def opener() -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="satoyama-") as folder:
            target = Path(folder) / f"member{safe_suffix}"
            with zipfile.ZipFile(path) as archive, archive.open(info) as source, target.open("wb") as out:
                while piece := source.read(CHUNK_BYTES):
                    out.write(piece)
            yield target

    return opener


def _empty(name: str, findings: Findings) -> None:
    findings.add(
        "archive.empty",
        name,
        expected=("a survey: survey.toml and its files", "調査一式（survey.tomlとファイル）"),
        got=("no file at all", "空のzip・フォルダ"),
        todo=("Put the survey's files in and send it again.", "調査ファイルを入れて再度送ってください。"),
    )


def _too_much(name: str, got: tuple[str, str], findings: Findings) -> None:
    limit = f"{MAX_FILES} files, {MAX_TOTAL_BYTES >> 30} GiB, 1:{MAX_RATIO}"
    findings.add(
        "archive.bomb",
        name,
        expected=(f"an upload within {limit}", f"上限内（{limit}）のデータ"),
        got=got,
        todo=("Send the survey's own files only.", "調査のファイルのみを送ってください。"),
    )


def _bad_name(code: str, name: str, got: tuple[str, str], findings: Findings) -> None:
    findings.add(
        code,
        name,
        expected=("plain files inside the survey's folder", "調査フォルダ内の通常のファイル"),
        got=got,
        todo=("Make the zip again from the survey's folder.", "調査フォルダからzipを作り直してください。"),
    )


def listed_names(files: Mapping[str, Blob]) -> tuple[str, str]:
    """Names of the files, shortened, in both languages."""
    return listed(sorted(files)) if files else ("nothing", "なし")
