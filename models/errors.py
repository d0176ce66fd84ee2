"""The base of every error that a person may read: one text in English, one in Japanese."""

from __future__ import annotations


class SatoyamaError(ValueError):
    """Base of all errors of this program.

    Parameters
    ----------
    en, ja : str
        The same message in both languages: what was expected, what came, where, what to do.
    """

    def __init__(self, *, en: str, ja: str) -> None:
        self.en = en
        self.ja = ja
        super().__init__(en)

    def __str__(self) -> str:
        return f"{self.en}\n{self.ja}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.en, self.ja))


def _rebuild(kind: type[SatoyamaError], en: str, ja: str) -> SatoyamaError:
    error = kind.__new__(kind)
    SatoyamaError.__init__(error, en=en, ja=ja)
    return error


class OutOfRange(SatoyamaError):
    """A value lies outside what a formula was made for."""


class UnknownSpecies(SatoyamaError):
    """No equation or factor is listed for this species; nothing is ever defaulted."""
