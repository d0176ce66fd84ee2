"""Height-diameter curves (樹高曲線) of a survey's own trees, by species: heights nobody measured, and heights that look mistyped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange
from models.height_diameter import CurveChoice, choose_height_curve, predict_height

MM_PER_CM, MM_PER_M = 10.0, 1000.0
ODD_COVERAGE = 0.9999
"""A height outside the interval of this coverage is worth a second look."""
_I = NDArray[np.int32]


@dataclass(frozen=True)
class FilledHeights:
    """Heights with gaps filled.

    Attributes
    ----------
    height_mm : ndarray of int32, shape (n,)
        As measured, or from the species' curve (whole mm, half-even).
    from_curve, outside : ndarray of bool, shape (n,)
        Which were filled, and which of those lie beyond the diameters that the curve was fitted on.
    standard_error_mm : ndarray of int32, shape (n,)
        Residual standard error of the curve where filled, else 0: it must enter the tree's uncertainty.
    """

    height_mm: _I
    from_curve: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    standard_error_mm: _I


def survey_curves(
    species: NDArray[np.str_], sample_plot_id: NDArray[np.str_], dbh_mm: _I, height_mm: _I
) -> tuple[dict[str, CurveChoice], dict[str, OutOfRange]]:
    """A curve for every species with enough measured pairs, sample plots (標準地) left out whole in the choice of form.

    Parameters
    ----------
    species, sample_plot_id : ndarray of str, shape (n,)
    dbh_mm, height_mm : ndarray of int, shape (n,)
        0 where not measured; such trees take no part.

    Returns
    -------
    (dict of species to CurveChoice, dict of species to OutOfRange)
        The second says why a species has no curve; no other species' curve stands in for it.
    """
    curves: dict[str, CurveChoice] = {}
    without: dict[str, OutOfRange] = {}
    measured = (dbh_mm > 0) & (height_mm > 0)
    for name in sorted(set(species.tolist())):
        mine = measured & (species == name)
        try:
            curves[name] = choose_height_curve(
                dbh_mm[mine] / MM_PER_CM, height_mm[mine] / MM_PER_M, sample_plot_id[mine]
            )
        except OutOfRange as reason:
            without[name] = reason
    return curves, without


def fill_heights(
    species: NDArray[np.str_], dbh_mm: _I, height_mm: _I, curves: Mapping[str, CurveChoice]
) -> FilledHeights:
    """Give every tree with a diameter and no height the height of its species' curve.

    Raises
    ------
    OutOfRange
        If a species with such trees has no curve (names it and the first row).
    """
    gap = (dbh_mm > 0) & (height_mm <= 0)
    filled, error = height_mm.astype(np.int32), np.zeros(height_mm.size, dtype=np.int32)
    outside = np.zeros(height_mm.size, dtype=np.bool_)
    for name in sorted(set(species[gap].tolist())):
        mine = np.flatnonzero(gap & (species == name))
        if name not in curves:
            raise OutOfRange(
                en=f"expected heights of {name}, or enough measured pairs for a curve, got none in row {mine[0] + 1} ({mine.size} such trees); measure more heights of this species",
                ja=f"{name}の樹高、または樹高曲線に足りる実測が必要ですが、{mine[0] + 1}行目にありません({mine.size}本)。この樹種の樹高をさらに測ってください",
            )
        found = predict_height(curves[name].curve, dbh_mm[mine] / MM_PER_CM)
        filled[mine] = np.rint(found.height_m * MM_PER_M).astype(np.int32)
        error[mine] = round(curves[name].curve.residual_sd_m * MM_PER_M)
        outside[mine] = found.outside
    return FilledHeights(filled, gap, outside, error)


def odd_heights(
    species: NDArray[np.str_], dbh_mm: _I, height_mm: _I, curves: Mapping[str, CurveChoice]
) -> NDArray[np.bool_]:
    """Trees whose measured height is far from their species' curve: mistyped, broken, or of another species."""
    odd = np.zeros(height_mm.size, dtype=np.bool_)
    for name, choice in curves.items():
        mine = np.flatnonzero((species == name) & (dbh_mm > 0) & (height_mm > 0))
        found = predict_height(choice.curve, dbh_mm[mine] / MM_PER_CM, ODD_COVERAGE)
        height_m = height_mm[mine] / MM_PER_M
        odd[mine] = (height_m < found.low_m) | (height_m > found.high_m)
    return odd
