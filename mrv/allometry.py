"""A user's table of direct allometry: one equation a row, with its source; the schema stands in ``docs/allometry-table.md``."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from math import isfinite

from models.allometry import Allometry
from mrv.errors import Problem, Refusal

NUMBERS = (
    "scale_kg",
    "dbh_power",
    "height_power",
    "density_power",
    "ln_dbh_squared",
    "ln_dbh_cubed",
    "log_residual_sd",
    "dbh_min_cm",
    "dbh_max_cm",
)
FLAGS = ("correction_included", "verified")
TEXTS = ("name", "source", "licence")
_FLAG = {"true": True, "false": False}


def read_allometries(table: bytes, file: str) -> dict[str, Allometry]:
    """Read a table of equations (UTF-8 CSV), by name.

    Parameters
    ----------
    file : str
        File name, for messages.

    Raises
    ------
    Refusal
        With every cell that is not what the schema says, a name given twice, and a source that is absent.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as reason:
        raise Refusal([_problem(file, "a CSV table in UTF-8", "UTF-8のCSV表", str(reason))]) from reason
    header = set(rows[0]) if rows else set()
    if missing := [c for c in (*TEXTS, *NUMBERS, *FLAGS) if c not in header]:
        columns = ", ".join(missing)
        raise Refusal([_problem(file, f"columns {columns}", f"列 {columns}", "none of that name")])
    problems: list[Problem] = []
    found: dict[str, Allometry] = {}
    for number, row in enumerate(rows, start=2):
        bad = list(_problems(row, f"{file} row {number}"))
        name = (row["name"] or "").strip()
        if name in found:
            bad.append(
                _problem(f"{file} row {number}", "each name once", "重複しない式の名前", f"{name!r} again")
            )
        problems += bad
        if not bad:
            found[name] = _allometry(row)
    if problems:
        raise Refusal(problems)
    return found


def _problems(row: Mapping[str, str | None], where: str) -> list[Problem]:
    out = [
        _problem(where, f"a text in {c}", f"{c}の文字列", "nothing")
        for c in TEXTS
        if not (row[c] or "").strip()
    ]
    out += [
        _problem(where, f"a number in {c}", f"{c}の数値", repr(row[c]))
        for c in NUMBERS
        if not _is_number(row[c])
    ]
    out += [
        _problem(where, f"true or false in {c}", f"{c}のtrueかfalse", repr(row[c]))
        for c in FLAGS
        if (row[c] or "").strip().lower() not in _FLAG
    ]
    if not out:
        n = _numbers(row)
        if n["scale_kg"] <= 0 or n["log_residual_sd"] < 0 or not 0 <= n["dbh_min_cm"] < n["dbh_max_cm"]:
            expected = "scale_kg > 0, log_residual_sd >= 0 and 0 <= dbh_min_cm < dbh_max_cm"
            out.append(_problem(where, expected, expected, str({k: n[k] for k in NUMBERS})))
    return out


def _is_number(text: str | None) -> bool:
    try:
        return isfinite(float(text or ""))
    except ValueError:
        return False


def _numbers(row: Mapping[str, str | None]) -> dict[str, float]:
    return {c: float(row[c] or "") for c in NUMBERS}


def _allometry(row: Mapping[str, str | None]) -> Allometry:
    n, text = _numbers(row), {c: (row[c] or "").strip() for c in (*TEXTS, *FLAGS)}
    return Allometry(
        name=text["name"],
        scale_kg=n["scale_kg"],
        dbh_power=n["dbh_power"],
        height_power=n["height_power"],
        density_power=n["density_power"],
        ln_dbh_squared=n["ln_dbh_squared"],
        ln_dbh_cubed=n["ln_dbh_cubed"],
        log_residual_sd=n["log_residual_sd"],
        correction_included=_FLAG[text["correction_included"].lower()],
        dbh_range_cm=(n["dbh_min_cm"], n["dbh_max_cm"]),
        source=text["source"],
        licence=text["licence"],
        verified=_FLAG[text["verified"].lower()],
    )


def _problem(where: str, expected_en: str, expected_ja: str, got: str) -> Problem:
    return Problem(
        code="allometry.bad_table",
        where=where,
        expected_en=expected_en,
        expected_ja=expected_ja,
        got_en=got,
        got_ja=got,
        todo_en="Correct the table of allometric equations (docs/allometry-table.md).",
        todo_ja="相対成長式の表を直してください(docs/allometry-table.md)。",
    )
