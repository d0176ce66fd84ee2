"""Whether two visits can be compared: the plan's plots and sample plots at both dates, and every tree accounted for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from mrv.errors import Problem, Refusal
from mrv.estimate_checks import check_design
from mrv.project import MonitoringPlan
from mrv.results import Canopy, Inventory
from mrv.survey import Plot, SamplePlot, Survey

# Bounds that no tree of these species passes, to tell a mistyped or retagged tree from a growing one: twice the widest rings and
# longest shoots of young sugi (some 1.2 cm and 1 m a year, recalled), plus reading errors. They refuse; they never correct.
DBH_MM_PER_YEAR = 25
DBH_READING_MM = 20
HEIGHT_MM_PER_YEAR = 2_000
HEIGHT_READING_MM = 4_000
DBH_LOSS_MM = 30
# Every tree of this diameter is tagged at each date, so that a new tag was thinner than this before.
TAGGED_FROM_MM = 10
MOST_NAMED = 20
LEAST_COVER_PERCENT = 95
SAME_CORNER_MM = 2_000


@dataclass(frozen=True)
class Visit:
    """One survey with what the first two stages made of it."""

    survey: Survey
    canopy: Canopy
    inventory: Inventory


def check_pair(first: Visit, last: Visit, plan: MonitoringPlan) -> None:
    """Refuse a pair of visits from which no change may be estimated.

    Raises
    ------
    Refusal
        With every reason found.
    """
    problems = [
        *_check_plan(first, last, plan),
        *check_design(first.survey, last.survey, plan),
        *_check_plots(first, last, plan),
        *_check_ground(first, last),
        *_check_samples(first, last, plan),
        *_check_trees(first, last, plan),
        *_check_growth(first, last, plan),
        *_check_species(first, last, plan),
    ]
    if first.survey.day >= last.survey.day:
        problems.append(_order_problem(first.survey.day, last.survey.day, last.survey.survey_id))
    if problems:
        raise Refusal(problems)


def _order_problem(first: date, last: date, where: str) -> Problem:
    return Problem(
        code="change.dates",
        where=where,
        expected_en=f"a survey after {first}",
        expected_ja=f"{first} より後の調査",
        got_en=f"one of {last}",
        got_ja=f"{last} の調査",
        todo_en="Name the surveys in order of time.",
        todo_ja="調査を時系列順に指定してください。",
    )


def _check_plan(first: Visit, last: Visit, plan: MonitoringPlan) -> list[Problem]:
    """The plan is that of the first survey: its plots, all its sample plots, its project; and errors were declared."""
    survey = first.survey
    declared = plan.declared
    facts = (
        ("first survey", "最初の調査", plan.first_survey_id, survey.survey_id),
        ("project", "プロジェクト", {plan.project_id}, {survey.project_id, last.survey.project_id}),
        (
            "sample plots",
            "標準地",
            dict(plan.sample_plots),
            {s.sample_plot_id: s.plot_id for s in survey.sample_plots},
        ),
        ("treatments", "施業区分", dict(plan.treatments), {p.plot_id: p.treatment for p in survey.plots}),
        (
            "declared errors above zero",
            "正の誤差の宣言",
            True,
            min(
                (
                    *declared.shared_factor_cv_ppm.values(),
                    declared.field_height_bias_um,
                    declared.field_dbh_bias_um,
                )
            )
            > 0,
        ),
    )
    return [
        Problem(
            code="plan.not_of_this_survey",
            where=f"monitoring plan, {name}",
            expected_en=f"{name} as the first survey has them: {found}",
            expected_ja=f"最初の調査どおりの{name_ja}: {found}",
            got_en=str(planned),
            got_ja=str(planned),
            todo_en="A plan is made of the first survey, whole, and never changed after.",
            todo_ja="計画は最初の調査全体から作り、以後変更できません。",
        )
        for name, name_ja, planned, found in facts
        if planned != found
    ]


def _check_ground(first: Visit, last: Visit) -> list[Problem]:
    """A plot id stands for the same entry of the forest register and the same ground at both dates."""
    earlier = {p.plot_id: p for p in first.survey.plots}
    problems = []
    for plot in last.survey.plots:
        before = earlier.get(plot.plot_id)
        if before is None or (before.register_id == plot.register_id and _same_ground(before, plot)):
            continue
        problems.append(
            Problem(
                code="change.plot_is_another",
                where=f"{last.survey.survey_id} plot {plot.plot_id}",
                expected_en=f"register id {before.register_id} and the boundary of the first date ({before.area_mm2 / 1e10:.4f} ha)",
                expected_ja=f"小班 {before.register_id} と初回の境界（{before.area_mm2 / 1e10:.4f} ha）",
                got_en=f"{plot.register_id}, {plot.area_mm2 / 1e10:.4f} ha",
                got_ja=f"{plot.register_id}、{plot.area_mm2 / 1e10:.4f} ha",
                todo_en="Give each plot the id and boundary it had.",
                todo_ja="区画番号と境界を初回に合わせてください。",
            )
        )
    return problems


def _same_ground(one: Plot, other: Plot) -> bool:
    """Areas within 1 %, and the box around the corners within two metres on every side."""

    def box(plot: Plot) -> tuple[int, int, int, int]:
        xs, ys = zip(*(corner for ring in plot.rings_mm for corner in ring), strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    if one.rings_mm == other.rings_mm:
        return one.area_mm2 == other.area_mm2
    near = all(abs(a - b) <= SAME_CORNER_MM for a, b in zip(box(one), box(other), strict=True))
    return near and 100 * abs(one.area_mm2 - other.area_mm2) <= one.area_mm2


def _check_plots(first: Visit, last: Visit, plan: MonitoringPlan) -> list[Problem]:
    problems = []
    planned = set(plan.treatments)
    for visit in (first, last):
        got = {p.plot_id for p in visit.survey.plots}
        if got != planned:
            problems.append(
                Problem(
                    code="change.plots_differ_from_plan",
                    where=visit.survey.survey_id,
                    expected_en=f"plots {sorted(planned)} as planned",
                    expected_ja=f"計画どおりの区画 {sorted(planned)}",
                    got_en=str(sorted(got)),
                    got_ja=str(sorted(got)),
                    todo_en="Hand in all plots of the plan; no plot may be left out after the plan was stored.",
                    todo_ja="計画の全区画を提出してください。計画保存後に区画を外すことはできません。",
                )
            )
        for zone in (*visit.canopy.plots, *visit.canopy.sample_plots):
            if 100 * zone.valid < LEAST_COVER_PERCENT * max(1, zone.pixels):
                problems.append(
                    Problem(
                        code="change.no_canopy_in_zone",
                        where=f"{visit.survey.survey_id} {zone.zone_id}",
                        expected_en=f"canopy heights on {LEAST_COVER_PERCENT} % of the polygon or more",
                        expected_ja=f"ポリゴンの{LEAST_COVER_PERCENT}%以上の樹冠高",
                        got_en=f"{zone.valid} of {zone.pixels} pixels",
                        got_ja=f"{zone.pixels} 画素中 {zone.valid}",
                        todo_en="Fly the plot again or correct its polygon.",
                        todo_ja="再撮影するか、ポリゴンを修正してください。",
                    )
                )
    return problems


def _check_samples(first: Visit, last: Visit, plan: MonitoringPlan) -> list[Problem]:
    problems = []
    for visit in (first, last):
        tagged = {
            s.sample_plot_id: s.tagged
            for s in visit.survey.sample_plots
            if plan.sample_plots.get(s.sample_plot_id) == s.plot_id
        }
        for sample_plot_id in sorted(plan.sample_plots):
            if not tagged.get(sample_plot_id, False):
                missing = sample_plot_id not in tagged
                problems.append(
                    Problem(
                        code="change.sample_plot_missing" if missing else "change.sample_plot_untagged",
                        where=f"{visit.survey.survey_id} {sample_plot_id}",
                        expected_en="a permanent, tagged sample plot",
                        expected_ja="恒久・タグ付きの標準地",
                        got_en="no such sample plot" if missing else "one without tags",
                        got_ja="該当なし" if missing else "タグなし",
                        todo_en="A change is claimed from the same trees at both dates; measure the plan's sample plots.",
                        todo_ja="変化量は同じ木の再測から求めます。計画の標準地を計測してください。",
                    )
                )
    earlier = {s.sample_plot_id: s for s in first.survey.sample_plots}
    for s in last.survey.sample_plots:
        before = earlier.get(s.sample_plot_id)
        if s.sample_plot_id in plan.sample_plots and before is not None and not _same_corners(before, s):
            problems.append(
                Problem(
                    code="change.sample_plot_moved",
                    where=f"{last.survey.survey_id} {s.sample_plot_id}",
                    expected_en=f"the same corners as at the first date ({before.area_mm2 / 1e6:.2f} m²)",
                    expected_ja=f"初回と同じ範囲（{before.area_mm2 / 1e6:.2f} m²）",
                    got_en=f"other corners ({s.area_mm2 / 1e6:.2f} m²)",
                    got_ja=f"別の範囲（{s.area_mm2 / 1e6:.2f} m²）",
                    todo_en="Permanent sample plots keep their corners.",
                    todo_ja="恒久標準地の範囲は変更できません。",
                )
            )
    return problems


def _same_corners(one: SamplePlot, other: SamplePlot) -> bool:
    def corners(sample: SamplePlot) -> list[tuple[int, int]]:
        return sorted({corner for ring in sample.rings_mm for corner in ring})

    return one.area_mm2 == other.area_mm2 and corners(one) == corners(other)


def _check_trees(first: Visit, last: Visit, plan: MonitoringPlan) -> list[Problem]:
    later = {(t.sample_plot_id, t.tag) for t in last.inventory.trees}
    lost = [
        t
        for t in first.inventory.trees
        if t.status == "alive"
        and t.sample_plot_id in plan.sample_plots
        and (t.sample_plot_id, t.tag) not in later
    ]
    return [
        Problem(
            code="change.tree_not_accounted_for",
            where=f"{last.survey.survey_id} {t.sample_plot_id} tag {t.tag}",
            expected_en="a row for every tree that stood at the first date",
            expected_ja="初回の全立木に対応する行",
            got_en="none",
            got_ja="行なし",
            todo_en="Add the row with its status: alive, cut or dead.",
            todo_ja="状態（生存・伐採・枯死）を記入した行を追加してください。",
        )
        for t in lost[:MOST_NAMED]
    ]


def _check_growth(first: Visit, last: Visit, plan: MonitoringPlan) -> list[Problem]:
    """Trees that grew beyond any bound, changed species, or rose from the dead: mistyped or retagged, never growth."""
    if first.survey.trees is None or last.survey.trees is None:
        return []
    years = Fraction((last.survey.day - first.survey.day).days, 365)
    earlier = {(t.sample_plot_id, t.tag): t for t in _rows(first)}
    problems = []
    for tree in _rows(last):
        if tree.sample_plot_id not in plan.sample_plots or tree.status != "alive":
            continue
        found = _unlike_growth(earlier.get((tree.sample_plot_id, tree.tag)), tree, years)
        if found is not None:
            code, expected_en, expected_ja, got = found
            problems.append(
                Problem(
                    code=code,
                    where=f"{last.survey.survey_id} {tree.sample_plot_id} tag {tree.tag}",
                    expected_en=expected_en,
                    expected_ja=expected_ja,
                    got_en=got,
                    got_ja=got,
                    todo_en="Measure the tree again and correct the row, or give it the tag it had.",
                    todo_ja="再測して行を直すか、元の番号に戻してください。",
                )
            )
    return problems[:MOST_NAMED]


@dataclass(frozen=True)
class _Row:
    sample_plot_id: str
    tag: str
    species: str
    status: str
    dbh_mm: int
    height_mm: int


def _rows(visit: Visit) -> list[_Row]:
    trees = visit.survey.trees
    assert trees is not None, "asked only where both visits have a tree list"
    columns = (trees.sample_plot_id, trees.tag, trees.species, trees.status, trees.dbh_mm, trees.height_mm)
    return [
        _Row(str(p), str(t), str(s), str(k), int(d), int(h))
        for p, t, s, k, d, h in zip(*columns, strict=True)
    ]


def _unlike_growth(before: _Row | None, now: _Row, years: Fraction) -> tuple[str, str, str, str] | None:
    """Code, what was expected in English and Japanese, and what came; None for a tree that may have grown so."""
    grown_mm = int(DBH_MM_PER_YEAR * years) + DBH_READING_MM
    if before is None:
        limit = TAGGED_FROM_MM + grown_mm
        if now.dbh_mm <= limit:
            return None
        return (
            "change.new_tag_on_old_tree",
            f"a new tag on a tree of at most {limit / 10:.1f} cm (thinner ones were not tagged before)",
            f"新しい番号の木は胸高直径 {limit / 10:.1f} cm 以下",
            f"{now.dbh_mm / 10:.1f} cm",
        )
    if before.status != "alive":
        return (
            "change.tree_stands_again",
            "no living tree",
            "生立木でないこと",
            f"alive, {before.status} before",
        )
    if before.species != now.species:
        return ("change.species_changed", before.species, before.species, now.species)
    change = now.dbh_mm - before.dbh_mm
    if not -DBH_LOSS_MM <= change <= grown_mm:
        return (
            "change.dbh_jump",
            f"a diameter between {(before.dbh_mm - DBH_LOSS_MM) / 10:.1f} and {(before.dbh_mm + grown_mm) / 10:.1f} cm",
            f"胸高直径 {(before.dbh_mm - DBH_LOSS_MM) / 10:.1f}〜{(before.dbh_mm + grown_mm) / 10:.1f} cm",
            f"{now.dbh_mm / 10:.1f} cm",
        )
    tallest = before.height_mm + int(HEIGHT_MM_PER_YEAR * years) + HEIGHT_READING_MM
    if before.height_mm and now.height_mm > tallest:  # 0: not measured then
        return (
            "change.height_jump",
            f"a height of at most {tallest / 1000:.1f} m",
            f"樹高 {tallest / 1000:.1f} m 以下",
            f"{now.height_mm / 1000:.1f} m",
        )
    return None


def _check_species(first: Visit, last: Visit, plan: MonitoringPlan) -> list[Problem]:
    species = {t.species for v in (first, last) for t in v.inventory.trees}
    return [
        Problem(
            code="plan.no_declared_error",
            where=f"monitoring plan, species {name}",
            expected_en="a declared error of its volume and biomass factors",
            expected_ja="材積式・係数の誤差の宣言",
            got_en="none",
            got_ja="宣言なし",
            todo_en="Plans are fixed before a survey: declare it before the next one (satoyama plan change).",
            todo_ja="計画は調査の前に確定します。次の調査の前に宣言してください（satoyama plan change）。",
        )
        for name in sorted(species - set(plan.declared.shared_factor_cv_ppm))
    ]
