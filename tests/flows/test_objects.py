"""Objects are known by their hash, stored whole or not at all, and never changed."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest

from flows.objects import ObjectDamaged, ObjectMissing, ObjectStore, StoreSink
from mrv.blob import digest_bytes


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return ObjectStore(str(tmp_path / "objects") if request.param == "folder" else f"memory://{uuid4().hex}")


def test_bytes_come_back_under_their_digest(store: ObjectStore) -> None:
    digest = store.put_bytes(b"hinoki")
    assert digest == digest_bytes(b"hinoki")
    assert store.has(digest) and store.read(digest) == b"hinoki" and store.size(digest) == 6
    assert store.put_bytes(b"hinoki") == digest


@pytest.mark.parametrize("move", [False, True])
def test_a_file_is_copied_or_given(store: ObjectStore, tmp_path: Path, move: bool) -> None:
    file = tmp_path / "chm.tif"
    file.write_bytes(b"heights")
    digest = store.put_file(file, move=move)
    assert store.read(digest) == b"heights"
    assert file.exists() is not move
    again = tmp_path / "again.tif"
    again.write_bytes(b"heights")
    assert store.put_file(again, move=move) == digest
    assert again.exists() is not move


def test_a_blob_reads_what_was_stored(store: ObjectStore) -> None:
    blob = store.blob(store.put_bytes(b"trees"), "trees.csv")
    assert (blob.name, blob.size, blob.read_bytes()) == ("trees.csv", 5, b"trees")


def test_an_unknown_digest_and_a_malformed_one_are_refused(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing):
        store.read(digest_bytes(b"never stored"))
    with pytest.raises(ObjectMissing):
        store.has("sha256:../../etc/passwd")


def test_a_changed_object_is_noticed(tmp_path: Path) -> None:
    store = ObjectStore(str(tmp_path))
    digest = store.put_bytes(b"sugi")
    with store.open(digest) as path:
        assert path.stat().st_mode & 0o222 == 0
        os.chmod(path, 0o644)
        path.write_bytes(b"suga")
    with pytest.raises(ObjectDamaged):
        store.read(digest)
    with pytest.raises(ObjectDamaged):
        store.check(digest)


def test_an_interrupted_write_leaves_no_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ObjectStore(str(tmp_path / "o"))

    def out_of_disk(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", out_of_disk)
    with pytest.raises(OSError, match="no space"):
        store.put_bytes(b"half")
    assert not store.has(digest_bytes(b"half"))
    assert [p for p in (tmp_path / "o").rglob("*") if p.is_file()] == []


def test_a_sink_remembers_names_and_stores_only_finished_outputs(store: ObjectStore, tmp_path: Path) -> None:
    sink = StoreSink(store, tmp_path / "scratch")
    sink.put("claim.json", b"{}")
    with sink.path_for("maps/change.tif") as path:
        path.write_bytes(b"raster")
    with pytest.raises(ZeroDivisionError), sink.path_for("maps/broken.tif") as path:
        path.write_bytes(b"half" * (1 // 0))
    assert sink.digests == {"claim.json": digest_bytes(b"{}"), "maps/change.tif": digest_bytes(b"raster")}
    assert not store.has(digest_bytes(b"half"))
