"""Made-up projects of cells: what they must look like for a study of coverage to mean anything."""

from __future__ import annotations

import numpy as np
import pytest

from models.simulator.cells import StemCarbon, Variation, draw_cells, layout

SUGI = StemCarbon(-4.19207, 1.82696, 0.99227, 0.9)
FOREST = layout(
    16,
    ((0, 16, 0, 6), (0, 16, 6, 11), (0, 16, 11, 16)),
    species=(0, 0, 0),
    treatments=("growing", "thinned", "cut"),
)


def cells(projects=40, **how):
    return draw_cells(np.random.default_rng(1), projects, FOREST, Variation(**how))


def test_growth_gains_thinning_takes_and_a_cut_leaves_almost_nothing():
    found = cells()
    change = found.stock_t_ha(1, FOREST, (SUGI,)) - found.stock_t_ha(0, FOREST, (SUGI,))
    growing, thinned, cut = (change[:, FOREST.plot_of == k].mean() for k in range(3))
    before = found.stock_t_ha(0, FOREST, (SUGI,)).mean()
    assert 0.1 * before < growing < 0.4 * before
    assert -0.3 * before < thinned < 0.5 * growing
    assert cut < -0.95 * before


def test_canopy_rises_with_growth_and_opens_where_trees_were_taken():
    found = cells()
    rise = found.canopy_m[1] - found.canopy_m[0]
    assert rise[:, FOREST.plot_of == 0].mean() > 0.5
    assert rise[:, FOREST.plot_of == 1].mean() < 0
    assert rise[:, FOREST.plot_of == 2].mean() < -10


def test_neighbours_are_alike_over_the_declared_range_and_strangers_without():
    def likeness(range_m):
        height = cells(400, range_m=range_m, height=0.2).height_m[0].reshape(-1, 16, 16)
        height = np.log(height) - np.log(height).mean(axis=0)
        inside = height[:, :, :6]
        inside = inside - inside.mean(axis=(1, 2), keepdims=True)
        return (inside[:, 1:] * inside[:, :-1]).mean() / (inside**2).mean()

    assert likeness(0.0) == pytest.approx(0.0, abs=0.03)
    assert likeness(60.0) > 0.5


def test_a_taller_stem_holds_more_by_the_power_of_its_equation():
    found = cells()
    more = found.stock_t_ha(0, FOREST, (SUGI,), height_m=0.01) - found.stock_t_ha(0, FOREST, (SUGI,))
    expected = 0.99227 * found.stock_t_ha(0, FOREST, (SUGI,)) / found.height_m[0] * 0.01
    assert more == pytest.approx(expected, rel=1e-3)


def test_blocks_must_cover_the_square_once():
    with pytest.raises(ValueError, match="overlap"):
        layout(4, ((0, 4, 0, 3), (0, 4, 2, 4)), species=(0, 0), treatments=("growing",) * 2)
    with pytest.raises(ValueError, match="without a plot"):
        layout(4, ((0, 4, 0, 3),), species=(0,), treatments=("growing",))
