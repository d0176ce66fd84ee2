"""Uploads streamed to disk, piece by piece, with a limit; nothing of a file is held in memory."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from models.errors import SatoyamaError

KEEP_S = 24 * 3600
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,60}")
_FIELD_LIMIT = 4096


class UploadRefused(SatoyamaError):
    """An upload that is not even read: too large, or not a form with a file."""


class Waiting:
    """Uploads that were looked at and wait for their owner's word, each in a folder of its own under an unguessable name.

    Parameters
    ----------
    folder : Path
        Made where it is missing. What waits longer than a day is cleared away.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self) -> tuple[str, Path]:
        """A new empty folder and its token."""
        self._clear_old()
        token = secrets.token_urlsafe(24)
        place = self.folder / token
        place.mkdir(parents=True)
        return token, place

    def find(self, token: str) -> Path:
        """The upload that waits under a token.

        Raises
        ------
        UploadRefused
            If none does.
        """
        place = self.folder / token
        files = sorted(place.iterdir()) if _TOKEN.fullmatch(token) and place.is_dir() else []
        if not files:
            raise UploadRefused(
                en="This upload is no longer waiting here (they are kept for a day). Upload the survey again.",
                ja="このアップロードは保存期間（1日）を過ぎたか、提出済みです。もう一度アップロードしてください。",
            )
        return files[0]

    def drop(self, token: str) -> None:
        """Forget an upload."""
        if _TOKEN.fullmatch(token):
            shutil.rmtree(self.folder / token, ignore_errors=True)

    def _clear_old(self) -> None:
        if not self.folder.is_dir():
            return
        for place in self.folder.iterdir():
            if time.time() - place.stat().st_mtime > KEEP_S:
                shutil.rmtree(place, ignore_errors=True)


def safe_name(name: str) -> str:
    """The last part of an uploaded file's name, without anything a file system or terminal could trip over."""
    last = re.split(r"[\\/]", name)[-1]
    clean = "".join(c for c in last if c.isprintable() and c not in '<>:"|?*').strip(" .")
    return clean[-120:] or "survey.zip"


class _Form:
    """Receives the parser's calls: one file to disk, small fields to a dictionary."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.fields: dict[str, str] = {}
        self.file: Path | None = None
        self._headers: dict[str, str] = {}
        self._name = self._field = b""
        self._value = b""
        self._part = ""
        self._out: IO[bytes] | None = None

    def begin(self) -> None:
        self._headers, self._field, self._value = {}, b"", b""

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self._headers[self._field.decode("latin-1").lower()] = self._value.decode("utf-8", errors="replace")
        self._field = self._value = b""

    def headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", "").encode("utf-8"))
        self._part = options.get(b"name", b"").decode("utf-8", errors="replace")
        name = options.get(b"filename")
        if name and self.file is None:
            self.file = self.place / safe_name(name.decode("utf-8", errors="replace"))
            self._out = self.file.open("wb")
        self._value = b""

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._out is not None:
            self._out.write(data[start:end])
        elif len(self._value) < _FIELD_LIMIT:
            self._value += data[start:end]

    def end(self) -> None:
        if self._out is not None:
            self.close()
        elif self._part:
            self.fields[self._part] = self._value.decode("utf-8", errors="replace")

    def close(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None


def too_large(limit: int) -> UploadRefused:
    return UploadRefused(
        en=f"The upload is larger than the {limit / 1e9:.3g} GB this server takes. Split the survey, or use `satoyama survey submit` on the server itself.",
        ja=f"アップロードがこのサーバーの上限 {limit / 1e9:.3g} GB を超えています。調査を分割するか、サーバー上で satoyama survey submit を使ってください。",
    )


def _no_form(detail: str) -> UploadRefused:
    return UploadRefused(
        en=f"Expected a form with one survey zip, got {detail}. Choose a file and send it again.",
        ja=f"調査のzipファイル1つが必要ですが、{detail} でした。ファイルを選んで送り直してください。",
    )


async def receive(
    content_type: str, stream: AsyncIterator[bytes], place: Path, limit_bytes: int
) -> tuple[Path, dict[str, str]]:
    """Write the one file of a multipart form into `place`; returns its path and the form's small fields.

    Raises
    ------
    UploadRefused
        If the body is larger than `limit_bytes`, or holds no file.
    """
    kind, options = parse_options_header(content_type.encode("latin-1", errors="replace"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise _no_form(content_type or "nothing")
    form = _Form(place)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": form.begin,
            "on_header_field": form.header_field,
            "on_header_value": form.header_value,
            "on_header_end": form.header_end,
            "on_headers_finished": form.headers_finished,
            "on_part_data": form.data,
            "on_part_end": form.end,
        },
    )
    received = 0
    try:
        async for piece in stream:
            received += len(piece)
            if received > limit_bytes:
                raise too_large(limit_bytes)
            parser.write(piece)
        parser.finalize()
    except MultipartParseError as error:
        raise _no_form(f"a form that cannot be read ({error})") from error
    finally:
        form.close()
    if form.file is None or form.file.stat().st_size == 0:
        raise _no_form("no file")
    return form.file, form.fields
