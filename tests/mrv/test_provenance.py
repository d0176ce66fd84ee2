"""Provenance: what STAC, in-toto and RO-Crate readers expect, true to the files in the bundle."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, unquote, urljoin

import pytest

from mrv.bundle import Bundle, write_bundle
from mrv.provenance import (
    TOP,
    bounds_wgs84,
    environment,
    measuring_digest,
    source_digest,
    utc_text,
)
from tests.mrv.made_claim import GRID, SECRET, SURVEYS, claim, made_inputs, made_outputs, run_record


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    write_bundle(folder / "b", made_inputs(folder), made_outputs(folder), run_record(), SECRET)
    with Bundle(folder / "b") as opened:
        yield opened


def test_stac_items_are_valid_and_their_checksums_are_those_of_the_files(bundle):
    pystac = pytest.importorskip("pystac")
    for survey_id, day in zip(SURVEYS, ("2021-10-20", "2025-10-20"), strict=True):
        doc = bundle.doc(f"run/stac/{survey_id}.json")
        item = pystac.Item.from_dict(doc, preserve_dict=True)
        assert item.datetime is not None and item.datetime.date().isoformat() == day
        assert doc["properties"]["satoyama:simulated"] is True
        assert "SIMULATED" in doc["properties"]["title"]
        assert item.bbox == pytest.approx(
            item.geometry["coordinates"][0][0] + item.geometry["coordinates"][0][2]
        )
        checked = 0
        for asset in doc["assets"].values():
            assert asset["href"].isascii()
            target = urljoin("https://host/b/run/stac/item.json", asset["href"])
            data = bundle.container.read(unquote(target.removeprefix("https://host/b/")))
            assert asset["file:size"] == len(data)
            if "file:checksum" in asset:
                assert asset["file:checksum"] == "1220" + hashlib.sha256(data).hexdigest()
                checked += 1
        assert checked == 3  # tree list, canopy document, canopy raster
        assert "file:checksum" not in doc["assets"]["plots.geojson"]


def test_no_unsalted_checksum_of_a_polygon_file_stands_anywhere_in_the_bundle(bundle):
    for survey_id in SURVEYS:
        path = f"content/inputs/{survey_id}/plots.geojson"
        digest = hashlib.sha256(bundle.container.read(path)).hexdigest()
        assert all(digest.encode() not in bundle.container.read(name) for name in bundle.container.names)


def test_the_footprint_lies_where_the_grid_lies():
    west, south, east, north = bounds_wgs84(GRID.to_doc())
    # Plane rectangular VI has its origin at 36 N, 136 E; this grid is 17.3 km east and 214 km south of it.
    assert 136.18 < west < east < 136.20
    assert 34.06 < south < north < 34.08
    assert (east - west) * 92_300 == pytest.approx(4.0, rel=0.05)
    assert (north - south) * 110_900 == pytest.approx(3.0, rel=0.05)


def test_the_statement_names_the_claim_the_inputs_and_the_program(bundle):
    doc = bundle.doc("run/statement.intoto.json")
    assert doc["_type"] == "https://in-toto.io/Statement/v1"
    assert doc["predicateType"] == "https://slsa.dev/provenance/v1"
    subject = {s["name"]: s["digest"] for s in doc["subject"]}
    claim_bytes = bundle.container.read("content/claim.json")
    assert subject["content/claim.json"]["sha256"] == hashlib.sha256(claim_bytes).hexdigest()
    assert "0x" + subject["content_root"]["satoyamaEvidence1"] == bundle.evidence.content_root
    definition = doc["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["batch_id"] == claim().batch_id
    listed = {d["uri"]: d["digest"]["sha256"] for d in definition["resolvedDependencies"]}
    for path in ("content/plan.json", f"content/inputs/{SURVEYS[1]}/毎木調査.csv"):
        assert listed[quote(path)] == hashlib.sha256(bundle.container.read(path)).hexdigest()
    assert listed["pkg:pypi/satoyama-mrv@0.1.0"] == source_digest().removeprefix("sha256:")
    assert doc["predicate"]["runDetails"]["metadata"]["startedOn"] == "2025-11-01T09:00:00Z"


def test_the_crate_describes_every_file_once_and_every_reference_leads_somewhere(bundle):
    graph = bundle.doc("ro-crate-metadata.json")["@graph"]
    entities = {e["@id"]: e for e in graph}
    assert len(entities) == len(graph)
    described = set(bundle.container.names) - {"ro-crate-metadata.json", "evidence.json"}
    parts = {p["@id"] for p in entities["./"]["hasPart"]}
    assert {unquote(p) for p in parts} == described
    assert parts <= set(entities)
    assert all(p.isascii() for p in parts)
    for entity in graph:
        for key, value in entity.items():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict) and not item["@id"].startswith("http"):
                    assert item["@id"] in entities, (entity["@id"], key)
    assert "ComputationalWorkflow" in entities[entities["./"]["mainEntity"]["@id"]]["@type"]
    run = entities["#run"]
    assert run["instrument"] == entities["./"]["mainEntity"]
    assert {"@id": "content/claim.json"} in run["result"]
    assert {"@id": "content/plan.json"} in run["object"]
    assert entities["ro-crate-metadata.json"]["about"] == {"@id": "./"}


def test_the_environment_names_program_and_libraries_but_neither_host_nor_user():
    doc = environment()
    assert {"numpy", "scipy", "gdal", "proj", "geos", "rasterio"} <= set(doc["libraries"])
    assert doc["source_digest"] == source_digest()
    import getpass
    import platform

    text = json.dumps(doc)
    assert platform.node() not in text
    assert f'"{getpass.getuser()}"' not in text
    assert str(TOP) not in text


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """The program's files as they are now, apart from the tree that somebody may be editing."""
    target = tmp_path_factory.mktemp("clone")
    for room in ("models", "mrv", "registry"):
        for path in (TOP / room).rglob("*.py"):
            if "contracts" not in path.parts:
                place = target / path.relative_to(TOP)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(path.read_bytes())
    return target


def test_the_source_digest_is_that_of_the_files_wherever_they_are_installed(clone, tmp_path):
    wheel = tmp_path / "site-packages"
    shutil.copytree(clone, wheel)
    (wheel / "mrv" / "_data").mkdir()
    (wheel / "mrv" / "_data" / "table.csv").write_text("a")
    assert source_digest(top=wheel) == source_digest(top=clone)
    assert measuring_digest(wheel) == measuring_digest(clone)


@pytest.mark.parametrize(
    ("name", "measures"),
    [
        ("mrv/credits.py", True),
        ("models/volume.py", True),
        ("registry/checks.py", False),
        ("mrv/new.py", True),
    ],
)
def test_a_changed_program_file_changes_the_digests_that_rest_on_it(clone, tmp_path, name, measures):
    changed = tmp_path / "changed"
    shutil.copytree(clone, changed)
    with (changed / name).open("ab") as file:
        file.write(b"\n")
    assert source_digest(top=changed) != source_digest(top=clone)
    assert (measuring_digest(changed) != measuring_digest(clone)) is measures


def test_the_simulator_is_no_part_of_what_kilograms_rest_on(clone, tmp_path):
    without = tmp_path / "without"
    shutil.copytree(clone, without, ignore=shutil.ignore_patterns("simulator*"))
    assert source_digest(top=without) != source_digest(top=clone)
    assert measuring_digest(without) == measuring_digest(clone)


def test_a_moment_without_time_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        utc_text(datetime(2025, 1, 1))
