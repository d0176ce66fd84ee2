"""Growth of an even-aged stand: height by age, stand density diagram (林分密度管理図), death by crowding."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log10, pi, pow, sqrt

from models.checks import quantity
from models.errors import OutOfRange


@dataclass(frozen=True)
class DensityDiagram:
    """Coefficients of one stand density diagram.

    Attributes
    ----------
    b1, e1, b2, e2 : float
        ``1/V = b1·H^e1 + b2·H^e2/N``, H dominant height m, N stems/ha, V m³/ha.
    k : float
        ``log10 N_Rf = k + (e2 − e1)·log10 H``, the stems of a full stand.
    h0, h1, h2 : float
        Form height ``HF = h0 + h1·H + h2·√N·H/100``, m.
    """

    region: str
    species: str
    b1: float
    e1: float
    b2: float
    e2: float
    k: float
    h0: float
    h1: float
    h2: float
    verified: bool


@dataclass(frozen=True)
class HeightCurve:
    """``H = asymptote · (1 − exp(−rate · age))^shape`` of one species and site class (地位)."""

    species: str
    site_class: int
    asymptote_m: float
    rate_per_year: float
    shape: float
    verified: bool

    def height_m(self, age_years: float) -> float:
        """Dominant height, m, at an age in years.

        Raises
        ------
        OutOfRange
            If the age is negative or no number.
        """
        quantity("age_years", age_years, above=False)
        return self.asymptote_m * pow(1.0 - exp(-self.rate_per_year * age_years), self.shape)


@dataclass(frozen=True)
class StandState:
    """What a density diagram says of a stand.

    Attributes
    ----------
    volume_m3_ha, basal_area_m2_ha, mean_dbh_cm : float
    yield_index : float
        Ry (収量比数): volume over that of a full stand of the same height.
    """

    height_m: float
    stems_ha: float
    volume_m3_ha: float
    basal_area_m2_ha: float
    mean_dbh_cm: float
    yield_index: float


def volume_m3_ha(diagram: DensityDiagram, height_m: float, stems_ha: float) -> float:
    """Stand volume, m³/ha, of dominant height (m) and stems per ha: ``V = 1/(b1·H^e1 + b2·H^e2/N)``.

    Parameters
    ----------
    height_m : float
        Dominant height, m.
    stems_ha : float
        Stems per ha.

    Raises
    ------
    OutOfRange
        If height or stems are not above zero, or no numbers.
    """
    _check(height_m, stems_ha)
    return 1.0 / (diagram.b1 * pow(height_m, diagram.e1) + diagram.b2 * pow(height_m, diagram.e2) / stems_ha)


def full_stems_ha(diagram: DensityDiagram, height_m: float) -> float:
    """Stems per ha of a full stand (Ry = 1) of this height, m: ``log10 N = k + (e2 − e1)·log10 H``.

    Parameters
    ----------
    height_m : float
        Dominant height, m.

    Raises
    ------
    OutOfRange
        If the height is not above zero, or no number.
    """
    quantity("height_m", height_m)
    return pow(10.0, diagram.k + (diagram.e2 - diagram.e1) * log10(height_m))


def stand_state(diagram: DensityDiagram, height_m: float, stems_ha: float) -> StandState:
    """Volume, basal area, mean diameter and yield index of a stand of dominant height (m) and stems per ha.

    ``HF = h0 + h1·H + h2·√N·H/100``, ``G = V/HF``, ``dg = 200·√(G/(πN))``, ``Ry = V/V(H, N_Rf)``.

    Parameters
    ----------
    height_m : float
        Dominant height, m.
    stems_ha : float
        Stems per ha.

    Raises
    ------
    OutOfRange
        If height or stems are not above zero, or no numbers; if the diagram gives no form height there.

    References
    ----------
    Equations of 林分密度管理図; sanity: Hokuriku sugi H 20 N 1000 gives V 544.5, Ry 0.749, mean diameter 26.85.
    """
    volume = volume_m3_ha(diagram, height_m, stems_ha)
    form_height = diagram.h0 + diagram.h1 * height_m + diagram.h2 * sqrt(stems_ha) * height_m / 100.0
    if form_height <= 0:
        raise OutOfRange(
            en=f"{diagram.region}/{diagram.species}: expected a height within the diagram, got {height_m} m, where its form height is "
            f"{form_height:.3f} m; the diagram holds for taller stands",
            ja=f"{diagram.region}/{diagram.species}: 管理図の範囲の樹高が必要ですが、{height_m} mでは形状高が{form_height:.3f} mになります",
        )
    basal_area = volume / form_height
    full = volume_m3_ha(diagram, height_m, full_stems_ha(diagram, height_m))
    return StandState(
        height_m=height_m,
        stems_ha=stems_ha,
        volume_m3_ha=volume,
        basal_area_m2_ha=basal_area,
        mean_dbh_cm=200.0 * sqrt(basal_area / (pi * stems_ha)),
        yield_index=volume / full,
    )


def stems_at_yield_index(diagram: DensityDiagram, height_m: float, yield_index: float) -> float:
    """Stems per ha at which a stand of this height has the given Ry.

    Parameters
    ----------
    height_m : float
        Dominant height, m.
    yield_index : float
        Ry (収量比数), above 0 and up to 1.

    Raises
    ------
    OutOfRange
        If Ry is not in (0, 1], or the height not above zero.
    """
    quantity("yield_index", yield_index, high=1.0)
    volume = yield_index * volume_m3_ha(diagram, height_m, full_stems_ha(diagram, height_m))
    return diagram.b2 * pow(height_m, diagram.e2) / (1.0 / volume - diagram.b1 * pow(height_m, diagram.e1))


def surviving_stems_ha(
    diagram: DensityDiagram, height_m: float, stems_ha: float, ry_max: float = 1.0
) -> float:
    """Stems per ha that are left when crowding kills all beyond Ry = `ry_max` at this height.

    Parameters
    ----------
    height_m : float
        Dominant height, m.
    stems_ha : float
        Stems per ha.
    ry_max : float

    Raises
    ------
    OutOfRange
        If height or stems are not above zero, or Ry not in (0, 1].
    """
    _check(height_m, stems_ha)
    return min(stems_ha, stems_at_yield_index(diagram, height_m, ry_max))


def grow(
    diagram: DensityDiagram, curve: HeightCurve, age_years: float, years: float, stems_ha: float
) -> tuple[StandState, StandState]:
    """A stand now and `years` later, crowding included: height by the curve, stems capped at Ry 1.

    Parameters
    ----------
    age_years : float
        Above zero: the diagram has no stand without height.
    years : float
        Zero or more.
    stems_ha : float

    Raises
    ------
    OutOfRange
        If one of them is out of range or no number.
    """
    quantity("age_years", age_years)
    quantity("years", years, above=False)
    now_m, then_m = curve.height_m(age_years), curve.height_m(age_years + years)
    stems_now = surviving_stems_ha(diagram, now_m, stems_ha)
    stems_then = surviving_stems_ha(diagram, then_m, stems_now)
    return stand_state(diagram, now_m, stems_now), stand_state(diagram, then_m, stems_then)


def _check(height_m: float, stems_ha: float) -> None:
    quantity("height_m", height_m)
    quantity("stems_ha", stems_ha)
