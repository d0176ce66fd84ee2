"""What the verbs say that do a thing once: the option for a deliberate second, and the word that it was done before."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from apps.cli.say import Session

again_option = click.option(
    "--again",
    "reference",
    default="",
    metavar="WORD",
    help="Mean it a second time: a word of your own that tells it from the first, and is itself used once.",
)


def tell_before(session: Session, sent_now: bool, block_time: int, tx_hash: str) -> None:
    """Say that nothing was sent, where the same words were carried out before."""
    if sent_now:
        return
    when = f"{datetime.fromtimestamp(block_time, UTC):%Y-%m-%d %H:%M} UTC"
    session.tell(
        f"This was done before, on {when} (transaction {tx_hash}); nothing is sent twice. If a second one is meant: --again WORD",
        f"同じ操作は {when} に実行済みです（取引 {tx_hash}）。二重には送りません。もう一度行う場合は --again 言葉 を付けてください",
    )
