"""Stage 4, credits: from a change with its uncertainty to whole kilograms, by the cumulative rule.

``gross = floor(LCB of net change since project start) - gross issued before + reversals compensated``. The project is netted before
any floor; nothing is floored per plot or per year. Floored to the kilogram once, here.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta

from mrv.blob import digest_doc
from mrv.errors import ClaimRefused, Reason
from mrv.methodology.deduction import POLICIES, PPM, half_width_g
from mrv.project import MonitoringPlan, Project
from mrv.results import Change, Claim, History, digest_result
from mrv.survey import Plot

G_PER_KG = 1000


def method_digest(plan: MonitoringPlan) -> str:
    """Digest of methodology id, version and the parameters that decide kilograms."""
    return digest_doc(
        {
            "method_id": plan.method_id,
            "method_version": plan.method_version,
            "deduction_policy": plan.deduction_policy,
            "confidence_ppm": plan.confidence_ppm,
            "model_form": plan.model_form,
            "design": plan.design,
        }
    )


def make_claim(
    project: Project,
    plan: MonitoringPlan,
    change: Change,
    history: History,
    register_ids: tuple[str, ...],
) -> Claim:
    """Turn a change into the claim of one batch.

    Parameters
    ----------
    change : Change
        Net change since the project's first survey.
    history : History
        What the project was issued before, as the chain has it.
    register_ids : tuple of str
        Forest register keys of the plots, preimages of the plot keys.

    Raises
    ------
    ClaimRefused
        If nothing may be claimed, with every reason that applies.
    """
    lower_g = change.change.total_g - POLICIES[plan.deduction_policy](change.change, plan.confidence_ppm)
    estimate_kg = change.change.total_g // G_PER_KG
    deduction_kg = estimate_kg - lower_g // G_PER_KG
    gross_kg = lower_g // G_PER_KG - history.gross_issued_kg + history.compensated_kg
    reasons = _reasons(project, change, history, gross_kg, deduction_kg)
    if reasons:
        raise ClaimRefused(reasons)
    buffer_kg = -(-gross_kg * project.buffer_ppm // PPM)
    start = history.last_end or change.start
    digest = method_digest(plan)
    return Claim(
        project_id=project.project_id,
        batch_id=batch_id(project.project_id, digest, start.isoformat(), change.end.isoformat()),
        method_id=plan.method_id,
        method_version=plan.method_version,
        method_digest=digest,
        plan_digest=plan.digest,
        change_digest=digest_result(change),
        period_start=start,
        period_end=change.end,
        vintage=(change.end - timedelta(days=1)).year,
        confidence_ppm=plan.confidence_ppm,
        deduction_policy=plan.deduction_policy,
        estimate_kg=estimate_kg,
        standard_error_kg=-(-change.change.se_g // G_PER_KG),
        df=change.change.df,
        deduction_kg=deduction_kg,
        prior_gross_kg=history.gross_issued_kg,
        compensated_kg=history.compensated_kg,
        gross_kg=gross_kg,
        buffer_kg=buffer_kg,
        credited_kg=gross_kg - buffer_kg,
        area_mm2=sum(p.area_mm2 for p in change.plots),
        register_ids=tuple(sorted(register_ids)),
        unverified=change.unverified,
        simulated=change.simulated,
    )


def plot_identity(project: Project, plot: Plot) -> str:
    """The text a plot is known by on chain: municipality and forest register key; geometry is no part of it (ADR 0002).

    Spellings of one key are one text: NFKC, every dash a hyphen, no blanks, no leading zeros of numbers.
    """
    text = unicodedata.normalize("NFKC", f"{project.municipality_code}|{plot.register_id}")
    plain = "".join(
        "-" if unicodedata.category(c) == "Pd" or c == "\u2212" else c for c in text if not c.isspace()
    )
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", plain)


def batch_id(project_id: str, method: str, start: str, end: str) -> str:
    """Identity of a batch: project, method, period; the same on every chain."""
    return digest_doc({"project_id": project_id, "method_digest": method, "start": start, "end": end})


def _may_be(history: History, change: Change) -> bool:
    """Whether a chain can hold this history: the period goes on where the last one ended, and began after the first survey.

    Nothing issued up to a day that is credited: a batch was annulled; its period stays spent and the next claim counts anew.
    """
    if not 0 <= history.compensated_kg <= history.gross_issued_kg:
        return False
    if history.last_end is None:
        return history.gross_issued_kg == 0
    return change.start < history.last_end


def _reasons(
    project: Project, change: Change, history: History, gross_kg: int, deduction_kg: int
) -> list[Reason]:
    reasons = []
    total, width = change.change.total_g, half_width_g(change.change)
    figures = {
        "stock_change_kg": total // G_PER_KG,
        "half_width_90_kg": -(-width // G_PER_KG),
        "gross_kg": gross_kg,
    }
    if not (change.creditable and change.interval_valid):
        flags = ", ".join(change.flags) or change.design
        reasons.append(
            Reason(
                "claim.design_not_creditable",
                f"The survey's design permits no claim ({flags}). Measure permanent, tagged sample plots drawn at random.",
                f"この調査設計では申請できません（{flags}）。無作為抽出した恒久標準地でタグ付きの毎木調査を行ってください。",
            )
        )
    outstanding = history.gross_issued_kg - history.compensated_kg
    reversed_kg = outstanding - max(0, total // G_PER_KG)
    if outstanding > 0 and reversed_kg > 0:
        reasons.append(
            Reason(
                "claim.reversal",
                f"Of {outstanding:,} kg issued, {reversed_kg:,} kg are no longer stored: this is a reversal. "
                "The guardian records it (satoyama reverse), and the buffer answers for it.",
                f"発行済み {outstanding:,} kg のうち {reversed_kg:,} kg が失われています（リバーサル）。"
                "管理者が記録し（satoyama reverse）、バッファで補填します。",
                {**figures, "reversal_kg": reversed_kg},
            )
        )
    if total <= 0:
        spread_en, spread_ja = "interval NOT VALID", "区間は無効"
        if change.interval_valid:
            spread_en = f"90 % interval ± {width // G_PER_KG:,} kg"
            spread_ja = f"90%区間 ± {width // G_PER_KG:,} kg"
        reasons.append(
            Reason(
                "claim.no_gain",
                f"The stock fell by {-total // G_PER_KG:,} kg CO2e ({spread_en}): "
                "no credit is made of a loss.",
                f"蓄積が {-total // G_PER_KG:,} kg CO2e 減少しました（{spread_ja}）。"
                "減少からクレジットは発行できません。",
                figures,
            )
        )
    elif width >= total:
        reasons.append(
            Reason(
                "claim.too_uncertain",
                f"The 90 % interval ± {width // G_PER_KG:,} kg is as wide as the change of {total // G_PER_KG:,} kg. "
                "Measure more sample plots or wait for more growth.",
                f"90%区間 ± {width // G_PER_KG:,} kg が変化量 {total // G_PER_KG:,} kg 以上です。"
                "標準地を増やすか、成長を待って再計測してください。",
                figures,
            )
        )
    elif gross_kg <= 0:
        reasons.append(
            Reason(
                "claim.nothing_new",
                f"The lower bound of the change since the start does not exceed the {history.gross_issued_kg:,} kg issued before.",
                f"開始以来の変化量の下限値が、発行済みの {history.gross_issued_kg:,} kg を超えていません。",
                figures,
            )
        )
    elif deduction_kg <= 0:
        reasons.append(
            Reason(
                "claim.no_deduction",
                "No uncertainty was deducted; a credit without a deduction is never made.",
                "不確実性の控除がゼロです。控除のないクレジットは発行できません。",
                figures,
            )
        )
    if not _may_be(history, change):
        reasons.append(
            Reason(
                "claim.history_impossible",
                f"No chain can have this history: {history.gross_issued_kg:,} kg issued, {history.compensated_kg:,} kg compensated, "
                f"credited until {history.last_end}, measured from {change.start}.",
                f"発行履歴が矛盾しています: 発行済み {history.gross_issued_kg:,} kg、補償済み {history.compensated_kg:,} kg、"
                f"発行済み期間 {history.last_end} まで、計測開始 {change.start}。",
            )
        )
    if change.start < project.start:
        reasons.append(
            Reason(
                "claim.before_project",
                f"The first survey is of {change.start}, before the project's start on {project.start}: "
                "growth from before the project is not credited.",
                f"最初の調査（{change.start}）がプロジェクト開始日（{project.start}）より前です。開始前の成長は対象外です。",
            )
        )
    if history.last_end is not None and change.end <= history.last_end:
        reasons.append(
            Reason(
                "claim.period_already_credited",
                f"Credits were issued for the time until {history.last_end}; this claim ends on {change.end}. "
                "Survey again after that day.",
                f"{history.last_end} までの期間は発行済みです（今回の申請は {change.end} まで）。それ以降に再調査してください。",
            )
        )
    if change.unverified and not project.demo:
        listed = ", ".join(change.unverified)
        reasons.append(
            Reason(
                "claim.unverified_constants",
                f"The figures rest on constants that nobody has verified ({listed}). Verify them in their sources, or run in demo mode.",
                f"出典未確認の係数を使用しています（{listed}）。出典を確認するか、デモモードで実行してください。",
            )
        )
    return reasons
