"""A workspace is one folder, and its file holds no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.settings import Workspace, WorkspaceError


def test_a_new_workspace_has_its_folders_and_opens_again(tmp_path: Path) -> None:
    made = Workspace.create(tmp_path / "ws", language="ja")
    assert (made.root / "satoyama.toml").read_text().endswith('language = "ja"\n')
    assert {p.name for p in made.root.iterdir() if p.is_dir()} >= {"objects", "chain", "quarantine", "keys"}
    assert Workspace.open(made.root).settings == made.settings
    assert made.settings.language == "ja"


def test_creating_twice_keeps_the_first_settings_and_refuses_others(tmp_path: Path) -> None:
    made = Workspace.create(tmp_path, language="ja")
    assert Workspace.create(tmp_path).settings == made.settings
    assert Workspace.create(tmp_path, language="ja", chain_kind="embedded").settings == made.settings
    with pytest.raises(WorkspaceError, match="language is 'ja', asked for was 'en'") as caught:
        Workspace.create(tmp_path, language="en")
    assert "language は 'ja'" in caught.value.ja
    assert Workspace.open(tmp_path).settings == made.settings


def test_a_chains_address_is_not_ignored_where_the_workspace_has_another(tmp_path: Path) -> None:
    Workspace.create(tmp_path)
    with pytest.raises(WorkspaceError, match="chain_kind is 'embedded', asked for was 'rpc'") as caught:
        Workspace.create(tmp_path, chain_kind="rpc", chain_url="https://node.example/v3/secret-key")
    assert "node.example" in caught.value.en and "secret-key" not in str(caught.value)


def test_the_environment_stands_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Workspace.create(tmp_path, language="ja", chain_kind="embedded")
    monkeypatch.setenv("SATOYAMA_LANGUAGE", "en")
    assert Workspace.open(tmp_path).settings.language == "en"


def test_the_workspace_is_found_through_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Workspace.create(tmp_path)
    monkeypatch.setenv("SATOYAMA_WORKSPACE", str(tmp_path))
    assert Workspace.open().root == tmp_path


def test_a_folder_without_settings_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="satoyama init"):
        Workspace.open(tmp_path)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ('catalog_url = "sqlite:///x"', "catalog_url"),
        ('language = "fr"', "language"),
        ("language = ", "syntax"),
        ('catalogue_url = "postgresql+psycopg://u:hush@db/x"', "SATOYAMA_CATALOGUE_URL"),
    ],
)
def test_wrong_settings_are_named_and_no_password_is_repeated(tmp_path: Path, line: str, named: str) -> None:
    (tmp_path / "satoyama.toml").write_text(line + "\n")
    with pytest.raises(WorkspaceError, match=named) as caught:
        Workspace.open(tmp_path)
    assert "hush" not in str(caught.value)
    assert caught.value.ja and caught.value.en


def test_a_password_is_not_written_into_a_new_file(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError):
        Workspace.create(tmp_path / "ws", catalogue_url="postgresql+psycopg://u:hush@db/x")
    assert not (tmp_path / "ws" / "satoyama.toml").exists()
