"""The stand simulator: trees that grow, compete and are cut as they should, and canopies that show it."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.simulator import (
    COMPONENTS,
    CUT,
    DEAD,
    THINNED,
    Crew,
    Draws,
    Frame,
    Science,
    Sensor,
    Site,
    Stand,
    Treatment,
    Trees,
    crowns_at,
    draw_cells,
    measure,
    plot_truth,
    sense,
    simulate_trees,
    surface,
    surroundings,
    true_co2_g,
)
from models.simulator.canopy import crowns_of
from models.simulator.satellite import BANDS, CLOUD_HIGH, Cover, see
from models.simulator.stand import inside
from mrv.tables import load_tables

TABLES = load_tables()
SQUARE = ((0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (0.0, 100.0))


def square(x: float) -> tuple[tuple[float, float], ...]:
    return tuple((a + x, b) for a, b in SQUARE)


def a_site(*treatments: Treatment) -> Site:
    """One hectare each of hinoki, sugi and konara."""
    diagram = "south-kinki-shikoku"
    stands = (
        Stand("A", square(0), "hinoki", "plantation", 1985, 1400, TABLES.height_curves["hinoki", 2], TABLES.diagrams[diagram, "hinoki"]),
        Stand("B", square(110), "sugi", "plantation", 1991, 1400, TABLES.height_curves["sugi", 2], TABLES.diagrams[diagram, "sugi"]),
        Stand("C", square(220), "konara", "coppice", 1986, 1500, TABLES.height_curves["konara", 3]),
    )  # fmt: skip
    return Site(
        stands, (1.0, 1.0, 1.0), treatments, ("hinoki", "sugi", "konara"), (True, True, False), 2021, 2025
    )


def science_of(site: Site) -> Science:
    return Science(
        tuple(TABLES.equation_set("mie", s) for s in site.species),
        tuple(TABLES.factors("mie", s) for s in site.species),
        (1.0,) * len(site.species),
    )


THIN = Treatment("A", date(2022, 11, 18), "thin", 0.3, 0.6)
FELL = Treatment("C", date(2022, 12, 6), "cut", 1.0)


@pytest.fixture(scope="module")
def treated() -> tuple[Site, Trees, Trees]:
    site = a_site(THIN, FELL)
    return site, *simulate_trees(site, Draws("test"))


def test_the_same_key_gives_the_same_trees_and_another_key_gives_others() -> None:
    one, again, other = (simulate_trees(a_site(THIN), Draws(k))[1] for k in ("a", "a", "b"))
    assert all(np.array_equal(getattr(one, f.name), getattr(again, f.name)) for f in fields(Trees))
    assert one.dbh_cm[:100].tolist() != other.dbh_cm[:100].tolist()


def test_a_treatment_moves_no_random_number_of_the_first_date() -> None:
    first, _ = simulate_trees(a_site(), Draws("test"))
    same, _ = simulate_trees(a_site(THIN, FELL), Draws("test"))
    assert np.array_equal(first.dbh_cm, same.dbh_cm)


def test_stems_are_as_many_as_ordered_and_stand_inside_their_plot(
    treated: tuple[Site, Trees, Trees],
) -> None:
    site, first, _ = treated
    for i, stand in enumerate(site.stands):
        mine = first.plot == i
        assert mine.sum() == pytest.approx(stand.stems_per_ha, rel=0.12)
        assert inside(stand.ring_m, first.x_m[mine], first.y_m[mine]).all()


def test_plantations_stand_apart_and_coppice_shoots_stand_together(
    treated: tuple[Site, Trees, Trees],
) -> None:
    _, first, _ = treated

    def nearest(plot: int) -> float:
        xy = np.stack([first.x_m, first.y_m], axis=1)[first.plot == plot]
        apart = np.hypot(*(xy[:, None] - xy[None]).transpose(2, 0, 1))
        np.fill_diagonal(apart, np.inf)
        # Expected 0.5 / sqrt(density) for trees at random (Clark and Evans 1954).
        return float(apart.min(axis=1).mean() / (0.5 / np.sqrt(len(xy) / 1e4)))

    assert nearest(0) > 1.2
    assert nearest(2) < 0.8


def test_no_standing_tree_shrinks(treated: tuple[Site, Trees, Trees]) -> None:
    _, first, last = treated
    stood = last.standing[: len(first)]
    assert (last.dbh_cm[: len(first)][stood] >= first.dbh_cm[stood]).all()
    assert (last.height_m[: len(first)][stood] > first.height_m[stood]).all()


def test_growth_lies_where_the_density_diagram_puts_it() -> None:
    """Simulated diameter growth of an untouched stand within a third of the diagram's own."""
    site = a_site()
    first, last = simulate_trees(site, Draws("growth"))
    for i in (0, 1):
        stood = last.standing[: len(first)] & (first.plot == i)
        grown = float((last.dbh_cm[: len(first)] - first.dbh_cm)[stood].mean())
        stand = site.stands[i]
        expected = stand.mean_dbh_cm(2025, stand.stems_per_ha) - stand.mean_dbh_cm(2021, stand.stems_per_ha)
        assert grown == pytest.approx(expected, rel=0.33)


def test_large_neighbours_slow_a_tree(treated: tuple[Site, Trees, Trees]) -> None:
    _, first, last = treated
    mine = np.flatnonzero(last.standing[: len(first)] & (first.plot == 1))
    grown = last.dbh_cm[mine] - first.dbh_cm[mine]
    assert np.corrcoef(first.dbh_cm[mine], grown)[0, 1] > 0.3


def test_thinning_takes_the_ordered_share_mostly_of_small_trees(treated: tuple[Site, Trees, Trees]) -> None:
    _, first, last = treated
    mine = first.plot == 0
    taken = last.status[: len(first)][mine] == THINNED
    assert taken.mean() == pytest.approx(0.3, abs=0.01)
    assert first.dbh_cm[mine][taken].mean() < first.dbh_cm[mine][~taken].mean()


def test_trees_of_a_thinned_stand_grow_faster_than_without_thinning() -> None:
    stays = a_site(replace(THIN, stems_ratio=0.4))
    grown = []
    for site in (a_site(), stays):
        first, last = simulate_trees(site, Draws("release"))
        stood = last.standing[: len(first)] & (first.plot == 0)
        grown.append(float((last.dbh_cm[: len(first)] - first.dbh_cm)[stood].mean()))
    assert grown[1] > 1.1 * grown[0]


def test_a_cut_leaves_nothing_but_seedlings_and_sprouts(treated: tuple[Site, Trees, Trees]) -> None:
    _, first, last = treated
    old = (last.plot == 2) & (np.arange(len(last)) < len(first))
    assert np.isin(last.status[old], (CUT, DEAD)).all()
    young = (last.plot == 2) & last.standing
    assert (last.planted_year[young] == 2023).all()
    assert 1.0 < last.height_m[young].mean() < 4.0
    assert last.dbh_cm[young].max() < 6.0


def test_the_parts_of_a_true_change_sum_to_it(treated: tuple[Site, Trees, Trees]) -> None:
    site, first, last = treated
    truth = plot_truth(first, last, (2021, 2025), ["A", "B", "C"], science_of(site))
    for plot in truth:
        assert set(plot.components_g) == set(COMPONENTS)
        assert plot.stock_first_g + sum(plot.components_g.values()) == plot.stock_last_g
    a, b, c = truth
    assert a.components_g["thinned"] < 0 < a.components_g["growth"]
    assert b.components_g["thinned"] == b.components_g["cut"] == 0
    assert c.components_g["cut"] < 0 < c.components_g["replanted"]


def test_true_stock_lies_where_plantations_of_kinki_lie(treated: tuple[Site, Trees, Trees]) -> None:
    """100-500 t CO2e/ha at 30-36 years: 100-400 m³/ha of the density diagrams times 0.9-1.75 t/m³."""
    site, first, last = treated
    for plot in plot_truth(first, last, (2021, 2025), ["A", "B", "C"], science_of(site)):
        assert 100 < plot.stock_first_g / 1e6 < 500


def test_a_shared_error_scales_the_truth_of_its_species_alone(treated: tuple[Site, Trees, Trees]) -> None:
    site, first, _ = treated
    plain = science_of(site)
    more = replace(plain, shared=(1.1, 1.0, 1.0))
    ratio = true_co2_g(first, first, 2021, more) / true_co2_g(first, first, 2021, plain)
    assert np.allclose(ratio[first.species == 0], 1.1)
    assert (ratio[first.species != 0] == 1).all()


def test_a_crown_s_top_is_its_height_and_its_edge_is_lower() -> None:
    crown = crowns_of(
        np.array([10.0]), np.array([10.0]), np.array([20.0]), np.array([25.0]), np.array([True])
    )
    height, owner = surface(crown, Frame(0.0, 20.0, 0.25, 80, 80))
    assert height.max() == pytest.approx(20.0, abs=0.3)
    assert set(np.unique(owner)) == {-1, 0}
    reach = np.sqrt((owner == 0).sum() * 0.25**2 / np.pi)
    assert reach == pytest.approx(float(crown.radius_m[0]), rel=0.15)
    seen = height[owner == 0]
    assert 0 < seen.min() < 20 - 0.5 * float(crown.depth_m[0])
    assert (height[owner < 0] == 0).all()


def test_the_surface_is_the_highest_crown_whatever_the_order() -> None:
    draws = Draws("order")
    n = 200
    x, y = draws.uniform("x", n) * 50, draws.uniform("y", n) * 50
    high = 10 + 5 * draws.uniform("h", n)
    conifer = np.arange(n) % 2 == 0
    frame = Frame(0.0, 50.0, 0.5, 100, 100)
    forth, _ = surface(crowns_of(x, y, high, high, conifer), frame)
    back, _ = surface(crowns_of(x[::-1], y[::-1], high[::-1], high[::-1], conifer[::-1]), frame)
    assert np.array_equal(forth, back)


def test_a_sensor_s_bias_is_seen_on_crowns_and_not_on_the_ground() -> None:
    frame = Frame(0.0, 100.0, 1.0, 100, 100)
    flat = np.full((100, 100), 15, dtype=np.float32)
    flat[:50] = 0
    seen = sense(flat, frame, Sensor(0.5, 0.0, 0.0, pit_share=0.0), Draws("bias"), "t")
    assert seen[50:].mean() == pytest.approx(15.5, abs=0.02)
    assert seen[50:].std() == pytest.approx(0.08, rel=0.1)
    assert seen[:50].mean() < 0.6
    assert np.abs(seen * 100 - np.rint(seen * 100)).max() < 2e-3  # whole centimetres in float32
    assert seen.min() >= 0


def test_pits_are_as_rare_as_stated() -> None:
    frame = Frame(0.0, 200.0, 1.0, 200, 200)
    seen = sense(
        np.full((200, 200), 15, dtype=np.float32),
        frame,
        Sensor(0.0, 0.0, 0.0, pit_share=0.01),
        Draws("pits"),
        "t",
    )
    assert 0.005 < (seen < 14).mean() < 0.015


def test_canopy_falls_where_trees_were_taken_and_rises_where_they_grew(
    treated: tuple[Site, Trees, Trees],
) -> None:
    site, first, last = treated
    frame = Frame(0.0, 100.0, 1.0, 100, 320)
    around = surroundings(site, frame, Draws("test"))
    before, after = (
        surface(crowns_at(site, t, around, e, (0.0, 0.0))[0], frame)[0]
        for t, e in ((first, 0.0), (last, 1.0))
    )
    change = after - before
    assert change[10:90, 120:200].mean() > 0.3
    assert change[10:90, 230:310].mean() < -3


@given(n=st.integers(1, 8), areas=st.lists(st.floats(1, 400), min_size=8, max_size=40))
@settings(max_examples=40, deadline=None)
def test_as_many_distinct_cells_are_drawn_as_asked_for(n: int, areas: list[float]) -> None:
    drawn = draw_cells(np.array(areas), n, Draws("cells"), "s")
    assert len(set(drawn)) == len(drawn) == n
    assert all(0 <= d < len(areas) for d in drawn)


def test_cells_are_drawn_in_proportion_to_their_area() -> None:
    areas = np.array([100.0, 300.0, 400.0, 200.0])
    hits = np.bincount([draw_cells(areas, 1, Draws(f"seed {i}"), "s")[0] for i in range(4000)], minlength=4)
    assert np.allclose(hits / 4000, areas / areas.sum(), atol=0.03)


def test_more_cells_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 2"):
        draw_cells(np.array([1.0, 2.0]), 3, Draws("x"), "s")


def test_a_crew_errs_as_declared(treated: tuple[Site, Trees, Trees]) -> None:
    _, first, _ = treated
    read = measure(first, Crew(height_bias_m=0.3, dbh_bias_cm=0.2), Draws("crew"), "t")
    dbh_error = read.dbh_mm / 10 - first.dbh_cm
    height_error = read.height_mm / 1000 - first.height_m
    assert dbh_error.mean() == pytest.approx(0.2, abs=0.01)
    assert height_error.mean() == pytest.approx(0.3, abs=0.03)
    assert np.std(height_error / first.height_m) == pytest.approx(0.03, rel=0.1)
    assert (read.height_mm % 100 == 0).all()


def test_trees_that_do_not_stand_have_no_readings(treated: tuple[Site, Trees, Trees]) -> None:
    _, _, last = treated
    read = measure(last, Crew(0.0, 0.0), Draws("crew"), "t")
    assert (read.dbh_mm[~last.standing] == 0).all()
    assert (read.height_mm[~last.standing] == 0).all()
    assert (read.height_mm[last.standing] > 0).all()


def index(a: np.ndarray, b: np.ndarray) -> float:
    one, two = a.astype(float), b.astype(float)
    return float(((one - two) / (one + two)).mean())


def test_a_satellite_sees_a_clear_cut_in_any_season() -> None:
    whole, none = np.ones((20, 20)), np.zeros((20, 20))
    for day in (20, 120, 220, 320):
        for forest in (Cover(whole, none, none), Cover(none, whole, none)):
            before, after = (
                see(cover, day, 0.0, none, Draws("s"), "scene")
                for cover in (forest, Cover(none, none, whole))
            )
            drop = index(before.bands["B8A"], before.bands["B11"]) - index(
                after.bands["B8A"], after.bands["B11"]
            )
            assert drop > 0.15


def test_clouds_cover_what_was_asked_and_are_marked() -> None:
    whole, none = np.ones((60, 60)), np.zeros((60, 60))
    clear = see(Cover(whole, none, none), 200, 0.0, none, Draws("s"), "a")
    dim = see(Cover(whole, none, none), 200, 0.4, none, Draws("s"), "a")
    assert set(np.unique(clear.scene_class)) == {4}
    assert (dim.scene_class == CLOUD_HIGH).mean() == pytest.approx(0.4, abs=0.02)
    cloudy = dim.scene_class == CLOUD_HIGH
    assert dim.bands["B04"][cloudy].min() > clear.bands["B04"].max()
    assert set(dim.bands) == set(BANDS)
