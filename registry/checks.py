"""One line of a verification: what was looked at, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "failed", "not_made"]


@dataclass(frozen=True)
class Check:
    """One check, in words that a buyer can read.

    Attributes
    ----------
    name : str
        Stable short name (``files``, ``stage canopy``); scripts and tests match on it.
    status : {"passed", "failed", "not_made"}
        ``not_made`` is never a pass: the detail says why the check could not be made.
    detail_en, detail_ja : str
        What was found.
    """

    name: str
    status: Status
    detail_en: str
    detail_ja: str

    def to_doc(self) -> dict[str, str]:
        return {
            "name": self.name,
            "status": self.status,
            "detail_en": self.detail_en,
            "detail_ja": self.detail_ja,
        }


def passed(name: str, en: str, ja: str) -> Check:
    """A check that holds."""
    return Check(name, "passed", en, ja)


def failed(name: str, en: str, ja: str) -> Check:
    """A check that does not hold."""
    return Check(name, "failed", en, ja)


def not_made(name: str, en: str, ja: str) -> Check:
    """A check that was not made."""
    return Check(name, "not_made", en, ja)
