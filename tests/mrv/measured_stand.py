"""A made stand measured twice, with true heights of every tree, and tree lists in which some of them are blank."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from mrv.biomass import measure_inventory
from mrv.change import estimate_change
from mrv.pairing import Visit
from mrv.results import Change
from mrv.survey import TreeList
from mrv.tables import load_tables
from tests.mrv.stand_of_squares import PROJECT, canopy, plan, survey

TABLES = load_tables()
FIRST, LAST = date(2021, 10, 20), date(2025, 10, 20)


@dataclass(frozen=True)
class Stand:
    """Trees of `plots` × `samples` sample plots at both dates; heights with the crew's reading error, mm."""

    plots: int
    samples: int
    sample_plot_id: np.ndarray
    dbh_mm: tuple[np.ndarray, np.ndarray]
    height_mm: tuple[np.ndarray, np.ndarray]


def make_stand(
    seed: int, plots: int = 2, samples: int = 6, trees: int = 20, site_sd: float = 0.06, tree_sd: float = 0.06
) -> Stand:
    """A hinoki stand of 4 years' growth: sites and trees differ from the curve lastingly, readings anew each time."""
    rng = np.random.default_rng([seed, 17])
    n = plots * samples * trees
    names = np.repeat([f"P{p}-S{s}" for p in range(plots) for s in range(samples)], trees)
    site = np.repeat(rng.normal(0, site_sd, plots * samples), trees)
    lasting = site + rng.normal(0, tree_sd, n)
    growing = np.repeat(rng.normal(0, 0.01, plots * samples), trees) + rng.normal(0, 0.01, n)
    d0 = np.clip(rng.normal(22, 5, n), 9, 42)
    d1 = d0 + np.clip(rng.normal(1.4, 0.5, n), 0, None)
    h0 = 20.0 * (1 - np.exp(-((d0 / 16.0) ** 1.1))) * np.exp(lasting + rng.normal(0, 0.02, n))
    h1 = 21.6 * (1 - np.exp(-((d1 / 16.6) ** 1.1))) * np.exp(lasting + growing + rng.normal(0, 0.02, n))
    return Stand(
        plots,
        samples,
        names,
        (np.rint(d0 * 10).astype(np.int32), np.rint(d1 * 10).astype(np.int32)),
        (np.rint(h0 * 1000).astype(np.int32), np.rint(h1 * 1000).astype(np.int32)),
    )


def visits_of(
    stand: Stand, blank_first: np.ndarray, blank_last: np.ndarray, felled: np.ndarray | None = None
) -> tuple[Visit, Visit]:
    """Both visits, stage 2 done; heights are blank where the masks say so, and felled trees are gone at the last."""
    rng = np.random.default_rng(5)
    visits: list[Visit] = []
    for name, day, k, blank in (("first", FIRST, 0, blank_first), ("last", LAST, 1, blank_last)):
        of = survey(name, day, stand.plots, stand.samples)
        n = stand.sample_plot_id.size
        gone = felled if felled is not None and k else np.zeros(n, dtype=bool)
        listed = TreeList(
            sample_plot_id=stand.sample_plot_id,
            tag=np.array([str(i) for i in range(n)]),
            species=np.full(n, "hinoki"),
            status=np.where(gone, "cut", "alive"),
            dbh_mm=np.where(gone, 0, stand.dbh_mm[k]).astype(np.int32),
            height_mm=np.where(blank | gone, 0, stand.height_mm[k]).astype(np.int32),
            planted_year=np.full(n, 1980, dtype=np.int32),
        )
        of = replace(of, trees=listed)
        zones = [p.plot_id for p in of.plots] + [s.sample_plot_id for s in of.sample_plots]
        canopies = canopy(of, {z: 15_000 + 1_000 * k + int(rng.integers(-50, 51)) * k for z in zones})
        earlier = visits[0].inventory if visits else None
        visits.append(Visit(of, canopies, measure_inventory(of, PROJECT, TABLES, earlier)))
    return visits[0], visits[1]


def change_of(stand: Stand, visits: tuple[Visit, Visit]) -> Change:
    return estimate_change(*visits, plan(stand.plots, stand.samples))
