"""Problems found in what people hand in, and the refusals made of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from models.errors import SatoyamaError

Severity = Literal["refuse", "warn"]


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a file, plot or row.

    Parameters
    ----------
    code : str
        Stable short name such as ``raster.no_crs``; scripts and tests match on it.
    where : str
        File, and the plot or row in it, e.g. ``trees.csv row 14``.
    expected_en, expected_ja, got_en, got_ja, todo_en, todo_ja : str
        What was expected, what came, and what to do.
    severity : {"refuse", "warn"}
        A warning lets the survey in, and is printed in every report on it.
    """

    code: str
    where: str
    expected_en: str
    expected_ja: str
    got_en: str
    got_ja: str
    todo_en: str
    todo_ja: str
    severity: Severity = "refuse"

    @property
    def en(self) -> str:
        return f"{self.where}: expected {self.expected_en}, got {self.got_en}. {self.todo_en} [{self.code}]"

    @property
    def ja(self) -> str:
        return (
            f"{self.where}: {self.expected_ja}が必要ですが、{self.got_ja}でした。{self.todo_ja} [{self.code}]"
        )

    def to_doc(self) -> dict[str, str]:
        return {name: str(getattr(self, name)) for name in self.__dataclass_fields__}


class Refusal(SatoyamaError):
    """A survey, plan or bundle that is not accepted, with every reason found.

    Attributes
    ----------
    problems : tuple of Problem
    """

    def __init__(self, problems: tuple[Problem, ...] | list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            en="\n".join(p.en for p in self.problems),
            ja="\n".join(p.ja for p in self.problems),
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (Refusal, (self.problems,))

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(p.code for p in self.problems)


@dataclass(frozen=True)
class Reason:
    """Why a claim is refused, for people and scripts."""

    code: str
    en: str
    ja: str
    figures: dict[str, int] = field(default_factory=dict)


class ClaimRefused(SatoyamaError):
    """No credit may be made of this change.

    Attributes
    ----------
    reasons : tuple of Reason
    """

    def __init__(self, reasons: tuple[Reason, ...] | list[Reason]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(
            en="\n".join(f"{r.en} [{r.code}]" for r in self.reasons),
            ja="\n".join(f"{r.ja} [{r.code}]" for r in self.reasons),
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (ClaimRefused, (self.reasons,))
