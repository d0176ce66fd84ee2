"""Settings and the workspace: one folder that holds everything a project keeps on this computer."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from models.errors import SatoyamaError

if TYPE_CHECKING:
    from flows.catalogue import Catalogue
    from flows.objects import ObjectStore

SETTINGS_FILE = "satoyama.toml"
FOLDERS = ("objects", "chain", "quarantine", "keys", "prefect", "scratch")
_HEADER = """\
# A Satoyama MRV workspace. Every line may be overridden by an environment variable SATOYAMA_<NAME>.
# No secrets here: keys live in the keystore (keys/) or the environment, and a catalogue address
# that carries a password belongs in SATOYAMA_CATALOGUE_URL.
"""


class WorkspaceError(SatoyamaError):
    """The workspace folder or its settings cannot be used as they are."""


class Settings(BaseSettings):
    """What a workspace is made of: environment (``SATOYAMA_*``) over ``satoyama.toml`` over the defaults.

    Attributes
    ----------
    catalogue_url : str
        SQLAlchemy address; empty means SQLite in the workspace.
    objects_url : str
        fsspec address of the object store; empty means the folder ``objects/``.
    chain_kind, chain_url : str
        ``embedded`` (py-evm in ``chain/``) or ``rpc`` with a JSON-RPC address.
    chain_confirmations : int
        Blocks, its own included, after which a batch and the index of events count as final on an ``rpc`` chain.
    stac : str
        Folder or file of the STAC catalogue that `watch` reads.
    language : {"en", "ja"}
    max_upload_bytes : int
        Largest survey upload the web page takes.
    """

    model_config = SettingsConfigDict(env_prefix="SATOYAMA_", extra="ignore", frozen=True)

    catalogue_url: str = ""
    objects_url: str = ""
    chain_kind: Literal["embedded", "rpc"] = "embedded"
    chain_url: str = ""
    chain_confirmations: int = Field(default=1, ge=1)
    stac: str = ""
    language: Literal["en", "ja"] = "en"
    max_upload_bytes: int = 8 << 30

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (env_settings, init_settings)


def read_settings(file: Path) -> Settings:
    """Settings of one workspace file.

    Raises
    ------
    WorkspaceError
        If the file is no TOML, has unknown names or wrong values, or carries a password.
    """
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WorkspaceError(
            en=f"{file}: expected TOML, got a syntax error ({error}). Mend the line or write the file anew.",
            ja=f"{file}: TOML形式が必要ですが、読み取れません（{error}）。該当行を直してください。",
        ) from error
    _refuse_unknown_and_secret(values, file)
    try:
        return Settings(**values)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise WorkspaceError(
            en=f"{file}: {wrong}. Mend the value, or the environment variable SATOYAMA_<NAME> that overrides it.",
            ja=f"{file}: 設定値が正しくありません（{wrong}）。値または環境変数 SATOYAMA_<名前> を直してください。",
        ) from error


def _refuse_unknown_and_secret(values: dict[str, Any], file: Path) -> None:
    unknown = sorted(set(values) - set(Settings.model_fields))
    if unknown:
        known = ", ".join(Settings.model_fields)
        raise WorkspaceError(
            en=f"{file}: unknown settings {', '.join(unknown)}. Known are: {known}.",
            ja=f"{file}: 不明な設定 {', '.join(unknown)} があります。使えるのは {known} です。",
        )
    for name in ("catalogue_url", "chain_url", "objects_url"):
        if urlsplit(str(values.get(name, ""))).password:
            raise WorkspaceError(
                en=f"{file}: {name} carries a password. Take it out of the file; set SATOYAMA_{name.upper()} instead.",
                ja=f"{file}: {name} にパスワードが書かれています。ファイルから消し、SATOYAMA_{name.upper()} で渡してください。",
            )


def _refuse_other(file: Path, asked: dict[str, str]) -> None:
    """Refuse settings that an existing workspace has otherwise: it is never rewritten behind anybody's back."""
    read_settings(file)
    kept = tomllib.loads(file.read_text(encoding="utf-8"))
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    have = {name: str(kept.get(name, defaults.get(name))) for name in asked}
    other = [name for name in asked if have[name] != str(asked[name])]
    if not other:
        return
    shown = ", ".join(
        f"{name} is {_shown(have[name])}, asked for was {_shown(asked[name])}" for name in other
    )
    shown_ja = "、".join(f"{name} は {_shown(have[name])}、指定は {_shown(asked[name])}" for name in other)
    raise WorkspaceError(
        en=f"{file.parent} is a workspace already, with other settings ({shown}). Leave the option out to work with it as it is, choose "
        f"another folder, or change the line in {file.name} if its chain holds nothing yet.",
        ja=f"{file.parent} はすでに別の設定の作業場所です（{shown_ja}）。そのまま使うなら指定を省いてください。別のフォルダーを選ぶか、"
        f"チェーンにまだ何もなければ {file.name} の該当行を直してください。",
    )


def _shown(value: str) -> str:
    """A setting for an error, without the key that a URL may carry."""
    scheme, mark, rest = value.partition("://")
    return repr(f"{scheme}{mark}{rest.split('/')[0].split('@')[-1]}" if mark else value)


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Workspace:
    """One folder: settings, catalogue, objects, chain, quarantine, keys.

    Attributes
    ----------
    root : Path
    settings : Settings
    clock : callable
        Gives the present time; tests inject their own.
    """

    root: Path
    settings: Settings
    clock: Callable[[], datetime] = field(default=utc_now, compare=False)

    @classmethod
    def create(cls, path: Path | str, **values: str) -> Self:
        """Make the folder with its settings file; an existing workspace is opened, never overwritten.

        Raises
        ------
        WorkspaceError
            If the place is a file, the settings are wrong, or an existing workspace has others than are given.
        """
        root = Path(path).expanduser().resolve()
        if root.exists() and not root.is_dir():
            raise WorkspaceError(
                en=f"{root} is a file; a workspace is a folder. Choose another place.",
                ja=f"{root} はファイルです。作業場所にはフォルダーを指定してください。",
            )
        root.mkdir(parents=True, exist_ok=True)
        file = root / SETTINGS_FILE
        if not file.exists():
            _refuse_unknown_and_secret(dict(values), file)
            lines = [f"{name} = {_toml_text(value)}\n" for name, value in values.items()]
            temporary = file.with_suffix(".tmp")
            temporary.write_text(_HEADER + "".join(lines), encoding="utf-8")
            os.replace(temporary, file)
        else:
            _refuse_other(file, values)
        for folder in FOLDERS:
            (root / folder).mkdir(exist_ok=True)
        (root / "keys").chmod(0o700)
        return cls.open(root)

    @classmethod
    def open(cls, path: Path | str | None = None) -> Self:
        """Open the workspace at `path`, else at ``SATOYAMA_WORKSPACE``, else where we stand.

        Raises
        ------
        WorkspaceError
            If no ``satoyama.toml`` is there.
        """
        root = Path(path or os.environ.get("SATOYAMA_WORKSPACE") or Path.cwd()).expanduser().resolve()
        file = root / SETTINGS_FILE
        if not file.is_file():
            raise WorkspaceError(
                en=f"{root} is no workspace: it has no {SETTINGS_FILE}. Make one with: satoyama init {root}",
                ja=f"{root} に {SETTINGS_FILE} がありません。次のコマンドで作成してください: satoyama init {root}",
            )
        return cls(root, read_settings(file))

    @cached_property
    def catalogue(self) -> Catalogue:
        """The catalogue, opened (and brought up to date) at first use."""
        from flows.catalogue import Catalogue

        return Catalogue.open(self.settings.catalogue_url or f"sqlite:///{self.root / 'catalogue.sqlite'}")

    @cached_property
    def objects(self) -> ObjectStore:
        """The object store, opened at first use."""
        from flows.objects import ObjectStore

        return ObjectStore(self.settings.objects_url or str(self.root / "objects"))

    @property
    def keys_folder(self) -> Path:
        return self.root / "keys"

    @property
    def chain_folder(self) -> Path:
        return self.root / "chain"

    @property
    def quarantine_folder(self) -> Path:
        return self.root / "quarantine"

    @property
    def scratch_folder(self) -> Path:
        """Where large files are written before they get their digest; same disk as the objects by default."""
        return self.root / "scratch"


def _toml_text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    if any(ord(c) < 32 for c in escaped):
        raise WorkspaceError(
            en=f"A setting must be one line of text, got {value!r}.",
            ja=f"設定値は1行の文字列である必要があります（{value!r}）。",
        )
    return f'"{escaped}"'
