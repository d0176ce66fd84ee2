"""The command ``satoyama``: what each of the three users starts. Nothing heavy is imported before a verb is chosen."""

from __future__ import annotations

import os
from pathlib import Path

import click

from apps.cli.buyer import verify
from apps.cli.disputes import challenge
from apps.cli.market import buy, retire, reverse, sell, statement
from apps.cli.moving import buffer, migrate
from apps.cli.payouts import payout
from apps.cli.plans import plan
from apps.cli.runs import approve, claim, flows, issue, measure, settle, watch
from apps.cli.say import Plain, Session
from apps.cli.servers import chain, serve
from apps.cli.stand import stand
from apps.cli.team import init, survey
from mrv import __version__


@click.group(cls=Plain, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "-w",
    "--workspace",
    type=click.Path(path_type=Path),
    help="Folder of the workspace (else SATOYAMA_WORKSPACE, else here).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for scripts.")
@click.option("--lang", type=click.Choice(["en", "ja"]), help="Language of what is printed. 表示言語")
@click.version_option(__version__, prog_name="satoyama")
@click.pass_context
def main(ctx: click.Context, workspace: Path | None, as_json: bool, lang: str | None) -> None:
    """Forest surveys become carbon credits that anyone can recompute, and the money goes home.
    森林調査を、誰でも再計算できる炭素クレジットに。

    \b
    A forestry team:   satoyama init my-coop --project project.toml
                       satoyama survey check survey.zip;  satoyama survey submit survey.zip
    Scheduled runs:    satoyama measure;  claim;  approve;  issue;  settle;  flows serve
    A credit buyer:    satoyama buy --kg 5000;  satoyama retire ...;  satoyama verify evidence.zip

    Exit status: 0 done, 1 refused or a check failed (the reason is printed in both languages), 2 wrong usage.
    """
    language = lang or os.environ.get("SATOYAMA_LANGUAGE") or "en"
    ctx.obj = Session(workspace, as_json, "ja" if language == "ja" else "en")


for command in (
    init,
    survey,
    plan,
    stand,
    measure,
    claim,
    approve,
    issue,
    sell,
    buy,
    retire,
    reverse,
    challenge,
    buffer,
    migrate,
    statement,
    settle,
    payout,
    watch,
    verify,
    serve,
    flows,
    chain,
):
    main.add_command(command)
