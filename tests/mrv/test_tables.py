"""Tables are read once, hashed, and refuse what they do not list."""

from __future__ import annotations

import csv
import io
from fractions import Fraction

import pytest

from models.errors import UnknownSpecies
from mrv.tables import NAMES, load_tables

TABLES = load_tables()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("ヒノキ", "hinoki"),
        ("ﾋﾉｷ", "hinoki"),
        ("桧", "hinoki"),
        ("檜", "hinoki"),
        ("ひのき", "hinoki"),
        (" HINOKI ", "hinoki"),
        ("ｓｕｇｉ", "sugi"),
        ("Cryptomeria  japonica", "sugi"),
        ("こなら", "konara"),
        ("ミズナラ", "mizunara"),
        ("other_broadleaf", "other_broadleaf"),
        ("その他広葉樹", "other_broadleaf"),
    ],
)
def test_species_are_known_by_every_common_name(text, key):
    assert TABLES.species_key(text) == key


@pytest.mark.parametrize("text", ["", "banana", "天然"])
def test_unknown_names_are_not_guessed(text):
    assert TABLES.species_key(text) is None


def test_tables_carried_in_a_bundle_read_back_the_same():
    again = load_tables(TABLES.files())
    assert again.digest == TABLES.digest
    assert again.equations == TABLES.equations and again.factor_rows == TABLES.factor_rows


def test_one_changed_digit_changes_the_digest():
    files = TABLES.files()
    files["species_factors.csv"] = files["species_factors.csv"].replace(b"0.407", b"0.408")
    changed = load_tables(files)
    assert changed.digest != TABLES.digest
    assert changed.factors("mie", "hinoki").density_t_m3 == Fraction(408, 1000)


def test_a_missing_table_is_named():
    files = TABLES.files()
    del files["sdmd.csv"]
    with pytest.raises(FileNotFoundError, match=r"missing sdmd\.csv"):
        load_tables(files)


def test_mie_uses_osaka_equations_and_niigata_two_offices():
    assert TABLES.equation_set("mie", "hinoki").region == "osaka"
    assert TABLES.equation_set("mie", "konara").species == "broadleaf-type2"
    assert TABLES.equation_set("mie", "kunugi").species == "broadleaf-type1"
    assert TABLES.equation_set("niigata", "sugi").region == "aizu-niigata"
    assert TABLES.equation_set("niigata", "hinoki").region == "maebashi"
    assert all(TABLES.equations_verified("mie", s) for s in ("sugi", "hinoki", "konara"))
    assert not TABLES.equations_verified("kochi", "hinoki")


def test_other_broadleaf_differs_by_prefecture():
    assert TABLES.factors("mie", "other_broadleaf").density_t_m3 == Fraction(646, 1000)
    assert TABLES.factors("kochi", "other_broadleaf").density_t_m3 == Fraction(469, 1000)
    assert TABLES.factors("niigata", "other_broadleaf").density_t_m3 == Fraction(624, 1000)


@pytest.mark.parametrize(
    ("prefecture", "species"), [("hokkaido", "sugi"), ("mie", "todomatsu"), ("atlantis", "sugi")]
)
def test_a_pair_without_an_equation_is_refused_in_both_languages(prefecture, species):
    with pytest.raises(UnknownSpecies, match="equation_regions") as caught:
        TABLES.equation_set(prefecture, species)
    assert species in caught.value.ja and prefecture in caught.value.ja


def test_factors_of_an_unlisted_pair_are_refused():
    with pytest.raises(UnknownSpecies):
        TABLES.factors("atlantis", "other_broadleaf")
    with pytest.raises(UnknownSpecies):
        TABLES.factors("mie", "banana")


@pytest.mark.parametrize("name", NAMES)
def test_every_row_of_every_table_has_a_source_a_licence_and_a_mark(name):
    rows = list(csv.DictReader(io.StringIO(TABLES.files()[name].decode("utf-8"))))
    assert rows
    assert all(r["source"] and r["licence"] and r["verified"] in ("true", "false") for r in rows)


def test_every_species_has_factors_in_mie_and_every_listed_region_has_equations():
    for key in TABLES.species:
        assert TABLES.factors("mie", key).species == key
    for row in TABLES.regions.values():
        assert (row.region, row.equation_species) in TABLES.equations
