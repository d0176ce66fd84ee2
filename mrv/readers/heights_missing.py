"""Tree lists in which some heights were not measured: whether the survey's own curves can fill them, and what the plan says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange
from mrv.height_curves import (
    FEWEST_PAIRS,
    FEWEST_SAMPLE_PLOTS,
    THICKEST_RATIO,
    Pairs,
    SpeciesCurve,
    enough,
    odd_heights,
    species_curve,
)
from mrv.readers.findings import Both, Findings, listed
from mrv.survey import TreeList


@dataclass(frozen=True)
class _Species:
    """Standing trees of one species, with the rows they stand in."""

    name: str
    rows: NDArray[np.int64]
    pairs: Pairs

    @property
    def blank(self) -> NDArray[np.bool_]:
        return np.asarray(self.pairs.height_mm == 0, dtype=np.bool_)

    def rows_of(self, chosen: NDArray[np.bool_]) -> tuple[int, Both]:
        """First row, and the first few rows as text."""
        rows = self.rows[chosen].tolist()
        return rows[0], listed(rows)


def check_heights(
    trees: TreeList, rows: Sequence[int], name: str, look_for_odd: bool, findings: Findings
) -> None:
    """Refuse blank heights that no curve can fill; say how many a curve will fill, and which measured ones are odd.

    Parameters
    ----------
    rows : sequence of int, length n
        Row of each tree in the file.
    look_for_odd : bool
        Whether to compare measured heights with the curve too.
    """
    standing = (trees.status == "alive") & (trees.dbh_mm > 0)
    for species in sorted(set(trees.species[standing].tolist())):
        mine = standing & (trees.species == species)
        group = _Species(
            species,
            np.asarray(rows, dtype=np.int64)[mine],
            Pairs(trees.sample_plot_id[mine], trees.dbh_mm[mine], trees.height_mm[mine]),
        )
        if not group.blank.any() and not look_for_odd:
            continue
        try:
            curve = species_curve(group.pairs)
        except OutOfRange as reason:
            if group.blank.any():
                _too_few(group, name, reason, findings)
            continue
        if group.blank.any():
            _thicker_than_any(group, curve, name, findings)
            _note(group, curve, name, findings)
        if look_for_odd:
            _odd(group, curve, name, findings)


def _too_few(group: _Species, name: str, reason: OutOfRange, findings: Findings) -> None:
    first, rows = group.rows_of(group.blank)
    known = group.pairs.of(group.pairs.measured)
    plots = len(set(known.sample_plot_id.tolist()))
    few = not enough(known)
    findings.add(
        "trees.heights_too_few",
        f"{name} row {first}, height_m",
        expected=(
            f"the height of every {group.name}, or {FEWEST_PAIRS} measured ones on {FEWEST_SAMPLE_PLOTS} sample plots (or on each of two) for a height curve",
            f"{group.name} 全立木の樹高、または樹高曲線のための実測（{FEWEST_SAMPLE_PLOTS}標準地以上で{FEWEST_PAIRS}本以上、2標準地なら各{FEWEST_PAIRS}本）",
        ),
        got=(
            f"{known.dbh_mm.size} measured on {plots} sample plots, blank in rows {rows[0]}"
            + ("" if few else f" ({reason.en})"),
            f"実測 {known.dbh_mm.size} 本（{plots} 標準地）、空欄の行 {rows[1]}"
            + ("" if few else f"（{reason.ja}）"),
        ),
        todo=(
            "Measure more heights of this species, of thin and thick trees alike.",
            "この樹種の樹高を、細い木から太い木まで追加で測ってください。",
        ),
    )


def _thicker_than_any(group: _Species, curve: SpeciesCurve, name: str, findings: Findings) -> None:
    thickest_cm = curve.curve.dbh_range_cm[1]
    beyond = group.blank & (group.pairs.dbh_mm > THICKEST_RATIO * thickest_cm * 10.0)
    if not beyond.any():
        return
    first, rows = group.rows_of(beyond)
    findings.add(
        "trees.height_beyond_curve",
        f"{name} row {first}, height_m",
        expected=(
            f"a measured height for {group.name} thicker than {THICKEST_RATIO} times the thickest measured ({thickest_cm:.1f} cm)",
            f"実測の最大径（{thickest_cm:.1f} cm）の{THICKEST_RATIO}倍を超える {group.name} の樹高の実測値",
        ),
        got=(f"blank in rows {rows[0]}", f"空欄の行 {rows[1]}"),
        todo=(
            "Measure the heights of the thickest trees.",
            "太い木の樹高を測ってください。",
        ),
    )


def _note(group: _Species, curve: SpeciesCurve, name: str, findings: Findings) -> None:
    fitted = curve.curve
    low, high = fitted.dbh_range_cm
    outside = int(
        (group.blank & ((group.pairs.dbh_mm < low * 10.0) | (group.pairs.dbh_mm > high * 10.0))).sum()
    )
    count, blank = len(group.rows), int(group.blank.sum())
    findings.note(
        name,
        (
            f"{group.name}: heights of {blank} of {count} trees come from a curve ({fitted.pairs} measured trees of {low:.1f} to {high:.1f} cm on {len(curve.displacements)} sample plots, residual ± {fitted.residual_sd_m:.1f} m); {outside} of them are outside those diameters",
            f"{group.name}: {count}本中{blank}本の樹高は樹高曲線から（{len(curve.displacements)}標準地・実測{fitted.pairs}本・直径{low:.1f}～{high:.1f} cm、残差 ± {fitted.residual_sd_m:.1f} m）。うち{outside}本は直径の範囲外",
        ),
    )


def _odd(group: _Species, curve: SpeciesCurve, name: str, findings: Findings) -> None:
    odd = odd_heights(group.pairs, curve.curve)
    if not odd.any():
        return
    first, rows = group.rows_of(odd)
    values = listed(f"{h / 1000:g} m" for h in group.pairs.height_mm[odd].tolist())
    findings.warn(
        "trees.height_odd",
        f"{name} row {first}, height_m",
        expected=(
            f"heights near those of {group.name} of the same diameter",
            f"同じ直径の {group.name} に近い樹高",
        ),
        got=(f"{values[0]} in rows {rows[0]}", f"{values[1]}（行 {rows[1]}）"),
        todo=(
            "Look at these rows again; they are used as they are.",
            "該当行を確認してください（このまま計算します）。",
        ),
    )
