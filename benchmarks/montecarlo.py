"""Monte Carlo from tree to project against plain NumPy: same errors, same estimator, whole arrays.

Peers, in turns within one run:

- *plain*: as one writes it down: diameter, height and residual of every tree drawn with NumPy's own generator, volume as
  ``10 ** (a + b log10 D + c log10 H)`` on arrays of iterations by trees; other draws of the same distribution;
- *same draws*: whole arrays as well, but fed with the very numbers that the program draws: the results must be equal but for the
  last bits, and the draws themselves (`Stream.normal`) count.

    python benchmarks/montecarlo.py [--quick] [--json PATH] [--threads N]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from turns import in_turns, judge

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models.monte_carlo import Errors, Sampling, TreeDate, Trees, simulate, square_root
from models.monte_carlo_twin import analytic_variance
from models.rng import Stream

KEY = "sha256:benchmark"
_F = NDArray[np.float64]


def made(plots: int, per_plot: int) -> tuple[Trees, Sampling, Errors]:
    """A made-up survey: hinoki on square sample plots of 400 m² in three strata, measured twice."""
    rng = np.random.default_rng(1)
    n = plots * per_plot
    a, b, c = -4.31101, 1.83546, 1.10655
    dbh, height = rng.uniform(12, 34, n), rng.uniform(9, 21, n)

    def visit(d: _F, h: _F) -> TreeDate:
        volume = 10.0 ** (a + b * np.log10(d) + c * np.log10(h))
        return TreeDate(volume * 1.17e6, d, h, np.full(n, b), np.full(n, c))

    first, last = visit(dbh, height), visit(dbh + rng.uniform(0.3, 1.5, n), height + rng.uniform(0.2, 1.2, n))
    species = np.tile(np.sort(np.arange(per_plot) % 2), plots)
    trees = Trees(np.repeat(np.arange(plots), per_plot), species, first, last)
    canopy = rng.uniform(11, 17, (2, plots))
    half = rng.normal(0, 1500.0, (plots, 3, 3))
    sampling = Sampling(
        stratum=np.sort(np.arange(plots) % 3),
        sample_area_m2=np.full(plots, 400.0),
        stratum_area_m2=np.array([2e4, 4e4, 6e4]),
        canopy_m=canopy,
        stratum_canopy_m=rng.uniform(13, 15, (2, 3)),
        canopy_slope=rng.normal(0, 0.05, (2, plots, 2)),
        stratum_canopy_slope=rng.normal(0, 0.01, (2, 3, 2)),
        residual_cov=half @ half.transpose(0, 2, 1),
    )
    errors = Errors(
        factor_cv={"density": np.full(2, 0.05), "bef": np.full(2, 0.08)},
        height_bias_m=0.3,
        dbh_bias_cm=0.1,
        tree_dbh_cv=np.full((2, n), 0.012),
        tree_height_cv=np.full((2, n), 0.05),
        tree_residual_cv=0.12,
        coregistration_m=0.5,
        gnss_m=2.0,
    )
    return trees, sampling, errors


def plain(trees: Trees, sampling: Sampling, errors: Errors, iterations: int) -> _F:
    """The same propagation in plain NumPy with its own generator, whole arrays; totals of shape (3, iterations)."""
    rng = np.random.default_rng(7)
    n, plots = trees.species.size, sampling.stratum.size
    residual = errors.tree_residual_cv * rng.standard_normal((iterations, n))
    factor = np.ones((iterations, n))
    for cv in errors.factor_cv.values():
        factor = factor * (1 + cv * rng.standard_normal((iterations, cv.size)))[:, trees.species]
    bounds = np.searchsorted(trees.sample_plot, np.arange(plots))
    density = []
    for k, visit in enumerate((trees.first, trees.last)):
        cv_d, cv_h = errors.tree_dbh_cv[k], errors.tree_height_cv[k]
        a = (
            np.log10(visit.stock_g)
            - visit.dbh_power * np.log10(visit.dbh_cm)
            - visit.height_power * np.log10(visit.height_m)
        )
        bias_d = errors.dbh_bias_cm * rng.standard_normal((iterations, 1))
        bias_h = errors.height_bias_m * rng.standard_normal((iterations, 1))
        d = (visit.dbh_cm + bias_d) * np.exp(cv_d * rng.standard_normal((iterations, n)))
        h = (visit.height_m + bias_h) * np.exp(cv_h * rng.standard_normal((iterations, n)))
        stock = (
            10 ** (a + visit.dbh_power * np.log10(d) + visit.height_power * np.log10(h))
            * np.exp(residual)
            * factor
        )
        density.append(np.add.reduceat(stock, bounds, axis=1) / sampling.sample_area_m2)
    shift = errors.coregistration_m * rng.standard_normal((iterations, 2, 2))
    gnss = errors.gnss_m * rng.standard_normal((iterations, plots, 2))
    e = np.einsum(
        "pij,rpj->irp", square_root(sampling.residual_cov), rng.standard_normal((iterations, plots, 3))
    )
    return totals(sampling, density, shift, gnss, e)


def same_draws(trees: Trees, sampling: Sampling, errors: Errors, iterations: int) -> _F:
    """Whole-array NumPy on the very numbers that `models.monte_carlo` draws."""
    n, plots = trees.species.size, sampling.stratum.size

    species = [cv.size for cv in errors.factor_cv.values()]
    shared_draws = drawn("shared", iterations, sum(species) + 8 + 5 * plots)
    *factors, bias, shift, gnss, residual = np.split(
        shared_draws, np.cumsum([*species, 4, 4, 2 * plots]), axis=1
    )
    factor = np.ones((iterations, n))
    for z, cv in zip(factors, errors.factor_cv.values(), strict=True):
        factor = factor * (1 + cv * z)[:, trees.species]
    u, v = np.split(drawn("trees", iterations, 2 * n), 2, axis=1)
    shared = errors.tree_residual_cv**2
    var = [
        (visit.dbh_power * errors.tree_dbh_cv[k]) ** 2
        + (visit.height_power * errors.tree_height_cv[k]) ** 2
        + shared
        for k, visit in enumerate((trees.first, trees.last))
    ]
    z = [np.sqrt(var[0]) * u, shared / np.sqrt(var[0]) * u + np.sqrt(var[1] - shared**2 / var[0]) * v]
    bounds = np.searchsorted(trees.sample_plot, np.arange(plots))
    density = []
    for k, visit in enumerate((trees.first, trees.last)):
        d = visit.dbh_cm + errors.dbh_bias_cm * bias[:, 2 * k, None]
        h = visit.height_m + errors.height_bias_m * bias[:, 2 * k + 1, None]
        grown = (d / visit.dbh_cm) ** visit.dbh_power * (h / visit.height_m) ** visit.height_power
        stock = visit.stock_g * grown * np.exp(z[k] - var[k] / 2) * factor
        density.append(np.add.reduceat(stock, bounds, axis=1) / sampling.sample_area_m2)
    shift = errors.coregistration_m * shift.reshape(iterations, 2, 2)
    gnss = errors.gnss_m * gnss.reshape(iterations, plots, 2)
    e = np.einsum("pij,rjp->irp", square_root(sampling.residual_cov), residual.reshape(iterations, 3, plots))
    return totals(sampling, density, shift, gnss, e)


def drawn(name: str, rows: int, width: int) -> _F:
    """Normals as the program draws them."""
    out = np.empty((rows, width))
    Stream(KEY, f"monte_carlo/{name}").fill_normal_from_table(out)
    return out


def totals(sampling: Sampling, density: list[_F], shift: _F, gnss: _F, e: _F) -> _F:
    """Regression estimator with strata, whole arrays."""
    x = [
        sampling.canopy_m[k] + ((shift[:, None, k] + gnss) * sampling.canopy_slope[k]).sum(axis=2)
        for k in range(2)
    ]
    whole = [
        sampling.stratum_canopy_m[k] + (shift[:, None, k] * sampling.stratum_canopy_slope[k]).sum(axis=2)
        for k in range(2)
    ]
    bounds = np.searchsorted(sampling.stratum, np.arange(sampling.stratum_area_m2.size))
    count = np.bincount(sampling.stratum)

    def estimate(y: _F, x: _F, stratum_x: _F) -> _F:
        dx = x - x.mean(axis=1, keepdims=True)
        slope = (dx * y).sum(axis=1) / (dx * dx).sum(axis=1)
        y_mean, x_mean = (np.add.reduceat(v, bounds, axis=1) / count for v in (y, x))
        return np.asarray(
            ((y_mean + slope[:, None] * (stratum_x - x_mean)) * sampling.stratum_area_m2).sum(axis=1)
        )

    return np.stack(
        [
            estimate(density[0] + e[0], x[0], whole[0]),
            estimate(density[1] + e[1], x[1], whole[1]),
            estimate(density[1] - density[0] + e[2], x[1] - x[0], whole[1] - whole[0]),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller work, under 50 s")
    parser.add_argument("--json", type=Path, help="write the figures as one flat object")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_args()
    iterations, rounds = (3_000, 4) if arguments.quick else (10_000, 7)
    trees, sampling, errors = made(plots=60, per_plot=25)
    work = (trees, sampling, errors)
    seconds, processor = in_turns(
        {
            "threads": lambda: simulate(*work, KEY, iterations, threads=arguments.threads),
            "plain": lambda: plain(*work, iterations),
            "one": lambda: simulate(*work, KEY, iterations),
            "same": lambda: same_draws(*work, iterations),
        },
        rounds,
    )
    ours = simulate(*work, KEY, iterations, threads=arguments.threads)
    one = simulate(*work, KEY, iterations)
    same, other = same_draws(*work, iterations), plain(*work, iterations)
    closed = sum(analytic_variance(*work)["change"].values()) ** 0.5
    sd = ours.sd_g("change")
    figures = {
        "iterations": iterations,
        "trees": int(trees.species.size),
        "threads": arguments.threads,
        "montecarlo_seconds": seconds["one"],
        "montecarlo_threads_seconds": seconds["threads"],
        "plain_numpy_seconds": seconds["plain"],
        "same_draws_numpy_seconds": seconds["same"],
        "montecarlo_over_plain_numpy": seconds["plain"] / seconds["one"],
        "montecarlo_over_same_draws_numpy": seconds["same"] / seconds["one"],
        "montecarlo_threads_over_plain_numpy": seconds["plain"] / seconds["threads"],
        "montecarlo_over_plain_numpy_processor_time": processor["plain"] / processor["one"],
        "largest_relative_difference_same_draws": float(np.abs(ours.totals_g / same - 1).max()),
        "bits_differing_between_threads": int((ours.totals_g != one.totals_g).sum()),
        "change_sd_over_plain_numpy": sd / float(other[2].std(ddof=1)),
        "change_sd_over_closed_form": sd / closed,
    }
    print_table(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    judge(
        figures,
        at_most={"largest_relative_difference_same_draws": 1e-9, "bits_differing_between_threads": 0},
        at_least={},
        ratios={"montecarlo_over_plain_numpy": 3.0},
        quick=arguments.quick,
    )


def print_table(f: dict[str, float]) -> None:
    print(
        f"{date.today()}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores, NumPy {np.__version__}"
    )
    print(
        f"{f['trees']} trees on two dates, {f['iterations']} iterations, {f['threads']} threads; medians of runs in turns\n"
    )
    print("| figure | ours s | peer | peer s | ratio | difference of results |")
    print("|---|---|---|---|---|---|")
    ours, more = f["montecarlo_seconds"], f["montecarlo_threads_seconds"]
    plain_s, same_s = f["plain_numpy_seconds"], f["same_draws_numpy_seconds"]
    spread = f"sd of change {f['change_sd_over_plain_numpy']:.4f} of the peer's (other draws)"
    equal = f"largest relative {f['largest_relative_difference_same_draws']:.1e}"
    print(f"| one thread | {ours:.3f} | plain NumPy | {plain_s:.3f} | {plain_s / ours:.2f} | {spread} |")
    print(
        f"| one thread | {ours:.3f} | plain NumPy, same draws | {same_s:.3f} | {same_s / ours:.2f} | {equal} |"
    )
    print(
        f"| {f['threads']} threads | {more:.3f} | plain NumPy | {plain_s:.3f} | {plain_s / more:.2f} | {spread} |"
    )
    print(f"\nbetween 1 and {f['threads']} threads: {f['bits_differing_between_threads']} numbers differ")
    print(
        f"processor time, plain NumPy over one thread: {f['montecarlo_over_plain_numpy_processor_time']:.2f}"
    )
    print(f"sd of change over its closed form: {f['change_sd_over_closed_form']:.4f}")


if __name__ == "__main__":
    main()
