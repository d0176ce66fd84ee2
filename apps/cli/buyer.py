"""The buyer's verb: check a bundle back to the pixels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from apps.cli.say import REFUSED, Session

if TYPE_CHECKING:
    from registry.checks import Check
    from registry.port import ChainPort


@click.command()
@click.argument("target")
@click.option("--rpc", help="JSON-RPC address of the chain the batch is on.")
@click.option(
    "--deployment", type=click.Path(path_type=Path), help="Contract addresses (deployment.json), with --rpc."
)
@click.option(
    "--no-chain", is_flag=True, help="Leave the chain out; the report says that it was not checked."
)
@click.option("--root", help="Evidence root known from elsewhere (public page, certificate).")
@click.pass_obj
def verify(
    session: Session, target: str, rpc: str | None, deployment: Path | None, no_chain: bool, root: str | None
) -> None:
    """Recompute credited kilograms from the pixels, and check the chain. 画素からの再計算と検証

    TARGET is an evidence bundle (zip or folder), or a batch id of the workspace.

    \b
    Examples: satoyama verify evidence.zip --no-chain
              satoyama verify evidence.zip --rpc https://node.example --deployment deployment.json
              satoyama -w my-coop verify sha256:...
    """
    import tempfile

    from registry.verify import verify as run_checks
    from registry.verify_report import render_check

    lang = "ja" if session.lang == "ja" else "en"
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(target)
        if not bundle.exists():
            from flows import work

            bundle = work.evidence_to(session.open(), target, Path(folder) / "evidence.zip")
        port = None if no_chain else _port(session, rpc, deployment, bundle)

        def tell(check: Check) -> None:
            if not session.as_json:
                click.echo(render_check(check, lang))

        report = run_checks(bundle, port, evidence_root=root, tell=tell)
    session.result(report.to_doc())
    if not session.as_json:
        click.echo(report.render(lang).splitlines()[-1])
    if not report.ok:
        click.get_current_context().exit(REFUSED)


def _port(session: Session, rpc: str | None, deployment: Path | None, bundle: Path) -> ChainPort:
    if rpc is None:
        from flows import work
        from flows.work import chainroom, successor

        ws = session.open()
        if not chainroom.past_deployments(ws):
            return work.open_port(ws)
        from mrv.bundle import Bundle

        with Bundle(bundle) as opened:
            return successor.port_that_issued(ws, opened.claim().batch_id)
    from models.errors import SatoyamaError
    from registry.chain import ChainConfig, connect
    from registry.manifest import read_manifest
    from registry.port import ChainPort

    if deployment is None:
        raise SatoyamaError(
            en="With --rpc the contract addresses are needed: --deployment deployment.json (on the batch's public page).",
            ja="--rpc には契約アドレスが必要です: --deployment deployment.json（バッチの公開ページにあります）。",
        )
    named = read_manifest(deployment)
    return ChainPort(connect(ChainConfig("rpc", url=rpc)), named)
