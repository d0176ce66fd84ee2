"""What the stages return: small frozen values, integers only, that go into the evidence as canonical JSON.

Units: areas mm², heights mm, volumes cm³, everything of carbon in grams CO2e; whole kilograms only in the claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal, Self

from mrv.blob import digest_doc

Method = Literal["paired_stratified_regression", "paired_regression", "paired_pps_regression", "canopy_model"]
PURPOSIVE_FLAG = "change.purposive_sample_interval_not_valid"


@dataclass(frozen=True)
class ZoneHeight:
    """Canopy height over one polygon: exact integer sums over the pixels whose centres lie inside.

    Attributes
    ----------
    pixels, valid : int
        Pixels inside, and those of them that hold a height.
    sum_mm : int
        Sum of the valid heights, mm.
    """

    zone_id: str
    pixels: int
    valid: int
    sum_mm: int


@dataclass(frozen=True)
class Canopy:
    """Stage 1: canopy height of one survey.

    Attributes
    ----------
    raster_name, raster_digest : str
        Output raster (int32 mm) and the digest of its array and grid.
    plots, sample_plots : tuple of ZoneHeight
    """

    survey_id: str
    raster_name: str
    raster_digest: str
    grid: Mapping[str, Any]
    source: Literal["chm", "dsm_minus_dtm", "points"]
    plots: tuple[ZoneHeight, ...]
    sample_plots: tuple[ZoneHeight, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True)
class TreeStock:
    """One tree at one date: stem volume and CO2e of stem, branches, leaves and roots.

    Attributes
    ----------
    equation : str
        Stem volume equation and D class, kept from the first date on.
    co2_per_m_height_g, co2_per_cm_dbh_g : int
        How CO2e would differ were the tree 1 m taller, or 1 cm thicker; carries declared field biases to the project.
    dbh_mm, height_mm : int
        What the stock rests on; 0 where the tree no longer stands.
    height_source : str
        ``measured``; ``curve`` (the species' height-diameter curve of this date); ``calibrated`` (the tree's own height at the first
        date times the growth of the curve); ``kept`` (its height at the first date, for want of a curve); ``none`` (not standing).
    curve_slopes_g, first_curve_slopes_g : tuple of int
        How CO2e would differ were a coefficient of this date's curve, or of the first date's survivors', larger by one; empty where
        the height does not rest on it. Carries the error of the curve, which all its trees share, to the project.
    """

    sample_plot_id: str
    tag: str
    species: str
    status: str
    equation: str
    young_bef: bool
    volume_cm3: int
    co2_g: int
    co2_per_m_height_g: int
    co2_per_cm_dbh_g: int
    dbh_mm: int = 0
    height_mm: int = 0
    height_source: str = "measured"
    curve_slopes_g: tuple[int, ...] = ()
    first_curve_slopes_g: tuple[int, ...] = ()


@dataclass(frozen=True)
class HeightCurve:
    """Height-diameter curve (樹高曲線) of one species at one date, fitted to that survey's own measured pairs.

    Attributes
    ----------
    survey_id : str
        Whose pairs.
    basis : str
        ``standing``: trees that stood at that date; ``survivors``: those of the first date that still stand at the last, from which
        the growth of trees measured first only is taken.
    form : str
        As in `models.height_diameter`; chosen at the first date by cross-validation over whole sample plots, and kept.
    coefficients, log_residual_sd : decimal text
        D in cm, H in m.
    pairs, sample_plots, filled : int
        Measured pairs, the sample plots they stand on, and how many heights rest on the curve.
    dbh_from_mm, dbh_to_mm : int
        Diameters of the pairs.
    residual_sd_mm, cross_validated_rmse_mm : int
    factors_ppm : mapping of sample plot to int
        Measured over fitted heights of the sample plots with enough pairs, weighted by the square of the diameter; heights filled
        there are multiplied by it.
    displacements : mapping of sample plot to tuple of decimal text
        How the coefficients move were that sample plot left out: the error of the curve (`models.height_diameter.displacements`).
    """

    survey_id: str
    species: str
    basis: str
    form: str
    coefficients: tuple[str, ...]
    log_residual_sd: str
    pairs: int
    sample_plots: int
    filled: int
    dbh_from_mm: int
    dbh_to_mm: int
    residual_sd_mm: int
    cross_validated_rmse_mm: int
    factors_ppm: Mapping[str, int]
    displacements: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Inventory:
    """Stage 2: trees of all sample plots of one survey.

    Attributes
    ----------
    unverified : tuple of str
        Constants that nobody has read in their source.
    curves : tuple of HeightCurve
        Of this date and, where trees were calibrated by it, of the first date's survivors; empty where all heights were measured.
    """

    survey_id: str
    trees: tuple[TreeStock, ...]
    unverified: tuple[str, ...]
    curves: tuple[HeightCurve, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """A total with its standard error: grams CO2e, degrees of freedom rounded down."""

    total_g: int
    se_g: int
    df: int


@dataclass(frozen=True)
class SmallArea:
    """Change of one plot three ways, grams CO2e; standard errors hold the declared errors and are rounded up.

    Attributes
    ----------
    sample_plots : int
        Where 0, EBLUP and synthetic are the same: the model alone.
    own_weight_ppm : int
        Weight of the plot's own sample plots in the EBLUP against the model, millionths.
    eblup_g, eblup_se_g : int
        Best prediction, and the root of its mean squared error.
    adjusted_g, adjusted_se_g : int
        The EBLUP, adjusted so that the plots sum to the project's change.
    greg_g, greg_se_g : int or None
        Direct regression estimate; None without sample plots, and its error where residuals leave none.
    synthetic_g, synthetic_se_g : int
        The model alone.
    """

    sample_plots: int
    own_weight_ppm: int
    eblup_g: int
    eblup_se_g: int
    adjusted_g: int
    adjusted_se_g: int
    greg_g: int | None
    greg_se_g: int | None
    synthetic_g: int
    synthetic_se_g: int


@dataclass(frozen=True)
class PlotChange:
    """Stage 3, one plot: stock at both dates, change, and what made it.

    Attributes
    ----------
    small_area : SmallArea or None
        None for a canopy model.
    components_g : mapping of str to int
        ``growth``, ``recruited``, ``replanted``, ``thinned``, ``cut``, ``died``; they sum to the change to the gram.
    """

    plot_id: str
    name: str
    area_mm2: int
    species: str
    treatment: str
    sample_plots: int
    canopy_first_mm: int
    canopy_last_mm: int
    stock_first: Estimate
    stock_last: Estimate
    change: Estimate
    components_g: Mapping[str, int]
    small_area: SmallArea | None = None


@dataclass(frozen=True)
class Change:
    """Stage 3: change of stock between two surveys, per plot and for the project.

    Attributes
    ----------
    method : str
        ``paired_stratified_regression`` (plots are strata), ``paired_regression`` (one sample over the project),
        ``paired_pps_regression`` (that with unequal probabilities), or ``canopy_model`` (flagged fallback, nothing creditable).
    design, estimator : str
        As the plan states the former and `models.choose` names the latter; "" in documents older than these fields.
    interval_valid : bool
        Whether the standard errors make an interval; where not it is labelled NOT VALID, and nothing is creditable.
    reason_en, reason_ja : str
        Which estimator and why, for the report.
    parameters : int
        Coefficients of the working model of the change.
    small_area_model : mapping of str to str
        Variance components behind `PlotChange.small_area` as text; ``between`` is ``estimated``, ``zero`` (predictions are the model
        alone, their errors likely too small) or ``not_estimable``.
    variance_parts_g2 : mapping of str to str
        Variance of the project's change by source, g², decimal text (they exceed 2**53).
    creditable : bool
        Whether the design permits a claim at all; where not, `flags` say why.
    coefficients : mapping of str to str
        Exact fractions of the working models as text, for the maps.
    """

    project_id: str
    plan_digest: str
    first_survey_id: str
    last_survey_id: str
    start: date
    end: date
    method: Method
    plots: tuple[PlotChange, ...]
    stock_first: Estimate
    stock_last: Estimate
    change: Estimate
    components_g: Mapping[str, int]
    variance_parts_g2: Mapping[str, str]
    species_change_g: Mapping[str, int]
    jcredit_g: Mapping[str, int]
    coefficients: Mapping[str, str]
    creditable: bool
    flags: tuple[str, ...]
    unverified: tuple[str, ...]
    simulated: bool
    design: str = ""
    estimator: str = ""
    interval_valid: bool = True
    reason_en: str = ""
    reason_ja: str = ""
    parameters: int = 0
    small_area_model: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.creditable and not self.interval_valid:
            raise ValueError("expected a valid interval behind a creditable change, got one that is not")


@dataclass(frozen=True)
class History:
    """What a project was issued before, as read from the chain; all kg CO2e."""

    gross_issued_kg: int = 0
    compensated_kg: int = 0
    last_end: date | None = None


@dataclass(frozen=True)
class Claim:
    """Stage 4: the credits asked for, whole kilograms, the same on every chain.

    ``estimate_kg - deduction_kg == prior_gross_kg - compensated_kg + gross_kg`` and ``gross_kg == credited_kg + buffer_kg``.

    Attributes
    ----------
    period_start, period_end : date
        Half-open ``[start, end)``.
    vintage : int
        Year of the period's last day.
    estimate_kg, standard_error_kg, df : int
        Net change since the project's start, its standard error, degrees of freedom.
    deduction_kg : int
        What uncertainty takes away: estimate less lower confidence bound.
    register_ids : tuple of str
        The plots by municipality and forest register key, sorted; preimages of the plot keys on chain.
    """

    project_id: str
    batch_id: str
    method_id: str
    method_version: str
    method_digest: str
    plan_digest: str
    change_digest: str
    period_start: date
    period_end: date
    vintage: int
    confidence_ppm: int
    deduction_policy: str
    estimate_kg: int
    standard_error_kg: int
    df: int
    deduction_kg: int
    prior_gross_kg: int
    compensated_kg: int
    gross_kg: int
    buffer_kg: int
    credited_kg: int
    area_mm2: int
    register_ids: tuple[str, ...]
    unverified: tuple[str, ...]
    simulated: bool

    def to_doc(self) -> dict[str, Any]:
        return to_doc(self)

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        return cls(
            **{
                **doc,
                "period_start": date.fromisoformat(doc["period_start"]),
                "period_end": date.fromisoformat(doc["period_end"]),
                "register_ids": tuple(doc["register_ids"]),
                "unverified": tuple(doc["unverified"]),
            }
        )


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def to_doc(value: Any) -> dict[str, Any]:
    """Plain document of a stage result: dates as ISO text, tuples as lists."""
    plain = _plain(asdict(value))
    assert isinstance(plain, dict)
    return plain


def digest_result(value: Any) -> str:
    """Digest of a stage result's canonical JSON."""
    return digest_doc(to_doc(value))


def canopy_from_doc(doc: Mapping[str, Any]) -> Canopy:
    zones = {key: tuple(ZoneHeight(**z) for z in doc[key]) for key in ("plots", "sample_plots")}
    return Canopy(**{**doc, **zones, "flags": tuple(doc["flags"])})


def inventory_from_doc(doc: Mapping[str, Any]) -> Inventory:
    slopes = ("curve_slopes_g", "first_curve_slopes_g")
    trees = tuple(TreeStock(**{**t, **{k: tuple(t[k]) for k in slopes}}) for t in doc["trees"])
    curves = tuple(
        HeightCurve(
            **{
                **c,
                "coefficients": tuple(c["coefficients"]),
                "displacements": {k: tuple(v) for k, v in c["displacements"].items()},
            }
        )
        for c in doc["curves"]
    )
    return Inventory(doc["survey_id"], trees, tuple(doc["unverified"]), curves)


def change_from_doc(doc: Mapping[str, Any]) -> Change:
    """Inverse of `to_doc`. A document older than `Change.design` gets `interval_valid` by its method and flags; its other new
    fields stay empty."""
    if "interval_valid" not in doc:
        invalid = doc["method"] == "canopy_model" or PURPOSIVE_FLAG in doc["flags"]
        doc = {**doc, "interval_valid": not invalid}
    estimates = ("stock_first", "stock_last", "change")
    plots = tuple(_plot_change(p) for p in doc["plots"])
    return Change(
        **{
            **doc,
            **{k: Estimate(**doc[k]) for k in estimates},
            "plots": plots,
            "start": date.fromisoformat(doc["start"]),
            "end": date.fromisoformat(doc["end"]),
            "flags": tuple(doc["flags"]),
            "unverified": tuple(doc["unverified"]),
        }
    )


def _plot_change(doc: Mapping[str, Any]) -> PlotChange:
    small = doc.get("small_area")
    estimates = {k: Estimate(**doc[k]) for k in ("stock_first", "stock_last", "change")}
    return PlotChange(**{**doc, **estimates, "small_area": None if small is None else SmallArea(**small)})
