"""The card of a fitted model: its data, its error on places it has not seen, its range, and what it refuses.

A model without a card is not used; :func:`check_use` holds a use against the card before a single cell is predicted, and
:func:`check_cells` afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from models.cells import CellPrediction
from models.errors import OutOfRange

Kind = Literal["area-based", "forest"]
Selection = Literal["random", "systematic", "purposive", "unknown"]
Purpose = Literal["comparison", "map", "claim"]
CELL_RATIO = 2.0
_JA = {
    "area-based": "面積ベースの回帰式",
    "forest": "ランダムフォレスト",
    "none": "なし",
    "sqrt": "平方根",
    "log": "対数",
    "random": "無作為",
    "systematic": "系統",
    "purposive": "有意",
    "unknown": "不明",
}
"""A cell may be this many times larger or smaller than the sample plots of the model."""
MOST_OUTSIDE = 0.10
"""Share of cells beyond the range from which the whole prediction is refused."""


@dataclass(frozen=True)
class TrainingData:
    """What a model was fitted on.

    Attributes
    ----------
    digest : str
        ``sha256:`` of the table of plots.
    block_rule : str
        What was left out whole in cross-validation, e.g. ``column cluster_id`` or ``squares of 500 m``.
    sensor : str
        What the metrics come from, e.g. ``airborne laser``.
    selection : {"random", "systematic", "purposive", "unknown"}
        How the sample plots (標準地) were chosen.
    project : str
        Project whose forest the plots stand in; empty if none in particular.
    """

    source: str
    licence: str
    digest: str
    plots: int
    blocks: int
    block_rule: str
    plot_area_m2: float
    sensor: str
    selection: Selection
    project: str = ""


@dataclass(frozen=True)
class ModelError:
    """Error on plots of blocks left out whole.

    Attributes
    ----------
    choice_left_out : bool
        Whether the choice of metrics was made anew without each block, as it should be.
    coverage : float
        Share of left-out plots within their interval of `nominal_coverage`; NaN where it was not measured.
    """

    rmse: float
    relative_rmse: float
    relative_bias: float
    coverage: float
    nominal_coverage: float
    choice_left_out: bool


@dataclass(frozen=True)
class ModelCard:
    """What a reader must know before believing a model; `unit` is that of the response."""

    kind: Kind
    response: str
    unit: str
    transform: str
    metrics: tuple[str, ...]
    ranges: Mapping[str, tuple[float, float]]
    data: TrainingData
    error: ModelError
    made_with: Mapping[str, str]


@dataclass(frozen=True)
class Use:
    """What somebody wants of a model."""

    response: str
    cell_area_m2: float
    sensor: str
    metrics: tuple[str, ...]
    purpose: Purpose
    project: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing against a use: refused, or flagged beside every figure."""

    code: str
    refused: bool
    en: str
    ja: str


class ModelRefused(OutOfRange):
    """A model is not made for what is wanted of it."""


def check_use(card: ModelCard, use: Use) -> tuple[Finding, ...]:
    """Everything the card holds against a use, known before predicting."""
    return tuple(_findings(card, use))


def check_cells(card: ModelCard, cells: CellPrediction) -> tuple[Finding, ...]:
    """What the prediction itself shows: cells beyond the range and without metrics, counted."""
    out = []
    if cells.outside_count:
        by = ", ".join(f"{name} {n}" for name, n in cells.outside_by_metric.items() if n)
        by = by or f"no single metric, {cells.beyond_leverage} by their combination"
        share = f"{cells.outside_share:.1%}"
        out.append(
            Finding(
                "model.outside_range",
                cells.outside_share > MOST_OUTSIDE,
                f"{cells.outside_count} cells ({share}) lie beyond what the model was fitted on ({by}); their intervals do not hold, and above {MOST_OUTSIDE:.0%} the model refuses. Measure sample plots in such stands.",
                f"{cells.outside_count}セル({share})がモデルの適用範囲外です({by})。その区間は成り立たず、{MOST_OUTSIDE:.0%}を超えると使えません。同様の林分で標準地を測ってください。",
            )
        )
    if cells.missing:
        out.append(
            Finding(
                "model.missing_metric",
                False,
                f"{cells.missing} of {cells.value.size} cells have no metrics and no prediction.",
                f"{cells.value.size}セル中{cells.missing}セルは説明変数がなく、推定していません。",
            )
        )
    return tuple(out)


def refuse(findings: tuple[Finding, ...]) -> None:
    """Raise if any finding refuses.

    Raises
    ------
    ModelRefused
        With every refusing finding.
    """
    against = [f for f in findings if f.refused]
    if against:
        raise ModelRefused(
            en="\n".join(f"{f.en} [{f.code}]" for f in against),
            ja="\n".join(f"{f.ja} [{f.code}]" for f in against),
        )


def card_document(card: ModelCard) -> dict[str, Any]:
    """The card as a plain document; NaN becomes None."""
    doc = asdict(card)
    doc["metrics"] = list(card.metrics)
    doc["ranges"] = {name: list(r) for name, r in card.ranges.items()}
    doc["made_with"] = dict(card.made_with)
    doc["error"] = {k: None if v != v else v for k, v in doc["error"].items()}
    return doc


def card_from_document(doc: Mapping[str, Any]) -> ModelCard:
    """The card that :func:`card_document` wrote.

    Raises
    ------
    OutOfRange
        If a field is missing, unknown, or not of its kind.
    """
    try:
        error: dict[str, Any] = {k: float("nan") if v is None else v for k, v in doc["error"].items()}
        card = ModelCard(
            **{
                **doc,
                "metrics": tuple(doc["metrics"]),
                "ranges": {str(n): (float(low), float(high)) for n, (low, high) in doc["ranges"].items()},
                "data": TrainingData(**doc["data"]),
                "error": ModelError(**error),
                "made_with": dict(doc["made_with"]),
            }
        )
    except (KeyError, TypeError, ValueError, AttributeError) as reason:
        raise _no_card(str(reason)) from reason
    if card.kind not in get_args(Kind) or card.data.selection not in get_args(Selection):
        raise _no_card(f"kind {card.kind!r}, selection {card.data.selection!r}")
    numbers = (card.data.plots, card.data.plot_area_m2, card.error.rmse, card.error.relative_rmse)
    if not all(isinstance(n, (int, float)) and n > 0 for n in numbers) or set(card.ranges) != set(
        card.metrics
    ):
        raise _no_card("numbers at or below zero, or metrics without a range")
    return card


def describe(card: ModelCard, language: Literal["en", "ja"] = "en") -> str:
    """The card for people, Markdown."""
    ja = language == "ja"
    data, error = card.data, card.error

    def said(word: str) -> str:
        return _JA[word] if ja else word

    covered = "–" if error.coverage != error.coverage else f"{error.coverage:.1%}"
    lines = [
        f"# {'モデルカード' if ja else 'Model card'}: {card.response} ({card.unit})",
        "",
        f"- {'種類' if ja else 'Kind'}: {said(card.kind)}, {'変換' if ja else 'transformation'} {said(card.transform)}",
        f"- {'データ' if ja else 'Data'}: {data.source} ({data.licence}); {data.digest}",
        f"- {'標準地' if ja else 'Sample plots'}: {data.plots} × {data.plot_area_m2:.0f} m², {'選び方' if ja else 'selection'} {said(data.selection)}, {'計測' if ja else 'sensor'} {data.sensor}",
        f"- {'検証' if ja else 'Validation'}: {data.blocks} {'ブロックを順に除外' if ja else 'blocks left out one by one'} ({data.block_rule})"
        + (
            ""
            if error.choice_left_out
            else ("; 変数選択は全点で実施" if ja else "; metrics were chosen on all plots")
        ),
        f"- {'誤差' if ja else 'Error'}: RMSE {error.rmse:.3g} {card.unit} ({error.relative_rmse:.1%}), {'偏り' if ja else 'bias'} {error.relative_bias:+.1%}, "
        f"{'区間の被覆' if ja else 'coverage of the interval of'} {error.nominal_coverage:.0%}{'→' if ja else ': '}{covered}",
        f"- {'作成' if ja else 'Made with'}: {', '.join(f'{k} {v}' for k, v in card.made_with.items())}",
        "",
        f"| {'説明変数 | 最小 | 最大' if ja else 'metric | lowest | highest'} |",
        "|---|---|---|",
        *(f"| {name} | {low:.6g} | {high:.6g} |" for name, (low, high) in card.ranges.items()),
        "",
        "## " + ("使えない場合" if ja else "What it refuses"),
        "",
        *(f"- {text}" for text in _rules(card, ja)),
    ]
    return "\n".join(lines) + "\n"


def _findings(card: ModelCard, use: Use) -> Iterator[Finding]:
    data = card.data
    if use.response != card.response:
        yield Finding(
            "model.response",
            True,
            f"expected {card.response}, which the model predicts, got {use.response}; choose another model",
            f"このモデルは{card.response}を推定しますが、{use.response}が求められました。別のモデルを選んでください",
        )
    if absent := [m for m in card.metrics if m not in use.metrics]:
        names = ", ".join(absent)
        yield Finding(
            "model.metric_absent",
            True,
            f"expected the metrics {', '.join(card.metrics)}, got none named {names}; compute them",
            f"説明変数{', '.join(card.metrics)}が必要ですが、{names}がありません。計算してください",
        )
    ratio = use.cell_area_m2 / data.plot_area_m2
    if not 1.0 / CELL_RATIO <= ratio <= CELL_RATIO:
        yield Finding(
            "model.cell_size",
            True,
            f"expected cells of about {data.plot_area_m2:.0f} m², the size of the model's sample plots, got {use.cell_area_m2:g} m²; a model at another size is biased. Predict on larger or smaller cells",
            f"モデルの標準地と同程度({data.plot_area_m2:.0f} m²)のセルが必要ですが、{use.cell_area_m2:g} m²でした。大きさが違うと偏ります。セルの大きさを合わせてください",
        )
    if use.sensor != data.sensor:
        yield Finding(
            "model.sensor",
            True,
            f"expected metrics of {data.sensor}, got {use.sensor}; heights of another sensor have another bias. Fit a model on plots under this sensor",
            f"{data.sensor}の説明変数が必要ですが、{use.sensor}でした。計測方法が違うと高さの偏りが違います。この計測方法で標準地からモデルを作ってください",
        )
    claim = use.purpose == "claim"
    if data.selection in ("purposive", "unknown"):
        yield Finding(
            "model.purposive_plots",
            claim,
            f"the sample plots of the model were not drawn at random ({data.selection}): its interval is not valid, and nothing is creditable on it",
            f"モデルの標準地は無作為抽出ではありません({data.selection})。区間は成り立たず、クレジットの根拠にできません",
        )
    if not data.project or data.project != use.project:
        yield Finding(
            "model.other_forest",
            claim,
            "the model was fitted in another forest: a comparison, never a claim. Measure sample plots of this project",
            "モデルは別の森林で作られました。比較用であり、クレジットの根拠にはなりません。この事業地で標準地を測ってください",
        )


def _rules(card: ModelCard, ja: bool) -> tuple[str, ...]:
    area = card.data.plot_area_m2
    smallest, largest = area / CELL_RATIO, area * CELL_RATIO
    if ja:
        return (
            f"セルが{smallest:.0f}〜{largest:.0f} m²でない場合",
            f"{card.data.sensor}以外の計測による場合",
            f"適用範囲外のセルが{MOST_OUTSIDE:.0%}を超える場合(それ以下でもセルごとに印を付けて数える)",
            "無作為抽出でない標準地、または別の森林のモデルによるクレジットの主張",
        )
    return (
        f"cells that are not {smallest:.0f} to {largest:.0f} m²",
        f"metrics of another sensor than {card.data.sensor}",
        f"more than {MOST_OUTSIDE:.0%} of cells beyond the ranges above (fewer are flagged cell by cell and counted)",
        "claims, where its sample plots were not drawn at random or stand in another forest",
    )


def _no_card(got: str) -> OutOfRange:
    names = ", ".join(f.name for f in fields(ModelCard))
    return OutOfRange(
        en=f"expected a model card with {names}, got {got}; train the model again",
        ja=f"モデルカード({names})が必要ですが、{got}でした。モデルを作り直してください",
    )
