"""A user's yield tables (収穫予想表) from CSV or xlsx; the schema stands in ``docs/yield-tables.md``.

Prefectural tables are not public as data, so none is carried: without a user's file growth comes from the stand density diagrams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from models.errors import SatoyamaError
from models.yield_table import YieldRow, YieldTable
from mrv.blob import Blob
from mrv.errors import Problem, Refusal
from mrv.readers.findings import Findings
from mrv.readers.rows import Row, read_rows
from mrv.readers.text import exact
from mrv.tables import Tables

ALIASES = {
    "species": ("樹種",),
    "region": ("地域", "地方"),
    "site_class": ("地位", "地位級"),
    "treatment": ("施業", "施業体系", "施業種"),
    "age_years": ("林齢", "林令", "age"),
    "volume_m3_ha": ("材積", "主林木材積", "幹材積", "volume"),
    "thinned_m3_ha": ("間伐材積", "副林木材積"),
    "height_m": ("樹高", "上層樹高", "平均樹高", "height"),
    "stems_ha": ("本数", "立木本数", "stems"),
    "mean_dbh_cm": ("平均直径", "胸高直径", "dbh"),
    "source": ("出典",),
    "verified": ("確認", "検証"),
}
REQUIRED = ("species", "region", "site_class", "age_years", "volume_m3_ha", "source", "verified")
MEASURES = ("age_years", "volume_m3_ha", "thinned_m3_ha", "height_m", "stems_ha", "mean_dbh_cm")
NEEDED = ("age_years", "volume_m3_ha")
FLAGS = {"true": True, "false": False, "済": True, "未": False}
Key = tuple[str, str, int, str]


@dataclass(frozen=True)
class YieldTables:
    """All stand types of a user's file.

    Attributes
    ----------
    tables : mapping of (species, region, site class, treatment) to YieldTable
    """

    tables: Mapping[Key, YieldTable]

    def one(self, species: str, region: str, site_class: int, treatment: str = "") -> YieldTable:
        """The table of a stand type.

        Raises
        ------
        Refusal
            If it is not listed; no other is taken for it.
        """
        key = (species, region, site_class, treatment)
        if key not in self.tables:
            listed = ", ".join("/".join(map(str, k)) for k in sorted(self.tables))
            raise Refusal(
                [
                    Problem(
                        code="yield_table.not_listed",
                        where="/".join(map(str, key)),
                        expected_en=f"one of {listed}",
                        expected_ja=f"次のいずれか: {listed}",
                        got_en="a stand type that is not listed",
                        got_ja="表にない林分",
                        todo_en="Add its rows to the yield table with their source.",
                        todo_ja="出典を添えて収穫予想表に行を追加してください。",
                    )
                ]
            )
        return self.tables[key]

    def classes(self, species: str, region: str, treatment: str = "") -> tuple[YieldTable, ...]:
        """Tables of all site classes of a species, for `models.yield_table.site_class_of`."""
        return tuple(
            t for k, t in sorted(self.tables.items()) if (k[0], k[1], k[3]) == (species, region, treatment)
        )


def read_yield_tables(blob: Blob, tables: Tables) -> YieldTables:
    """Read a user's yield tables.

    Parameters
    ----------
    blob : Blob
        CSV (UTF-8 or CP932) or xlsx, headers in English or Japanese.
    tables : Tables
        Knows the names of species.

    Raises
    ------
    Refusal
        With every cell that is not what the schema says, and every age given twice.
    """
    findings = Findings()
    rows = read_rows(blob, ALIASES, REQUIRED, findings)
    if rows is None:
        raise Refusal(findings.refusals())
    groups: dict[Key, dict[Decimal, Row]] = {}
    for row in rows:
        key = _key(row, blob.name, tables, findings)
        age = _measures(row, blob.name, findings)
        if key is None or age is None:
            continue
        if age in groups.setdefault(key, {}):
            _bad(findings, blob.name, row, "age_years", ("each age once", "重複しない林齢"), str(age))
        groups[key][age] = row
    found = {key: _table(key, group, blob.name, findings) for key, group in groups.items()}
    if findings.refused:
        raise Refusal(findings.refusals())
    return YieldTables({key: table for key, table in found.items() if table is not None})


def _key(row: Row, name: str, tables: Tables, findings: Findings) -> Key | None:
    species = tables.species_key(row["species"])
    site = exact(row["site_class"])
    texts = [c for c in ("region", "source") if not row[c]]
    for column in texts:
        _bad(findings, name, row, column, ("a text", "文字列"), "")
    if species is None:
        _bad(findings, name, row, "species", ("a known species", "登録された樹種"), row["species"])
    if site is None or site != int(site) or site < 1:
        _bad(findings, name, row, "site_class", ("a whole number from 1", "1以上の整数"), row["site_class"])
        return None
    if row["verified"].casefold() not in FLAGS:
        _bad(findings, name, row, "verified", ("true or false", "true か false（済・未）"), row["verified"])
        return None
    return None if species is None or texts else (species, row["region"], int(site), row["treatment"])


def _measures(row: Row, name: str, findings: Findings) -> Decimal | None:
    """Age of a row whose numbers are all sound."""
    sound = True
    for column in MEASURES:
        text = row[column]
        number = exact(text)
        if (not text and column not in NEEDED) or (number is not None and number >= 0):
            continue
        _bad(findings, name, row, column, ("a number of zero or more", "0以上の数値"), text)
        sound = False
    return exact(row["age_years"]) if sound else None


def _table(key: Key, group: Mapping[Decimal, Row], name: str, findings: Findings) -> YieldTable | None:
    rows = [group[age] for age in sorted(group)]
    for column in ("source", "verified"):
        values = {r[column].casefold() for r in rows}
        if len(values) > 1:
            _bad(
                findings,
                name,
                rows[-1],
                column,
                ("the same for a stand type", "林分ごとに同じ値"),
                rows[-1][column],
            )
    try:
        return YieldTable(
            *key,
            rows=tuple(_row(r) for r in rows),
            source=rows[0]["source"],
            verified=FLAGS[rows[0]["verified"].casefold()],
        )
    except SatoyamaError as reason:
        findings.add(
            "yield_table.ages",
            f"{name} {'/'.join(map(str, key))}",
            expected=("two or more ages", "2つ以上の林齢"),
            got=(reason.en, reason.ja),
            todo=("Complete the table.", "表を補ってください。"),
        )
        return None


def _row(row: Row) -> YieldRow:
    values = {c: float(number) for c in MEASURES if (number := exact(row[c])) is not None}
    return YieldRow(**values)


def _bad(findings: Findings, name: str, row: Row, column: str, expected: tuple[str, str], got: str) -> None:
    findings.add(
        f"yield_table.{column}",
        f"{name} row {row.number}",
        expected=(f"{expected[0]} in {column}", f"{column}: {expected[1]}"),
        got=(repr(got) if got else "nothing", repr(got) if got else "空欄"),
        todo=("Correct the row.", "該当行を直してください。"),
    )
