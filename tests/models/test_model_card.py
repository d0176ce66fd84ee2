"""What a model's card says, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.cells import CellPrediction
from models.errors import OutOfRange
from models.model_card import (
    ModelCard,
    ModelError,
    ModelRefused,
    TrainingData,
    Use,
    card_document,
    card_from_document,
    check_cells,
    check_use,
    describe,
    refuse,
)

DATA = TrainingData(
    source="made up",
    licence="CC0-1.0",
    digest="sha256:00",
    plots=40,
    blocks=10,
    block_rule="column stand",
    plot_area_m2=400.0,
    sensor="airborne laser",
    selection="random",
    project="my-coop",
)
CARD = ModelCard(
    kind="area-based",
    response="stock_t_ha",
    unit="t/ha",
    transform="sqrt",
    metrics=("height", "cover"),
    ranges={"height": (5.0, 30.0), "cover": (0.2, 1.0)},
    data=DATA,
    error=ModelError(20.0, 0.2, -0.01, 0.9, 0.9, True),
    made_with={"satoyama-mrv": "0.1.0"},
)
USE = Use("stock_t_ha", 400.0, "airborne laser", ("cover", "height", "spread"), "claim", "my-coop")


def codes(use: Use, card: ModelCard = CARD) -> dict[str, bool]:
    return {f.code: f.refused for f in check_use(card, use)}


def prediction(outside: int, missing: int = 0, n: int = 100) -> CellPrediction:
    flags = np.arange(n) < outside
    values = np.zeros(n)
    return CellPrediction(
        values, values, values, values, 0.9, flags, {"height": outside, "cover": 0}, 0, missing
    )


def test_a_use_the_model_was_made_for_has_nothing_against_it():
    assert codes(USE) == {}
    refuse(check_use(CARD, USE))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"response": "volume_m3_ha"}, "model.response"),
        ({"metrics": ("height",)}, "model.metric_absent"),
        ({"cell_area_m2": 0.25}, "model.cell_size"),
        ({"cell_area_m2": 801.0}, "model.cell_size"),
        ({"sensor": "drone photographs"}, "model.sensor"),
        ({"project": "another"}, "model.other_forest"),
    ],
)
def test_what_the_model_was_not_made_for_is_refused_in_both_languages(change, code):
    assert codes(replace(USE, **change)) == {code: True}
    with pytest.raises(ModelRefused) as refused:
        refuse(check_use(CARD, replace(USE, **change)))
    assert code in refused.value.en and code in refused.value.ja


@pytest.mark.parametrize("selection", ["purposive", "unknown"])
def test_purposive_plots_are_flagged_for_a_map_and_refused_for_a_claim(selection):
    card = replace(CARD, data=replace(DATA, selection=selection))
    assert codes(USE, card) == {"model.purposive_plots": True}
    assert codes(replace(USE, purpose="map"), card) == {"model.purposive_plots": False}


def test_a_model_of_another_forest_is_a_comparison_only():
    assert codes(replace(USE, project="", purpose="comparison")) == {"model.other_forest": False}


def test_cells_beyond_the_range_are_counted_and_refused_above_a_tenth():
    few, many = check_cells(CARD, prediction(10)), check_cells(CARD, prediction(11))
    assert [(f.code, f.refused) for f in few] == [("model.outside_range", False)]
    assert "10 cells (10.0%)" in few[0].en and "height 10" in few[0].en
    assert [f.refused for f in many] == [True]
    assert check_cells(CARD, prediction(0)) == ()
    assert [f.code for f in check_cells(CARD, prediction(0, missing=7))] == ["model.missing_metric"]


def test_a_card_comes_back_from_its_document():
    assert card_from_document(card_document(CARD)) == CARD
    unmeasured = replace(CARD, error=replace(CARD.error, coverage=float("nan")))
    again = card_from_document(card_document(unmeasured))
    assert np.isnan(again.error.coverage)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("data"),
        lambda d: d.update(kind="oracle"),
        lambda d: d.update(more=1),
        lambda d: d["data"].update(selection="by hand"),
        lambda d: d["data"].update(plots=0),
        lambda d: d["ranges"].pop("cover"),
        lambda d: d.update(ranges=[1, 2]),
    ],
)
def test_a_document_that_is_no_card_is_refused(spoil):
    doc = card_document(CARD)
    spoil(doc)
    with pytest.raises(OutOfRange, match="expected a model card"):
        card_from_document(doc)


def test_the_card_for_people_names_data_error_range_and_refusals():
    text, japanese = describe(CARD), describe(CARD, "ja")
    assert CARD.kind in text and CARD.kind not in japanese and CARD.data.selection not in japanese
    for said in (
        "40 × 400 m²",
        "20.0%",
        "-1.0%",
        "| height | 5 | 30 |",
        "10 blocks",
        "200 to 800 m²",
        "sha256:00",
    ):
        assert said in text
    assert "使えない場合" in japanese and "標準地" in japanese
