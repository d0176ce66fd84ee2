"""The project, its monitoring plan, and the declared errors: everything that is fixed before the second date is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal, Self

from models.choose import Design
from mrv.blob import digest_doc

DeductionPolicy = Literal["probability_of_exceedance", "art_trees", "ar_tool14"]
METHOD_ID = "satoyama-stock-change"
METHOD_VERSION = "1.0"
_PERMANENT = "permanent tagged sample plots"
# What a plan writes for each design; the text is part of the method's digest, so that another design is another method.
DESIGN_TEXTS: Mapping[Design, str] = {
    "stratified": f"stratified by plot; cells drawn with probability proportional to area; {_PERMANENT}",
    "srs": f"simple random over the whole project; every cell equally likely; {_PERMANENT}",
    "systematic": f"systematic grid with a random start over the whole project; {_PERMANENT}",
    "two_phase": f"two-phase over the whole project: canopy measured everywhere, field plots drawn at random; {_PERMANENT}",
    "pps": f"unequal probabilities over the whole project, drawn with replacement and stated per sample plot; {_PERMANENT}",
    "purposive": "purposive; sample plots chosen by judgement; no valid interval",
    "none": "no sample plots; canopy model",
}


@dataclass(frozen=True)
class Project:
    """A crediting project of one co-op.

    Attributes
    ----------
    epsg : int
        Plane coordinate system of its surveys.
    municipality_code : str
        Five-digit code of the local government (全国地方公共団体コード).
    prefecture : str
        Key of the prefecture (``mie``): chooses the volume equations and the broadleaf factors.
    start : date
        First day of the project; cumulative change is counted from the survey that opens it.
    buffer_ppm : int
        Share of gross credits kept in the buffer, parts per million.
    demo : bool
        A demonstration: the only mode in which a claim may rest on constants that nobody has verified.
    """

    project_id: str
    name_en: str
    name_ja: str
    epsg: int
    prefecture: str
    municipality_code: str
    municipality_en: str
    municipality_ja: str
    start: date
    buffer_ppm: int
    demo: bool
    simulated: bool

    def to_doc(self) -> dict[str, Any]:
        return {**asdict(self), "start": self.start.isoformat()}

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        return cls(**{**doc, "start": date.fromisoformat(doc["start"])})


@dataclass(frozen=True)
class DeclaredErrors:
    """Errors that no sample can show, declared beforehand. All are standard deviations.

    Attributes
    ----------
    shared_factor_cv_ppm : mapping of species to int
        Relative error of the product of stem volume equation, density, BEF and root ratio that all trees of a species
        share at both dates, parts per million.
    field_height_bias_um : int
        Error of tree height that all trees of one date share (instrument, crew), micrometres; independent between dates.
    field_dbh_bias_um : int
        The same for diameter, micrometres.
    """

    shared_factor_cv_ppm: Mapping[str, int]
    field_height_bias_um: int
    field_dbh_bias_um: int


@dataclass(frozen=True)
class CanopyModel:
    """A stock model of canopy height alone, for surveys without sample plots: flagged wherever used, never creditable.

    ``co2 = scale * h ** power`` per cell, g CO2e per m², h the cell's mean canopy height in m.

    Attributes
    ----------
    scale_g_m2, power : str
        Decimal text, as in the source.
    scale_cv_ppm, power_sd_ppm : int
        Relative error of the scale and error of the power, millionths; the same at both dates.
    residual_sd_g_m2 : int
        What stock differs from the model by, per cell and date.
    correlation_range_m : int
        Distance over which such differences are shared.
    canopy_height_bias_um : int
        Height error that all pixels of one date share, micrometres.
    """

    scale_g_m2: str
    power: str
    scale_cv_ppm: int
    power_sd_ppm: int
    residual_sd_g_m2: int
    correlation_range_m: int
    canopy_height_bias_um: int
    source: str
    verified: bool


@dataclass(frozen=True)
class MonitoringPlan:
    """How the change will be measured and what will be deducted; hashed and stored before the second date is read.

    Attributes
    ----------
    treatments : mapping of plot id to str
        Plots that share a residual variance (``growing``, ``treated``).
    sample_plots : mapping of sample plot id to plot id
        The probability sample, stratified by plot.
    confidence_ppm : int
        p of the one-sided lower bound, parts per million (2/3 is 666667).
    interval_ppm : int
        Nominal coverage of printed two-sided intervals (900000).
    cell_mm : int
        Side of the prediction cells, as large as a sample plot.
    design : str
        How sample plots were laid out: a text of `DESIGN_TEXTS`, or its word. Decides the estimator.
    canopy_model : CanopyModel or None
        For surveys without sample plots only.
    draw_probabilities : mapping of sample plot id to str
        Under ``pps``: chance of that sample plot's cell at one draw, a fraction or decimal as text.
    """

    project_id: str
    first_survey_id: str
    treatments: Mapping[str, str]
    sample_plots: Mapping[str, str]
    deduction_policy: DeductionPolicy
    confidence_ppm: int
    interval_ppm: int
    cell_mm: int
    declared: DeclaredErrors
    model_form: str = "co2_change = b0 + b1 * change of mean canopy height"
    design: str = DESIGN_TEXTS["stratified"]
    method_id: str = METHOD_ID
    method_version: str = METHOD_VERSION
    canopy_model: CanopyModel | None = None
    draw_probabilities: Mapping[str, str] = field(default_factory=dict)

    def to_doc(self) -> dict[str, Any]:
        doc = asdict(self)
        if not self.draw_probabilities:
            del doc["draw_probabilities"]  # so that plans of other designs keep their digest
        doc["treatments"] = dict(self.treatments)
        doc["sample_plots"] = dict(self.sample_plots)
        doc["declared"]["shared_factor_cv_ppm"] = dict(self.declared.shared_factor_cv_ppm)
        return doc

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        model = doc.get("canopy_model")
        return cls(
            **{
                **doc,
                "declared": DeclaredErrors(**doc["declared"]),
                "canopy_model": CanopyModel(**model) if model else None,
            }
        )

    @property
    def digest(self) -> str:
        return digest_doc(self.to_doc())


def planned_design(plan: MonitoringPlan) -> Design | None:
    """The design a plan states, by text or word; None where it is not one that can be stated."""
    for word, text in DESIGN_TEXTS.items():
        if plan.design in (word, text):
            return word
    return "srs" if plan.design == "random" else None


def knows_method(plan: MonitoringPlan) -> bool:
    """Whether a plan's method is one that this program computes: methodology, version, model form, and a design of `DESIGN_TEXTS`."""
    named = (plan.method_id, plan.method_version, plan.model_form)
    known = (METHOD_ID, METHOD_VERSION, MonitoringPlan.model_form)
    return named == known and plan.design in DESIGN_TEXTS.values()
