"""Keys of the roles: kept encrypted, found by role name, never shown."""

from __future__ import annotations

import json
import logging
import stat
import traceback
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account

from registry.accounts import PASSWORD_VARIABLE, AccountError, Accounts

PASSWORD = "correct horse battery"
KEY = "0x" + "4c" * 32
ENVIRONMENT = {PASSWORD_VARIABLE: PASSWORD}


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return Accounts(tmp_path / "keys", ENVIRONMENT)


def test_a_created_account_is_found_again_by_its_role(accounts: Accounts, tmp_path: Path) -> None:
    created = accounts.create("verifier")
    again = Accounts(tmp_path / "keys", ENVIRONMENT)
    assert again.load("verifier").key == created.key
    assert Accounts(tmp_path / "keys", {}).addresses() == {"verifier": created.address}


def test_two_programs_that_find_a_key_missing_at_once_end_with_the_same_one(
    accounts: Accounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Accounts(tmp_path / "keys", ENVIRONMENT)
    seal = Account.encrypt

    def slower(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(Account, "encrypt", seal)
        other.create("treasury")
        return seal(*arguments, **options)

    monkeypatch.setattr(Account, "encrypt", slower)
    assert accounts.load_or_create("treasury").key == other.load("treasury").key
    with pytest.raises(AccountError, match="already has a key"):
        accounts.create("treasury")


def test_the_keystore_file_is_encrypted_and_private(accounts: Accounts, tmp_path: Path) -> None:
    created = accounts.create("issuer")
    path = tmp_path / "keys" / "issuer.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert bytes(created.key).hex() not in path.read_text().lower()
    assert json.loads(path.read_text())["crypto"]["kdfparams"]["n"] == 2**14
    assert list(path.parent.iterdir()) == [path]


def test_the_environment_stands_before_the_keystore(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path, {"SATOYAMA_KEY_BUYER": KEY})
    assert accounts.load("buyer").address == Account.from_key(KEY).address
    assert accounts.addresses() == {"buyer": Account.from_key(KEY).address}


def test_a_key_that_is_there_is_never_replaced(accounts: Accounts, tmp_path: Path) -> None:
    first = accounts.create("admin")
    with pytest.raises(AccountError, match="already has a key"):
        accounts.create("admin")
    assert accounts.load_or_create("admin").address == first.address
    with pytest.raises(AccountError, match="already has a key"):
        Accounts(tmp_path, {**ENVIRONMENT, "SATOYAMA_KEY_BUYER": KEY}).create("buyer")


def test_a_missing_key_names_the_variable_in_both_languages(accounts: Accounts) -> None:
    with pytest.raises(AccountError) as caught:
        accounts.load("seller")
    assert "SATOYAMA_KEY_SELLER" in caught.value.en and "SATOYAMA_KEY_SELLER" in caught.value.ja


@pytest.mark.parametrize("role", ["../admin", "Admin", "", "a b", "a/b", "x" * 40])
def test_a_role_cannot_lead_out_of_the_folder(accounts: Accounts, role: str) -> None:
    with pytest.raises(AccountError, match="role is small Latin"):
        accounts.load(role)


def everything_about(error: pytest.ExceptionInfo[AccountError]) -> str:
    text = "".join(traceback.format_exception(error.value))
    return text + repr(error.value) + str(error.value.__cause__) + str(error.value.__context__)


@pytest.mark.parametrize("value", [KEY + "11", "0xnothex" + "4c" * 28, "4c" * 31, "4c" * 32 + "\u3042"])
def test_a_malformed_key_is_refused_without_showing_it(value: str) -> None:
    accounts = Accounts(None, {"SATOYAMA_KEY_BUYER": value})
    with pytest.raises(AccountError, match="does not hold a private key") as caught:
        accounts.load("buyer")
    shown = everything_about(caught)
    assert "4c4c" not in shown and "L" * 8 not in shown


def test_a_wrong_password_is_refused_without_showing_it(accounts: Accounts, tmp_path: Path) -> None:
    key = accounts.create("verifier").key
    wrong = "-".join(
        ["wrong", "secret"]
    )  # joined here, so that the source line in a traceback does not hold it
    with pytest.raises(AccountError, match="does not open") as caught:
        Accounts(tmp_path / "keys", {PASSWORD_VARIABLE: wrong}).load("verifier")
    shown = everything_about(caught)
    assert wrong not in shown and bytes(key).hex() not in shown
    with pytest.raises(AccountError, match=PASSWORD_VARIABLE):
        Accounts(tmp_path / "keys", {}).load("verifier")


def test_neither_log_nor_repr_shows_a_key(accounts: Accounts, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        account = accounts.create("verifier")
        accounts.load("verifier")
        account.sign_transaction(
            {"nonce": 0, "gas": 21000, "gasPrice": 1, "to": "0x" + "11" * 20, "value": 0}
        )
    key = bytes(account.key).hex()
    assert key not in caplog.text.lower() and PASSWORD not in caplog.text
    assert key not in (repr(accounts) + repr(account) + str(vars(accounts))).lower()


def test_without_a_folder_nothing_can_be_created() -> None:
    with pytest.raises(AccountError, match="keystore folder is needed"):
        Accounts(None, ENVIRONMENT).create("admin")
