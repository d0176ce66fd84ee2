"""What the simulator can be told beyond the demonstration: groups and chance, lines, from above, other seedlings, other eyes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from models.errors import OutOfRange
from models.simulator import (
    ALIVE,
    CUT,
    THINNED,
    Cover,
    Draws,
    Frame,
    SatelliteSensor,
    Sensor,
    Site,
    Stand,
    Treatment,
    Trees,
    View,
    canopy_cover,
    look,
    see,
    sense,
    simulate_trees,
    surroundings,
)
from models.simulator.stand import plant
from mrv.tables import load_tables

TABLES = load_tables()
RING = ((0.0, 0.0), (120.0, 0.0), (120.0, 120.0), (0.0, 120.0))
HECTARES = 1.44
NAMES = ("hinoki", "konara")


def a_stand(**changes: object) -> Stand:
    base = Stand(
        "A", RING, "hinoki", "plantation", 1985, 1200, TABLES.height_curves["hinoki", 2],
        TABLES.diagrams["south-kinki-shikoku", "hinoki"],
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]  # fields of several types


def trees_of(stand: Stand, *treatments: Treatment, key: str = "options") -> tuple[Trees, Trees]:
    site = Site((stand,), (HECTARES,), treatments, NAMES, (True, False), 2021, 2025)
    return simulate_trees(site, Draws(key))


def clark_evans(trees: Trees) -> float:
    """Mean distance to the nearest neighbour over that of chance: above 1 regular, below 1 clustered (Clark and Evans 1954).

    Middles only of trees 10 m inside, so that none looks for its neighbour beyond the edge.
    """
    xy = np.stack([trees.x_m, trees.y_m], axis=1)
    nearest = cKDTree(xy).query(xy, k=2)[0][:, 1]
    inner = np.all((xy > 10) & (xy < 110), axis=1)
    return float(nearest[inner].mean() / (0.5 / np.sqrt(len(xy) / (HECTARES * 1e4))))


def test_stems_stand_in_rows_at_random_or_in_groups_as_told() -> None:
    species = {"hinoki": 0, "konara": 1}
    regular, chance, grouped = (
        clark_evans(plant(s, 0, species, 2021, Draws("where")))
        for s in (
            a_stand(),
            a_stand(origin="natural"),
            a_stand(origin="natural", trees_per_group=8, group_radius_m=1.5),
        )
    )
    assert regular > 1.2 and chance == pytest.approx(1.0, abs=0.06) and grouped < 0.75


@pytest.mark.parametrize("per_group", [1.0, 3.0, 8.0])
def test_a_natural_stand_holds_as_many_stems_as_told_on_average(per_group: float) -> None:
    stand = a_stand(origin="natural", trees_per_group=per_group)
    found = [len(plant(stand, 0, {"hinoki": 0}, 2021, Draws(f"n {k}"))) for k in range(30)]
    assert np.mean(found) == pytest.approx(1200 * HECTARES, rel=0.05)
    # groups make the number itself more variable than chance alone does
    assert np.var(found) > 0.4 * per_group * np.mean(found)


def test_the_same_key_seeds_the_same_natural_stand() -> None:
    stand = a_stand(origin="natural", trees_per_group=4)
    one, two, other = (trees_of(stand, key=k)[0] for k in ("a", "a", "b"))
    assert np.array_equal(one.x_m, two.x_m) and not np.array_equal(one.x_m[:50], other.x_m[:50])


def test_thinning_from_above_takes_the_large_trees() -> None:
    size = {}
    for from_below in (1.0, 0.0, -1.0):
        first, last = trees_of(a_stand(), Treatment("A", date(2022, 11, 1), "thin", 0.3, from_below))
        taken = last.status[: len(first)] == THINNED
        size[from_below] = first.dbh_cm[taken].mean() / first.dbh_cm.mean()
    assert size[1.0] < 0.9 < size[0.0] < 1.1 < size[-1.0]


def test_line_thinning_clears_whole_lines_of_any_size() -> None:
    first, last = trees_of(a_stand(), Treatment("A", date(2022, 11, 1), "thin", 1 / 3, line_m=4.0))
    taken = last.status[: len(first)] == THINNED
    assert taken.mean() == pytest.approx(1 / 3, abs=0.06)
    assert first.dbh_cm[taken].mean() == pytest.approx(first.dbh_cm.mean(), rel=0.03)
    # neighbours share their fate far more often than by chance (1/3² + 2/3² = 0.56)
    xy = np.stack([first.x_m, first.y_m], axis=1)
    near = cKDTree(xy).query(xy, k=2)[1][:, 1]
    assert np.mean(taken == taken[near]) > 0.65


def test_a_cut_may_stay_bare_or_be_replanted_with_another_species_and_density() -> None:
    bare = Treatment("A", date(2022, 11, 1), "cut", 1.0, replant=False)
    first, last = trees_of(a_stand(), bare)
    assert len(last) == len(first) and not last.standing.any()
    assert np.isin(last.status, (CUT, 3)).all()
    other = Treatment("A", date(2022, 11, 1), "cut", 1.0, seedlings_per_ha=1500, replant_species="konara")
    first, last = trees_of(a_stand(), other)
    new = np.arange(len(last)) >= len(first)
    seedlings = new & (last.species == 1)
    assert seedlings.sum() == pytest.approx(1500 * HECTARES, rel=0.1)
    assert (last.species[new & ~seedlings] == 0).all()  # sprouts of the stumps


def test_a_stand_of_one_tree_grows() -> None:
    lone = Stand("A", ((0.0, 0.0), (3.0, 0.0), (3.0, 3.0), (0.0, 3.0)), "hinoki", "natural", 1985, 1200, TABLES.height_curves["hinoki", 2],
                 TABLES.diagrams["south-kinki-shikoku", "hinoki"])  # fmt: skip
    for key in map(str, range(6)):
        first, last = simulate_trees(
            Site((lone,), (0.0009,), (), NAMES, (True, False), 2021, 2023), Draws(key)
        )
        assert (last.height_m[: len(first)] >= first.height_m).all() and (
            last.status[last.standing] == ALIVE
        ).all()


def test_one_look_shows_shift_bias_and_blur() -> None:
    stand = a_stand()
    site = Site((stand,), (HECTARES,), (), NAMES, (True, False), 2021, 2025)
    draws, frame = Draws("look"), Frame(-10.0, 130.0, 1.0, 140, 140)
    trees = simulate_trees(site, draws)[0]
    around = surroundings(site, frame, draws)
    plain, high, moved, blurred = (
        look(site, trees, around, 0.0, frame, s, draws, "x")
        for s in (
            Sensor(0.0, 0.0, 0.0),
            Sensor(0.5, 0.0, 0.0),
            Sensor(0.0, 3.0, 0.0),
            Sensor(0.0, 0.0, 0.0, smooth_m=2.0),
        )
    )
    tall = plain.true_m > 5
    assert (high.chm_m - plain.chm_m)[tall].mean() == pytest.approx(0.5, abs=0.02)
    apart = [
        np.corrcoef(
            plain.true_m[20:-20, 20:-20].ravel(), np.roll(moved.true_m, -k, axis=1)[20:-20, 20:-20].ravel()
        )[0, 1]
        for k in range(6)
    ]
    assert int(np.argmax(apart)) == 3
    middle = (slice(30, 110), slice(30, 110))
    assert blurred.chm_m[middle].std() < 0.7 * plain.chm_m[middle].std()
    assert set(np.unique(plain.kind)) <= {-9, -2, -1, 0}


def test_no_blur_is_no_blur() -> None:
    canopy, frame = np.full((30, 30), 12, dtype=np.float32), Frame(0.0, 30.0, 1.0, 30, 30)
    one, two = (
        sense(canopy, frame, s, Draws("b"), "t")
        for s in (Sensor(0.0, 0.0, 0.0), Sensor(0.0, 0.0, 0.0, smooth_m=0.0))
    )
    assert np.array_equal(one, two)


def test_cover_of_satellite_cells_counts_tall_pixels_by_what_they_keep() -> None:
    height = np.array([[10, 10, 1, 1], [10, 1, 1, 1], [5, 5, 5, 5], [5, 5, 5, 5]], dtype=np.float32)
    kept = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 1, 1], [0, 0, 1, 0]], dtype=np.float64)
    evergreen, deciduous = canopy_cover(height, kept, 2)
    assert evergreen.tolist() == [[0.75, 0.0], [0.0, 0.75]] and deciduous.tolist() == [
        [0.0, 0.0],
        [1.0, 0.25],
    ]
    with pytest.raises(OutOfRange, match="one shape"):
        canopy_cover(height, kept[:2], 2)


def test_a_shifted_pass_sees_the_edge_elsewhere_and_a_noisier_one_more_noise() -> None:
    whole = np.zeros((20, 20))
    whole[:, :10] = 1.0
    cover, none = Cover(whole, np.zeros((20, 20)), np.ones((20, 20))), np.zeros((20, 20))
    quiet = SatelliteSensor(noise=0.0, light=0.0)
    still, moved = (
        see(cover, 200, 0.0, none, Draws("s"), "p", s).bands["B11"]
        for s in (quiet, replace(quiet, shift_cols=3.0))
    )
    assert np.array_equal(moved[:, 3:], still[:, :-3])
    noisy = see(cover, 200, 0.0, none, Draws("s"), "p", replace(quiet, noise=0.1)).bands["B8A"][:, :10]
    assert noisy.std() / noisy.mean() == pytest.approx(0.1, rel=0.15)
    usual = see(cover, 200, 0.3, none, Draws("s"), "p")
    same = see(cover, 200, 0.3, none, Draws("s"), "p", SatelliteSensor())
    assert all(np.array_equal(usual.bands[b], same.bands[b]) for b in usual.bands)


@pytest.mark.parametrize(
    "call",
    [
        lambda: a_stand(stems_per_ha=float("nan")),
        lambda: a_stand(trees_per_group=0.5),
        lambda: Treatment("A", date(2022, 1, 1), "thin", 1.2),
        lambda: Treatment("A", date(2022, 1, 1), "thin", 0.3, from_below=2.0),
        lambda: Sensor(float("nan"), 0.0, 0.0),
        lambda: Sensor(0.0, 0.0, 0.0, noise_m=-1.0),
        lambda: Sensor(0.0, 0.0, 0.0, pit_share=1.5),
        lambda: SatelliteSensor(noise=-0.1),
    ],
)
def test_what_cannot_be_simulated_is_refused(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(OutOfRange):
        call()


def test_the_example_of_the_page_on_the_simulator_runs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text(encoding="utf-8")
    example = page.split("```python\n")[1].split("```")[0]
    found: dict[str, object] = {}
    exec(example, found)
    view = found["view"]
    assert isinstance(view, View) and 5 < view.chm_m.mean() < 20


def test_replanted_trees_follow_the_site_s_curve_once_they_are_no_longer_young() -> None:
    stand = a_stand()
    site = Site(
        (stand,),
        (HECTARES,),
        (Treatment("A", date(2022, 11, 1), "cut", 1.0),),
        NAMES,
        (True, False),
        2021,
        2052,
    )
    _, last = simulate_trees(site, Draws("long"))
    height = last.height_m[last.standing].mean()
    # thirty seasons after planting; the eight young ones differ from the curve by a few metres at most
    assert height == pytest.approx(stand.curve.height_m(30), abs=4.0)
