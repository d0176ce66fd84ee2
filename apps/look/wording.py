"""Words and numbers as people read them, in English and Japanese.

Everything here is display only: nothing computed from these texts goes back into a figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Lang = Literal["en", "ja"]
LANGS: tuple[Lang, ...] = ("en", "ja")


@dataclass(frozen=True)
class Text:
    """The same words in both languages."""

    en: str
    ja: str

    def of(self, lang: Lang) -> str:
        return self.ja if lang == "ja" else self.en

    @property
    def both(self) -> str:
        return self.en if self.en == self.ja else f"{self.en} / {self.ja}"


def same(text: str) -> Text:
    """Words that need no translation (a name, a number)."""
    return Text(text, text)


SIMULATED = Text(
    "SIMULATED: a demonstration. No forest, no credit and no money here is real.",
    "模擬データ：実演用です。ここに示す森林・クレジット・お金はいずれも実在しません。",
)

SPECIES: Mapping[str, Text] = {
    "sugi": Text("sugi", "スギ"),
    "hinoki": Text("hinoki", "ヒノキ"),
    "konara": Text("konara oak", "コナラ"),
    "mizunara": Text("mizunara oak", "ミズナラ"),
    "kunugi": Text("kunugi oak", "クヌギ"),
    "akamatsu": Text("red pine", "アカマツ"),
    "karamatsu": Text("larch", "カラマツ"),
    "other_broadleaf": Text("other broadleaf", "その他広葉樹"),
}

TREATMENTS: Mapping[str, Text] = {
    "growing": Text("left to grow", "成長中"),
    "treated": Text("thinned or cut", "間伐・伐採"),
    "thinned": Text("thinned", "間伐"),
    "cut": Text("cut and replanted", "主伐・再造林"),
    "coppice": Text("coppice", "萌芽更新"),
}

COMPONENTS: Mapping[str, Text] = {
    "growth": Text("growth of standing trees", "立木の成長"),
    "recruited": Text("young trees grown into the count", "進界木"),
    "replanted": Text("replanted trees", "植栽木・萌芽"),
    "thinned": Text("thinning", "間伐"),
    "cut": Text("main cut", "主伐"),
    "died": Text("trees that died", "枯死"),
}

VARIANCE_PARTS: Mapping[str, Text] = {
    "sampling": Text(
        "sampling: some places were measured, not every tree", "標本誤差（全木ではなく標準地を測ったこと）"
    ),
    "shared_factors": Text("volume equations, density and root factors", "材積式・容積密度・拡大係数など"),
    "field_height_bias": Text("a crew's shared error of height", "樹高測定の共通の偏り"),
    "field_dbh_bias": Text("a crew's shared error of diameter", "直径測定の共通の偏り"),
    "height_curve": Text("height curves fitted to the measured heights", "樹高曲線の当てはめ誤差"),
    "coefficients": Text("coefficients of the canopy model", "樹冠モデルの係数"),
    "canopy_height_bias": Text("a date's shared error of canopy height", "樹冠高の時点ごとの共通の偏り"),
    "residual": Text("what canopy height does not tell", "樹冠高では説明できないばらつき"),
}

DRAWN_PARTS: Mapping[str, Text] = {
    "sampling": VARIANCE_PARTS["sampling"],
    "factor/shared": VARIANCE_PARTS["shared_factors"],
    "height_bias": VARIANCE_PARTS["field_height_bias"],
    "dbh_bias": VARIANCE_PARTS["field_dbh_bias"],
    "height_curve": VARIANCE_PARTS["height_curve"],
    "tree_measurement": Text("measuring single trees", "立木一本ごとの測定誤差"),
    "tree_residual": Text("single trees unlike their volume equation", "材積式と個々の立木との差"),
    "gnss": Text("sample plots beside where they are mapped (GNSS)", "標準地の位置誤差（GNSS）"),
    "coregistration": Text("a canopy raster shifted as a whole", "樹冠ラスタの位置ずれ"),
}

CHECK_FLAGS: Mapping[str, Text] = {
    "check.errors_assumed": Text(
        "Errors of single trees and of positions were assumed: this survey has no remeasurements of its own.",
        "立木ごとの測定誤差と位置誤差は仮定値です（この調査には再測データがありません）。",
    ),
    "check.canopy_shift_left_out": Text(
        "Errors of position were left out.",
        "位置の誤差は含めていません。",
    ),
    "check.height_curve_left_out": Text(
        "The error of the height curves is in the deduction but was not drawn here.",
        "樹高曲線の誤差は控除に含まれていますが、この検算では乱数に含めていません。",
    ),
    "check.draws_disagree_with_closed_form": Text(
        "The draws and their closed form differ by more than a tenth: do not rely on either before that is explained.",
        "乱数による値と計算式による値が1割以上異なります。原因が分かるまで、どちらにも依拠しないでください。",
    ),
    "check.larger_than_credited": Text(
        "The drawn error exceeds the one deducted by more than a tenth: the deduction is too small if these errors are real.",
        "乱数による誤差が控除に用いた誤差を1割以上上回ります。これらの誤差が実際にあるなら、控除は過小です。",
    ),
}

JCREDIT: Mapping[str, Text] = {
    "absorption_g": Text("uptake of growing and planted trees", "成長・植栽による吸収量"),
    "main_cut_emission_g": Text("emission by main cut, booked whole", "主伐による排出量（全量計上）"),
    "thinning_not_booked_g": Text("thinning, not booked in this account", "間伐（この勘定では計上しない）"),
    "net_g": Text("uptake less emission", "吸収量 − 排出量"),
}

DESIGNS: Mapping[str, Text] = {
    "stratified": Text("stratified: drawn at random in every plot", "層化：各小班から無作為抽出"),
    "srs": Text("one random sample of the whole project", "単純無作為：全体から抽出"),
    "systematic": Text("a systematic grid over the project", "系統抽出：格子配置"),
    "two_phase": Text("two-phase: canopy everywhere, trees at a random part", "二相抽出"),
    "pps": Text("unequal probabilities, as stated in the plan", "不等確率抽出（計画に明記）"),
    "purposive": Text("chosen by judgement", "有意抽出（典型地点の選定）"),
    "none": Text("not stated, or no sample plots", "記載なし、または標準地なし"),
}

ESTIMATORS: Mapping[str, Text] = {
    "stratified_regression": Text("stratified regression on differences", "差分の層化回帰推定"),
    "stratified": Text("stratified means of differences", "差分の層化平均"),
    "srs": Text("mean of differences", "差分の平均"),
    "greg": Text("regression over the project (GREG)", "全体での回帰推定（GREG）"),
    "two_phase": Text("two-phase regression", "二相回帰推定"),
    "two_phase_exhaustive": Text(
        "regression, canopy known everywhere (GREG)", "樹冠情報が全域にある回帰推定（GREG）"
    ),
    "pps": Text("regression weighted by the stated chances", "抽出確率で重み付けした回帰推定"),
    "model_based": Text("model-based", "モデルに基づく推定"),
    "canopy_model": Text("canopy model alone", "樹冠モデルのみ"),
}

CURVE_FORMS: Mapping[str, Text] = {
    "log1": Text("log H on log D", "log H = a + b·log D"),
    "log2": Text("log H on log D and its square", "log H = a + b·log D + c·(log D)²"),
    "weibull": Text("Weibull", "ワイブル式"),
    "michaelis": Text("Michaelis-Menten", "ミカエリス・メンテン式"),
}

POLICIES: Mapping[str, Text] = {
    "probability_of_exceedance": Text(
        "Credits are counted up to the level that the true change exceeds with probability {p}: the estimate less t × its standard error.",
        "真の変化量が確率 {p} で上回る水準まで（推定値 − t × 標準誤差）をクレジットとします。",
    ),
    "art_trees": Text(
        "ART-TREES 2.0: a share of the estimate that grows with the half-width of its 90 % interval.",
        "ART-TREES 2.0：90％信頼区間の半幅に応じた割合を差し引きます。",
    ),
    "ar_tool14": Text(
        "AR-TOOL14: steps of deduction by the half-width of the 90 % interval.",
        "AR-TOOL14：90％信頼区間の半幅に応じて段階的に差し引きます。",
    ),
}

METHODS: Mapping[str, Text] = {
    "paired_stratified_regression": Text(
        "The same tagged trees were measured in the same sample plots at both dates. The change of carbon there is tied by regression to the change "
        "of canopy height, which the drone saw everywhere; each plot is a stratum of its own. Differences of the same trees are used, never the difference of two separate stock estimates.",
        "同じ標準地の同じ標識木を両時点で測定し、その炭素変化量を、ドローンが全域で捉えた樹冠高の変化に回帰で結び付けます（小班ごとに層化）。"
        "別々に推定した二時点の蓄積の差ではなく、同じ立木の差を用います。",
    ),
    "paired_regression": Text(
        "The same tagged trees were measured in the same sample plots at both dates. The sample plots are one sample of the whole project; the change of carbon there is tied by "
        "regression to the change of canopy height, which the drone saw everywhere. The project's total rests on the sampling design; figures of single plots rest on a model as well and are adjusted to that total.",
        "同じ標準地の同じ標識木を両時点で測定しました。標準地はプロジェクト全体から抽出した一つの標本で、そこでの炭素変化量を、ドローンが全域で捉えた樹冠高の変化に回帰で結び付けます。"
        "全体の合計は標本設計に基づき、小班ごとの値はモデルにも基づいて合計に合わせています。",
    ),
    "paired_pps_regression": Text(
        "The same tagged trees were measured in the same sample plots at both dates. Sample plots were drawn with the unequal probabilities that the plan states, and count accordingly; "
        "the change of carbon there is tied by regression to the change of canopy height.",
        "同じ標準地の同じ標識木を両時点で測定しました。標準地は計画に示した不等確率で抽出し、その逆数に応じて重み付けしたうえで、炭素変化量を樹冠高の変化に回帰で結び付けます。",
    ),
    "canopy_model": Text(
        "No permanent sample plots: one canopy model for both dates. It fails where thinning and cutting happen, so nothing here is creditable.",
        "固定標準地がないため、両時点に共通の樹冠モデルで推定しました。間伐・伐採のある所では外れるため、クレジットの対象にはなりません。",
    ),
}

FLAGS: Mapping[str, Text] = {
    "change.canopy_model_only": Text(
        "Measured from canopy height alone, by a declared model: shown for information, nothing is creditable.",
        "あらかじめ定めた樹冠モデルのみによる推定です。参考値であり、クレジットの対象になりません。",
    ),
    "change.purposive_sample_interval_not_valid": Text(
        "Sample plots were chosen on purpose: the interval is not valid, and nothing is creditable.",
        "標準地が有意抽出のため、信頼区間は有効ではなく、クレジットの対象になりません。",
    ),
    "canopy.pits_filled": Text(
        "Single pits of the canopy were filled before it was measured; how many stands in the survey's point facts.",
        "計測前に樹冠の孤立した穴を埋めました（箇所数は点群の記録にあります）。",
    ),
    "canopy.terrain_not_from_laser": Text(
        "The ground model is not from laser: under closed canopy its heights can be metres off.",
        "地盤モデルがレーザ測量によらないため、閉鎖林冠下では高さが数メートルずれることがあります。",
    ),
}


def word(table: Mapping[str, Text], key: str) -> Text:
    """The wording of a key; a key without wording is shown as it is, never hidden."""
    return table.get(key) or same(key.replace("_", " "))


def in_order(values: Mapping[str, int], table: Mapping[str, Text]) -> dict[str, int]:
    """Values in the order of a table of words (stored documents sort their keys); unknown keys come last."""
    known = [key for key in table if key in values]
    return {key: values[key] for key in (*known, *(k for k in values if k not in table))}


def size(octets: int) -> str:
    """Bytes as people read them: ``12.3 MB``."""
    value = float(octets)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def whole(value: int) -> str:
    """Thousands separated, with a true minus sign: ``−1,234``."""
    return f"{value:,}".replace("-", "−")


def tonnes(grams: int | float, digits: int = 1, *, sign: bool = False) -> str:
    """Grams as tonnes: ``812.4``; `sign` writes the plus as well."""
    text = f"{grams / 1e6:+,.{digits}f}" if sign else f"{grams / 1e6:,.{digits}f}"
    if not text.strip("+-0.,"):
        text = text.lstrip("+-")
    return text.replace("-", "−")


def tonnes_of_kg(kg: int, digits: int = 1, *, sign: bool = False) -> str:
    return tonnes(kg * 1000, digits, sign=sign)


def hectares(area_mm2: int, digits: int = 2) -> str:
    return f"{area_mm2 / 1e10:,.{digits}f}"


def share(part: float, whole_: float, digits: int = 0) -> str:
    return f"{100 * part / whole_:.{digits}f} %" if whole_ else "–"


def probability(ppm: int) -> str:
    """``2/3`` for 666667, else a percentage."""
    for over in (2, 3, 4, 5):
        for of in range(1, over):
            if abs(ppm - 1_000_000 * of / over) < 1:
                return f"{of}/{over}"
    return f"{ppm / 10_000:g} %"


def percent_of_ppm(ppm: int) -> str:
    return f"{ppm / 10_000:g} %"


def money(base_units: int, decimals: int) -> str:
    """Token base units as an exact decimal, trailing zeros dropped: integer arithmetic only."""
    sign = "−" if base_units < 0 else ""
    units, rest = divmod(abs(base_units), 10**decimals)
    tail = f"{rest:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{sign}{units:,}" + (f".{tail}" if tail else "")


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def day(value: date) -> Text:
    """A date as people write it: ``20 Oct 2025`` / ``2025年10月20日``."""
    return Text(
        f"{value.day} {_MONTHS[value.month - 1]} {value.year}",
        f"{value.year}年{value.month}月{value.day}日",
    )


def moment(value: datetime) -> Text:
    """A time with its zone: ``20 Oct 2025, 03:12 UTC``."""
    zone = value.tzname() or "UTC"
    d = day(value.date())
    return Text(f"{d.en}, {value:%H:%M} {zone}", f"{d.ja} {value:%H:%M} {zone}")


def short(digest: str, head: int = 10, tail: int = 6) -> str:
    """A long hash shortened for reading; the full one stands elsewhere on the page."""
    return digest if len(digest) <= head + tail + 1 else f"{digest[:head]}…{digest[-tail:]}"
