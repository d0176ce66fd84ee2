"""Keys of the roles: from the environment, or from an encrypted keystore folder.

A key never enters the workspace's settings, a log or an error text. Keystore files are the usual Web3
Secret Storage version 3, encrypted by scrypt with N = 2**14: lighter than the common 2**18, since a flow
opens several of them; guard the folder accordingly.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from models.errors import SatoyamaError
from registry.signer import SIGNER_VARIABLE_PREFIX, Signer, SignerError, signer_from

KEY_VARIABLE_PREFIX = "SATOYAMA_KEY_"
PASSWORD_VARIABLE = "SATOYAMA_KEYSTORE_PASSWORD"
_SCRYPT_N = 2**14
_ROLE = re.compile(r"[a-z][a-z0-9_]{0,30}")


class AccountError(SatoyamaError):
    """A role's key is missing or cannot be read; the text never holds a key or password."""


class Accounts:
    """Accounts by role name (`admin`, `issuer`, `verifier`, `seller`, `buyer`, ...).

    Parameters
    ----------
    folder
        Keystore folder, one `<role>.json` each; None if keys come from the environment only.
    environ
        Environment to read: `SATOYAMA_SIGNER_<ROLE>` (``ADDRESS@http://host:port``, a hardware wallet's bridge say) stands before
        `SATOYAMA_KEY_<ROLE>`, and that before the keystore file.
    """

    def __init__(self, folder: Path | None, environ: Mapping[str, str] | None = None) -> None:
        self._folder = folder
        self._environ = os.environ if environ is None else environ
        self._opened: dict[str, Signer] = {}

    def __repr__(self) -> str:
        return f"Accounts({str(self._folder)!r})"

    def create(self, role: str) -> LocalAccount:
        """New key for `role` in the keystore folder; refused where the role already has one."""
        path = self._path(role)
        if path is None:
            raise AccountError(
                en=f"A keystore folder is needed to create the account '{role}', and none is configured.",
                ja=f"アカウント '{role}' を作るにはキーストアのフォルダーが必要ですが、設定されていません。",
            )
        if self.has(role):
            raise _has_key(role)
        account: LocalAccount = Account.create()
        sealed = Account.encrypt(account.key, self._password(), kdf="scrypt", iterations=_SCRYPT_N)
        try:
            _write_private(path, json.dumps(sealed, indent=1))
        except FileExistsError as error:
            # Another process made one in between.
            raise _has_key(role) from error
        self._opened[role] = account
        return account

    def load(self, role: str) -> Signer:
        """The account of `role`: a signer elsewhere if one is named, else a key of the environment, else of the keystore.

        Raises
        ------
        AccountError
            If there is no key, it is malformed, or the password does not open it.
        """
        path = self._path(role)
        if role not in self._opened:
            if (elsewhere := SIGNER_VARIABLE_PREFIX + role.upper()) in self._environ:
                self._opened[role] = _elsewhere(self._environ[elsewhere], elsewhere)
            elif self._variable(role) in self._environ:
                self._opened[role] = self._from_environment(role)
            elif path is not None and path.is_file():
                self._opened[role] = self._from_keystore(role, path)
            else:
                raise AccountError(
                    en=f"There is no key for '{role}'. Set {self._variable(role)} or create it in the keystore.",
                    ja=f"'{role}' の鍵がありません。{self._variable(role)} を設定するか、キーストアに作成してください。",
                )
        return self._opened[role]

    def load_or_create(self, role: str) -> Signer:
        """The account of `role`, created in the keystore if it has no key yet."""
        if not self.has(role):
            try:
                return self.create(role)
            except AccountError:
                # Two programs may find it missing at once; the key that was there first counts for both.
                if not self.has(role):
                    raise
        return self.load(role)

    def has(self, role: str) -> bool:
        """Whether `role` has a key."""
        path = self._path(role)
        named = (self._variable(role), SIGNER_VARIABLE_PREFIX + role.upper())
        return any(name in self._environ for name in named) or (path is not None and path.is_file())

    def addresses(self) -> dict[str, str]:
        """Checksum address of every role that has a key; needs no password."""
        found: dict[str, str] = {}
        if self._folder is not None and self._folder.is_dir():
            for path in sorted(self._folder.glob("*.json")):
                if _ROLE.fullmatch(path.stem):
                    found[path.stem] = _checksum("0x" + json.loads(path.read_text())["address"])
        for name in self._environ:
            for prefix in (KEY_VARIABLE_PREFIX, SIGNER_VARIABLE_PREFIX):
                role = name.removeprefix(prefix).lower()
                if name.startswith(prefix) and _ROLE.fullmatch(role):
                    found[role] = self.load(role).address
        return dict(sorted(found.items()))

    def _path(self, role: str) -> Path | None:
        if not _ROLE.fullmatch(role):
            raise AccountError(
                en=f"A role is small Latin letters, digits and underscores, e.g. 'verifier'; got {role[:40]!r}.",
                ja=f"役割名は英小文字・数字・下線です(例 'verifier')。受け取った値: {role[:40]!r}",
            )
        return None if self._folder is None else self._folder / f"{role}.json"

    @staticmethod
    def _variable(role: str) -> str:
        return KEY_VARIABLE_PREFIX + role.upper()

    def _password(self) -> str:
        password = self._environ.get(PASSWORD_VARIABLE)
        if not password:
            raise AccountError(
                en=f"The keystore needs its password in the environment variable {PASSWORD_VARIABLE}.",
                ja=f"キーストアのパスワードを環境変数 {PASSWORD_VARIABLE} に設定してください。",
            )
        return password

    def _from_environment(self, role: str) -> LocalAccount:
        variable = self._variable(role)
        try:
            account: LocalAccount = Account.from_key(self._environ[variable].strip())
        except Exception:  # noqa: BLE001  the library's errors of every kind quote the key, so none may pass
            malformed = True
        else:
            malformed = False
        if malformed:
            # Raised outside the except block: not even the context may carry the library's text.
            raise AccountError(
                en=f"{variable} does not hold a private key: expected 0x and 64 hex digits.",
                ja=f"{variable} は秘密鍵ではありません。0x と16進64桁が必要です。",
            )
        return account

    def _from_keystore(self, role: str, path: Path) -> LocalAccount:
        password = self._password()
        try:
            sealed: dict[str, Any] = json.loads(path.read_text())
            account: LocalAccount = Account.from_key(Account.decrypt(sealed, password))
        except (ValueError, KeyError, TypeError, NotImplementedError):
            opened = False
        else:
            opened = True
        if not opened:
            raise AccountError(
                en=f"The keystore file of '{role}' does not open: wrong {PASSWORD_VARIABLE}, or a damaged file.",
                ja=f"'{role}' のキーストアを開けません。{PASSWORD_VARIABLE} が違うか、ファイルが壊れています。",
            )
        return account


def _elsewhere(text: str, variable: str) -> Signer:
    try:
        return signer_from(text, variable)
    except SignerError as error:
        raise AccountError(en=error.en, ja=error.ja) from error


def _checksum(address: str) -> str:
    from eth_utils.address import to_checksum_address

    return to_checksum_address(address)


def _has_key(role: str) -> AccountError:
    return AccountError(
        en=f"The account '{role}' already has a key. Remove or rename it first if you mean to replace it.",
        ja=f"アカウント '{role}' の鍵はすでにあります。取り替える場合は先に移すか消してください。",
    )


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)  # fails where the file has appeared meanwhile; a rename would replace a key
    finally:
        os.unlink(name)
