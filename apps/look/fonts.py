"""Fonts that come with dependencies, so that PDFs and maps can hold Japanese without a system font."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from models.errors import SatoyamaError


class FontMissing(SatoyamaError):
    """The package that carries a font is not installed."""


def _inside(package: str, *parts: str) -> Path:
    spec = find_spec(package)
    folder = Path(spec.origin).parent if spec is not None and spec.origin else None
    path = folder.joinpath(*parts) if folder is not None else None
    if path is None or not path.is_file():
        raise FontMissing(
            en=f"expected the font {parts[-1]} of the package {package}, found none: install satoyama-mrv[web]",
            ja=f"パッケージ {package} のフォント {parts[-1]} が見つかりません。satoyama-mrv[web] を入れてください",
        )
    return path


def japanese_font() -> Path:
    """IPAexGothic, carried by matplotlib-fontja (IPA Font License); found without importing matplotlib."""
    return _inside("matplotlib_fontja", "fonts", "ipaexg.ttf")


def latin_font(*, bold: bool = False) -> Path:
    """DejaVu Sans, carried by matplotlib: accents, Greek and Cyrillic that IPAexGothic lacks."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return _inside("matplotlib", "mpl-data", "fonts", "ttf", name)
