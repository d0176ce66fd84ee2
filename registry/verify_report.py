"""What a verification reports: its checks as they are made, and the verdict in words."""

from __future__ import annotations

import csv
import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from laspy.errors import LaspyException
from rasterio.errors import RasterioError
from shapely.errors import ShapelyError

from models.errors import SatoyamaError
from mrv import __version__
from registry.checks import Check, Status

Lang = Literal["en", "ja"]
LEFT_OUT = "chain.left_out"
# What a document made by somebody else may raise when it is read as what it should be; all of it is a finding.
SPOILT = (
    SatoyamaError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    OSError,
    RasterioError,
    AssertionError,
    RuntimeError,
    EOFError,
    ShapelyError,
    LaspyException,
    csv.Error,
    struct.error,
    zlib.error,
)
_MARKS: Mapping[Lang, Mapping[Status, str]] = {
    "en": {"passed": "[ok]      ", "failed": "[FAILED]  ", "not_made": "[not made]"},
    "ja": {"passed": "[合格]  ", "failed": "[不合格]", "not_made": "[未実施]"},
}


@dataclass(frozen=True)
class VerifyReport:
    """All checks of one bundle, in the order they were made.

    Attributes
    ----------
    recomputed_kg : int or None
        Gross kilograms CO2e that the files lead to; None where they were not recomputed.
    ok : bool
        True only if every check passed, but for those that the caller asked to leave out.
    """

    checks: tuple[Check, ...]
    recomputed_kg: int | None
    batch_id: str
    evidence_root: str

    @property
    def ok(self) -> bool:
        made = [c for c in self.checks if c.name != LEFT_OUT]
        return self.recomputed_kg is not None and bool(made) and all(c.status == "passed" for c in made)

    @property
    def failed(self) -> tuple[Check, ...]:
        return tuple(c for c in self.checks if c.status == "failed")

    def render(self, lang: Lang = "en") -> str:
        """One line per check and a last line with the verdict."""
        return "\n".join([*(render_check(c, lang) for c in self.checks), self.verdict(lang)])

    def verdict(self, lang: Lang = "en") -> str:
        """The last line: verified or not."""
        if self.ok:
            left_out = any(c.name == LEFT_OUT for c in self.checks)
            note_en = " The chain was not asked." if left_out else ""
            note_ja = "チェーンとは照合していません。" if left_out else ""
            if lang == "ja":
                return f"検証結果: すべての検査に合格。再計算値 {self.recomputed_kg:,} kg CO2e。{note_ja}"
            return f"VERIFIED: every check holds; {self.recomputed_kg:,} kg CO2e recomputed.{note_en}"
        failed = len(self.failed)
        open_ = sum(c.status == "not_made" and c.name != LEFT_OUT for c in self.checks)
        if lang == "ja":
            return f"検証結果: 検証できません。不合格 {failed} 件、未実施 {open_} 件。"
        return f"NOT VERIFIED: {failed} failed, {open_} not made."

    def to_doc(self) -> dict[str, Any]:
        return {
            "verify_ok": self.ok,
            "recomputed_kg": self.recomputed_kg,
            "batch_id": self.batch_id,
            "evidence_root": self.evidence_root,
            "program_version": __version__,
            "checks": [c.to_doc() for c in self.checks],
        }


def render_check(check: Check, lang: Lang = "en") -> str:
    """One line for people."""
    detail = check.detail_ja if lang == "ja" else check.detail_en
    return f"{_MARKS[lang][check.status]} {' '.join(detail.split())} [{check.name}]"


def in_words(error: BaseException) -> tuple[str, str]:
    """What an error says, in English and Japanese, each on one line."""
    if isinstance(error, SatoyamaError):
        return " ".join(error.en.split()), " ".join(error.ja.split())
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text, text


class Log:
    """Checks as they are made; each is told to the caller at once. `say`, `judge` and `add` return whether it passed."""

    def __init__(self, tell: Callable[[Check], None] | None) -> None:
        self.checks: list[Check] = []
        self._tell = tell

    def add(self, check: Check) -> bool:
        self.checks.append(check)
        if self._tell is not None:
            self._tell(check)
        return check.status == "passed"

    def say(self, name: str, status: Status, en: str, ja: str) -> bool:
        return self.add(Check(name, status, en, ja))

    def judge(self, name: str, holds: bool, good: tuple[str, str], bad: tuple[str, str]) -> bool:
        return self.say(name, "passed" if holds else "failed", *(good if holds else bad))

    def broken(self, name: str, en: str, ja: str, error: BaseException) -> bool:
        """A check that failed because something could not be read."""
        why_en, why_ja = in_words(error)
        return self.say(name, "failed", f"{en}: {why_en}", f"{ja}。{why_ja}")
