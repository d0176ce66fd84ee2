"""``[design]`` of ``survey.toml``: how sample plots were laid out, and with what chances where these differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, cast, get_args

from models.choose import Design
from mrv.readers.archive import MANIFEST
from mrv.readers.findings import Findings, listed
from mrv.readers.text import plain

DESIGN_KEYS = frozenset({"kind", "note", "draw_probability", "inclusion_probability"})
PROBABILITIES = ("draw_probability", "inclusion_probability")
_WORDS: Mapping[str, Design] = {
    "random": "srs",
    "単純無作為": "srs",
    "無作為": "srs",
    "層化": "stratified",
    "層化無作為": "stratified",
    "系統": "systematic",
    "二相": "two_phase",
    "確率比例": "pps",
    "不等確率": "pps",
    "有意": "purposive",
    "なし": "none",
}
LONGEST_NUMBER = 40


def read_design(doc: Mapping[str, Any], findings: Findings) -> Design:
    """The design a manifest states, ``none`` where it is silent or wrong; faults go to `findings`."""
    table = doc.get("design", {})
    word = plain(table.get("kind", "none")).lower().replace("-", "_")
    design = _WORDS.get(word, word)
    if design not in get_args(Design):
        _unknown(word, findings)
        return "none"
    given = [name for name in PROBABILITIES if name in table]
    if design == "pps" and len(given) != 1:
        _add_probability(f"{' and '.join(given) or 'nothing'}", f"{'と'.join(given) or '記載なし'}", findings)
    elif design != "pps" and given:
        _add_probability(f'{given[0]} under "{design}"', f"設計「{design}」に {given[0]}", findings)
    elif design == "pps":
        _, faults = draw_probabilities(table)
        if faults:
            names = listed(faults)
            _add_probability(f"no such number for {names[0]}", f"{names[1]} の値が不正", findings)
    return cast(Design, design)


def draw_probabilities(table: Mapping[str, Any]) -> tuple[dict[str, Fraction], list[str]]:
    """Chance of every sample plot's cell at one draw, and the sample plots whose number is none above 0 and below 1.

    Inclusion probabilities are divided by the number of sample plots: the draw is then taken as one with replacement, which
    overstates the variance a little.

    Parameters
    ----------
    table : mapping
        ``[design]`` of a manifest, as read or as kept in `mrv.survey.Survey.manifest`.
    """
    name = next((n for n in PROBABILITIES if n in table), None)
    rows = table.get(name, {}) if name else {}
    if not isinstance(rows, Mapping):
        return {}, [str(name)]
    found, faults = {}, []
    for sample_plot, value in rows.items():
        p = _number(value)
        if p is None or not 0 < p < 1:
            faults.append(str(sample_plot))
        else:
            found[str(sample_plot)] = p / len(rows) if name == "inclusion_probability" else p
    return found, faults


def check_probabilities(doc: Mapping[str, Any], sample_plots: Collection[str], findings: Findings) -> None:
    """Under ``pps``, every sample plot has its number and no number is without one; faults go to `findings`."""
    table = doc.get("design", {})
    values, faults = draw_probabilities(table)
    if not values or faults:
        return  # no probabilities to check, or refused already
    for ids, en, ja in (
        (set(sample_plots) - set(values), "none for", "の値がない状態"),
        (set(values) - set(sample_plots), "one for unknown", "（該当する標準地なし）の値がある状態"),
    ):
        if ids:
            names = listed(sorted(ids))
            _add_probability(f"{en} {names[0]}", f"{names[1]} {ja}", findings)


def _number(value: Any) -> Fraction | None:
    """A decimal or a fraction such as 3/800, exactly as written; a TOML float as its shortest decimal."""
    text = plain(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if not 0 < len(text) <= LONGEST_NUMBER:
        return None
    try:
        above, _, below = text.partition("/")
        if below:
            return Fraction(int(above), int(below))
        number = Decimal(above)
        return Fraction(number) if number.is_finite() and abs(number.adjusted()) <= LONGEST_NUMBER else None
    except (ValueError, InvalidOperation, ZeroDivisionError):
        return None


def _unknown(word: str, findings: Findings) -> None:
    words = " | ".join(get_args(Design))
    cluster = word in ("cluster", "クラスター", "集落")
    todo = ("Write it in the manifest.", "survey.toml に記入してください。")
    if cluster:
        todo = (
            "Sample plots of one cluster are no independent draws. State each cluster as one sample plot (a polygon of several parts), "
            'drawn at random: kind = "srs" or "stratified". A survey flown in strips only cannot be claimed from.',
            "同一クラスター内の標準地は独立ではありません。クラスターを1つの標準地（複数部分からなる図形）とし、"
            "無作為抽出なら srs または stratified と書いてください。帯状の飛行のみの調査からは請求できません。",
        )
    findings.add(
        "manifest.kind",
        f"{MANIFEST} design.kind",
        expected=(words, words),
        got=(repr(word), repr(word)),
        todo=todo,
    )


def _add_probability(got_en: str, got_ja: str, findings: Findings) -> None:
    findings.add(
        "design.probability",
        f"{MANIFEST} design",
        expected=(
            'with kind = "pps" (and only then) one table draw_probability or inclusion_probability: a number above 0 and below 1 for '
            "every sample plot",
            'kind = "pps" の場合のみ、draw_probability または inclusion_probability のどちらか一方に標準地ごとの 0 より大きく 1 未満の値',
        ),
        got=(got_en, got_ja),
        todo=(
            'Example: [design.draw_probability] "S01" = "3/800"; the chance of that cell at one draw.',
            '例: [design.draw_probability] "S01" = "3/800"（1回の抽出でそのセルが選ばれる確率）',
        ),
    )
