"""Certificates and statements on paper: A4, both languages, fonts embedded, the same bytes for the same values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from fpdf import FPDF
from fpdf.fonts import TTFFont

from apps.look.fonts import japanese_font, latin_font
from apps.look.wording import SIMULATED, Text, day, moment, short, whole
from apps.papers import Certificate, SharesAnnounced, StatementSheet, in_japan

Colour = tuple[int, int, int]
Align = Literal["L", "C", "R"]
INK: Colour = (28, 37, 33)
SOFT: Colour = (96, 106, 100)
FOREST: Colour = (31, 90, 65)
LINE: Colour = (214, 210, 196)
AMBER: Colour = (122, 74, 0)
AMBER_SOFT: Colour = (255, 241, 211)
TINT: Colour = (240, 246, 242)
MARGIN_MM = 22.0
PAGE_MM = 210.0
WIDTH_MM = PAGE_MM - 2 * MARGIN_MM
MISSING = "〓"  # what Japanese printers set where a character is missing


class Paper(FPDF):
    """An A4 page with Japanese and Latin fonts embedded and a few ways to set text on it."""

    def __init__(self, title: Text, made_at: datetime) -> None:
        super().__init__(format="A4")
        self.add_font("ja", fname=str(japanese_font()))
        self.add_font("latin", fname=str(latin_font()))
        self.set_fallback_fonts(["latin"])
        faces = [font for font in self.fonts.values() if isinstance(font, TTFFont)]
        self._known = frozenset(code for font in faces for code in font.cmap)
        self.set_margins(MARGIN_MM, MARGIN_MM, MARGIN_MM)
        self.set_auto_page_break(True, margin=24)
        self.set_title(title.both)
        self.set_author("Satoyama MRV")
        self.set_creator("Satoyama MRV")
        self.set_creation_date(made_at)
        self.set_lang("ja-JP")

    def printable(self, text: str) -> str:
        """Text with one line break kind, and characters that no font here has replaced by the geta mark."""
        return "".join(c if ord(c) in self._known or c == "\n" else MISSING for c in text)

    def words(
        self,
        text: str,
        size: float,
        *,
        colour: Colour = INK,
        align: Align = "L",
        strong: bool = False,
        line_mm: float | None = None,
        width: float = 0,
    ) -> None:
        """Set a paragraph at the current place and move below it; `strong` thickens strokes, as there is no bold face."""
        self.set_font("ja", size=size)
        self.set_text_color(*colour)
        self.set_draw_color(*colour)
        left = self.get_x()
        with self.local_context(text_mode="FILL_STROKE" if strong else "FILL", line_width=size * 0.011):
            self.multi_cell(
                width, line_mm or size * 0.52, self.printable(text), align=align, new_x="LEFT", new_y="NEXT"
            )
        self.set_x(left)

    def fitting(self, text: str, size: float, width: float, least: float = 3.0) -> float:
        """The size, `size` at most, at which a number stands on one line of `width`: it must never break inside."""
        room = width - 2 * self.c_margin - 0.1
        self.set_font("ja", size=size)
        wide = self.get_string_width(self.printable(text))
        return size if wide <= room else max(least, size * room / wide)

    def facts(
        self, rows: Sequence[tuple[Text, str]], label_mm: float = 56, *, one_line: bool = False
    ) -> None:
        """Label and value pairs with hairlines between; `one_line` sets both languages of a label beside each other."""
        for label, value in rows:
            top = self.get_y()
            if self.will_page_break(14):
                self.add_page()
                top = self.get_y()
            self.set_xy(MARGIN_MM, top + (1.9 if one_line else 1.1))
            self.words(
                f"{label.ja}{'　' if one_line else chr(10)}{label.en}",
                7.6,
                colour=SOFT,
                width=label_mm - 3,
                line_mm=3.7,
            )
            below = self.get_y()
            self.set_xy(MARGIN_MM + label_mm, top + 1.6)
            self.words(value, 7.0 if _is_hash(value) else 9.4, width=WIDTH_MM - label_mm, line_mm=4.9)
            bottom = max(below, self.get_y()) + 1.4
            self.set_draw_color(*LINE)
            self.set_line_width(0.2)
            self.line(MARGIN_MM, bottom, PAGE_MM - MARGIN_MM, bottom)
            self.set_xy(MARGIN_MM, bottom)

    def simulated_band(self) -> None:
        """The amber band that stands on everything made of simulated data."""
        top = self.get_y()
        self.set_fill_color(*AMBER_SOFT)
        self.rect(MARGIN_MM, top, WIDTH_MM, 12.4, style="F")
        self.set_xy(MARGIN_MM + 3, top + 1.7)
        self.words(f"{SIMULATED.ja}\n{SIMULATED.en}", 8, colour=AMBER, width=WIDTH_MM - 6, line_mm=4.5)
        self.set_xy(MARGIN_MM, top + 15)

    def save(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.output(str(path))
        return path


def _is_hash(value: str) -> bool:
    """Long hashes are set small, so that they stay on one line and can be copied."""
    return len(value) > 60 and value.isalnum()


def _frame(paper: Paper) -> None:
    paper.set_draw_color(*FOREST)
    paper.set_line_width(0.9)
    paper.rect(9, 9, PAGE_MM - 18, 279)
    paper.set_line_width(0.25)
    paper.rect(11, 11, PAGE_MM - 22, 275)


def _span(first: Text, last: Text) -> str:
    return f"{first.ja} ～ {last.ja}\n{first.en} to {last.en}" if first != last else f"{first.ja}\n{first.en}"


def _consumption(c: Certificate) -> str:
    if c.consumption_first is None or c.consumption_last is None:
        return "–"
    return _span(day(c.consumption_first), day(c.consumption_last))


def _both(text: Text) -> str:
    return text.ja if text.ja == text.en else f"{text.ja}\n{text.en}"


def _certificate_facts(c: Certificate) -> list[tuple[Text, str]]:
    rows = [
        (Text("Purpose", "目的"), c.purpose or "–"),
        (Text("Country of consumption", "使用国"), c.country),
        (Text("Consumption period", "使用期間"), _consumption(c)),
        (Text("Project", "プロジェクト"), f"{c.project.ja}（{c.place.ja}）\n{c.project.en} ({c.place.en})"),
        (
            Text("Vintage and monitoring period", "ビンテージとモニタリング期間"),
            f"{c.vintage}　{_span(day(c.period_first), day(c.period_last))}",
        ),
        (Text("Methodology", "方法論"), c.method),
        (Text("Batch", "バッチ"), c.batch_id),
        (Text("Serial numbers in the batch", "バッチ内の通し番号"), c.serials_text),
        (Text("Evidence root", "証拠ルート"), c.evidence_root),
        (Text("Transaction", "取引"), c.tx_hash),
        (
            Text("Registry contract", "登録簿コントラクト"),
            f"{c.chain.registry}\n{c.chain.name.ja} / {c.chain.name.en}",
        ),
    ]
    return rows


def render_certificate(certificate: Certificate, path: Path) -> Path:
    """Write a retirement certificate as one A4 page.

    Raises
    ------
    FontMissing
        If the packages that carry the fonts are not installed.
    """
    c = certificate
    paper = Paper(
        Text(f"Retirement certificate {c.certificate_id}", f"無効化証明書 {c.certificate_id}"), c.retired_at
    )
    paper.set_auto_page_break(False)
    paper.add_page()
    _frame(paper)
    paper.set_y(17)
    paper.words("SATOYAMA MRV", 9.5, colour=FOREST, align="C", strong=True)
    paper.set_y(26)
    paper.words("炭素クレジット無効化証明書", 21, align="C", strong=True)
    paper.words("Certificate of carbon credit retirement", 12, colour=SOFT, align="C", line_mm=7.5)
    paper.set_y(50)
    if c.simulated:
        paper.simulated_band()
    top = paper.get_y() + 1
    paper.set_fill_color(*TINT)
    paper.rect(MARGIN_MM, top, WIDTH_MM, 45, style="F")
    paper.set_y(top + 5)
    paper.words(f"{whole(c.kg)} kg CO2e", 29, colour=FOREST, align="C", strong=True, line_mm=14)
    when = moment(c.retired_at)
    paper.words(f"無効化日時 {when.ja}　Retired {when.en}", 8.6, colour=SOFT, align="C", line_mm=5)
    paper.set_y(top + 26)
    paper.words("受益者 Beneficiary", 8, colour=SOFT, align="C", line_mm=4.5)
    size = 15.0
    paper.set_font("ja", size=size)
    while size > 8 and paper.get_string_width(paper.printable(c.beneficiary)) > WIDTH_MM - 10:
        size -= 0.5
        paper.set_font("ja", size=size)
    paper.words(c.beneficiary, size, align="C", strong=True, line_mm=9)
    paper.set_xy(MARGIN_MM, top + 49)
    paper.facts(_certificate_facts(c))
    paper.set_xy(MARGIN_MM, paper.get_y() + 4)
    paper.words(
        f"証明書番号 Certificate no. {c.certificate_id}　　ブロック Block {whole(c.block)}", 8.6, strong=True
    )
    paper.set_xy(MARGIN_MM, paper.get_y() + 1.5)
    paper.words(
        "この数量は再び譲渡・使用できません。証拠バンドルがあれば、誰でも次のコマンドで再計算できます。\n"
        "These kilograms can never be transferred or used again. With the evidence bundle anyone can recompute them:",
        7.8,
        colour=SOFT,
        line_mm=4.4,
    )
    paper.set_xy(MARGIN_MM, paper.get_y() + 1.5)
    paper.words(c.verify_command, 9.4, strong=True)
    return paper.save(path)


_COLUMNS: tuple[tuple[Text, float, Align], ...] = (
    (Text("Payee", "受取人"), 40, "L"),
    (Text("Share", "配分"), 15, "R"),
    (Text("Entitled", "配分額"), 37, "R"),
    (Text("Paid", "支払済"), 37, "R"),
    (Text("To be claimed", "未請求"), 37, "R"),
)
_SALES: tuple[tuple[Text, float, Align], ...] = (
    (Text("Sold", "販売日"), 34, "L"),
    (Text("Buyer", "購入者"), 44, "L"),
    (Text("Kilograms", "数量 kg"), 30, "R"),
    (Text("Amount", "金額"), 58, "R"),
)
_CHANGES: tuple[tuple[Text, float, Align], ...] = (
    (Text("Payee", "受取人"), 98, "L"),
    (Text("Now", "現在"), 34, "R"),
    (Text("From then on", "変更後"), 34, "R"),
)


def table_head(paper: Paper, columns: tuple[tuple[Text, float, Align], ...]) -> None:
    top, x = paper.get_y(), MARGIN_MM
    for title, width, align in columns:
        paper.set_xy(x, top)
        paper.words(f"{title.ja}\n{title.en}", 7.4, colour=SOFT, align=align, width=width, line_mm=3.6)
        x += width
    paper.set_draw_color(*INK)
    paper.set_line_width(0.35)
    paper.line(MARGIN_MM, top + 8.4, PAGE_MM - MARGIN_MM, top + 8.4)
    paper.set_xy(MARGIN_MM, top + 8.8)


def table_row(
    paper: Paper,
    columns: tuple[tuple[Text, float, Align], ...],
    cells: Sequence[str],
    small: str = "",
    *,
    strong: bool = False,
) -> None:
    """One table row; `small` stands under the first cell. Numbers (to the right) are set as small as one line takes."""
    if paper.will_page_break(14):
        paper.add_page()
        table_head(paper, columns)
    top, x, bottom = paper.get_y() + 1.4, MARGIN_MM, 0.0
    for (_, width, align), cell in zip(columns, cells, strict=True):
        paper.set_xy(x, top)
        size = paper.fitting(cell, 9, width) if align == "R" else 9
        paper.words(cell, size, align=align, width=width, line_mm=4.7, strong=strong)
        bottom = max(bottom, paper.get_y())
        if small and x == MARGIN_MM:
            # An address is longer than a name's column; beside it, under the numbers, there is room.
            paper.words(small, 6.4, colour=SOFT, width=max(width, 64), line_mm=3.4)
            bottom = max(bottom, paper.get_y())
        x += width
    paper.set_draw_color(*LINE)
    paper.set_line_width(0.2)
    paper.line(MARGIN_MM, bottom + 1.2, PAGE_MM - MARGIN_MM, bottom + 1.2)
    paper.set_xy(MARGIN_MM, bottom + 1.2)


def heading(paper: Paper, text: Text) -> None:
    if paper.will_page_break(30):
        paper.add_page()
    paper.set_xy(MARGIN_MM, paper.get_y() + 6)
    paper.words(f"{text.ja}　{text.en}", 11, colour=FOREST, strong=True)
    paper.set_xy(MARGIN_MM, paper.get_y() + 1.5)


def _change_of_shares(paper: Paper, announced: SharesAnnounced) -> None:
    heading(paper, Text("Announced change of shares", "予告された配分の変更"))
    start, told = moment(in_japan(announced.effective_from)), moment(in_japan(announced.announced_at))
    paper.words(
        f"{start.ja} 以降の入金は次の配分によります（{told.ja} 予告）。\n"
        f"Money that comes in from {start.en} on is shared so (announced {told.en}).",
        8.2,
        line_mm=4.6,
    )
    paper.set_xy(MARGIN_MM, paper.get_y() + 2)
    table_head(paper, _CHANGES)
    for one in announced.lines:
        cells = (_both(one.name), *(f"{ppm / 10_000:g} %" for ppm in (one.now_ppm, one.then_ppm)))
        table_row(paper, _CHANGES, cells, one.address)


def render_statement(sheet: StatementSheet, path: Path) -> Path:
    """Write a statement of revenue and payments, reconciled to the token's base unit."""
    paper = Paper(Text("Revenue statement", "収入と配分の計算書"), sheet.chain.read_at)
    paper.add_page()
    paper.words("SATOYAMA MRV", 9, colour=FOREST, strong=True)
    paper.set_xy(MARGIN_MM, paper.get_y() + 1)
    paper.words("収入と配分の計算書", 19, strong=True)
    paper.words("Statement of revenue and payments", 11, colour=SOFT, line_mm=7)
    paper.set_xy(MARGIN_MM, paper.get_y() + 2)
    paper.words(_both(sheet.project), 10.5, line_mm=5.4)
    paper.words(
        f"{sheet.chain.read_up_to.ja}\n{sheet.chain.read_up_to.en}",
        8,
        colour=SOFT,
        line_mm=4.3,
    )
    paper.set_xy(MARGIN_MM, paper.get_y() + 4)
    if sheet.simulated:
        paper.simulated_band()
    totals = (
        (Text("Revenue", "収入"), sheet.revenue),
        (Text("Paid out", "支払済"), sheet.paid_out),
        (Text("To be claimed", "未請求"), sheet.claimable),
        (Text("Carried remainder", "端数の繰越"), sheet.carried),
    )
    paper.facts([(label, f"{sheet.amount(value)} {sheet.token}") for label, value in totals])
    paper.set_xy(MARGIN_MM, paper.get_y() + 2)
    paper.words(
        f"照合：支払済 + 未請求 + 繰越 = 収入 （{whole(sheet.paid_out)} + {whole(sheet.claimable)} + {whole(sheet.carried)} = {whole(sheet.revenue)} 最小単位）\n"
        f"Reconciled to the base unit; one {sheet.token} is {whole(10**sheet.decimals)} base units.",
        7.8,
        colour=SOFT,
        line_mm=4.2,
    )
    heading(paper, Text("Payees", "受取人"))
    table_head(paper, _COLUMNS)
    for p in sheet.payees:
        portion = "" if p.share_ppm is None else f"{p.share_ppm / 10_000:g} %"
        table_row(
            paper,
            _COLUMNS,
            (_both(p.name), portion, *map(sheet.amount, (p.entitled, p.paid, p.claimable))),
            p.address,
        )
    if sheet.announced is not None:
        _change_of_shares(paper, sheet.announced)
    if sheet.sales:
        heading(paper, Text("Sales", "販売"))
        table_head(paper, _SALES)
        for s in sheet.sales:
            cells = (day(in_japan(s.sold_at).date()).ja, short(s.buyer), whole(s.kg), sheet.amount(s.amount))
            table_row(paper, _SALES, cells, short(s.tx_hash))
    return paper.save(path)
