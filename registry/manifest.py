"""Deployment manifests as files: whatever is wrong with one is named with the file, what was expected and what to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from models.errors import SatoyamaError
from registry.address import AddressRefused, checked_address
from registry.deploy import Deployment

_ADDRESSES = ("registry", "sale", "split", "yen")
_LATER_ADDRESSES = ("court", "predecessor")


class ManifestUnreadable(SatoyamaError):
    """A file is no deployment manifest."""


def read_manifest(path: Path) -> Deployment:
    """The contracts that a manifest file (deployment.json) names.

    Raises
    ------
    ManifestUnreadable
        If it is missing, no JSON, lacks a field or has one this program does not know, or a value is of another kind.
    """
    try:
        doc = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unreadable(
            path, f"it cannot be opened ({error.strerror})", f"開けません（{error.strerror}）"
        ) from error
    except (ValueError, RecursionError) as error:
        raise _unreadable(path, f"it is no JSON ({error})", f"JSON ではありません（{error}）") from error
    return manifest_of(doc, path)


def manifest_of(doc: Any, path: Path) -> Deployment:
    """The contracts that a manifest's document names; `path` is for the errors."""
    if not isinstance(doc, Mapping):
        raise _unreadable(path, f"expected an object, got {type(doc).__name__}", "オブジェクトではありません")
    known = {field.name: field.default is MISSING for field in fields(Deployment)}
    missing = [name for name, needed in known.items() if needed and name not in doc]
    if missing:
        names = ", ".join(missing)
        raise _unreadable(path, f"{names} is absent", f"{names} がありません")
    unknown = sorted(set(doc) - set(known))
    if unknown:
        names = ", ".join(map(str, unknown))
        raise _unreadable(
            path,
            f"this version does not know {names}; a newer version of the program wrote it, so use that one",
            f"この版の知らない項目 {names} があります。新しい版で書かれたものなら、その版を使ってください",
        )
    return Deployment.from_doc(_values(doc, path))


def _values(doc: Mapping[str, Any], path: Path) -> dict[str, Any]:
    kinds: tuple[tuple[str, type[Any]], ...] = (
        *((name, int) for name in ("chain_id", "block")),
        ("yen_is_ours", bool),
        ("artifact_digests", dict),
        *((name, str) for name in (*_ADDRESSES, *_LATER_ADDRESSES, "program")),
    )
    values = dict(doc)
    for name, kind in kinds:
        value: Any = values.get(name, kind())
        wrong = isinstance(value, bool) or (isinstance(value, int) and value < 0)
        if not isinstance(value, kind) or (kind is int and wrong):
            shown = repr(value)[:60]
            raise _unreadable(
                path,
                f"{name} is {shown}, expected {kind.__name__}",
                f"{name} は {kind.__name__} が必要ですが、{shown} です",
            )
    for name in (*_ADDRESSES, *(n for n in _LATER_ADDRESSES if values.get(n))):
        try:
            values[name] = checked_address(values[name], name)
        except AddressRefused as error:
            raise _unreadable(path, error.en, error.ja) from error
    return values


def _unreadable(path: Path, why_en: str, why_ja: str) -> ManifestUnreadable:
    return ManifestUnreadable(
        en=f"{path} is no deployment manifest: {why_en}. Copy deployment.json again from the workspace's folder chain/, from a backup, "
        "or from the batch's public page.",
        ja=f"{path} は配備の記録(deployment.json)ではありません: {why_ja}。作業場所の chain/、バックアップ、"
        "またはバッチの公開ページから写し直してください。",
    )
