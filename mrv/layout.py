"""What stands where in a bundle, and the files in which a run speaks of itself: read-me, environment, statement, catalogue, crate."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from mrv.blob import Blob, canonical_json, digest_bytes
from mrv.evidence import check_path
from mrv.project import Project
from mrv.provenance import (
    ENVIRONMENT_NAME,
    STAC_FOLDER,
    STATEMENT_NAME,
    WORKFLOW_NAME,
    Dated,
    FileFact,
    RunRecord,
    stac_item,
    statement,
)
from mrv.results import Claim
from mrv.rocrate import CRATE_NAME, ro_crate

README_NAME = "README.txt"
CLAIM_NAME = "content/claim.json"
INPUTS, TABLES, OUTPUTS, RASTERS = "content/inputs/", "content/tables/", "content/outputs/", "run/outputs/"
_README = """\
{label}SATOYAMA MRV - EVIDENCE OF A BATCH OF CARBON CREDITS / 炭素クレジットの証拠一式

Project / プロジェクト : {name_en} / {name_ja}
Place / 場所           : {place_en} / {place_ja}
Period / 期間          : {start} - {end} (the last day is not included / 末日は含まない)
Credits / クレジット   : {gross:,} kg CO2e ({credited:,} to the project + {buffer:,} buffer)
Method / 方法論        : {method}
Batch / バッチ         : {batch}
Content root           : {content_root}

This folder (or zip) holds every file that the credits were computed from, every result, and the reference tables.
Anyone can check all of it and compute the kilograms again, without asking us. With satoyama-mrv {version} installed:

    satoyama verify <this zip or folder>

You need not trust this file: compare the evidence root in evidence.json with the one on chain. `satoyama verify` does so too.

このフォルダ(またはZIP)には、クレジットの計算に使ったすべてのファイル、すべての結果、参照した表が入っています。
どなたでも、私たちに問い合わせることなく、上のコマンドで全体を検査し、キログラム数を計算し直せます。
このファイルを信用する必要はありません。evidence.json の evidence_root をチェーン上の値と比べてください(satoyama verify も比べます)。
"""


def memory_blob(name: str, data: bytes) -> Blob:
    """A blob of bytes in memory."""

    @contextmanager
    def opener() -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="satoyama-") as folder:
            path = Path(folder) / "data"
            path.write_bytes(data)
            yield path

    return Blob(digest_bytes(data), name, len(data), opener)


def doc_blobs(docs: Mapping[str, Any]) -> dict[str, Blob]:
    """Documents as canonical JSON."""
    return {name: memory_blob(name, canonical_json(doc)) for name, doc in docs.items()}


def blob_doc(blob: Blob) -> Any:
    """The JSON document in a blob of our own making."""
    return json.loads(blob.read_bytes())


def output_path(name: str) -> str:
    """Where an output of the pipeline's sink stands in the bundle."""
    if name == "claim.json":
        return CLAIM_NAME
    # What is drawn for reading (``maps/``) decides nothing and is not recomputed: like rasters it stays out of the content root.
    decides = name.endswith(".json") and not name.startswith("maps/")
    return check_path((OUTPUTS if decides else RASTERS) + name)


def _facts(files: Mapping[str, Blob]) -> list[FileFact]:
    return [FileFact(path, blob.digest, blob.size) for path, blob in files.items()]


def _readme(project: Project, claim: Claim, content_root: str, run: RunRecord) -> bytes:
    text = _README.format(
        label="*** SIMULATED DATA / 模擬データ ***\n\n" if claim.simulated else "",
        name_en=project.name_en,
        name_ja=project.name_ja,
        place_en=project.municipality_en,
        place_ja=project.municipality_ja,
        start=claim.period_start.isoformat(),
        end=claim.period_end.isoformat(),
        gross=claim.gross_kg,
        credited=claim.credited_kg,
        buffer=claim.buffer_kg,
        method=f"{claim.method_id} {claim.method_version}",
        batch=claim.batch_id,
        content_root=content_root,
        version=run.environment["version"],
    )
    return text.encode()


def run_files(
    project: Project, tables_digest: str, files: Mapping[str, Blob], run: RunRecord, content_root: str
) -> dict[str, Blob]:
    """Everything outside ``content/`` but the rasters and ``evidence.json``, for the content in `files`."""
    claim, change = Claim.from_doc(blob_doc(files[CLAIM_NAME])), blob_doc(files[OUTPUTS + "change.json"])
    made = {
        README_NAME: memory_blob(README_NAME, _readme(project, claim, content_root, run)),
        WORKFLOW_NAME: memory_blob(WORKFLOW_NAME, run.workflow),
    }
    docs: dict[str, Any] = {ENVIRONMENT_NAME: dict(run.environment)}
    docs[STATEMENT_NAME] = statement(claim, content_root, _facts(files), tables_digest, run)
    for key, day in (("first_survey_id", "start"), ("last_survey_id", "end")):
        survey_id = change[key]
        grid = blob_doc(files[f"{OUTPUTS}canopy_{survey_id}.json"])["grid"]
        own = (f"{INPUTS}{survey_id}/", f"{OUTPUTS}canopy_{survey_id}.", f"{RASTERS}canopy_{survey_id}.")
        facts = [f for f in _facts(files) if f.path.startswith(own)]
        dated = Dated(survey_id, date.fromisoformat(change[day]), grid)
        docs[f"{STAC_FOLDER}{survey_id}.json"] = stac_item(survey_id, dated, facts, simulated=claim.simulated)
    made |= doc_blobs(docs)
    crate = ro_crate(project, claim, _facts({**files, **made}), run)
    return made | doc_blobs({CRATE_NAME: crate})
