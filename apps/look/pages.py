"""Jinja environments: one language a page (web), or both with a switch (files that travel)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from importlib.resources import files
from typing import Literal

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from apps.look import wording
from apps.look.wording import Lang, Text

Tongue = Literal["en", "ja", "both"]


def style_sheet() -> str:
    """The one style sheet, which a self-contained file carries inline."""
    return files("apps.look").joinpath("satoyama.css").read_text(encoding="utf-8")


def _filled(template: str, values: dict[str, object], lang: Lang) -> Markup:
    plain = {k: (v.of(lang) if isinstance(v, Text) else v) for k, v in values.items()}
    return Markup(template).format(**plain) if plain else Markup(template)


def speaker(tongue: Tongue) -> Callable[..., Markup]:
    """``t(en, ja, **values)`` for templates: literal markup in, values escaped; or ``t(Text)``."""

    def t(en: str | Text, ja: str | None = None, **values: object) -> Markup:
        if isinstance(en, Text):
            return t(str(escape(en.en)), str(escape(en.ja)))
        assert ja is not None, f"no Japanese for {en!r}"
        if tongue != "both":
            return _filled(ja if tongue == "ja" else en, values, tongue)
        if en == ja and not any(isinstance(v, Text) for v in values.values()):
            return _filled(en, values, "en")
        return Markup('<span class="en" lang="en">{}</span><span class="ja" lang="ja">{}</span>').format(
            _filled(en, values, "en"), _filled(ja, values, "ja")
        )

    return t


def _label(tongue: Tongue) -> Callable[[str, str], str]:
    """Words for attributes, where no markup can stand."""
    return lambda en, ja: Text(en, ja).both if tongue == "both" else Text(en, ja).of(tongue)


def environment(tongue: Tongue, package: str) -> Environment:
    """Templates of `package` and of the shared look, strict about missing values, everything escaped."""
    env = Environment(
        loader=ChoiceLoader([PackageLoader(package, "templates"), PackageLoader("apps.look", "templates")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals.update(
        t=speaker(tongue), label=_label(tongue), tongue=tongue, style=lambda: Markup(style_sheet()), W=wording
    )
    env.filters.update(
        whole=wording.whole,
        tonnes=wording.tonnes,
        kg_tonnes=wording.tonnes_of_kg,
        ha=wording.hectares,
        short=wording.short,
        day=lambda value: wording.day(value) if isinstance(value, date) else value,
        moment=lambda value: wording.moment(value) if isinstance(value, datetime) else value,
    )
    return env
