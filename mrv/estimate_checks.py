"""Whether plan and surveys agree on the sampling design, and whether the estimator it calls for can be computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from models.choose import Design
from mrv.errors import Problem, Refusal
from mrv.project import DESIGN_TEXTS, MonitoringPlan, planned_design
from mrv.readers.design import PROBABILITIES, draw_probabilities
from mrv.survey import Survey

# Designs that a survey without any word on its design is not held to.
SILENT: tuple[Design, ...] = ("none", "purposive")
# Expanding areas by the stated probabilities must give the project's area within this factor: inclusion probabilities taken for
# draw probabilities are off by the number of sample plots.
AREA_FACTOR = 3
LEAST_OVER_PROJECT = 4


def with_design(plan: MonitoringPlan, first: Survey) -> MonitoringPlan:
    """The plan with the design that its first survey states, and under ``pps`` with the stated probabilities.

    Raises
    ------
    Refusal
        If probabilities are missing, wrong, or cannot be of this project.
    """
    stated: dict[str, str] = {}
    design = stated_design(first)
    if design == "pps":
        values, _ = draw_probabilities(first.manifest.get("design", {}))
        stated = {sample_plot: str(p) for sample_plot, p in sorted(values.items())}
    made = replace(plan, design=DESIGN_TEXTS[design], draw_probabilities=stated)
    problems = _check_probabilities(first, made)
    if problems:
        raise Refusal(problems)
    return made


def stated_design(survey: Survey) -> Design:
    """The design that a survey states."""
    return survey.design


def check_design(first: Survey, last: Survey, plan: MonitoringPlan) -> list[Problem]:
    """Reasons why no change may be estimated under the plan's design."""
    design = planned_design(plan)
    if design is None:
        return [_unknown(plan)]
    problems = [p for s in (first, last) if (p := _contradiction(s, design, first=s is first)) is not None]
    if design == "pps":
        problems += _check_probabilities(first, plan)
        problems += _changed_probabilities(last, plan)
    if design in ("stratified", "purposive"):
        problems += _empty_plots(
            plan, stratified=design == "stratified" and stated_design(first) not in SILENT
        )
    elif len(plan.sample_plots) < LEAST_OVER_PROJECT:
        problems.append(_too_few(plan))
    return problems


def foreseen(plan: MonitoringPlan, first: Survey) -> list[Problem]:
    """Warnings, when a first survey is handed in, of what would refuse every change under its plan years later."""
    design = stated_design(first)
    problems: list[Problem] = []
    if design == "stratified":
        problems = _empty_plots(plan, stratified=True)
    elif design not in SILENT and len(plan.sample_plots) < LEAST_OVER_PROJECT:
        problems = [_too_few(plan)]
    return [replace(p, severity="warn") for p in problems]


def _unknown(plan: MonitoringPlan) -> Problem:
    words = " | ".join(DESIGN_TEXTS)
    return Problem(
        code="plan.design_unknown",
        where=f"monitoring plan of {plan.project_id}, design",
        expected_en=f"one of {words}",
        expected_ja=f"次のいずれか: {words}",
        got_en=repr(plan.design),
        got_ja=repr(plan.design),
        todo_en="A design that is not stated has no estimator; plans are made of the first survey's [design].",
        todo_ja="設計が明示されなければ推定法を選べません。計画は最初の調査の [design] から作ります。",
    )


def _contradiction(survey: Survey, planned: Design, first: bool) -> Problem | None:
    """Under a plan without a probability sample nothing is creditable, whatever a survey says. Else a first survey may claim less than
    the plan (then nothing is creditable either), a last one may say nothing, and otherwise both must agree."""
    may_say: tuple[Design, ...] = SILENT if first else ("none",)
    if planned in SILENT or stated_design(survey) in (planned, *may_say):
        return None
    return Problem(
        code="change.design_contradicts_plan",
        where=f"{survey.survey_id} design",
        expected_en=f'design "{planned}", as the monitoring plan has it',
        expected_ja=f"モニタリング計画どおりの設計「{planned}」",
        got_en=f'"{survey.design}"',
        got_ja=f"「{survey.design}」",
        todo_en="The design is fixed before the second date and decides the estimator; correct [design] of the survey, or start the "
        "project anew with a plan of the true design.",
        todo_ja="設計は2回目の調査前に確定し、推定法を決めます。調査票の [design] を直すか、正しい設計の計画でやり直してください。",
    )


def _empty_plots(plan: MonitoringPlan, stratified: bool) -> list[Problem]:
    hold = set(plan.sample_plots.values())
    todo_en = "Measure permanent sample plots there before the second date, or plan anew."
    todo_ja = "2回目の調査前にその区画に恒久標準地を設けるか、計画を作り直してください。"
    if stratified:
        todo_en += ' If the sample plots were drawn at random over the whole project, state [design] kind = "srs" in the first survey.'
        todo_ja += '標準地をプロジェクト全域から無作為に選んだ場合は、最初の調査の [design] に kind = "srs" と書いてください。'
    return [
        Problem(
            code="plan.plot_without_sample_plot",
            where=f"monitoring plan, plot {plot}",
            expected_en="one or more sample plots in every plot under a design stratified by plot",
            expected_ja="区画で層化した設計では、各区画に1か所以上の標準地",
            got_en="none",
            got_ja="なし",
            todo_en=todo_en,
            todo_ja=todo_ja,
        )
        for plot in plan.treatments
        if plot not in hold
    ]


def _too_few(plan: MonitoringPlan) -> Problem:
    n = len(plan.sample_plots)
    return Problem(
        code="plan.too_few_sample_plots",
        where=f"monitoring plan of {plan.project_id}",
        expected_en=f"{LEAST_OVER_PROJECT} or more sample plots, 12 or more to be useful",
        expected_ja=f"{LEAST_OVER_PROJECT} か所以上の標準地（実用には12か所以上）",
        got_en=str(n),
        got_ja=f"{n} か所",
        todo_en="A regression of two parameters leaves no variance with fewer; measure more sample plots.",
        todo_ja="2母数の回帰では分散を推定できません。標準地を増やしてください。",
    )


def _check_probabilities(first: Survey, plan: MonitoringPlan) -> list[Problem]:
    """Every sample plot has its probability, and they fit the project's area."""
    if planned_design(plan) != "pps":
        return []
    stated = plan.draw_probabilities
    missing = [s for s in sorted(plan.sample_plots) if s not in stated]
    unknown = [s for s in sorted(stated) if s not in plan.sample_plots]
    values = {s: _fraction(p) for s, p in stated.items()}
    wrong = [s for s, p in sorted(values.items()) if p is None or not 0 < p < 1]
    found = (
        ("none", "なし", missing),
        ("no such sample plot", "該当する標準地なし", unknown),
        ("no such number", "値が不正", wrong),
    )
    problems = [_probability(", ".join(ids), en, ja) for en, ja, ids in found if ids]
    if problems:
        return problems
    areas = {s.sample_plot_id: s.area_mm2 for s in first.sample_plots}
    expanded = sum((areas[s] / p for s, p in values.items() if p), Fraction(0)) / len(values)
    whole = sum(p.area_mm2 for p in first.plots)
    if expanded * AREA_FACTOR < whole or expanded > whole * AREA_FACTOR:
        ha = float(expanded) / 1e10
        problems.append(
            _probability(
                "(all)",
                f"probabilities that make the project {ha:.2f} ha, where it is {whole / 1e10:.2f} ha",
                f"面積に換算すると {ha:.2f} ha（実際は {whole / 1e10:.2f} ha）となる確率",
            )
        )
    return problems


def _changed_probabilities(last: Survey, plan: MonitoringPlan) -> list[Problem]:
    """What the last survey states, if it states any, is what the plan holds."""
    table: Mapping[str, object] = last.manifest.get("design", {})
    if not any(name in table for name in PROBABILITIES):
        return []
    values, _ = draw_probabilities(table)
    other = sorted(
        s for s in plan.draw_probabilities if values.get(s) != _fraction(plan.draw_probabilities[s])
    )
    if not other:
        return []
    names = ", ".join(other)
    return [_probability(names, f"another one in {last.survey_id}", f"{last.survey_id} では別の値")]


def _fraction(text: str) -> Fraction | None:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None


def _probability(where: str, got_en: str, got_ja: str) -> Problem:
    return Problem(
        code="plan.draw_probability",
        where=f"sample plots {where}",
        expected_en="the probability, above 0 and below 1, of the sample plot's cell at one draw; one for every sample plot",
        expected_ja="各標準地に、1回の抽出でそのセルが選ばれる確率（0 より大きく 1 未満）",
        got_en=got_en,
        got_ja=got_ja,
        todo_en="State them in [design.draw_probability] of the first survey, before the plan is made; chances of being in the sample "
        "at all go into [design.inclusion_probability].",
        todo_ja="計画作成前に、最初の調査の [design.draw_probability] に記入してください。標本に含まれる確率（包含確率）なら [design.inclusion_probability] です。",
    )
