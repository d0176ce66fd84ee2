"""What the command line says: plain text or JSON, and errors in both languages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models.errors import SatoyamaError

if TYPE_CHECKING:
    from flows.settings import Workspace
    from flows.work.sharing import AnnouncedChange

REFUSED = 1


@dataclass(frozen=True)
class Session:
    """How one call of the command line speaks, and in which workspace it works."""

    workspace: Path | None
    as_json: bool
    lang: str

    def open(self) -> Workspace:
        from flows.settings import Workspace

        return Workspace.open(self.workspace)

    def pick(self, en: str, ja: str) -> str:
        return ja if self.lang == "ja" else en

    def money(self, base_units: int) -> str:
        """An amount of the workspace's yen token, to its last decimal place."""
        from apps.look.wording import money
        from flows import work

        return money(base_units, work.open_port(self.open()).yen_decimals())

    def tell(self, en: str, ja: str) -> None:
        """One line for people; silent where scripts read JSON."""
        if not self.as_json:
            click.echo(self.pick(en, ja))

    def result(self, doc: dict[str, Any]) -> None:
        """The JSON document of a command, for scripts."""
        if self.as_json:
            click.echo(json.dumps(doc, ensure_ascii=False, indent=2, default=str))


class Plain(click.Group):
    """A command group that turns refusals into one clear text in both languages and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        with refusals(ctx):
            return super().invoke(ctx)


@contextmanager
def refusals(ctx: click.Context) -> Iterator[None]:
    """Print a `SatoyamaError` for people or scripts and leave with status 1."""
    try:
        yield
    except SatoyamaError as error:
        session = ctx.find_object(Session)
        if session is not None and session.as_json:
            click.echo(json.dumps({"error": error_doc(error)}, ensure_ascii=False, indent=2))
        else:
            first, second = (error.ja, error.en) if session and session.lang == "ja" else (error.en, error.ja)
            click.secho(first, err=True, fg="red" if sys.stderr.isatty() else None)
            click.echo(second, err=True)
        ctx.exit(REFUSED)


def error_doc(error: SatoyamaError) -> dict[str, Any]:
    """A refusal for scripts: stable codes and both texts."""
    codes = getattr(error, "codes", None) or [r.code for r in getattr(error, "reasons", ())]
    return {"codes": list(codes) or [type(error).__name__], "en": error.en, "ja": error.ja}


def tonnes(grams: int) -> str:
    """Grams as tonnes with one decimal, for people."""
    return f"{grams / 1e6:,.1f}"


def tell_announced(session: Session, announced: AnnouncedChange | None, *, err: bool = False) -> None:
    """Say which shares change, from when on; on the error stream where tables are printed on the other."""
    if announced is None or session.as_json:
        return
    start = announced.effective_from.astimezone()
    said = session.pick(
        f"Announced: from {start:%Y-%m-%d %H:%M %Z} on shares are those of epoch {announced.epoch}",
        f"予告: {start:%Y-%m-%d %H:%M %Z} から配分はエポック {announced.epoch} になります",
    )
    click.echo(said, err=err)
    for who, now, then in announced.rows:
        click.echo(f"  {who:16s} {now:>9,} -> {then:>9,} ppm", err=err)
