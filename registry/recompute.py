"""Recomputation of a bundle's kilograms by the pipeline itself, in one go and, where that differs, stage by stage."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mrv import pipeline
from mrv.blob import NullSink, canonical_json
from mrv.bundle import Bundle
from mrv.layout import CLAIM_NAME, OUTPUTS, RASTERS
from mrv.pipeline import PipelineInputs
from mrv.results import Claim, canopy_from_doc
from registry.verify_report import SPOILT, Log, in_words


class _Kept(NullSink):
    """Keeps small documents, drops rasters: their digests stand in the documents."""

    def __init__(self) -> None:
        self.docs: dict[str, bytes] = {}

    def put(self, name: str, data: bytes) -> str:
        if name.endswith(".json"):
            self.docs[name.removesuffix(".json")] = data
        return super().put(name, data)


def recompute(bundle: Bundle, claim: Claim, inputs: PipelineInputs, log: Log) -> int | None:
    """Rerun the pipeline on the files of an intact bundle and compare every recorded output.

    Returns
    -------
    int or None
        Gross kilograms CO2e; None where the files lead to no claim.
    """
    _check_rasters(bundle, log)
    # From the first file to the claim in one go. Where every stage gives its recorded bytes, each has also been recomputed from its
    # recorded upstream values; only where one differs are the stages run apart, so that the first wrong one is named truly.
    kept, why = _Kept(), ("no claim came out", "申請が得られませんでした")
    try:
        names = pipeline.stage_names(bundle.survey_ids())
        pipeline.run(inputs, kept)
    except SPOILT as error:
        why = in_words(error)
    recorded = {
        name: bundle.container.read(_stage_path(name))
        for name in names
        if _stage_path(name) in bundle.container.names
    }
    if all(name in kept.docs and kept.docs[name] == recorded.get(name) for name in names):
        for name in names:
            _stage_line(name, True, "", "", log)
    else:
        _rerun_stages(bundle, inputs, names, recorded, log)
    if "claim" not in kept.docs:
        log.say(
            "recomputed.kilograms",
            "failed",
            f"The files lead to no claim: {why[0]}",
            f"ファイルから申請を再現できません。{why[1]}",
        )
        return None
    return _compare_kilograms(claim, kept.docs["claim"], log)


def _stage_path(name: str) -> str:
    return CLAIM_NAME if name == "claim" else f"{OUTPUTS}{name}.json"


def _stage_line(name: str, holds: bool, why_en: str, why_ja: str, log: Log) -> bool:
    good = f"Stage {name}: recomputed, every figure equal.", f"段階 {name}: 再計算し、全数値が一致。"
    bad = f"Stage {name} differs from what is recorded{why_en}.", f"段階 {name}: 記録と一致しません{why_ja}。"
    return log.judge(f"stage.{name}", holds, good, bad)


def _rerun_stages(
    bundle: Bundle, inputs: PipelineInputs, names: tuple[str, ...], recorded: Mapping[str, bytes], log: Log
) -> None:
    """Each stage from the recorded outputs of the stages before it."""
    first = None
    for name in names:
        try:
            doc = canonical_json(pipeline.rerun_stage(name, inputs, bundle.recorded(), NullSink()))
            holds, why = doc == recorded.get(name), ("", "")
        except SPOILT as error:
            en, ja = in_words(error)
            holds, why = False, (f": {en}", f": {ja}")
        if not _stage_line(name, holds, *why, log) and first is None:
            first = name
    if first is not None:
        log.say(
            "stage.first_differing",
            "failed",
            f"The first stage that differs is {first}.",
            f"最初に食い違う段階は {first} です。",
        )
    else:
        en = "Each stage follows from the recorded ones, yet all in one go give something else."
        log.say(
            "stage.first_differing", "failed", en, "各段階は記録と一致しますが、通しの計算結果が異なります。"
        )


def _check_rasters(bundle: Bundle, log: Log) -> None:
    """The canopy rasters in the bundle hold the integers whose digest the canopy stage recorded."""
    wrong = []
    try:
        for name, doc in bundle.recorded().items():
            if name.startswith("canopy_"):
                canopy = canopy_from_doc(doc)
                path = RASTERS + canopy.raster_name
                if (
                    path not in bundle.container.names
                    or bundle.raster_digest(path, canopy.grid) != canopy.raster_digest
                ):
                    wrong.append(path)
    except SPOILT as error:
        log.broken("stage.rasters", "A canopy raster cannot be read", "樹冠高ラスタを読めません", error)
        return
    good = "Canopy rasters hold the heights that were recorded.", "樹冠高ラスタは記録どおり。"
    listed = ", ".join(wrong)
    bad = (
        f"Canopy rasters differ from what is recorded: {listed}.",
        f"樹冠高ラスタが記録と一致しません: {listed}。",
    )
    log.judge("stage.rasters", not wrong, good, bad)


def _compare_kilograms(claim: Claim, recomputed: bytes, log: Log) -> int:
    own = Claim.from_doc(json.loads(recomputed))
    log.judge(
        "recomputed.kilograms",
        own == claim,
        (
            f"Recomputed from the files: {own.gross_kg:,} kg CO2e, exactly what is claimed.",
            f"ファイルからの再計算値 {own.gross_kg:,} kg CO2e は申請値と完全に一致。",
        ),
        (
            f"Recomputed from the files: {own.gross_kg:,} kg CO2e, claimed: {claim.gross_kg:,} kg.",
            f"再計算値 {own.gross_kg:,} kg CO2e に対し、申請値は {claim.gross_kg:,} kg。",
        ),
    )
    return own.gross_kg
