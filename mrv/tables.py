"""The reference tables: read once, hashed, and handed on as values."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Literal, cast

from models.biomass import SpeciesFactors
from models.errors import UnknownSpecies
from models.growth import DensityDiagram, HeightCurve
from models.volume import DiameterUnit, EquationSet, Form, VolumeEquation
from mrv.blob import digest_bytes, digest_doc

NAMES = (
    "equation_regions.csv",
    "height_age.csv",
    "sdmd.csv",
    "species_factors.csv",
    "species_names.csv",
    "stem_volume_equations.csv",
)
ALL_PREFECTURES = "all"
Row = Mapping[str, str]


@dataclass(frozen=True)
class Species:
    """Names of one species.

    Attributes
    ----------
    volume_group : str
        Row of the equation table to use where the species has none of its own (``broadleaf``).
    """

    key: str
    name_ja: str
    name_en: str
    scientific: str
    kind: Literal["conifer", "broadleaf"]
    volume_group: str


@dataclass(frozen=True)
class RegionRow:
    """Which equations hold for a species in a prefecture, and whether that was read in a source."""

    region: str
    equation_species: str
    verified: bool


@dataclass(frozen=True)
class Tables:
    """All reference tables as values.

    Attributes
    ----------
    species : mapping of key to Species
    equations : mapping of (region, species) to EquationSet
    regions : mapping of (prefecture, species or group) to RegionRow
    diagrams : mapping of (region, species) to DensityDiagram
    height_curves : mapping of (species, site class) to HeightCurve
        Recalled; for the simulator only.
    digest : str
        Over the bytes of every file.
    """

    species: Mapping[str, Species]
    equations: Mapping[tuple[str, str], EquationSet]
    regions: Mapping[tuple[str, str], RegionRow]
    factor_rows: tuple[SpeciesFactors, ...]
    diagrams: Mapping[tuple[str, str], DensityDiagram]
    height_curves: Mapping[tuple[str, int], HeightCurve]
    digest: str
    _names: Mapping[str, str] = field(repr=False)
    _files: Mapping[str, bytes] = field(repr=False)

    def files(self) -> dict[str, bytes]:
        """Bytes of every table by file name, so that a bundle can carry them."""
        return dict(self._files)

    def species_key(self, text: str) -> str | None:
        """Key of a species named in Japanese or English, in any width or case; None if it is not known."""
        return self._names.get(_plain(text))

    def equation_set(self, prefecture: str, species: str) -> EquationSet:
        """Volume equations of a species in a prefecture.

        Raises
        ------
        UnknownSpecies
            If the pair is not listed: nothing is defaulted.
        """
        row = self._region_row(prefecture, species)
        return self.equations[row.region, row.equation_species]

    def equations_verified(self, prefecture: str, species: str) -> bool:
        """Whether the choice of equations and the equations themselves were read in their sources."""
        row = self._region_row(prefecture, species)
        return row.verified and self.equations[row.region, row.equation_species].verified

    def factors(self, prefecture: str, species: str) -> SpeciesFactors:
        """Biomass constants of a species in a prefecture.

        Raises
        ------
        UnknownSpecies
            If the pair is not listed: nothing is defaulted.
        """
        for row in self.factor_rows:
            if row.species == species and (
                row.prefectures == ALL_PREFECTURES or prefecture in row.prefectures.split()
            ):
                return row
        raise _unlisted(prefecture, species, "biomass factors", "拡大係数等", "species_factors.csv")

    def _region_row(self, prefecture: str, species: str) -> RegionRow:
        known = self.species.get(species)
        for name in (species, known.volume_group if known else species):
            if row := self.regions.get((prefecture, name)):
                return row
        raise _unlisted(prefecture, species, "a volume equation", "幹材積式", "equation_regions.csv")


def load_tables(source: Mapping[str, bytes] | None = None) -> Tables:
    """Read the tables from the installed package or checkout, or from the bytes a bundle carries.

    Parameters
    ----------
    source : mapping of file name to bytes, optional
        By default the tables that came with this program.

    Raises
    ------
    FileNotFoundError
        If a table is missing.
    ValueError
        If a table is not what it should be; the text names the file and the row.
    """
    given = _own_files() if source is None else source
    if missing := [name for name in NAMES if name not in given]:
        raise FileNotFoundError(f"expected the tables {', '.join(NAMES)}, missing {', '.join(missing)}")
    files = {name: bytes(given[name]) for name in NAMES}
    species, names = _species(files["species_names.csv"])
    return Tables(
        species=species,
        equations=_equations(files["stem_volume_equations.csv"]),
        regions={
            (r["prefecture"], r["species"]): RegionRow(r["region"], r["equation_species"], _flag(r))
            for r in _rows(files["equation_regions.csv"])
        },
        factor_rows=tuple(_factors(r) for r in _rows(files["species_factors.csv"])),
        diagrams={(d.region, d.species): d for d in map(_diagram, _rows(files["sdmd.csv"]))},
        height_curves={(c.species, c.site_class): c for c in map(_curve, _rows(files["height_age.csv"]))},
        digest=digest_doc({name: digest_bytes(data) for name, data in files.items()}),
        _names=names,
        _files=files,
    )


def _own_files() -> dict[str, bytes]:
    packaged = resources.files("mrv").joinpath("_data")
    if packaged.is_dir():
        return {name: packaged.joinpath(name).read_bytes() for name in NAMES}
    checkout = Path(__file__).resolve().parent.parent / "data"
    return {name: (checkout / name).read_bytes() for name in NAMES}


def _rows(data: bytes) -> Iterator[Row]:
    yield from csv.DictReader(io.StringIO(data.decode("utf-8")))


def _flag(row: Row) -> bool:
    text = row["verified"]
    if text not in ("true", "false"):
        raise ValueError(f"column verified: expected true or false, got {text!r} in {dict(row)}")
    return text == "true"


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold().replace("_", " ")
    return " ".join(folded.split())


def _species(data: bytes) -> tuple[dict[str, Species], dict[str, str]]:
    species: dict[str, Species] = {}
    names: dict[str, str] = {}
    for row in _rows(data):
        key, english = row["key"], row["names_en"].split("|")
        kind = cast(Literal["conifer", "broadleaf"], row["kind"])
        species[key] = Species(key, row["name_ja"], english[0], row["scientific"], kind, row["volume_group"])
        for name in (key, row["name_ja"], *row["variants_ja"].split("|"), *english, row["scientific"]):
            if not name:
                continue
            if names.setdefault(_plain(name), key) != key:
                raise ValueError(f"species_names.csv: {name} names both {names[_plain(name)]} and {key}")
    return species, names


def _equations(data: bytes) -> dict[tuple[str, str], EquationSet]:
    classes: dict[tuple[str, str], list[VolumeEquation]] = {}
    for row in _rows(data):
        terms = dict(part.split("=") for part in row["terms"].split())
        below = row["dbh_below_cm"]
        equation = VolumeEquation(
            id=f"{row['region']}/{row['species']}/{row['dbh_from_cm']}",
            d_from_mm=_millimetres(row["dbh_from_cm"]),
            d_below_mm=_millimetres(below) if below else None,
            form=cast(Form, row["left_side"]),
            terms={name: float(value) for name, value in terms.items()},
            d_unit=cast(DiameterUnit, row["dbh_unit_in_terms"]),
            verified=_flag(row),
        )
        classes.setdefault((row["region"], row["species"]), []).append(equation)
    return {
        key: EquationSet(*key, tuple(sorted(found, key=lambda e: e.d_from_mm)))
        for key, found in classes.items()
    }


def _millimetres(text_cm: str) -> int:
    exact = Fraction(text_cm) * 10
    if exact.denominator != 1:
        raise ValueError(f"stem_volume_equations.csv: expected whole millimetres, got {text_cm} cm")
    return exact.numerator


def _factors(row: Row) -> SpeciesFactors:
    return SpeciesFactors(
        species=row["species"],
        prefectures=row["prefectures"],
        bef_young=Fraction(row["bef_young"]),
        bef_old=Fraction(row["bef_old"]),
        root_ratio=Fraction(row["root_ratio"]),
        density_t_m3=Fraction(row["density_t_m3"]),
        carbon_fraction=Fraction(row["carbon_fraction"]),
        verified=_flag(row),
        verified_constants=tuple(row["verified_constants"].split()),
        source=row["source"],
    )


def _diagram(row: Row) -> DensityDiagram:
    numbers = {name: float(row[name]) for name in ("b1", "e1", "b2", "e2", "k", "h0", "h1", "h2")}
    return DensityDiagram(region=row["region"], species=row["species"], verified=_flag(row), **numbers)


def _curve(row: Row) -> HeightCurve:
    return HeightCurve(
        row["species"],
        int(row["site_class"]),
        float(row["asymptote_m"]),
        float(row["rate_per_year"]),
        float(row["shape"]),
        _flag(row),
    )


def _unlisted(prefecture: str, species: str, what_en: str, what_ja: str, table: str) -> UnknownSpecies:
    return UnknownSpecies(
        en=f"expected {what_en} for species {species!r} in prefecture {prefecture!r}, but data/{table} lists none; "
        "use a listed species or add a row with its source",
        ja=f"都道府県 {prefecture!r} の樹種 {species!r} の{what_ja}が必要ですが、data/{table} にありません。"
        "表にある樹種を使うか、出典を添えて行を追加してください",
    )
