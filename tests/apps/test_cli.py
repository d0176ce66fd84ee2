"""The command line: plain words, an example for every verb, clear refusals, nothing heavy at start."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from apps.cli import main

VERBS = (
    "init",
    "survey",
    "measure",
    "claim",
    "approve",
    "issue",
    "buy",
    "retire",
    "statement",
    "verify",
    "serve",
    "flows",
)


def leaves(group: click.Group, path: tuple[str, ...] = ()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


def run(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_every_verb_of_the_main_job_is_there():
    assert set(VERBS) <= set(main.commands)


@pytest.mark.parametrize("path", [p for p, _ in leaves(main)], ids=" ".join)
def test_every_verb_explains_itself_with_an_example(path):
    text = run(*path, "--help").output
    assert "Example" in text
    assert "satoyama" in text.split("Example", 1)[1]


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from apps.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'prefect', 'sqlalchemy', 'web3', 'rasterio', 'numpy', 'fastapi', 'matplotlib'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout


def test_a_folder_that_is_no_workspace_is_refused_in_both_languages(tmp_path):
    result = run("-w", tmp_path, "measure")
    assert result.exit_code == 1
    assert "satoyama init" in result.output
    assert "がありません" in result.output


def test_scripts_get_one_json_document_even_for_a_refusal(tmp_path):
    result = run("-w", tmp_path, "--json", "measure")
    assert result.exit_code == 1
    error = json.loads(result.output)["error"]
    assert set(error) == {"codes", "en", "ja"}


def test_wrong_usage_leaves_with_status_two(tmp_path):
    assert run("-w", tmp_path, "buy").exit_code == 2
    assert run("no-such-verb").exit_code == 2


def test_a_bundle_that_is_none_fails_and_says_so(tmp_path):
    path = tmp_path / "evidence.zip"
    path.write_bytes(b"PK not a zip")
    result = run("verify", path, "--no-chain")
    assert result.exit_code == 1
    assert "NOT VERIFIED" in result.output


def test_init_twice_opens_the_same_workspace(tmp_path):
    assert run("init", tmp_path / "ws").exit_code == 0
    before = (tmp_path / "ws" / "satoyama.toml").read_text()
    assert run("init", tmp_path / "ws").exit_code == 0
    assert (tmp_path / "ws" / "satoyama.toml").read_text() == before


def test_keys_are_never_made_without_a_password(tmp_path, monkeypatch):
    monkeypatch.delenv("SATOYAMA_KEYSTORE_PASSWORD", raising=False)
    result = run("init", tmp_path / "ws", "--chain")
    assert result.exit_code == 1
    assert "SATOYAMA_KEYSTORE_PASSWORD" in result.output
    assert not list((tmp_path / "ws" / "keys").glob("*.json"))


def test_a_chain_is_backed_up_and_restored_by_two_verbs_and_a_wrong_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SATOYAMA_KEYSTORE_PASSWORD", "for this test only")
    ws, folder = tmp_path / "ws", tmp_path / "backup"
    assert run("init", ws, "--chain").exit_code == 0
    assert run("-w", ws, "--json", "chain", "backup", folder).exit_code == 0
    again = run("-w", ws, "chain", "backup", folder)
    assert again.exit_code == 1, "a backup is never written over"
    assert run("-w", ws, "chain", "restore", tmp_path).exit_code == 1
    restored = run("-w", ws, "--json", "chain", "restore", folder)
    assert restored.exit_code == 0
    assert json.loads(restored.output)["head"] > 0
