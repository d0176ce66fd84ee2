"""A list of problems that grows while files are read, so that a team sees all faults at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mrv.errors import Problem, Severity

Both = tuple[str, str]
SHOWN = 8


@dataclass
class Findings:
    """Problems and notes found so far; the one mutable value of intake, never kept beyond it."""

    problems: list[Problem] = field(default_factory=list)
    notes: dict[str, list[Both]] = field(default_factory=dict)

    def add(
        self, code: str, where: str, *, expected: Both, got: Both, todo: Both, severity: Severity = "refuse"
    ) -> None:
        """Record a problem; texts are pairs of English and Japanese."""
        en, ja = ([shorten(pair[k]) for pair in (expected, got, todo)] for k in (0, 1))
        found = Problem(code, shorten(where), en[0], ja[0], en[1], ja[1], en[2], ja[2], severity)
        if found not in self.problems:
            self.problems.append(found)

    def warn(self, code: str, where: str, *, expected: Both, got: Both, todo: Both) -> None:
        """Record a problem that lets the survey in."""
        self.add(code, where, expected=expected, got=got, todo=todo, severity="warn")

    def note(self, name: str, text: Both) -> None:
        """Say what was understood or will be done with a file."""
        self.notes.setdefault(name, []).append((shorten(text[0]), shorten(text[1])))

    @property
    def refused(self) -> bool:
        return any(p.severity == "refuse" for p in self.problems)

    @property
    def count(self) -> int:
        """Number of refusals so far: a step that adds none was sound."""
        return len(self.refusals())

    def refusals(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if p.severity == "refuse")


def same(text: str) -> Both:
    """A text that reads alike in both languages (a number, a code, a file name)."""
    return (text, text)


def shorten(text: str, length: int = 600) -> str:
    """Hostile content is quoted, printable and short."""
    clean = "".join(c if c.isprintable() else "�" for c in text)
    return clean if len(clean) <= length else clean[: length - 1] + "…"


def listed(items: Iterable[object]) -> Both:
    """First few items and how many there are, in both languages."""
    every: Sequence[str] = [str(i) for i in items]
    head = ", ".join(every[:SHOWN])
    if len(every) <= SHOWN:
        return head, head
    return f"{head}, … ({len(every)} in all)", f"{head} など（全{len(every)}件）"
