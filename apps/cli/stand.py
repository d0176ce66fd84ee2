"""What one survey shows: canopy, treetops, and stock by a field model beside an inventory."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from apps.cli.say import Session


@click.command()
@click.argument("survey_id")
@click.option(
    "--field-model",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV of field plots to fit basal area on.",
)
@click.option("--response", default="G_m2_ha", show_default=True, help="Its column of basal area, m²/ha.")
@click.option(
    "--predictor",
    "predictors",
    multiple=True,
    default=("zmean", "zsd"),
    show_default=True,
    help="Its columns of point metrics.",
)
@click.option(
    "--inventory",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV of stems (x, y, d) to set beside.",
)
@click.pass_obj
def stand(
    session: Session,
    survey_id: str,
    field_model: Path | None,
    response: str,
    predictors: tuple[str, ...],
    inventory: Path | None,
) -> None:
    """Show what one accepted survey says of its plots. 一時点の林分の様子

    \b
    Example: satoyama stand chablais3 --field-model plots.csv --inventory stems.csv
    """
    from flows.work.measuring import canopy_of, measure_canopy, stored_survey
    from mrv.canopy import open_terrain
    from mrv.model_stock import read_field_model
    from mrv.points import points_above_ground
    from mrv.stand import look_at_stand, read_field_trees

    ws = session.open()
    survey = stored_survey(ws, survey_id)
    stage = measure_canopy(ws, survey_id)
    canopy = canopy_of(ws, stage)
    model = points = trees = None
    if field_model is not None:
        model = read_field_model(field_model.read_bytes(), field_model.name, response, predictors)
    if inventory is not None:
        trees = read_field_trees(inventory.read_bytes(), inventory.name)
    if survey.points is not None and model is not None:
        with ExitStack() as stack:
            path = stack.enter_context(survey.points.opener())
            points = points_above_ground(path, epsg=survey.epsg, terrain=open_terrain(survey, stack))
    with ws.objects.open(stage.outputs[canopy.raster_name]) as raster:
        found = look_at_stand(survey, canopy, raster, model, points, trees)
    for p in found:
        mean = "–" if p.canopy_mean_mm is None else f"{p.canopy_mean_mm / 1000:.2f} m"
        top = "–" if p.treetops_mean_mm is None else f"{p.treetops_mean_mm / 1000:.2f} m"
        session.tell(
            f"{p.plot_id}: {p.area_mm2 / 1e10:.2f} ha, mean canopy {mean}, {p.treetops} treetops of {top} on average",
            f"{p.plot_id}: {p.area_mm2 / 1e10:.2f} ha、平均樹冠高 {mean}、樹頂点 {p.treetops}（平均 {top}）",
        )
        if p.stock is not None:
            s = p.stock.prediction
            beside = "" if p.stock.measured is None else f"; inventory {p.stock.measured:.1f}"
            beside_ja = "" if p.stock.measured is None else f"、毎木調査 {p.stock.measured:.1f}"
            session.tell(
                f"  basal area {s.value:.1f} m²/ha (90 % prediction interval {s.low:.1f} to {s.high:.1f}){beside}",
                f"  胸高断面積 {s.value:.1f} m²/ha（90%予測区間 {s.low:.1f}〜{s.high:.1f}）{beside_ja}",
            )
    session.result({"survey_id": survey_id, "plots": [asdict(p) for p in found]})
