"""A household's or fund's own statement on paper: name, plots, basis, amounts, and room for the tax note. A4, one or more pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from apps.look.wording import Text, day, moment, money, whole
from apps.papers import ChainPlace, in_japan
from apps.pdf import MARGIN_MM, SOFT, WIDTH_MM, Align, Paper, heading, table_head, table_row
from registry.households import Breakdown, HouseholdLine, PartLine

BASIS: Mapping[str, Text] = {
    "fixed": Text("fixed table", "固定の配分表"),
    "net_change": Text("measured net change of the plot", "区画の純変化量（実測）"),
    "growth": Text("measured growth of the plot", "区画の成長量（実測）"),
}
TAX_NOTE = Text(
    "Tax: this paper is no tax advice and deducts nothing. Treatment (withholding, consumption tax, kind of income): to be filled in by the co-op's tax adviser.",
    "税務：本書は税務上の助言ではなく、源泉徴収等の控除はしていません。取扱い（源泉徴収・消費税・所得区分）は組合の税理士が記入してください。",
)


@dataclass(frozen=True)
class ShareChange:
    """An announced change of this payee's share, parts per million: from when on, from what, to what."""

    effective_from: datetime
    now_ppm: int
    then_ppm: int


@dataclass(frozen=True)
class HouseholdSheet:
    """What stands on the paper; amounts in base units of the token.

    Attributes
    ----------
    first, last : date or None
        First and last day of the period; None for from the beginning, and up to now.
    bank_account : str
        The account paid to, its number masked; "" where paid on chain.
    place : Text or None
        Municipality of the project.
    """

    project: Text
    name: Text
    line: HouseholdLine
    first: date | None
    last: date | None
    token: str
    decimals: int
    bank_account: str
    chain: ChainPlace
    simulated: bool
    change: ShareChange | None = None
    place: Text | None = None

    @property
    def issuer(self) -> Text:
        """The project, in whose name its co-op gives the paper out, and where it is."""
        if self.place is None:
            return self.project
        return Text(f"{self.project.en}, {self.place.en}", f"{self.project.ja}（{self.place.ja}）")

    def amount(self, base_units: int) -> str:
        return f"{money(base_units, self.decimals)} {self.token}"

    @property
    def period(self) -> Text:
        first = day(self.first) if self.first else Text("the beginning", "開始")
        last = day(self.last) if self.last else day(in_japan(self.chain.read_at).date())
        return Text(f"{first.en} to {last.en}", f"{first.ja} ～ {last.ja}")


def household_sheet(
    breakdown: Breakdown,
    payee_id: str,
    *,
    project: Text,
    name: Text,
    token: str,
    decimals: int,
    chain: ChainPlace,
    simulated: bool,
    first: date | None = None,
    end: date | None = None,
    account: Mapping[str, str] | None = None,
    change: ShareChange | None = None,
    place: Text | None = None,
) -> HouseholdSheet:
    """The sheet of one payee; `end` is the day after the period's last."""
    masked = "" if account is None else _masked(account)
    last = None if end is None else end - timedelta(days=1)
    return HouseholdSheet(
        project,
        name,
        breakdown.line(payee_id),
        first,
        last,
        token,
        decimals,
        masked,
        chain,
        simulated,
        change,
        place,
    )


def _masked(account: Mapping[str, str]) -> str:
    hidden = "*" * (len(account["number"]) - 3) + account["number"][-3:]
    return f"{account['bank']}-{account['branch']} {hidden} {account['holder']}"


_COLUMNS: tuple[tuple[Text, float, Align], ...] = (
    (Text("Plot", "区画"), 32, "L"),
    (Text("Basis", "配分の根拠"), 50, "L"),
    (Text("Share of revenue", "収入に対する割合"), 26, "R"),
    (Text("Amount", "金額"), 58, "R"),
)


def _cells(sheet: HouseholdSheet, one: PartLine) -> tuple[str, str, str, str]:
    part, basis = one.part, BASIS[one.basis]
    plot = part.plot_name or part.plot_id or "–"
    reason = f"{basis.ja}\n{basis.en}"
    if part.of_g:
        reason += f"\n{whole(part.measured_g // 1000)} / {whole(part.of_g // 1000)} kg CO2e"
    return plot, reason, f"{part.share_ppm / 10_000:g} %", sheet.amount(one.earned)


def _announce(paper: Paper, change: ShareChange) -> None:
    heading(paper, Text("Announced change of your share", "配分変更の予告"))
    start = moment(in_japan(change.effective_from))
    now, then = (f"{ppm / 10_000:g} %" for ppm in (change.now_ppm, change.then_ppm))
    paper.words(
        f"{start.ja} 以降の入金について、配分は {now} から {then} になります。\n"
        f"Of money that comes in from {start.en} on your share is {then}; until then it is {now}.",
        8.6,
        line_mm=4.8,
    )


_TAX_MM = 50.0


def render_household(sheet: HouseholdSheet, path: Path) -> Path:
    """Write the statement of one household or fund.

    Raises
    ------
    FontMissing
        If the packages that carry the fonts are not installed.
    """
    line = sheet.line
    paper = Paper(Text(f"Statement for {sheet.name.en}", f"配分明細書 {sheet.name.ja}"), sheet.chain.read_at)
    paper.set_auto_page_break(True, margin=16)
    paper.add_page()
    paper.words("配分明細書", 19, strong=True)
    paper.words("Statement of revenue shared out", 11, colour=SOFT, line_mm=7)
    read = sheet.chain.read_up_to
    paper.words(f"{read.ja}の記録による\nFrom the records of {read.en}", 7.6, colour=SOFT, line_mm=4)
    paper.set_xy(MARGIN_MM, paper.get_y() + 3)
    if sheet.simulated:
        paper.simulated_band()
    way_en, way_ja = ("by bank transfer", "銀行振込") if line.by_bank else ("on chain", "チェーン上の送金")
    where = sheet.bank_account or line.address
    paper.facts(
        [
            (Text("Name", "氏名・名称"), f"{sheet.name.ja} 様\n{sheet.name.en}"),
            (
                Text("Issuer: the co-op of the project", "発行者（プロジェクト実施組合）"),
                f"{sheet.issuer.ja}\n{sheet.issuer.en}",
            ),
            (Text("Period", "対象期間"), f"{sheet.period.ja}\n{sheet.period.en}"),
            (Text("How it is paid", "支払方法"), f"{way_ja} / {way_en}\n{where}"),
        ]
    )
    heading(paper, Text("What was earned, and for what", "配分の内訳"))
    table_head(paper, _COLUMNS)
    for one in line.parts:
        table_row(paper, _COLUMNS, _cells(sheet, one))
    table_row(paper, _COLUMNS, ("合計 Total", "", "", sheet.amount(line.earned)), strong=True)
    heading(paper, Text("Account", "差引計算"))
    paper.facts(
        [
            (Text("Due before the period", "前期末の未払額"), sheet.amount(line.opening)),
            (Text("Earned in the period", "当期の配分額"), sheet.amount(line.earned)),
            (Text("Paid in the period", "当期の支払額"), sheet.amount(line.paid)),
            (Text("Due at its end", "当期末の未払額"), sheet.amount(line.due)),
        ],
        76,
        one_line=True,
    )
    paper.set_xy(MARGIN_MM, paper.get_y() + 2)
    paper.words(
        f"照合：{whole(line.opening)} + {whole(line.earned)} − {whole(line.paid)} = {whole(line.due)}（最小単位）　"
        f"1 {sheet.token} = {whole(10**sheet.decimals)}",
        7.8,
        colour=SOFT,
    )
    if sheet.change is not None:
        _announce(paper, sheet.change)
    if paper.will_page_break(_TAX_MM):  # the note and the room for it stay together
        paper.add_page()
    heading(paper, Text("Tax note", "税務に関する記載欄"))
    paper.words(f"{TAX_NOTE.ja}\n{TAX_NOTE.en}", 8.2, line_mm=4.6)
    top = paper.get_y() + 2
    paper.set_draw_color(*SOFT)
    paper.rect(MARGIN_MM, top, WIDTH_MM, 16)
    return paper.save(path)
