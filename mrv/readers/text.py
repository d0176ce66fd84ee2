"""Text as teams write it: UTF-8 or CP932, full-width digits, Japanese eras; numbers are read exactly."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

_ERAS = {"令和": 2018, "r": 2018, "平成": 1988, "h": 1988, "昭和": 1925, "s": 1925, "大正": 1911, "t": 1911}
_ERA = re.compile(r"^(令和|平成|昭和|大正|[rhst])\.?(\d{1,2}|元)")
_DAY = re.compile(r"^(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?$")
_COMPACT_DAY = re.compile(r"^(\d{4})(\d{2})(\d{2})$")


def decode_text(data: bytes) -> tuple[str, str] | None:
    """Text and the encoding that was found, or None where it is none of UTF-8, UTF-16 with mark, CP932."""
    tries = ["utf-16"] if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ["utf-8-sig", "cp932"]
    for encoding in tries:
        try:
            return data.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    return None


def plain(text: object) -> str:
    """NFKC (full-width digits become ASCII), outer blanks gone."""
    return unicodedata.normalize("NFKC", "" if text is None else str(text)).strip()


def header_key(text: object) -> str:
    """A column header reduced to what is compared: NFKC, lower case, no blanks, underscores, points or hyphens."""
    return re.sub(r"[\s_\-.・:]+", "", plain(text).casefold())


def exact(text: str) -> Decimal | None:
    """The decimal number written, or None; thousands separators and a trailing unit are not numbers."""
    candidate = plain(text).replace("−", "-").replace("ー", "-")
    if not re.fullmatch(r"[+-]?(\d{1,12}(\.\d{0,12})?|\.\d{1,12})", candidate):
        return None
    try:
        return Decimal(candidate)
    except InvalidOperation:
        return None


def half_even_int(value: Decimal) -> int:
    """Nearest whole number, half to even."""
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def read_day(value: object) -> date | None:
    """A day: a date value, ISO, ``2021/10/20``, ``2021年10月20日``, ``20211020``, ``令和3年10月20日``, ``R3.10.20``."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = _western(plain(value))
    text = re.sub(r"[T ]00:00:00(\.0+)?$", "", text)
    match = _DAY.match(text) or _COMPACT_DAY.match(text)
    if match is None:
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def read_year(value: object) -> int | None:
    """A year such as 1985, ``1985年``, ``昭和60年``, ``S60``; None where it is not one."""
    text = re.sub(r"年度?$", "", _western(plain(value)))
    text = re.sub(r"\.0+$", "", text)
    if re.fullmatch(r"\d{4}", text) and 1000 <= int(text) <= 2200:
        return int(text)
    day = read_day(text)
    return day.year if day else None


def _western(text: str) -> str:
    """Era years (令和3) become years of the Common Era (2021)."""
    match = _ERA.match(text.casefold())
    if match is None:
        return text
    year = _ERAS[match[1]] + (1 if match[2] == "元" else int(match[2]))
    return f"{year:04d}{text[match.end() :]}"
