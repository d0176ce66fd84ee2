"""Tables as rows: CSV (UTF-8 or CP932) and xlsx, with header names in English or Japanese."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import openpyxl

from mrv.blob import Blob
from mrv.readers.findings import Findings, listed
from mrv.readers.hostile import Unreadable, hostile
from mrv.readers.text import decode_text, header_key, plain

MAX_TABLE_BYTES = 64 << 20
MAX_ROWS = 500_000
MAX_XLSX_BYTES = 128 << 20
MAX_XLSX_PARTS = 2_000
MAX_COLUMNS = 500


@dataclass(frozen=True)
class Row:
    """One line of a table: its number as a spreadsheet shows it, and its cells by canonical column name."""

    number: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")


def read_rows(
    blob: Blob, aliases: Mapping[str, Sequence[str]], required: Sequence[str], findings: Findings
) -> list[Row] | None:
    """Rows of a CSV or xlsx table, or None where it cannot be read.

    Parameters
    ----------
    aliases : mapping of canonical column name to headers that mean it
    required : columns that must be there

    Notes
    -----
    Cells are NFKC-normalised text. Empty lines are skipped but counted, so that numbers agree with the spreadsheet.
    """
    if blob.size > MAX_TABLE_BYTES:
        findings.add(
            "table.too_large",
            blob.name,
            expected=(f"at most {MAX_TABLE_BYTES >> 20} MiB", f"{MAX_TABLE_BYTES >> 20} MiB以下"),
            got=(f"{blob.size >> 20} MiB", f"{blob.size >> 20} MiB"),
            todo=("Split the survey.", "調査を分けてください。"),
        )
        return None
    data = blob.read_bytes()
    lines = (
        _xlsx_lines(blob, data, findings) if data[:4] == b"PK\x03\x04" else _csv_lines(blob, data, findings)
    )
    if lines is None:
        return None
    columns = _columns(blob.name, lines, aliases, required, findings)
    if columns is None:
        return None
    start, of_column = columns
    rows = []
    for number, line in lines[start + 1 :]:
        if any(line):
            cells = {name: line[i] if i < len(line) else "" for name, i in of_column.items()}
            rows.append(Row(number, cells))
    if not rows:
        findings.add(
            "table.empty",
            blob.name,
            expected=("at least one row", "1行以上"),
            got=("only a header", "見出しのみ"),
            todo=("Fill in the table.", "表に記入してください。"),
        )
        return None
    return rows


Lines = list[tuple[int, list[str]]]


def _csv_lines(blob: Blob, data: bytes, findings: Findings) -> Lines | None:
    decoded = decode_text(data)
    if decoded is None or "\x00" in decoded[0]:
        findings.add(
            "text.encoding",
            blob.name,
            expected=("UTF-8 or CP932 (Shift_JIS) text", "UTF-8またはCP932（Shift_JIS）の文字"),
            got=("bytes that are neither", "どちらでもないバイト列"),
            todo=("Save it as CSV UTF-8.", "「CSV UTF-8」で保存し直してください。"),
        )
        return None
    text, encoding = decoded
    if encoding == "cp932":
        findings.note(blob.name, ("read as CP932 (Shift_JIS)", "CP932（Shift_JIS）として読みました"))
    head = text.split("\n", 1)[0]
    delimiter = max(",\t;", key=head.count)
    lines: Lines = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        last = 0
        for cells in reader:
            lines.append((last + 1, [plain(c) for c in cells[:MAX_COLUMNS]]))
            last = reader.line_num
            if len(lines) > MAX_ROWS:
                raise csv.Error(f"more than {MAX_ROWS} rows")
    except csv.Error as error:
        _unreadable(blob.name, str(error), findings)
        return None
    return lines


def _xlsx_lines(blob: Blob, data: bytes, findings: Findings) -> Lines | None:
    try:
        with hostile():
            _check_workbook(data)
            return _sheet(data)
    except Unreadable as error:
        _unreadable(blob.name, str(error), findings)
        return None


def _check_workbook(data: bytes) -> None:
    """A workbook is a zip of XML: neither may unpack to more than it should."""
    with zipfile.ZipFile(io.BytesIO(data)) as inner:
        infos = inner.infolist()
        if sum(i.file_size for i in infos) > MAX_XLSX_BYTES or len(infos) > MAX_XLSX_PARTS:
            raise Unreadable("a workbook that unpacks to more than it may")
        for info in infos:
            if info.filename.endswith((".xml", ".rels")):
                with inner.open(info) as part:
                    if b"<!DOCTYPE" in part.read(4096):
                        raise Unreadable("a workbook with XML entities")


def _sheet(data: bytes) -> Lines:
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    lines: Lines = []
    for number, values in enumerate(
        book.worksheets[0].iter_rows(values_only=True, max_col=MAX_COLUMNS), start=1
    ):
        lines.append((number, [_cell_text(v) for v in values]))
        if number > MAX_ROWS:
            raise Unreadable(f"more than {MAX_ROWS} rows")
    book.close()
    return lines


def _cell_text(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return plain(value)


def _unreadable(name: str, why: str, findings: Findings) -> None:
    findings.add(
        "table.unreadable",
        name,
        expected=("a CSV or xlsx table", "CSVまたはxlsxの表"),
        got=(why, f"読めない表（{why}）"),
        todo=("Open it in a spreadsheet and save it again.", "表計算ソフトで開いて保存し直してください。"),
    )


def _columns(
    name: str,
    lines: Lines,
    aliases: Mapping[str, Sequence[str]],
    required: Sequence[str],
    findings: Findings,
) -> tuple[int, dict[str, int]] | None:
    start = next((i for i, (_, cells) in enumerate(lines) if any(cells)), None)
    header = lines[start][1] if start is not None else []
    known = {header_key(alias): column for column, names in aliases.items() for alias in (column, *names)}
    found: dict[str, int] = {}
    twice, strange = [], []
    for index, cell in enumerate(header):
        column = known.get(header_key(cell))
        if column is None:
            if cell:
                strange.append(cell)
        elif column in found:
            twice.append(cell)
        else:
            found[column] = index
    missing = [column for column in required if column not in found]
    if missing or twice or start is None:
        got = ", ".join(header)[:200] or "nothing"
        wanted = [f"{c} ({'/'.join(aliases[c][:2])})" for c in (missing or required)]
        fault = f"headers: {got}" + (f"; twice: {', '.join(twice)}" if twice else "")
        findings.add(
            "table.columns",
            name,
            expected=(f"each column once: {', '.join(wanted)}", f"列 {', '.join(wanted)}（各1回）"),
            got=(fault, f"見出し: {got}" + (f"、重複: {', '.join(twice)}" if twice else "")),
            todo=("Name the columns so.", "列名を直してください。"),
        )
        return None
    if strange:
        names = listed(strange)
        findings.note(name, (f"columns not used: {names[0]}", f"使わない列: {names[1]}"))
    findings.note(name, (f"{len(lines) - start - 1} rows", f"{len(lines) - start - 1} 行"))
    return start, found
