"""From a table of field plots to a model file and back; hostile files and broken tables are refused."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.train import main
from models.area_based import AreaBasedModel, predict_cells
from models.errors import OutOfRange
from models.forest import Forest, predict_forest
from mrv.errors import Refusal
from mrv.model_file import read_model, write_model
from mrv.training import Trained, TrainingPlan, read_plot_table, train

PLAN = TrainingPlan(
    response="stock_t_ha",
    unit="t/ha",
    kind="area-based",
    metrics=(),
    leave_out=("stems_ha",),
    block_column="stand",
    block_size_m=500.0,
    plot_area_m2=400.0,
    sensor="airborne laser",
    selection="random",
    source="made up",
    licence="CC0-1.0",
    project="",
    seed=1,
    trees=20,
)
NEW = {"height": np.array([8.0, 20.0, 70.0]), "cover": np.array([0.5, 0.9, 0.9]), "noise": np.zeros(3)}


def table_text(n: int = 60) -> str:
    rng = np.random.default_rng(4)
    lines = ["plot,stand,X,Y,stock_t_ha,stems_ha,height,cover,noise"]
    for i in range(n):
        h, c = rng.uniform(5, 30), rng.uniform(0.3, 1)
        stock = (2 + 0.3 * h + 4 * c + rng.normal(0, 0.5)) ** 2
        lines.append(
            f"P{i},S{i % 10},{300 * i},0,{stock:.3f},{rng.integers(300, 900)},{h:.3f},{c:.3f},{rng.normal():.3f}"
        )
    return "\n".join(lines) + "\n"


def trained_on(text: str, **changes: object) -> Trained:
    return train(read_plot_table(text.encode(), "plots.csv"), replace(PLAN, **changes))


@pytest.fixture(scope="module")
def line_file() -> bytes:
    done = trained_on(table_text())
    return write_model(done.model, done.card)


@pytest.fixture(scope="module")
def forest_file() -> bytes:
    pytest.importorskip("sklearn")
    done = trained_on(table_text(), kind="forest")
    return write_model(done.model, done.card)


def entries(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {n: archive.read(n) for n in archive.namelist()}


def packed(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in parts.items():
            archive.writestr(name, body)
    return out.getvalue()


def npy(array: np.ndarray, **options: object) -> bytes:
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def test_an_area_based_model_and_its_card_come_back_the_same(line_file):
    done = trained_on(table_text())
    model, card = read_model(line_file, "model.npz")
    assert isinstance(model, AreaBasedModel)
    assert (model, card) == (done.model, done.card)
    assert set(model.predictors) == {"height", "cover"}
    assert card.data.block_rule == "column stand" and card.data.blocks == 10
    assert 0.0 < card.error.relative_rmse < 0.25
    assert predict_cells(model, NEW).outside.tolist() == [False, False, True]


def test_a_forest_comes_back_the_same(forest_file):
    done = trained_on(table_text(), kind="forest")
    model, card = read_model(forest_file, "model.npz")
    assert isinstance(model, Forest) and card == done.card
    assert np.array_equal(predict_forest(model, NEW).value, predict_forest(done.model, NEW).value)
    assert card.made_with["scikit-learn"]


def test_the_same_model_gives_the_same_bytes(line_file):
    done = trained_on(table_text())
    assert write_model(done.model, done.card) == line_file


def test_numpy_itself_reads_the_arrays(line_file):
    with np.load(io.BytesIO(line_file), allow_pickle=False) as arrays:
        assert arrays["coefficients"].shape == (3,)


def test_map_squares_are_blocks_where_no_column_is_named():
    assert trained_on(table_text(), block_column="").card.data.block_rule == "squares of 500 m"


def test_a_card_of_another_model_is_refused(line_file):
    done = trained_on(table_text())
    with pytest.raises(OutOfRange, match="a card of this area-based model"):
        write_model(done.model, replace(done.card, response="volume"))


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("left.npy", npy(np.array([10**6, 1], dtype="<i4")), "damaged"),
        ("value.npy", npy(np.zeros(3, dtype="<f4")), "of their own kinds"),
        ("numbers.npy", npy(np.array([np.nan])), "finite numbers"),
        ("card.npy", npy(np.frombuffer(b"{}", dtype=np.uint8)), "expected a model card"),
        ("card.npy", npy(np.array([{"a": 1}], dtype=object), allow_pickle=True), "plain numbers"),
        ("more.npy", npy(np.zeros(1)), "expected the arrays"),
        ("value.npy", npy(np.zeros(3))[:-1], "as many as the header says"),
    ],
)
def test_a_file_that_holds_no_model_is_refused(forest_file, name, body, said):
    with pytest.raises(Refusal, match=said) as refused:
        read_model(packed({**entries(forest_file), name: body}), "bad.npz")
    assert "bad.npz" in refused.value.en and refused.value.codes == ("model.bad_file",)


def test_a_file_that_unpacks_to_too_much_is_refused(line_file):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("card.npy", "w") as entry:
        for _ in range(520):
            entry.write(bytes(1 << 20))
    with pytest.raises(Refusal, match="unpacks to more"):
        read_model(bomb.getvalue(), "bomb.npz")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_damage_to_a_file_is_refused_or_harmless(line_file, data):
    at = data.draw(st.integers(0, len(line_file) - 1))
    spoiled = bytearray(line_file)
    spoiled[at] ^= data.draw(st.integers(1, 255))
    try:
        model, _ = read_model(bytes(spoiled), "m.npz")
    except Refusal:
        return
    assert np.isfinite(predict_cells(model, NEW).value).all()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("stock_t_ha", "biomass", "a column stock_t_ha"),
        ("P0,S0,0,0,", "P0,S0,0,0,NA,", "row 2: expected 9 cells"),
    ],
)
def test_a_broken_table_is_refused(old, new, said):
    with pytest.raises(Refusal, match=said):
        trained_on(table_text().replace(old, new, 1))


def test_a_cell_that_is_no_number_is_refused_with_its_row():
    lines = table_text().splitlines()
    cells = lines[30].split(",")
    lines[30] = ",".join([*cells[:6], "", *cells[7:]])
    with pytest.raises(Refusal, match="row 31: expected a number in column height, got ''"):
        trained_on("\n".join(lines))
    assert trained_on("\n".join(lines), leave_out=("stems_ha", "height")).card.metrics


def test_the_command_writes_model_card_and_estimator(tmp_path: Path):
    skops_io = pytest.importorskip("skops.io")
    pytest.importorskip("sklearn")
    table = tmp_path / "plots.csv"
    table.write_text(table_text(), "utf-8")
    options = ["--response", "stock_t_ha", "--unit", "t/ha", "--block", "stand", "--plot-area-m2", "400"]
    options += [
        "--sensor",
        "airborne laser",
        "--source",
        "made up",
        "--licence",
        "CC0-1.0",
        "--leave-out",
        "stems_ha",
    ]
    out, kept = tmp_path / "model.npz", tmp_path / "model.skops"
    done = CliRunner().invoke(
        main,
        [str(table), *options, "--kind", "forest", "--trees", "20", "--out", str(out), "--skops", str(kept)],
    )
    assert done.exit_code == 0, done.output
    model, _ = read_model(out.read_bytes(), out.name)
    assert "モデルカード" in out.with_suffix(".md").read_text("utf-8")
    theirs = skops_io.load(kept, trusted=skops_io.get_untrusted_types(file=kept))
    columns = np.column_stack([NEW[m] for m in model.metrics])
    assert predict_forest(model, NEW).value == pytest.approx(theirs.predict(columns), abs=1e-10)
    refused = CliRunner().invoke(main, [str(table), *options, "--out", str(out), "--skops", str(kept)])
    assert (
        refused.exit_code == 1 and "--kind forest" in refused.output and "npzに入っています" in refused.output
    )
