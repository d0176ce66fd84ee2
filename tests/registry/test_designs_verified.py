"""A bundle of any probability design is recomputed by a buyer from its files; its plan is made of what the first survey states."""

from __future__ import annotations

import pytest

from mrv.estimate_checks import with_design
from mrv.intake import plan_intake, read_survey
from mrv.project import planned_design
from mrv.readers.known import KnownSurveys
from mrv.tables import load_tables
from registry.verify import verify
from tests.registry import small_project

CHANCES = "\n[design.draw_probability]\n" + "\n".join(
    f'"{plot}-S{n}" = "1/{48 + n}"' for plot in small_project.PLOTS for n in range(len(small_project.CELLS))
)


def stating(monkeypatch, kind, more=""):
    """From here on the small project's surveys state another design."""
    as_before = small_project.write_survey

    def write(folder, which):
        as_before(folder, which)
        place = folder / small_project.SURVEYS[which]
        text = (place / "survey.toml").read_text(encoding="utf-8")
        (place / "survey.toml").write_text(text.replace('"stratified"', f'"{kind}"') + more, encoding="utf-8")
        return small_project.files_of(place)

    monkeypatch.setattr(small_project, "write_survey", write)


@pytest.mark.parametrize(("kind", "more"), [("srs", ""), ("pps", CHANCES)])
def test_a_bundle_of_another_design_is_recomputed_to_the_kilogram(tmp_path, monkeypatch, kind, more):
    stating(monkeypatch, kind, more)
    files = small_project.write_survey(tmp_path / "first", 0)
    first = read_survey(files, small_project.PROJECT, load_tables())
    plan = with_design(small_project.PLAN, first)
    assert planned_design(plan) == kind
    measured = small_project.measure(tmp_path / "measured", plan=plan)
    assert measured.result.change.design == kind
    measured.bundle(tmp_path / "bundle.zip")
    report = verify(tmp_path / "bundle.zip", None)
    by_name = {c.name: c.status for c in report.checks}
    assert by_name["claim.method"] == by_name["recomputed.kilograms"] == by_name["stage.change"] == "passed"


def test_an_upload_whose_chances_leave_a_sample_plot_out_is_refused_and_names_it(tmp_path, monkeypatch):
    stating(monkeypatch, "pps", CHANCES.replace(f'"{small_project.PLOTS[0]}-S0" = "1/48"\n', ""))
    small_project.write_survey(tmp_path, 0)
    upload = tmp_path / small_project.SURVEYS[0]
    plan = plan_intake(upload, small_project.PROJECT, KnownSurveys(), load_tables())
    (problem,) = plan.refusals
    assert problem.code == "design.probability" and f"{small_project.PLOTS[0]}-S0" in problem.en
