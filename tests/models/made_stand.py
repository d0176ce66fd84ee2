"""Made-up sample plots at two dates for tests and benchmarks of the Monte Carlo."""

from __future__ import annotations

import numpy as np

from models.monte_carlo import Errors, Sampling, TreeDate, Trees

HINOKI, BROADLEAF = (-4.31101, 1.83546, 1.10655), (-4.232323, 1.862235, 0.973986)


def made_stand(
    plots: int = 12, per_plot: int = 20, strata: int = 3, seed: int = 1, gradient: float = 0.05
) -> tuple[Trees, Sampling]:
    """Trees of two species that grow; one tree in ten is felled between the dates."""
    rng = np.random.default_rng(seed)
    n = plots * per_plot
    sample_plot = np.repeat(np.arange(plots), per_plot)
    species = np.tile(np.sort(np.arange(per_plot) % 2), plots)
    powers = np.array([HINOKI, BROADLEAF])[species]
    dbh, height = rng.uniform(12, 34, n), rng.uniform(9, 21, n)
    stands = rng.random(n) > 0.1

    def date(d, h, alive) -> TreeDate:
        volume = 10 ** (powers[:, 0] + powers[:, 1] * np.log10(d) + powers[:, 2] * np.log10(h))
        return TreeDate(np.where(alive, volume * 1.17e6, 0.0), d, h, powers[:, 1].copy(), powers[:, 2].copy())

    trees = Trees(
        sample_plot,
        species,
        date(dbh, height, np.ones(n, dtype=bool)),
        date(dbh + rng.uniform(0.3, 1.5, n), height + rng.uniform(0.2, 1.2, n), stands),
    )
    stratum = np.sort(np.arange(plots) % strata)
    canopy = np.stack([rng.uniform(11, 17, plots), rng.uniform(11, 17, plots)])
    half = rng.normal(0, 1500.0, (plots, 3, 3))
    whole = np.stack([[canopy[k][stratum == h].mean() + 0.3 for h in range(strata)] for k in range(2)])
    sampling = Sampling(
        stratum=stratum,
        sample_area_m2=np.full(plots, 400.0),
        stratum_area_m2=np.linspace(20_000.0, 60_000.0, strata),
        canopy_m=canopy,
        stratum_canopy_m=whole,
        canopy_slope=rng.normal(0, gradient, (2, plots, 2)),
        stratum_canopy_slope=rng.normal(0, gradient / 5, (2, strata, 2)),
        residual_cov=half @ half.transpose(0, 2, 1),
    )
    return trees, sampling


def made_errors(trees: Trees, **changed) -> Errors:
    """Errors of ordinary size; name those to change, or ``only=`` to switch off all but these."""
    n = trees.species.size
    species = int(trees.species.max()) + 1
    values = {
        "factor_cv": {"density": np.full(species, 0.05), "bef": np.full(species, 0.08)},
        "height_bias_m": 0.3,
        "dbh_bias_cm": 0.1,
        "tree_dbh_cv": np.full((2, n), 0.01),
        "tree_height_cv": np.full((2, n), 0.05),
        "tree_residual_cv": 0.12,
        "coregistration_m": 0.5,
        "gnss_m": 2.0,
    }
    return Errors(**{**values, **changed})


def only(trees: Trees, *names: str) -> Errors:
    """Errors of the named kinds alone."""
    n = trees.species.size
    none = {
        "factor_cv": {},
        "height_bias_m": 0.0,
        "dbh_bias_cm": 0.0,
        "tree_dbh_cv": np.zeros((2, n)),
        "tree_height_cv": np.zeros((2, n)),
        "tree_residual_cv": 0.0,
        "coregistration_m": 0.0,
        "gnss_m": 0.0,
    }
    return made_errors(trees, **{k: v for k, v in none.items() if k not in names})
