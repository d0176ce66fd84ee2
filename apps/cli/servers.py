"""Verbs of what runs beside the work: the web pages, the embedded chain's JSON-RPC, its backups."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from apps.cli.roles import grant, revoke, roles, suspend
from apps.cli.say import REFUSED, Plain, Session

if TYPE_CHECKING:
    from registry.backup import ChainSummary


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.pass_obj
def serve(session: Session, host: str, port: int) -> None:
    """Open the web pages: upload, and a public page per batch. ウェブ画面

    \b
    Example: satoyama serve --port 8000
    """
    import uvicorn

    from apps.web import create_app

    app = create_app(session.open())
    session.tell(f"Open http://{host}:{port}/", f"ブラウザで http://{host}:{port}/ を開いてください")
    uvicorn.run(app, host=host, port=port, log_level="warning")


@click.group(cls=Plain)
def chain() -> None:
    """The workspace's chain. チェーン"""


for _command in (roles, grant, revoke, suspend):
    chain.add_command(_command)


@chain.command("serve")
@click.option("--port", default=8545, show_default=True, type=click.IntRange(1, 65535))
@click.pass_obj
def serve_chain(session: Session, port: int) -> None:
    """Answer JSON-RPC for the embedded chain on this computer, so that web3.py, cast and buyers can read it.

    \b
    Example: satoyama chain serve --port 8545
    """
    from flows import work
    from flows.work.chainbackup import embedded_file
    from registry.chain import open_embedded
    from registry.rpcserver import serve as answer

    ws = session.open()
    path = embedded_file(ws)
    work.deployment(ws)
    open_embedded(path).close()  # names the missing extra, or a damaged file, before a server starts
    answer(
        path,
        port,
        lambda: session.tell(f"JSON-RPC on http://127.0.0.1:{port}/", f"JSON-RPC: http://127.0.0.1:{port}/"),
    )


@chain.command("check")
@click.pass_obj
def check(session: Session) -> None:
    """Compare the contracts' code on the chain with this program's builds, and read the embedded chain whole. チェーンの検査

    \b
    Example: satoyama chain check
    """
    from flows.work.chainbackup import read_whole
    from flows.work.chainroom import check_contracts
    from registry.checks import all_passed
    from registry.verify_report import render_check

    ws = session.open()
    whole = read_whole(ws)
    found = check_contracts(ws)
    lang = "ja" if session.lang == "ja" else "en"
    if whole is not None:
        session.tell(
            f"The chain's file is whole: blocks 0 to {whole.head}, last hash {whole.head_hash}",
            f"チェーンのファイルは完全です: ブロック 0～{whole.head}、最終ハッシュ {whole.head_hash}",
        )
    for deployed, checks in found:
        version = deployed.program or "?"
        session.tell(
            f"Contracts of registry {deployed.registry}, deployed by version {version}:",
            f"登録簿 {deployed.registry} の契約（版 {version} で配備）:",
        )
        for one in checks:
            session.tell(render_check(one, lang), render_check(one, lang))
    good = all(all_passed(checks) for _, checks in found)
    deployments = [
        {"registry": d.registry, "program": d.program, "checks": [one.to_doc() for one in checks]}
        for d, checks in found
    ]
    session.result(
        {"ok": good, "file": None if whole is None else _summary(whole), "deployments": deployments}
    )
    if not good:
        click.get_current_context().exit(REFUSED)


@chain.command("yen")
@click.argument("role")
@click.argument("amount", type=click.IntRange(min=1))
@click.pass_obj
def give_yen(session: Session, role: str, amount: int) -> None:
    """Give a role development yen, which are worth nothing; a real stablecoin refuses.

    \b
    Example: satoyama chain yen buyer 100000
    """
    from flows import work

    ws = session.open()
    units = amount * 10 ** work.open_port(ws).yen_decimals()
    work.give_test_yen(ws, role, units)
    session.tell(f"{role} got {amount:,} development yen", f"{role} に開発用の円 {amount:,} を渡しました")
    session.result({"role": role, "base_units": units})


@chain.command("backup")
@click.argument("folder", type=click.Path(path_type=Path))
@click.pass_obj
def back_up(session: Session, folder: Path) -> None:
    """Write the embedded chain and its contracts' addresses to a new folder; work may go on meanwhile. バックアップ

    The keys (keys/), the catalogue and the stored surveys are NOT in it: back those folders and files up too, or what
    is restored can be read but nobody can act. 鍵・カタログ・調査データは含まれません。別に保存してください。

    \b
    Example: satoyama chain backup /mnt/usb/chain-2026-11-21
    """
    from flows import work

    made = work.backup_chain(session.open(), folder)
    session.tell(
        f"Backed up to {folder}: blocks 0 to {made.head}, last hash {made.head_hash}",
        f"{folder} へ保存しました: ブロック 0～{made.head}、最終ハッシュ {made.head_hash}",
    )
    session.result(_summary(made))


@chain.command("restore")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Allow that blocks made since the backup are forgotten.")
@click.pass_obj
def restore(session: Session, folder: Path, replace: bool) -> None:
    """Put a backup in place of the chain; `satoyama settle` then issues again what was issued since. 復元

    The keys and the catalogue are not part of a backup and stay as they are here. 鍵とカタログは元のままです。

    \b
    Example: satoyama chain restore /mnt/usb/chain-2026-11-21
    """
    from flows import work

    found = work.restore_chain(session.open(), folder, replace=replace)
    session.tell(
        f"Restored from {folder}: blocks 0 to {found.head}. Run satoyama settle next.",
        f"{folder} から復元しました: ブロック 0～{found.head}。続けて satoyama settle を実行してください。",
    )
    session.result(_summary(found))


def _summary(found: ChainSummary) -> dict[str, object]:
    return {"chain_id": found.chain_id, "head": found.head, "head_hash": found.head_hash}
