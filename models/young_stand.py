"""Growth after replanting (再造林後の幼齢林): from planted seedlings to where the stand density diagram begins to hold."""

from __future__ import annotations

from dataclasses import dataclass

from models.checks import quantity
from models.errors import OutOfRange
from models.growth import DensityDiagram, HeightCurve, stand_state, surviving_stems_ha

BREAST_HEIGHT_M = 1.3
JOIN_HEIGHT_M = 6.0
"""Dominant height from which the diagram is used; printed diagrams begin at 5 to 6 m (recalled, not read)."""


@dataclass(frozen=True)
class Planting:
    """What was planted and how it fares.

    Attributes
    ----------
    stems_ha : float
        Seedlings planted per ha.
    yearly_survival : float
        Share of stems alive a year later, while no crown touches another; a survey's own count, or declared.
    """

    stems_ha: float
    yearly_survival: float


@dataclass(frozen=True)
class YoungStand:
    """A planted stand at one age.

    Attributes
    ----------
    mean_dbh_cm : float or None
        None below breast height, and where the diagram does not hold yet.
    yield_index : float or None
        Ry, from where the diagram holds.
    by_diagram : bool
        Whether the volume is the diagram's own.
    """

    age_years: float
    height_m: float
    stems_ha: float
    volume_m3_ha: float
    mean_dbh_cm: float | None
    yield_index: float | None
    by_diagram: bool


def young_stand(
    diagram: DensityDiagram,
    curve: HeightCurve,
    planting: Planting,
    age_years: float,
    join_height_m: float = JOIN_HEIGHT_M,
) -> YoungStand:
    """A planted stand `age_years` after planting.

    Height follows the site's curve. Seedlings die at a steady rate until the stand reaches `join_height_m`; from there on by crowding
    alone (Ry up to 1). Below that height trees stand free and grow alike in all directions, so volume is the diagram's at the join
    times the cube of relative height, per stem: it starts at zero and meets the diagram without a step.

    Raises
    ------
    OutOfRange
        If the survival is not in (0, 1], nothing was planted, the age is negative, or the curve never reaches the join.

    References
    ----------
    Similarity of open-grown trees (volume ~ height³); the diagrams' own limit for few stems is V ~ N · H^2.8 to H^3.2.
    """
    _check(planting, curve, join_height_m)
    quantity("age_years", age_years, above=False)
    height = curve.height_m(age_years)
    if height < join_height_m:
        stems = planting.stems_ha * planting.yearly_survival**age_years
        at_join = _at_join(diagram, stems, join_height_m)
        return YoungStand(
            age_years, height, stems, at_join * (height / join_height_m) ** 3, None, None, by_diagram=False
        )
    stems = planting.stems_ha * planting.yearly_survival ** _age_at(curve, join_height_m)
    alive = surviving_stems_ha(diagram, height, surviving_stems_ha(diagram, join_height_m, stems))
    stand = stand_state(diagram, height, alive)
    return YoungStand(
        age_years, height, alive, stand.volume_m3_ha, stand.mean_dbh_cm, stand.yield_index, by_diagram=True
    )


def _at_join(diagram: DensityDiagram, stems_ha: float, join_height_m: float) -> float:
    return stand_state(
        diagram, join_height_m, surviving_stems_ha(diagram, join_height_m, stems_ha)
    ).volume_m3_ha


def _age_at(curve: HeightCurve, height_m: float) -> float:
    """Age at which the curve reaches a height, years, by bisection to a millionth."""
    low, high = 0.0, 1.0
    while curve.height_m(high) < height_m:
        high *= 2.0
    while high - low > 1e-6:
        middle = (low + high) / 2.0
        low, high = (low, middle) if curve.height_m(middle) >= height_m else (middle, high)
    return high


def _check(planting: Planting, curve: HeightCurve, join_height_m: float) -> None:
    sound = 0 < planting.stems_ha < float("inf") and 0.0 < planting.yearly_survival <= 1.0
    if not sound or not BREAST_HEIGHT_M < join_height_m < curve.asymptote_m:
        raise OutOfRange(
            en=f"expected stems above 0, a yearly survival above 0 and up to 1, and a join between {BREAST_HEIGHT_M} m and the curve's "
            f"{curve.asymptote_m} m, got {planting} and {join_height_m} m; correct the planting",
            ja=f"植栽本数は0より大きく、年生存率は0より大きく1以下、接続樹高は{BREAST_HEIGHT_M}～{curve.asymptote_m} mの間が必要ですが、"
            f"{planting}、{join_height_m} mでした。植栽の指定を直してください",
        )
