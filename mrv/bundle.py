"""The evidence bundle: everything a stranger needs to recompute a claim, in one zip or folder that stands alone.

::

    content/inputs/<survey>/<file>    every file as it was handed in
    content/{project,plan,history}.json, content/tables/*.csv
    content/outputs/*.json            what every stage returned: integers, canonical JSON
    content/claim.json
    run/outputs/*.tif                 rasters; content/ holds the digests of their decoded integers, since GeoTIFF bytes differ between GDAL versions
    run/environment.json, run/statement.intoto.json, run/stac/*.json, run/workflow/pipeline.py
    ro-crate-metadata.json, README.txt
    evidence.json                     leaves, salts and roots (`mrv.evidence`)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import rasterio
from rasterio.windows import Window

from mrv.blob import Blob, RasterDigest, blob_of_file, digest_bytes
from mrv.container import Container, refusal, write_folder, write_zip
from mrv.evidence import (
    EVIDENCE_NAME,
    Evidence,
    build_evidence,
    withhold_leaves,
)
from mrv.layout import (
    CLAIM_NAME,
    INPUTS,
    OUTPUTS,
    README_NAME,
    TABLES,
    blob_doc,
    doc_blobs,
    memory_blob,
    output_path,
    run_files,
)
from mrv.project import MonitoringPlan, Project
from mrv.provenance import RunRecord
from mrv.results import Claim, History

if TYPE_CHECKING:
    from mrv.pipeline import PipelineInputs

Parsed = TypeVar("Parsed")
MAX_DOC_BYTES, MAX_NESTING = 1 << 28, 64
_BRACKETS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
STRIP_ROWS = 512
MAX_RASTER_COLS = 200_000


def _history_doc(history: History) -> dict[str, Any]:
    return {
        "gross_issued_kg": history.gross_issued_kg,
        "compensated_kg": history.compensated_kg,
        "last_end": None if history.last_end is None else history.last_end.isoformat(),
    }


def _history_from_doc(doc: Mapping[str, Any]) -> History:
    last_end = None if doc["last_end"] is None else date.fromisoformat(doc["last_end"])
    return History(doc["gross_issued_kg"], doc["compensated_kg"], last_end)


def _content(
    inputs: PipelineInputs, outputs: Mapping[str, Blob], survey_ids: tuple[str, str]
) -> dict[str, Blob]:
    files = {
        f"{INPUTS}{survey_id}/{name}": blob
        for survey_id, survey in zip(survey_ids, inputs.surveys, strict=True)
        for name, blob in survey.items()
    }
    files |= {TABLES + name: memory_blob(name, data) for name, data in inputs.tables.files().items()}
    files |= {output_path(name): blob for name, blob in outputs.items()}
    docs = {
        "content/project.json": inputs.project.to_doc(),
        "content/plan.json": inputs.plan.to_doc(),
        "content/history.json": _history_doc(inputs.history),
    }
    return files | doc_blobs(docs)


def write_bundle(
    target: Path, inputs: PipelineInputs, outputs: Mapping[str, Blob], run: RunRecord, secret: bytes
) -> Evidence:
    """Write the evidence of one claim; the same arguments give the same bytes.

    Parameters
    ----------
    target : Path
        A zip where the name ends in ``.zip`` (replaced), else a new or empty folder.
    inputs : PipelineInputs
        What the claim was computed from.
    outputs : mapping of name to Blob
        Everything that the stages put into their sink: ``canopy_<survey>.json`` and ``.tif``, ``inventory_<survey>.json``, ``change.json``,
        ``claim.json``, maps.
    run : RunRecord
        See `mrv.provenance.record_run`.
    secret : bytes
        The project's secret, from which the salts are derived; at least 16 bytes.

    Returns
    -------
    Evidence
        Its ``evidence_root`` goes on chain.

    Raises
    ------
    KeyError
        If a stage's output is missing.
    Refusal
        If a file's name is unsafe, or the bundle does not fit the container.
    """
    change = blob_doc(outputs["change.json"])
    files = _content(inputs, outputs, (change["first_survey_id"], change["last_survey_id"]))
    # The root over content does not depend on the run's own files, yet those name it: it is computed first, beside a stand-in.
    content = {path: blob.digest for path, blob in files.items()}
    content_root = build_evidence({**content, README_NAME: digest_bytes(b"")}, secret).content_root
    files |= run_files(inputs.project, inputs.tables.digest, files, run, content_root)
    evidence = build_evidence({path: blob.digest for path, blob in files.items()}, secret)
    assert evidence.content_root == content_root
    _write(target, files, evidence)
    return evidence


def _write(target: Path, files: Mapping[str, Blob], evidence: Evidence) -> None:
    whole = {**files, **doc_blobs({EVIDENCE_NAME: evidence.to_doc()})}
    if target.suffix == ".zip":
        write_zip(target, whole)
    else:
        write_folder(target, whole)


@dataclass(frozen=True)
class FilesFound:
    """How the files of a bundle compare with its leaves; all tuples in path order.

    Attributes
    ----------
    differing : tuple of str
        Files whose bytes are not those that the leaf was made of.
    missing, unexpected : tuple of str
        Files that have a leaf but are not there; files that are there without a leaf.
    withheld : tuple of str
        Leaves whose file was left out on purpose.
    checked : int
        Files whose hash holds.
    """

    differing: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    withheld: tuple[str, ...]
    checked: int

    @property
    def intact(self) -> bool:
        return not (self.differing or self.missing or self.unexpected)


def _nesting(data: bytes) -> int:
    """How deep the brackets of a JSON text go; counted beforehand, since a deep text can crash the interpreter.

    (py-evm raises the recursion limit when it is imported, and with it goes the guard of `json`.)
    """
    deepest = depth = 0
    for token in _BRACKETS.finditer(data):
        first = token.group()[:1]
        depth += (first in b"[{") - (first in b"]}")
        deepest = max(deepest, depth)
    return deepest


class Bundle:
    """An evidence bundle opened for reading; nothing in it is trusted before its hash holds.

    Raises
    ------
    Refusal
        If it is no bundle, or its ``evidence.json`` is malformed.
    """

    def __init__(self, path: Path) -> None:
        self.container = Container(path)
        try:
            if EVIDENCE_NAME not in self.container.names:
                raise _malformed(path.name, "no evidence.json")
            self.evidence = Evidence.from_doc(self.doc(EVIDENCE_NAME))
        except BaseException:
            self.container.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.container.close()

    def doc(self, name: str) -> Any:
        """A JSON document of the bundle."""
        if name not in self.container.names:
            raise _malformed(name, "no such file in the bundle")
        path = self.container.local(name)
        if path.stat().st_size > MAX_DOC_BYTES:
            raise _malformed(name, f"{path.stat().st_size} bytes")
        data = path.read_bytes()
        if _nesting(data) > MAX_NESTING:
            raise _malformed(name, f"JSON nested deeper than {MAX_NESTING}")
        try:
            return json.loads(data)
        except ValueError as error:
            raise _malformed(name, f"no JSON ({error})") from error

    def compare_files(self) -> FilesFound:
        """Hash every file and compare it with its leaf."""
        leaves = self.evidence.by_path
        names = [name for name in self.container.names if name != EVIDENCE_NAME]
        differing, checked = [], 0
        for name in names:
            leaf = leaves.get(name)
            if leaf is None or leaf.withheld:
                continue
            digest = self.container.digest(name)
            if digest is None or not leaf.holds(digest):
                differing.append(name)
            else:
                checked += 1
        present = set(names)
        withheld = tuple(p for p, x in leaves.items() if x.withheld and p not in present)
        missing = tuple(p for p, x in leaves.items() if not x.withheld and p not in present)
        # A file beside a leaf without salt cannot be checked, hence nobody vouches for it.
        unexpected = tuple(n for n in names if n not in leaves or leaves[n].withheld)
        return FilesFound(tuple(differing), missing, unexpected, withheld, checked)

    def below(self, folder: str) -> dict[str, str]:
        """Names of the files under a folder (with ``/`` at its end), relative to it, to their paths in the bundle."""
        return {n[len(folder) :]: n for n in self.container.names if n.startswith(folder)}

    def raster_digest(self, name: str, grid: Mapping[str, Any]) -> str:
        """Digest of the integers in a raster of the bundle, read in strips, with the grid it should have.

        Raises
        ------
        Refusal
            If the raster is too wide to be read in strips, or not of integers.
        """
        with rasterio.open(self.container.local(name), driver="GTiff") as source:
            kind = np.dtype(source.dtypes[0])
            if kind.kind not in "iu" or source.width > MAX_RASTER_COLS:
                raise _malformed(name, f"{source.width} columns of {kind}")
            digest = RasterDigest(kind, source.shape, grid)
            for row in range(0, source.height, STRIP_ROWS):
                rows = min(STRIP_ROWS, source.height - row)
                digest.update(source.read(1, window=Window(0, row, source.width, rows)))
        return digest.hexdigest()

    def claim(self) -> Claim:
        """The claim as recorded."""
        return _parsed(CLAIM_NAME, Claim.from_doc, self.doc(CLAIM_NAME))

    def project(self) -> Project:
        """The project as recorded."""
        return _parsed("content/project.json", Project.from_doc, self.doc("content/project.json"))

    def recorded(self) -> dict[str, Any]:
        """Documents of all stages by stage name (``canopy_<survey>``, ..., ``change``, ``claim``)."""
        docs = {
            name[: -len(".json")]: self.doc(path)
            for name, path in self.below(OUTPUTS).items()
            if name.endswith(".json")
        }
        return {**docs, "claim": self.doc(CLAIM_NAME)}

    def survey_ids(self) -> tuple[str, str]:
        """First and last survey of the recorded change."""
        name = OUTPUTS + "change.json"
        return _parsed(name, lambda d: (str(d["first_survey_id"]), str(d["last_survey_id"])), self.doc(name))

    def inputs(self) -> PipelineInputs:
        """Everything that decides the claim, as the pipeline takes it; blobs are good until the bundle is closed."""
        from mrv.pipeline import PipelineInputs
        from mrv.tables import load_tables

        first, last = (
            {name: self.container.blob(path, name) for name, path in self.below(f"{INPUTS}{i}/").items()}
            for i in self.survey_ids()
        )
        plan, history = self.doc("content/plan.json"), self.doc("content/history.json")
        tables = {name: self.container.read(path) for name, path in self.below(TABLES).items()}
        return PipelineInputs(
            project=self.project(),
            plan=_parsed("content/plan.json", MonitoringPlan.from_doc, plan),
            surveys=(first, last),
            tables=_parsed(TABLES, load_tables, tables),
            history=_parsed("content/history.json", _history_from_doc, history),
        )


def _parsed(name: str, parse: Callable[[Any], Parsed], doc: Any) -> Parsed:
    try:
        return parse(doc)
    except (KeyError, TypeError, ValueError, AttributeError, FileNotFoundError) as error:
        raise _malformed(name, f"{type(error).__name__}: {error}") from error


def _malformed(name: str, what: str) -> Exception:
    return refusal(
        "bundle.malformed",
        name,
        ("a file of an evidence bundle", "証拠一式のファイル"),
        (what, what),
        (
            "Ask whoever gave you the bundle for an untouched copy.",
            "渡した人に、手を加えていない証拠一式を求めてください。",
        ),
    )


def withhold(source: Path, names: Collection[str], target: Path) -> Evidence:
    """Write a copy of a bundle without some files; their leaves stay, and with them every root.

    Owners and exact polygons can be kept back so (name every copy, one a survey), and be proven later with `mrv.evidence.prove`. Checksums of polygon and register files appear
    nowhere else; those of rasters and tree lists do, in the STAC items.

    Raises
    ------
    ValueError
        If a name is not in the bundle or lies outside ``content/inputs/``.
    Refusal
        If the bundle is not intact.
    """
    outside = [name for name in names if not name.startswith(INPUTS)]
    if outside:
        raise ValueError(f"expected files under {INPUTS} to withhold, got {outside}")
    with Bundle(source) as bundle:
        found = bundle.compare_files()
        if not found.intact:
            raise _malformed(source.name, f"differing files: {found}")
        evidence = withhold_leaves(bundle.evidence, tuple(names))
        kept = [n for n in bundle.container.names if n != EVIDENCE_NAME and n not in names]
        files = {name: blob_of_file(bundle.container.local(name), name) for name in kept}
        _write(target, files, evidence)
    return evidence
