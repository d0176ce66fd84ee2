"""Tree lists (毎木調査) and the action register (施業履歴)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from statistics import median

import numpy as np

from models.errors import UnknownSpecies
from mrv.blob import Blob
from mrv.project import Project
from mrv.readers.findings import Both, Findings, listed
from mrv.readers.heights_missing import check_heights
from mrv.readers.rows import Row, read_rows
from mrv.readers.text import exact, half_even_int, read_day, read_year
from mrv.survey import Action, ActionKind, Plot, SamplePlot, TreeList, TreeStatus
from mrv.tables import Tables

# Jomon Sugi, the thickest sugi known, is 5.2 m thick; a stand's tree list above 2 m is a slip.
THICKEST_CM = Decimal(200)
TALLEST_M = Decimal(65)
LOWEST_M = Decimal("1.2")
# Diameter in cm over height in m is 0.5 to 3 in any stand: ten times that is diameter in mm, a hundredth height in cm.
MM_RATIO = Decimal(6)
CM_RATIO = Decimal("0.1")

_TREE_COLUMNS: dict[str, tuple[str, ...]] = {
    "sample_plot": ("標準地", "sample_plot_id", "標準地番号", "標準地id", "標準地no", "プロット", "plot"),
    "tag": ("立木番号", "tree", "tree_id", "番号", "木番号", "no", "樹木番号", "個体番号", "id"),
    "species": ("樹種", "種名", "種"),
    "dbh_cm": ("胸高直径", "dbh", "胸高直径(cm)", "胸高直径cm", "直径", "直径(cm)", "dbh(cm)"),
    "height_m": ("樹高", "height", "樹高(m)", "樹高m", "h", "height(m)"),
    "status": ("状態", "生死", "区分"),
    "planted_year": ("植栽年", "植栽年度", "発生年"),
}
_STATUS: dict[str, TreeStatus] = {
    **dict.fromkeys(("", "alive", "living", "生", "生立木", "生存", "健全", "立木"), "alive"),
    **dict.fromkeys(("dead", "枯死", "枯", "枯損", "枯死木", "枯損木"), "dead"),
    **dict.fromkeys(("cut", "felled", "伐採", "伐", "間伐", "主伐", "伐採木", "間伐木"), "cut"),
    **dict.fromkeys(("missing", "lost", "不明", "消失", "欠"), "missing"),
}
_ACTION_COLUMNS: dict[str, tuple[str, ...]] = {
    "plot": ("区画", "plot_id", "区画番号", "小班", "プロット"),
    "date": ("日付", "実施日", "年月日", "day"),
    "action": ("施業", "作業種", "施業種", "kind"),
    "area_ha": ("面積", "面積(ha)", "area", "面積ha", "施業面積"),
    "note": ("備考", "メモ", "摘要", "remarks"),
}
_ACTIONS: dict[str, ActionKind] = {
    **dict.fromkeys(("thin", "thinning", "間伐", "除伐"), "thin"),
    **dict.fromkeys(("cut", "harvest", "clearcut", "主伐", "皆伐", "伐採"), "cut"),
    **dict.fromkeys(("replant", "plant", "planting", "植栽", "再造林", "植付"), "replant"),
    **dict.fromkeys(("other", "その他", "下刈", "下刈り", "枝打", "枝打ち", "補植"), "other"),
}
_MEND: Both = ("Correct these rows.", "該当行を直してください。")
_BLANK: Both = (
    "Correct these rows; leave the cell blank where no height was measured.",
    "該当行を直してください（樹高を測っていない木は空欄に）。",
)


@dataclass(frozen=True)
class _Tree:
    row: int
    sample_plot: str
    tag: str
    species: str
    status: TreeStatus
    dbh_cm: Decimal
    height_m: Decimal
    year: int


class _Cells:
    """Faulty cells gathered by kind, so that a thousand like faults make one problem that names the rows."""

    def __init__(self, name: str, findings: Findings) -> None:
        self.name, self.findings = name, findings
        self.rows: dict[tuple[str, str, Both, Both], list[tuple[int, str]]] = {}

    def fault(self, code: str, column: str, wanted: Both, row: int, got: str, todo: Both = _MEND) -> None:
        self.rows.setdefault((code, column, wanted, todo), []).append((row, got))

    def report(self) -> None:
        for (code, column, wanted, todo), found in self.rows.items():
            numbers = listed(row for row, _ in found)
            values = listed(dict.fromkeys(repr(got) for _, got in found))
            self.findings.add(
                code,
                f"{self.name} row {numbers[0]}, {column}",
                expected=wanted,
                got=values,
                todo=todo,
            )


def read_trees(
    blob: Blob,
    samples: Sequence[SamplePlot] | None,
    plots: Sequence[Plot],
    project: Project,
    tables: Tables,
    findings: Findings,
    look_for_odd: bool = True,
) -> TreeList | None:
    """The tree list, or None where it cannot be read; every faulty row is recorded.

    Standing trees may lack a height (blank cell) where the species' own measured heights give a curve to fill it from.

    Parameters
    ----------
    samples : sequence of SamplePlot or None
        None where the sample plots could not be read: then rows are not compared with them.
    look_for_odd : bool
        Whether to point at measured heights far from the curve.
    """
    required = ("sample_plot", "tag", "species", "dbh_cm", "height_m")
    rows = read_rows(blob, _TREE_COLUMNS, required, findings)
    if rows is None:
        return None
    cells = _Cells(blob.name, findings)
    years = _planted_years(samples or (), plots)
    tagged = {s.sample_plot_id: s.tagged for s in samples} if samples is not None else None
    start = findings.count
    trees = [_tree(row, cells, tagged, years, tables) for row in rows]
    _duplicates(trees, cells)
    _ranges(trees, blob.name, cells, findings)
    cells.report()
    columns = _columns(trees)
    if findings.count == start:  # a curve through faulty rows says nothing
        check_heights(columns, [t.row for t in trees], blob.name, look_for_odd, findings)
    _equations(trees, blob.name, project, tables, findings)
    return columns


def _planted_years(samples: Sequence[SamplePlot], plots: Sequence[Plot]) -> dict[str, int]:
    of_plot = {p.plot_id: p.planted_year or 0 for p in plots}
    return {s.sample_plot_id: of_plot.get(s.plot_id, 0) for s in samples}


def _tree(
    row: Row, cells: _Cells, tagged: Mapping[str, bool] | None, years: Mapping[str, int], tables: Tables
) -> _Tree:
    number, sample = row.number, row["sample_plot"]
    if tagged is not None and sample not in tagged:
        known = listed(tagged)
        wanted = (f"one of the sample plots {known[0]}", f"標準地 {known[1]} のいずれか")
        cells.fault("trees.unknown_sample_plot", "sample_plot", wanted, number, sample)
    tag = _same_tag(row["tag"])
    if not tag and (tagged is None or tagged.get(sample, True)):
        cells.fault("trees.tag_missing", "tag", ("a tag for every tree", "全立木の番号"), number, tag)
    species = tables.species_key(row["species"])
    if species is None:
        wanted = ("a listed species (スギ, hinoki, コナラ …)", "一覧にある樹種（スギ・ヒノキ・コナラなど）")
        todo = (
            "Use a name of data/species_names.csv, or add one with its source.",
            "data/species_names.csv の名称を使うか、出典を添えて追加してください。",
        )
        cells.fault("species.unknown", "species", wanted, number, row["species"], todo)
    status = _STATUS.get(row["status"].casefold())
    if status is None:
        wanted = ("alive, dead, cut or missing", "生・枯死・伐採・不明のいずれか")
        cells.fault("trees.status", "status", wanted, number, row["status"])
    standing = (status or "alive") == "alive"
    year = read_year(row["planted_year"]) if row["planted_year"] not in ("", "0") else years.get(sample, 0)
    if year is None:
        cells.fault(
            "trees.planted_year",
            "planted_year",
            ("a year", "西暦または和暦の年"),
            number,
            row["planted_year"],
        )
    return _Tree(
        number,
        sample,
        tag or f"#{number}",
        species or "",
        status or "alive",
        _number(row, "dbh_cm", "cm", standing, cells),
        _number(row, "height_m", "m", standing and row["height_m"] != "", cells),
        year or 0,
    )


def _same_tag(text: str) -> str:
    """A tag as it is compared between dates: spreadsheets turn "001" into 1, which is the same tree."""
    return text.lstrip("0") or "0" if text.isascii() and text.isdigit() else text


def _number(row: Row, column: str, unit: str, standing: bool, cells: _Cells) -> Decimal:
    """A positive number; a tree that no longer stands, or whose height was not measured, may have none, and counts as 0."""
    text = row[column]
    if not text and not standing:
        return Decimal(0)
    value = exact(text)
    if value is None or (value < 0) or (standing and value == 0):
        code = "trees.negative" if value is not None and value < 0 else "trees.not_a_number"
        wanted = (f"a number above 0 ({unit}) for a standing tree", f"生立木は0より大きい数値（{unit}）")
        cells.fault(code, column, wanted, row.number, text, _BLANK if column == "height_m" else _MEND)
        return Decimal(0)
    return value if standing else Decimal(0)


def _duplicates(trees: Sequence[_Tree], cells: _Cells) -> None:
    first: dict[tuple[str, str], int] = {}
    for tree in trees:
        key = (tree.sample_plot, tree.tag)
        if key in first:
            wanted = ("each tag once in a sample plot", "標準地内で重複しない立木番号")
            got = f"{tree.sample_plot}/{tree.tag} (row {first[key]})"
            cells.fault("trees.duplicate", "tag", wanted, tree.row, got)
        else:
            first[key] = tree.row


def _ranges(trees: Sequence[_Tree], name: str, cells: _Cells, findings: Findings) -> None:
    measured = [t for t in trees if t.dbh_cm > 0 and t.height_m > 0]
    if not measured:
        return
    ratio = median(t.dbh_cm / t.height_m for t in measured)
    if ratio > MM_RATIO:
        middle = median(t.dbh_cm for t in measured)
        findings.add(
            "trees.dbh_mm",
            f"{name} dbh_cm",
            expected=("diameters in cm", "cm単位の胸高直径"),
            got=(
                f"a median of {middle} beside heights of {median(t.height_m for t in measured)} m: millimetres?",
                f"中央値 {middle}（樹高の中央値 {median(t.height_m for t in measured)} m）: mm単位の疑い",
            ),
            todo=("Divide by 10.", "10で割ってください。"),
        )
        return
    if ratio < CM_RATIO:
        middle = median(t.height_m for t in measured)
        findings.add(
            "trees.height_unit",
            f"{name} height_m",
            expected=("heights in m", "m単位の樹高"),
            got=(f"a median of {middle}: centimetres or feet?", f"中央値 {middle}: cm等の疑い"),
            todo=("Convert to metres.", "メートルに換算してください。"),
        )
        return
    for t in measured:
        if t.dbh_cm > THICKEST_CM:
            wanted = (f"at most {THICKEST_CM} cm", f"{THICKEST_CM} cm 以下")
            cells.fault("trees.dbh_range", "dbh_cm", wanted, t.row, str(t.dbh_cm))
        if not LOWEST_M <= t.height_m <= TALLEST_M:
            wanted = (f"{LOWEST_M} to {TALLEST_M} m", f"{LOWEST_M}～{TALLEST_M} m")
            cells.fault("trees.height_range", "height_m", wanted, t.row, str(t.height_m))


def _equations(
    trees: Sequence[_Tree], name: str, project: Project, tables: Tables, findings: Findings
) -> None:
    for species in sorted({t.species for t in trees if t.species}):
        try:
            tables.equation_set(project.prefecture, species)
            tables.factors(project.prefecture, species)
        except UnknownSpecies as error:
            findings.add(
                "species.no_equation",
                name,
                expected=(f"volume and biomass tables for {species}", f"{species} の材積式と係数"),
                got=(error.en, error.ja),
                todo=("Ask the project's office.", "事務局に相談してください。"),
            )


def _columns(trees: Sequence[_Tree]) -> TreeList:
    def text(value: Callable[[_Tree], str]) -> np.ndarray[tuple[int], np.dtype[np.str_]]:
        return np.array([value(t) for t in trees], dtype=np.str_)

    def millimetres(
        value: Callable[[_Tree], Decimal], per_unit: int
    ) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        whole = [half_even_int(value(t) * per_unit) for t in trees]
        return np.array([w if w < 2**31 else 0 for w in whole], dtype=np.int32)

    return TreeList(
        sample_plot_id=text(lambda t: t.sample_plot),
        tag=text(lambda t: t.tag),
        species=text(lambda t: t.species),
        status=text(lambda t: t.status),
        dbh_mm=millimetres(lambda t: t.dbh_cm, 10),
        height_mm=millimetres(lambda t: t.height_m, 1000),
        planted_year=np.array([t.year for t in trees], dtype=np.int32),
    )


def read_actions(
    blob: Blob, plots: Sequence[Plot] | None, day: date, findings: Findings
) -> tuple[Action, ...]:
    """The action register; faulty rows are recorded and left out. `plots` is None where those could not be read."""
    rows = read_rows(blob, _ACTION_COLUMNS, ("plot", "date", "action"), findings)
    cells = _Cells(blob.name, findings)
    areas = {p.plot_id: p.area_mm2 for p in plots} if plots is not None else None
    actions = [a for row in rows or () if (a := _action(row, areas, cells)) is not None]
    cells.report()
    late = [a for a in actions if a.day > day]
    if late:
        names = listed(f"{a.plot_id} {a.day}" for a in late)
        findings.warn(
            "actions.after_survey",
            blob.name,
            expected=(f"actions up to the survey's day {day}", f"調査日 {day} までの施業"),
            got=names,
            todo=("They belong to the next survey.", "次回の調査に記録してください。"),
        )
    return tuple(actions)


def _action(row: Row, areas: Mapping[str, int] | None, cells: _Cells) -> Action | None:
    plot, number = row["plot"], row.number
    day, kind = read_day(row["date"]), _ACTIONS.get(row["action"].casefold())
    if areas is not None and plot not in areas:
        names = listed(areas)
        wanted = (f"one of the plots {names[0]}", f"区画 {names[1]} のいずれか")
        cells.fault("actions.unknown_plot", "plot", wanted, number, plot)
    if day is None:
        wanted = ("a day such as 2023-11-05", "日付（例 2023-11-05、令和5年11月5日）")
        cells.fault("actions.date", "date", wanted, number, row["date"])
    if kind is None:
        wanted = ("thin, cut, replant or other", "間伐・主伐・植栽・その他のいずれか")
        cells.fault("actions.kind", "action", wanted, number, row["action"])
    area = exact(row["area_ha"]) if row["area_ha"] else Decimal(0)
    limit = Decimal((areas or {}).get(plot, 10**30)) / 10**10 * Decimal("1.1")
    if area is None or area < 0 or area > limit:
        wanted = ("an area of 0 to the plot's (ha)", "0～区画面積（ha）")
        cells.fault("actions.area", "area_ha", wanted, number, row["area_ha"])
    if areas is None or plot not in areas or day is None or kind is None:
        return None
    return Action(plot, day, kind, row["area_ha"], row["note"])
