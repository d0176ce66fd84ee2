"""The bundle: same input same bytes, any changed byte named, hostile archives refused, files withheld and proven."""

from __future__ import annotations

import json
import os
import random
import shutil
import zipfile
from pathlib import Path

import pytest

from mrv.blob import digest_file
from mrv.bundle import Bundle, withhold, write_bundle
from mrv.container import Container, write_zip
from mrv.errors import Refusal
from mrv.evidence import prove, roots_of
from mrv.layout import CLAIM_NAME
from tests.mrv.made_claim import SECRET, SURVEYS, claim, made_inputs, made_outputs, plan, project, run_record

PLOTS = f"content/inputs/{SURVEYS[0]}/plots.geojson"


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    return made_inputs(folder), made_outputs(folder)


@pytest.fixture(scope="module")
def packed(parts, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("packed") / "evidence.zip"
    write_bundle(target, *parts, run_record(), SECRET)
    return target


@pytest.fixture
def unpacked(parts, tmp_path) -> Path:
    write_bundle(tmp_path / "evidence", *parts, run_record(), SECRET)
    return tmp_path / "evidence"


def test_the_same_claim_gives_the_same_zip_to_the_byte(parts, packed, tmp_path):
    write_bundle(tmp_path / "again.zip", *parts, run_record(), SECRET)
    assert digest_file(tmp_path / "again.zip") == digest_file(packed)


def test_zip_and_folder_hold_the_same_files_and_roots(packed, unpacked):
    with Bundle(packed) as one, Bundle(unpacked) as other:
        assert one.container.names == other.container.names
        assert one.evidence == other.evidence
        assert roots_of(one.evidence.leaves) == one.evidence.roots


def test_an_untouched_bundle_is_intact_and_gives_back_what_was_put_in(packed, parts):
    with Bundle(packed) as bundle:
        found = bundle.compare_files()
        assert found.intact
        assert found.withheld == ()
        assert found.checked == len(bundle.container.names) - 1 == len(bundle.evidence.leaves)
        assert bundle.container.damage == ""
        assert (bundle.claim(), bundle.project()) == (claim(), project())
        assert bundle.survey_ids() == SURVEYS
        assert set(bundle.recorded()) == {"claim", "change"} | {
            f"{stage}_{s}" for stage in ("canopy", "inventory") for s in SURVEYS
        }


def test_any_zip_program_can_open_the_bundle(packed):
    with zipfile.ZipFile(packed) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read(CLAIM_NAME)) == claim().to_doc()


def test_the_pipelines_inputs_come_back_from_the_bundle(packed, parts):
    with Bundle(packed) as bundle:
        inputs = bundle.inputs()
        assert (inputs.project, inputs.plan, inputs.history) == (project(), plan(), parts[0].history)
        assert inputs.tables.digest == parts[0].tables.digest
        for got, given in zip(inputs.surveys, parts[0].surveys, strict=True):
            assert {n: b.digest for n, b in got.items()} == {n: b.digest for n, b in given.items()}
            assert got["plots.geojson"].read_bytes() == given["plots.geojson"].read_bytes()


@pytest.mark.parametrize("name", [PLOTS, CLAIM_NAME, "README.txt", "run/environment.json"])
def test_one_changed_byte_in_a_folder_is_named(unpacked, name):
    path = unpacked / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with Bundle(unpacked) as bundle:
        assert bundle.compare_files().differing == (name,)


def test_one_changed_byte_of_a_file_in_the_zip_is_named(packed, tmp_path):
    data = bytearray(packed.read_bytes())
    with zipfile.ZipFile(packed) as archive:
        info = archive.getinfo(PLOTS)
    data[info.header_offset + 30 + len(PLOTS.encode()) + 3] ^= 1
    (tmp_path / "changed.zip").write_bytes(data)
    with Bundle(tmp_path / "changed.zip") as bundle:
        assert bundle.compare_files().differing == (PLOTS,)
        assert bundle.container.damage == ""


def _noticed(path: Path) -> bool:
    try:
        with Bundle(path) as bundle:
            found = bundle.compare_files()
            return bool(
                not found.intact
                or bundle.container.damage
                or roots_of(bundle.evidence.leaves) != bundle.evidence.roots
            )
    except Refusal:
        return True


def test_a_flipped_bit_anywhere_in_the_zip_is_noticed_and_never_a_crash(tmp_path):
    small = _small_zip(tmp_path)
    data = small.read_bytes()
    assert not _noticed(small)
    choose = random.Random(1)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << choose.randrange(8)
        (tmp_path / "changed.zip").write_bytes(changed)
        assert _noticed(tmp_path / "changed.zip"), place


def _small_zip(folder: Path) -> Path:
    from mrv.blob import blob_of_file, canonical_json, digest_bytes
    from mrv.evidence import EVIDENCE_NAME, build_evidence

    files = {"content/a": b"one", "content/b/c": b"two", "run/x": b"three"}
    evidence = build_evidence({n: digest_bytes(d) for n, d in files.items()}, SECRET)
    # Written without blanks or escapes, so that no two texts mean the same document.
    files[EVIDENCE_NAME] = canonical_json(evidence.to_doc())
    blobs = {}
    for index, (name, data) in enumerate(files.items()):
        (folder / str(index)).write_bytes(data)
        blobs[name] = blob_of_file(folder / str(index))
    write_zip(folder / "small.zip", blobs)
    return folder / "small.zip"


@pytest.mark.parametrize("cut", [0, 1, 21, 22, 1000, -1])
def test_a_truncated_zip_is_refused_in_both_languages(packed, tmp_path, cut):
    (tmp_path / "cut.zip").write_bytes(packed.read_bytes()[:cut])
    with pytest.raises(Refusal) as refused:
        Bundle(tmp_path / "cut.zip")
    assert refused.value.codes == ("bundle.unreadable",)
    assert refused.value.en and refused.value.ja


def test_bytes_before_or_after_the_zip_are_damage(packed, tmp_path):
    (tmp_path / "before.zip").write_bytes(b"MZ" + packed.read_bytes())
    (tmp_path / "after.zip").write_bytes(packed.read_bytes() + b"\n")
    for name in ("before.zip", "after.zip"):
        assert _noticed(tmp_path / name)


def _archive(path: Path, entries: list[tuple[str, bytes]], kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("entries", "kind", "code"),
    [
        ([("../escape", b"x")], zipfile.ZIP_STORED, "bundle.unsafe_path"),
        ([("/root", b"x")], zipfile.ZIP_STORED, "bundle.unsafe_path"),
        ([("a", b"x"), ("a", b"y")], zipfile.ZIP_STORED, "bundle.repacked"),
        ([("a", b"x"), ("a/b", b"y")], zipfile.ZIP_STORED, "bundle.repacked"),
        ([("bomb", b"\0" * 10_000_000)], zipfile.ZIP_DEFLATED, "bundle.repacked"),
        ([("no-evidence.txt", b"x")], zipfile.ZIP_STORED, "bundle.malformed"),
        ([("evidence.json", b"{")], zipfile.ZIP_STORED, "bundle.malformed"),
        ([("evidence.json", b"[" * 100_000)], zipfile.ZIP_STORED, "bundle.malformed"),
        ([("evidence.json", b"{}")], zipfile.ZIP_STORED, "bundle.evidence_malformed"),
    ],
)
def test_a_hostile_archive_is_refused_and_writes_nothing(tmp_path, entries, kind, code):
    archive = _archive(tmp_path / "hostile.zip", entries, kind)
    with pytest.raises(Refusal) as refused:
        Bundle(archive)
    assert refused.value.codes == (code,)
    assert [p.name for p in tmp_path.iterdir()] == ["hostile.zip"]


def test_a_link_in_a_folder_is_refused(unpacked):
    os.symlink("/etc/hostname", unpacked / "content" / "link")
    with pytest.raises(Refusal) as refused:
        Bundle(unpacked)
    assert refused.value.codes == ("bundle.not_a_plain_file",)


def test_missing_and_added_files_are_named(unpacked):
    (unpacked / PLOTS).unlink()
    (unpacked / "content" / "new.txt").write_text("hello")
    with Bundle(unpacked) as bundle:
        found = bundle.compare_files()
    assert (found.missing, found.unexpected, found.intact) == ((PLOTS,), ("content/new.txt",), False)


def test_withheld_polygons_are_gone_and_still_proven(packed, parts, tmp_path):
    public = tmp_path / "public.zip"
    withhold(packed, [PLOTS], public)
    secret_file = parts[0].surveys[0]["plots.geojson"]
    with Bundle(packed) as full, Bundle(public) as shown:
        assert PLOTS not in shown.container.names
        assert shown.evidence.roots == full.evidence.roots == roots_of(shown.evidence.leaves)
        found = shown.compare_files()
        assert (found.withheld, found.intact) == ((PLOTS,), True)
        proof = prove(full.evidence, PLOTS, secret_file.digest)
        assert proof.root() == shown.evidence.evidence_root
    raw = public.read_bytes()
    salt = proof.salt.encode()
    for trace in (secret_file.read_bytes(), secret_file.digest.removeprefix("sha256:").encode(), salt):
        assert trace not in raw


def test_a_file_put_beside_a_withheld_leaf_is_not_believed(packed, tmp_path):
    withhold(packed, [PLOTS], tmp_path / "public")
    (tmp_path / "public" / PLOTS).write_text("{}")
    with Bundle(tmp_path / "public") as bundle:
        assert bundle.compare_files().unexpected == (PLOTS,)


def test_only_inputs_of_an_intact_bundle_can_be_withheld(packed, unpacked, tmp_path):
    with pytest.raises(ValueError, match="content/inputs/"):
        withhold(packed, [CLAIM_NAME], tmp_path / "x.zip")
    (unpacked / "README.txt").write_text("changed")
    with pytest.raises(Refusal):
        withhold(unpacked, [PLOTS], tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def test_nothing_is_overwritten_in_a_folder_and_a_zip_is_replaced_whole(parts, packed, unpacked, tmp_path):
    with pytest.raises(Refusal) as refused:
        write_bundle(unpacked, *parts, run_record(), SECRET)
    assert refused.value.codes == ("bundle.target_not_empty",)
    again = tmp_path / "evidence.zip"
    shutil.copyfile(packed, again)
    write_bundle(again, *parts, run_record(), SECRET)
    assert digest_file(again) == digest_file(packed)
    assert not again.with_name("evidence.zip.part").exists()


def test_unpacked_files_disappear_when_the_bundle_is_closed(packed):
    with Container(packed) as container:
        place = container.local(PLOTS)
        assert place.is_file()
    assert not place.exists()
