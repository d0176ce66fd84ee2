"""What a project says of its payees is checked before anything of it is stored."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from flows.definition import DefinitionError, Payee, definition_of
from registry.accounts import AccountError, Accounts

FILE = Path(__file__).parents[2] / "data" / "demo" / "project.toml"
SAFE = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
ROLE_IDS = ("owner-a", "a", "x9_-", "a" * 31)
NO_ROLE_IDS = ("Owner", "9a", "-a", "owner a", "所有者", "../key", "a" * 32, "", "a\n")


def payee(**changes: Any) -> Payee:
    doc = tomllib.loads(FILE.read_text(encoding="utf-8"))
    one = {"id": "owner-a", "name_en": "Owner A", "name_ja": "所有者A", "share_ppm": 1_000_000, **changes}
    (made,) = definition_of({**doc, "payees": [one]}, Path("project.toml")).payees
    return made


def refused(**changes: Any) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        payee(**changes)
    assert "project.toml" in caught.value.en and "project.toml" in caught.value.ja
    return caught.value


def test_an_address_of_the_right_checksum_or_none_is_stored_in_its_checksum_form() -> None:
    assert {payee(address=a).address for a in (SAFE, SAFE.lower(), "0x" + SAFE[2:].upper())} == {SAFE}
    assert payee(address="").address == ""


@pytest.mark.parametrize("wrong", [SAFE.replace("6053", "6058"), SAFE[:-1], "0x" + "0" * 40, 7, "treasury"])
def test_a_mistyped_address_is_refused_and_its_payee_named(wrong: object) -> None:
    error = refused(address=wrong)
    assert "address of payee 'owner-a'" in error.en and "支払先 'owner-a' の address" in error.ja


@pytest.mark.parametrize("one", ROLE_IDS + NO_ROLE_IDS)
def test_an_id_is_one_that_can_be_the_name_of_a_key(one: str, tmp_path: Path) -> None:
    try:
        Accounts(tmp_path, {}).has(one.replace("-", "_"))
        names_a_key = one[:1] != "-"
    except AccountError:
        names_a_key = False
    assert names_a_key == (one in ROLE_IDS)
    if names_a_key:
        assert payee(id=one).payee_id == one
    else:
        assert repr(one) in refused(id=one).ja


@pytest.mark.parametrize("plots", ["P1", [1, 2], ["P1", ""], ["P1", "P1"], {"P1": 1}, None])
def test_plots_that_are_no_list_of_different_texts_are_refused(plots: object) -> None:
    error = refused(plots=plots)
    assert 'plots = ["P1", "P2"]' in error.en and repr(plots) in error.ja


@pytest.mark.parametrize(
    "changes", [{"name_ja": 7}, {"name_en": " "}, {"share_ppm": 0.5}, {"pay_by": "cheque"}]
)
def test_other_wrong_values_name_the_payee(changes: dict[str, Any]) -> None:
    assert "'owner-a'" in refused(**changes).en
