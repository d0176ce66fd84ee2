"""What a verification found: one line per check, in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["passed", "failed", "not_made"]


@dataclass(frozen=True)
class Check:
    """One check of a batch.

    Parameters
    ----------
    name : str
        Stable short name such as ``chain.content_root``.
    status : {"passed", "failed", "not_made"}
        A check that could not be made is never counted as passed.
    detail_en, detail_ja : str
        What was compared and found, readable by a buyer who is no programmer.
    """

    name: str
    status: Status
    detail_en: str
    detail_ja: str

    def to_doc(self) -> dict[str, str]:
        """The check as a JSON object."""
        return {
            "name": self.name,
            "status": self.status,
            "detail_en": self.detail_en,
            "detail_ja": self.detail_ja,
        }


def all_passed(checks: list[Check] | tuple[Check, ...]) -> bool:
    """Whether there is at least one check and every one passed."""
    return bool(checks) and all(check.status == "passed" for check in checks)


def compared(name: str, what_en: str, what_ja: str, expected: object, found: object) -> Check:
    """A check that two values are equal; both are named in the detail."""
    if expected == found:
        return Check(name, "passed", f"{what_en}: {_shown(found)}", f"{what_ja}: {_shown(found)}")
    return Check(
        name,
        "failed",
        f"{what_en}: expected {_shown(expected)}, found {_shown(found)}",
        f"{what_ja}: {_shown(expected)} のはずですが、{_shown(found)} でした",
    )


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
