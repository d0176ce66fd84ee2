"""Which estimator a survey's stated design calls for, whether its interval is valid, and why, in words for the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FEW_PLOTS = 20
FEW_PARAMETERS = 2
FEW_PLOTS_PER_DOMAIN = 5
# Words in which a survey or plan states its design; "cluster" (strips flown, a model from elsewhere) is for reports only.
Design = Literal["stratified", "srs", "systematic", "two_phase", "pps", "purposive", "none"]
AnyDesign = Literal[Design, "random", "cluster"]
Estimator = Literal[
    "srs", "stratified", "stratified_regression", "pps", "greg", "two_phase", "two_phase_exhaustive",
    "eblup_unit", "model_based", "hybrid", "canopy_model",
]  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """An estimator and what may be said with it.

    Attributes
    ----------
    interval_valid : bool
        Whether an interval may be printed as one; where not, it is labelled *not valid*.
    creditable : bool
        Whether credits may rest on it by default.
    parameters_allowed : int
        Coefficients the working model may have, the intercept among them.
    reason_en, reason_ja : str
        Which estimator and why.
    """

    estimator: Estimator
    interval_valid: bool
    creditable: bool
    parameters_allowed: int
    reason_en: str
    reason_ja: str


def choose_estimator(
    design: AnyDesign,
    n: int,
    covariates_known: Literal["everywhere", "first_phase", "nowhere"] = "everywhere",
    strata: int = 1,
    smallest_domain: int | None = None,
    permanent: bool = True,
) -> Choice:
    """The estimator that follows from a survey's stated design.

    Parameters
    ----------
    design : str
        How sample plots were laid out, as stated before the survey; ``srs`` and ``random`` are the same.
    n : int
        Sample plots.
    covariates_known : {"everywhere", "first_phase", "nowhere"}
        Where canopy metrics exist: wall to wall, at a larger first-phase sample, or at sample plots only.
    strata : int
        Strata (plots 区画) of the design.
    smallest_domain : int, optional
        Sample plots of the smallest domain, where figures per domain are asked for.
    permanent : bool
        Tagged plots measured at both dates; without, no change is creditable.
    """
    allowed = _parameters(n)
    if design == "none":
        return Choice(
            "canopy_model", False, False, 0,
            "No sample plots: a canopy model gives a figure to read, with no interval that a claim could rest on.",
            "標準地がないため、樹冠モデルによる参考値のみです。申請の根拠となる区間はありません。",
        )  # fmt: skip
    if design == "purposive":
        return Choice(
            "stratified_regression" if covariates_known == "everywhere" else "stratified", False, False, allowed,
            "Sample plots were chosen by judgement: selection may depend on growth, residuals understate the true spread, and no "
            "estimator cures that. Figures are computed as if drawn at random in every plot, to be read only; the interval is NOT VALID "
            "and nothing is creditable by default.",
            "標準地が有意抽出（典型地点の選定）のため、選定が成長と関係し、残差が真のばらつきを過小に示します。"
            "どの推定法でも補正できません。無作為抽出とみなした参考値で、区間は「無効」とし、既定ではクレジット対象外です。",
        )  # fmt: skip
    if n <= strata or n < 3:
        return Choice(
            "model_based", False, False, allowed,
            f"{n} sample plots in {strata} strata leave nothing to estimate a variance from: the interval is not valid.",
            f"{strata} 層に標準地 {n} 点では分散を推定できません。区間は無効です。",
        )  # fmt: skip
    estimator, en, ja = _by_design(design, covariates_known, strata, smallest_domain)
    if n < FEW_PLOTS:
        en += f" Below {FEW_PLOTS} plots the working model has at most {FEW_PARAMETERS} parameters; intervals by Student's t."
        ja += f" {FEW_PLOTS}点未満のため作業モデルは{FEW_PARAMETERS}母数まで、区間はt分布によります。"
    if not permanent:
        en += " Plots are not permanent and tagged: stock may be reported, a change is not creditable."
        ja += " 恒久・タグ付きでないため、蓄積量の報告のみ可能で、変化量はクレジット対象外です。"
    return Choice(estimator, True, permanent, allowed, en, ja)


def _parameters(n: int) -> int:
    return FEW_PARAMETERS if n < FEW_PLOTS else max(FEW_PARAMETERS, n // 10)


def _by_design(
    design: AnyDesign, covariates: str, strata: int, smallest_domain: int | None
) -> tuple[Estimator, str, str]:
    if smallest_domain is not None and smallest_domain < FEW_PLOTS_PER_DOMAIN and covariates == "everywhere":
        return (
            "eblup_unit",
            f"Figures are asked for domains of which the smallest holds {smallest_domain} sample plots: EBLUP, with GREG and synthetic beside it.",
            f"最小領域の標準地が {smallest_domain} 点のため、小地域推定（EBLUP）を用い、GREG と合成推定を併記します。",
        )
    if design == "cluster":
        return (
            "hybrid",
            "Canopy along a random sample of strips, field model from elsewhere: hybrid inference, sampling and model errors added.",
            "無作為抽出した飛行帯と既存モデルによる hybrid 推定（標本誤差とモデル誤差の和）です。",
        )
    if design == "pps" and covariates == "everywhere":
        return (
            "pps",
            "Plots drawn with stated unequal probabilities, canopy known everywhere: regression on the canopy with those weights, "
            "Hansen-Hurwitz expansion of its residuals.",
            "確率の明示された不等確率抽出と全域の樹冠情報により、その重みによる回帰と残差の Hansen-Hurwitz 推定です。",
        )
    if design == "pps":
        return (
            "pps",
            "Plots drawn with unequal probability: Hansen-Hurwitz.",
            "不等確率抽出のため Hansen-Hurwitz 推定です。",
        )
    if covariates == "first_phase" or design == "two_phase":
        if covariates == "everywhere":
            return (
                "two_phase_exhaustive",
                "Random field plots, canopy known everywhere: exhaustive two-phase regression, which is GREG; n - p and g-weight variances.",
                "無作為標準地と全域の樹冠情報による二相回帰推定（全数、GREG と同じ）で、分散は n − p と g-weight によります。",
            )
        return (
            "two_phase",
            "Canopy known at a larger first-phase sample: two-phase regression, g-weight variance with the first phase's own error.",
            "第1相標本の樹冠情報による二相回帰推定で、第1相の誤差を含む g-weight 分散によります。",
        )
    systematic = design == "systematic"
    note_en = " A systematic grid is treated as random, which overstates the variance." if systematic else ""
    note_ja = " 系統抽出は無作為とみなし、分散はやや過大です。" if systematic else ""
    if design == "stratified" or strata > 1:
        if covariates == "everywhere":
            return (
                "stratified_regression",
                "Random plots in every stratum, canopy known everywhere: stratified regression on differences."
                + note_en,
                "各層の無作為標準地と全域の樹冠情報による、差分の層化回帰推定です。" + note_ja,
            )
        return (
            "stratified",
            "Random plots in every stratum, no canopy: stratified mean." + note_en,
            "各層の無作為標準地による層化平均です。" + note_ja,
        )
    if covariates == "everywhere":
        return (
            "greg",
            "Plots drawn at random over the whole project, canopy known everywhere: regression estimator (GREG) on differences, the larger of two variances (residuals over n - p; leverage-corrected)."
            + note_en,
            "プロジェクト全域の無作為標準地と全域の樹冠情報による、差分の回帰推定（GREG）です。分散は残差（n − p）とてこ比補正の大きい方をとります。"
            + note_ja,
        )
    return (
        "srs",
        "Random plots alone: their mean." + note_en,
        "無作為標準地のみによる単純平均です。" + note_ja,
    )
