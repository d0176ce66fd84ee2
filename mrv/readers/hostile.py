"""The one place where faults of outside parsers are caught whole, and raised again by one name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Unreadable(ValueError):
    """A parser of an outside format could not read a file; the text is what it said."""


@contextmanager
def hostile() -> Iterator[None]:
    """Around calls of outside parsers on bytes that nobody has checked.

    Raises
    ------
    Unreadable
        Whatever the parser raised.
    """
    try:
        yield
    except Exception as error:
        # Fed with damaged bytes, openpyxl, pyogrio, laspy and rasterio raise nearly every exception there is (zlib.error,
        # UnboundLocalError, struct.error, …); a list of them would never be whole, and a missed one is a crash of intake.
        raise Unreadable(f"{type(error).__name__}: {error}") from error
