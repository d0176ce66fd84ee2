"""Verbs of the market: offer, buy, retire, and the statement of where the money went."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from apps.cli.again import again_option, tell_before
from apps.cli.runs import newest_claim, project_option
from apps.cli.say import Session, tell_announced

if TYPE_CHECKING:
    from flows.settings import Workspace
    from registry.events import Retired, Sold


@click.command()
@click.option("--kg", type=click.IntRange(min=1), required=True, help="How many kilograms to offer.")
@click.option("--price", type=click.IntRange(min=1), required=True, help="Yen per tonne.")
@click.option("--batch", help="Batch id; the newest by default.")
@again_option
@click.pass_obj
def sell(session: Session, kg: int, price: int, batch: str | None, reference: str) -> None:
    """Offer issued credits at a price; the same offer is made once. 売り出し

    \b
    Example: satoyama sell --kg 100000 --price 15000
    """
    from flows import work
    from flows.work import once

    ws = session.open()
    units = price * 10 ** work.open_port(ws).yen_decimals()
    done = once.list_once(ws, batch or newest_claim(session), kg, units, reference)
    listed = done.result
    tell_before(session, done.sent_now, listed.block_time, listed.tx_hash)
    session.tell(
        f"Offer {listed.listing_id}: {kg:,} kg at {price:,} yen per tonne",
        f"出品 {listed.listing_id}: {kg:,} kg、1トン {price:,} 円",
    )
    session.result({**listed.to_doc(), "sent_now": done.sent_now})


@click.command()
@click.option("--kg", type=click.IntRange(min=1), required=True, help="How many kilograms.")
@click.option("--listing", type=int, help="Which offer; the newest open one by default.")
@click.option("--max-cost", type=int, help="Refuse above this many base units of the token.")
@click.option("--quote", "only_quote", is_flag=True, help="Say what it costs, to the base unit; buy nothing.")
@click.option("--retire-for", "beneficiary", help="Retire what is bought at once, for this beneficiary.")
@click.option("--purpose", help="Of the retirement.  [default: voluntary offset]")
@click.option("--country", help="ISO 3166-1 alpha-2, of the retirement.  [default: JP]")
@click.option(
    "--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First day of the emissions compensated."
)
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last day of them.")
@again_option
@click.pass_obj
def buy(
    session: Session,
    kg: int,
    listing: int | None,
    max_cost: int | None,
    only_quote: bool,
    beneficiary: str | None,
    purpose: str | None,
    country: str | None,
    first: datetime | None,
    last: datetime | None,
    reference: str,
) -> None:
    """Buy credits; the money goes to the revenue split in the same transaction. 購入

    With --retire-for they are used up in that transaction too, with a certificate. The same purchase is made once,
    however often this is run.

    \b
    Example: satoyama buy --kg 5000
    Example: satoyama buy --kg 5000 --retire-for "Example Co." --purpose "Events of 2026"
    """
    from flows import work

    consumption = _period(first, last)
    if beneficiary is None and (purpose or country or consumption):
        raise click.UsageError(
            "--purpose, --country, --from and --to tell of a retirement: give --retire-for."
        )
    ws = session.open()
    if only_quote:
        offer = open_listing(session, kg) if listing is None else listing
        cost = work.open_port(ws).quote(offer, kg)
        session.tell(
            f"Offer {offer}: {kg:,} kg cost {session.money(cost)} yen",
            f"出品 {offer}: {kg:,} kg は {session.money(cost)} 円です",
        )
        session.result({"listing_id": offer, "kg": kg, "cost": cost})
        return
    asked = {"max_cost": max_cost, "reference": reference}
    sold, retired, sent_now = _bought(
        session, ws, (kg, listing), asked, beneficiary, purpose, country, consumption
    )
    tell_before(session, sent_now, sold.block_time, sold.tx_hash)
    session.tell(
        f"Bought {sold.kg:,} kg for {session.money(sold.cost)} yen; transaction {sold.tx_hash}",
        f"{sold.kg:,} kg を {session.money(sold.cost)} 円で購入。取引 {sold.tx_hash}",
    )
    if retired is not None:
        session.tell(
            f"Retired for {beneficiary} in the same transaction: certificate {retired.certificate_id}",
            f"同じ取引で {beneficiary} のため無効化しました: 証明書 {retired.certificate_id}",
        )
    certificate = {"retired": retired.to_doc()} if retired else {}
    session.result({**sold.to_doc(), **certificate, "sent_now": sent_now})


def _bought(
    session: Session,
    ws: Workspace,
    what: tuple[int, int | None],
    asked: dict[str, Any],
    beneficiary: str | None,
    purpose: str | None,
    country: str | None,
    consumption: tuple[date, date] | None,
) -> tuple[Sold, Retired | None, bool]:
    """The sale, the certificate if one was asked for, and whether this run sent them."""
    from flows.work import once
    from flows.work.trading import consumption_days
    from registry.port import Retirement

    def choose() -> int:
        return open_listing(session, what[0])

    if beneficiary is None:
        bought = once.buy_once(ws, *what, choose, **asked)
        return bought.result, None, bought.sent_now
    days = consumption_days(consumption)
    who = Retirement(beneficiary, purpose or "voluntary offset", country or "JP", *days)
    both = once.buy_and_retire_once(ws, *what, choose, who, **asked)
    return *both.result, both.sent_now


def open_listing(session: Session, kg: int) -> int:
    """The newest offer that still holds so many kilograms."""
    from flows import work
    from models.errors import SatoyamaError
    from registry.events import Listed

    ws = session.open()
    port = work.open_port(ws)
    for event in reversed(port.events()):
        if isinstance(event, Listed) and port.listing(event.listing_id).kg >= kg:
            return event.listing_id
    raise SatoyamaError(
        en=f"No open offer holds {kg:,} kg. Ask the seller to run: satoyama sell --kg {kg} --price YEN",
        ja=f"{kg:,} kg を満たす出品がありません。売り手に依頼してください: satoyama sell --kg {kg} --price 円",
    )


@click.command()
@click.option("--kg", type=click.IntRange(min=1), required=True, help="How many kilograms.")
@click.option("--beneficiary", required=True, help="For whom the credits are used.")
@click.option("--purpose", default="voluntary offset", show_default=True)
@click.option("--country", default="JP", show_default=True, help="ISO 3166-1 alpha-2.")
@click.option(
    "--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First day of the emissions compensated."
)
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last day of them.")
@click.option("--batch", help="Batch id; the newest by default.")
@click.option("--certificate", type=click.Path(path_type=Path), help="Write the certificate (PDF) here.")
@again_option
@click.pass_obj
def retire(
    session: Session,
    kg: int,
    beneficiary: str,
    purpose: str,
    country: str,
    first: datetime | None,
    last: datetime | None,
    batch: str | None,
    certificate: Path | None,
    reference: str,
) -> None:
    """Use credits up, for ever, and get a certificate; the same is done once. 無効化（償却）と証明書

    \b
    Example: satoyama retire --kg 5000 --beneficiary "Example Co." --from 2025-04-01 --to 2026-03-31 --certificate c.pdf
    """
    from flows import work
    from flows.work import once

    ws = session.open()
    name = batch or newest_claim(session)
    consumption = _period(first, last)
    done = once.retire_once(
        ws,
        name,
        kg,
        beneficiary=beneficiary,
        purpose=purpose,
        country=country,
        consumption=consumption,
        reference=reference,
    )
    retired = done.result
    tell_before(session, done.sent_now, retired.block_time, retired.tx_hash)
    if certificate is not None:
        from apps.pdf import render_certificate
        from apps.web.reads import Reader

        work.index_events(ws)
        render_certificate(Reader(ws).certificate(retired.certificate_id), certificate)
    session.tell(
        f"Retired {kg:,} kg for {beneficiary}: certificate {retired.certificate_id}",
        f"{beneficiary} のため {kg:,} kg を無効化しました: 証明書 {retired.certificate_id}",
    )
    session.result({**retired.to_doc(), "sent_now": done.sent_now})


def _period(first: datetime | None, last: datetime | None) -> tuple[date, date] | None:
    if first is None and last is None:
        return None
    if first is None or last is None:
        raise click.UsageError("--from and --to go together.")
    return first.date(), last.date() + timedelta(days=1)


@click.command()
@click.option(
    "--kg",
    type=click.IntRange(min=1),
    required=True,
    help="What is no longer stored, as the refused claim says.",
)
@click.option("--reason", required=True, help="Why, in words; its digest goes on the chain.")
@project_option
@click.pass_obj
def reverse(session: Session, kg: int, reason: str, project_id: str | None) -> None:
    """Guardian: record that credited carbon was lost; the buffer answers for it. 反転（リバーサル）の記録

    \b
    Example: satoyama reverse --kg 12000 --reason "Typhoon 12, survey owase-2027"
    """
    from flows import work

    ws = session.open()
    done = work.reverse(ws, project_id or work.only_project_id(ws), kg, reason)
    session.tell(
        f"{done.kg:,} kg reversed: {done.buffer_burned_kg:,} kg from the buffer, deficit now {done.deficit_kg:,} kg",
        f"{done.kg:,} kg の反転を記録: バッファから {done.buffer_burned_kg:,} kg、不足残高 {done.deficit_kg:,} kg",
    )
    session.result(done.to_doc())


@click.command()
@project_option
@click.option(
    "--csv",
    "csv_path",
    type=click.Path(path_type=Path),
    help="Write it as CSV (UTF-8 with BOM, opens in Excel).",
)
@click.option("--pdf", "pdf_path", type=click.Path(path_type=Path), help="Write it as PDF.")
@click.pass_obj
def statement(session: Session, project_id: str | None, csv_path: Path | None, pdf_path: Path | None) -> None:
    """Where the money went, reconciled to the token's base unit. 精算書

    \b
    Example: satoyama statement --csv statement.csv --pdf statement.pdf
    """
    from flows import work
    from flows.work.sharing import announced_change

    ws = session.open()
    project = project_id or work.only_project_id(ws)
    made = work.statement_of(ws, project)
    rows = work.statement_rows(ws, project, made)
    if csv_path is not None:
        write_csv(csv_path, rows)
    if pdf_path is not None:
        from apps.pdf import render_statement
        from apps.web.reads import Reader

        work.index_events(ws)
        sheet = Reader(ws).project(project).statement
        assert sheet is not None, "the statement above was read from the chain"
        render_statement(sheet, pdf_path)
    announced = announced_change(ws, project)
    if not session.as_json and csv_path is None and pdf_path is None:
        buffer = io.StringIO()
        csv.writer(buffer).writerows(rows)
        click.echo(buffer.getvalue(), nl=False)
    tell_announced(session, announced, err=True)
    session.result(
        {
            "announced": None if announced is None else announced.to_doc(),
            "revenue": made.revenue_total,
            "paid": made.paid_total,
            "claimable": made.claimable,
            "carried": made.carried,
            "rows": rows,
        }
    )


def write_csv(path: Path, rows: list[list[str]]) -> None:
    """Rows as CSV that Excel opens in Japanese."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(rows)
