"""Workflow Run RO-Crate of a bundle: which program made which results of which files, when.

Sources: RO-Crate 1.1; Workflow RO-Crate 1.0; Process and Workflow Run Crate 0.5.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

from mrv.project import Project
from mrv.provenance import (
    ENVIRONMENT_NAME,
    STATEMENT_NAME,
    WORKFLOW_NAME,
    FileFact,
    RunRecord,
    uri_path,
    utc_text,
)
from mrv.results import Claim

CRATE_NAME = "ro-crate-metadata.json"


def _ref(identifier: str) -> dict[str, str]:
    return {"@id": identifier}


_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
_PARAMETERS = {
    "#surveys": ("surveys", "Survey files of every date, as handed in", "File", "input"),
    "#plan": ("plan", "Monitoring plan, fixed before the last date was read", "File", "input"),
    "#tables": ("tables", "Reference tables: volume equations and factors", "File", "input"),
    "#claim": ("claim", "Credits claimed, whole kilograms CO2e", "File", "output"),
}


def _parameter_of(path: str) -> str | None:
    if path.startswith("content/inputs/"):
        return "#surveys"
    if path.startswith("content/tables/"):
        return "#tables"
    return {"content/plan.json": "#plan", "content/claim.json": "#claim"}.get(path)


def _crate_file(fact: FileFact) -> dict[str, Any]:
    entity: dict[str, Any] = {
        "@id": uri_path(fact.path),
        "@type": "File",
        "name": PurePosixPath(fact.path).name,
    }
    entity |= {"encodingFormat": fact.media_type, "contentSize": str(fact.size)}
    parameter = _parameter_of(fact.path)
    return {**entity, "exampleOfWork": _ref(parameter)} if parameter else entity


def _crate_context(project: Project, claim: Claim, run: RunRecord, paths: list[str]) -> list[dict[str, Any]]:
    label = "SIMULATED / 模擬データ. " if claim.simulated else ""
    licence = "Rights in the survey files stay with those who made them; they are handed on so that the claim can be recomputed."
    return [
        {
            "@id": CRATE_NAME,
            "@type": "CreativeWork",
            "about": _ref("./"),
            "conformsTo": [
                _ref("https://w3id.org/ro/crate/1.1"),
                _ref("https://w3id.org/workflowhub/workflow-ro-crate/1.0"),
            ],
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"Evidence of batch {claim.batch_id}",
            "description": f"{label}{project.name_en} / {project.name_ja}: {claim.gross_kg} kg CO2e, "
            f"{claim.period_start.isoformat()} to {claim.period_end.isoformat()} (exclusive), method {claim.method_id} {claim.method_version}",
            "datePublished": utc_text(run.finished),
            "license": _ref("#licence"),
            "conformsTo": [_ref(p) for p in _PROFILES],
            "hasPart": [_ref(uri_path(p)) for p in paths],
            "mainEntity": _ref(WORKFLOW_NAME),
            "mentions": [_ref("#run")],
        },
        {"@id": "#licence", "@type": "CreativeWork", "name": "Rights", "description": licence},
        *({"@id": p, "@type": "CreativeWork", "name": n, "version": p[-3:]} for p, n in _PROFILES.items()),
    ]


def ro_crate(project: Project, claim: Claim, facts: Iterable[FileFact], run: RunRecord) -> dict[str, Any]:
    """Workflow Run RO-Crate metadata over every file of the bundle (``evidence.json`` excepted: it comes after)."""
    listed = sorted(facts, key=lambda f: f.path)
    files = {f.path: _crate_file(f) for f in listed}
    parameters = [
        {
            "@id": key,
            "@type": "FormalParameter",
            "name": name,
            "description": text,
            "additionalType": kind,
            "conformsTo": _ref("https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"),
            "workExample": [_ref(uri_path(p)) for p in files if _parameter_of(p) == key],
        }
        for key, (name, text, kind, _) in _PARAMETERS.items()
    ]
    files[WORKFLOW_NAME] |= {
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": f"satoyama-mrv {run.environment['version']} pipeline",
        "version": str(run.environment["version"]),
        "programmingLanguage": _ref("#python"),
        "input": [_ref(k) for k, v in _PARAMETERS.items() if v[3] == "input"],
        "output": [_ref(k) for k, v in _PARAMETERS.items() if v[3] == "output"],
    }
    made = [p for p in files if p.startswith(("content/outputs/", "run/outputs/"))] + ["content/claim.json"]
    read = [p for p in files if p.startswith("content/") and p not in made]
    action = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Measurement of {project.name_en}",
        "instrument": _ref(WORKFLOW_NAME),
        "agent": _ref("#operator"),
        "object": [_ref(uri_path(p)) for p in read],
        "result": [_ref(uri_path(p)) for p in made],
        "startTime": utc_text(run.started),
        "endTime": utc_text(run.finished),
        "actionStatus": _ref("http://schema.org/CompletedActionStatus"),
        "description": f"Environment in {ENVIRONMENT_NAME}, provenance statement in {STATEMENT_NAME}",
    }
    operator = f"Operator of {project.name_en} ({project.municipality_en})"
    others = [
        {"@id": "#python", "@type": "ComputerLanguage", "name": "Python", "url": "https://www.python.org/"},
        {"@id": "#operator", "@type": "Organization", "name": operator},
        action,
        *parameters,
        *files.values(),
    ]
    return {
        "@context": [
            "https://w3id.org/ro/crate/1.1/context",
            "https://w3id.org/ro/terms/workflow-run/context",
        ],
        "@graph": [*_crate_context(project, claim, run, list(files)), *others],
    }
