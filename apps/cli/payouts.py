"""Verbs of the treasurer: whose share is whose, statements by household, and payouts by bank that two officers sign."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import click

from apps.cli.market import write_csv
from apps.cli.payout_officers import dismiss, endorse, officer, officers, opened, treasury, warned
from apps.cli.runs import project_option
from apps.cli.say import Plain, Session, tell_announced

if TYPE_CHECKING:
    from flows.settings import Workspace
    from flows.work.payouts import RunRecord
    from registry.households import Breakdown
    from registry.treasury import Statement

JST = timezone(timedelta(hours=9), "JST")
_DAY = click.DateTime(["%Y-%m-%d"])


@click.group(cls=Plain)
def payout() -> None:
    """Share revenue out and pay households: statements, bank transfers, two signatures. 配分と支払"""


@payout.command()
@click.option("--claim", "claim_id", help="The claim whose measured change counts; the newest by default.")
@click.option("--show", is_flag=True, help="Only show the table; send nothing.")
@project_option
@click.pass_obj
def shares(session: Session, claim_id: str | None, show: bool, project_id: str | None) -> None:
    """Set who gets what of later revenue, by the project's rule. 配分の設定

    \b
    Example: satoyama payout shares --show
    """
    from flows.work import sharing

    ws, project = opened(session, project_id)
    if show:
        table, epoch = sharing.share_table(ws, project, claim_id), 0
    else:
        table, epoch = sharing.share_out(ws, project, claim_id)
    for part in table.parts:
        grown = f"  {part.measured_g // 1000:>12,} kg" if part.of_g else ""
        line = f"  {part.payee_id:16s} {part.plot_id or '-':8s} {part.share_ppm:>9,} ppm{grown}"
        session.tell(line, line)
    coming = sharing.announced(ws, project) if epoch else None
    if coming is not None:
        at = coming[1].astimezone()
        session.tell(
            f"Announced as epoch {epoch}: in force from {at:%Y-%m-%d %H:%M %Z} on",
            f"エポック {epoch} として予告しました。{at:%Y-%m-%d %H:%M %Z} から有効です",
        )
    elif epoch:
        session.tell(f"In force as epoch {epoch}", f"エポック {epoch} として設定済みです")
    effective = None if coming is None else coming[1].isoformat()
    session.result({**table.to_doc(), "epoch": epoch, "digest": table.digest, "effective_from": effective})


@payout.command()
@click.option("--from", "first", type=_DAY, help="First day of the period (Japan time).")
@click.option("--to", "last", type=_DAY, help="Its last day.")
@click.option("--csv", "csv_path", type=click.Path(path_type=Path), help="All payees and plots as CSV.")
@click.option(
    "--pdf", "pdf_folder", type=click.Path(path_type=Path), help="Folder for one PDF (Japanese) per payee."
)
@project_option
@click.pass_obj
def statement(
    session: Session,
    first: datetime | None,
    last: datetime | None,
    csv_path: Path | None,
    pdf_folder: Path | None,
    project_id: str | None,
) -> None:
    """What every household and fund earned, got and is due, for which plot. 世帯・基金ごとの明細

    \b
    Example: satoyama payout statement --from 2026-04-01 --to 2027-03-31 --csv households.csv --pdf statements
    """
    from flows.work import sharing

    ws, project = opened(session, project_id)
    begin = None if first is None else first.replace(tzinfo=JST)
    end = None if last is None else last.replace(tzinfo=JST) + timedelta(days=1)
    made = sharing.household_statements(ws, project, begin, end)
    rows = sharing.household_rows(ws, project, made)
    if csv_path is not None:
        write_csv(csv_path, rows)
    if pdf_folder is not None:
        _papers(ws, project, made, begin, end, pdf_folder)
    announced = sharing.announced_change(ws, project)
    for line in made.lines:
        amounts = f"{line.earned:>20,} {line.paid:>20,} {line.due:>20,}"
        session.tell(*[f"  {line.payee_id:16s} {amounts}"] * 2)
    tell_announced(session, announced)
    _tell_read_at(session, made.statement)
    session.result(
        {
            "announced": None if announced is None else announced.to_doc(),
            "rows": rows,
            "read_at_block": made.statement.read_at_block,
            "confirmations": made.statement.confirmations,
            "banks": [dict(book.__dict__) for book in made.banks],
            "revenue": made.statement.revenue,
            "carried": made.statement.carried,
        }
    )


def _tell_read_at(session: Session, books: Statement) -> None:
    when = datetime.fromtimestamp(books.read_at_time, JST)
    session.tell(
        f"Read at block {books.read_at_block:,} (confirmations: {books.confirmations}), {when:%Y-%m-%d %H:%M %Z}",
        f"ブロック {books.read_at_block:,}（確認 {books.confirmations} ブロック、{when:%Y-%m-%d %H:%M %Z}）までの記録による",
    )


def _papers(
    ws: Workspace,
    project_id: str,
    made: Breakdown,
    begin: datetime | None,
    end: datetime | None,
    folder: Path,
) -> None:
    from apps.households import ShareChange, household_sheet, render_household
    from apps.look.wording import Text
    from apps.papers import ChainPlace, time_of_block
    from apps.web.reads import Reader
    from flows import work
    from flows.work import bank_accounts, sharing

    announced = sharing.announced_change(ws, project_id)
    definition, deployed, books = (
        work.definition_of_project(ws, project_id),
        work.deployment(ws),
        made.statement,
    )
    symbol, decimals = Reader(ws).token()
    read = time_of_block(books.read_at_time)
    place = ChainPlace(
        ws.settings.chain_kind,
        deployed.chain_id,
        deployed.registry,
        books.read_at_block,
        read,
        books.confirmations,
    )
    accounts = bank_accounts.bank_accounts(ws, project_id)
    names = {p.payee_id: Text(p.name_en, p.name_ja) for p in definition.payees}
    project = definition.project
    for line in made.lines:
        account = accounts.get(line.payee_id)
        row = None if announced is None else announced.row(line.payee_id)
        sheet = household_sheet(
            made,
            line.payee_id,
            project=Text(project.name_en, project.name_ja),
            name=names.get(line.payee_id, Text(line.payee_id, line.payee_id)),
            token=symbol,
            decimals=decimals,
            chain=place,
            simulated=project.simulated,
            first=None if begin is None else begin.date(),
            end=None if end is None else end.date(),
            account=None if account is None else account.to_doc(),
            place=Text(project.municipality_en, project.municipality_ja),
            change=ShareChange(announced.effective_from, *row) if announced and row else None,
        )
        render_household(sheet, folder / f"{line.payee_id}.pdf")


@payout.command()
@click.argument("payee_id", required=False)
@click.option("--own", is_flag=True, help="The co-op's own account, from which transfers are ordered.")
@click.option("--code", default="", help="With --own: the code the bank gave the co-op (委託者コード).")
@click.option("--bank", required=True, help="Bank code, 4 digits.")
@click.option("--branch", required=True, help="Branch code, 3 digits.")
@click.option(
    "--kind",
    default="ordinary",
    show_default=True,
    type=click.Choice(["ordinary", "checking", "savings", "other"]),
    help="普通・当座・貯蓄・その他",
)
@click.option("--number", required=True, help="Account number, up to 7 digits.")
@click.option("--holder", required=True, help="Holder's name in kana, as the passbook has it.")
@click.option("--bank-name", default="", help="Bank's name in kana.")
@click.option("--branch-name", default="", help="Branch's name in kana.")
@project_option
@click.pass_obj
def bank(
    session: Session,
    payee_id: str | None,
    own: bool,
    code: str,
    bank: str,
    branch: str,
    kind: str,
    number: str,
    holder: str,
    bank_name: str,
    branch_name: str,
    project_id: str | None,
) -> None:
    """Record a bank account: a household's, or the co-op's own. 口座の登録

    \b
    Example: satoyama payout bank owner-a --bank 0155 --branch 101 --number 1234567 --holder "ヤマダ ハナコ"
             satoyama payout bank --own --code 1234567890 --bank 0155 --branch 123 --number 1 --holder "オワセシンリンクミアイ"
    """
    from flows.work import bank_accounts
    from registry.zengin import BankAccount, Requester

    if own == (payee_id is not None):
        raise click.UsageError("Give a payee, or --own. 支払先か --own のどちらかを指定してください。")
    ws, project = opened(session, project_id)
    account = BankAccount(bank, branch, kind, number, holder, bank_name, branch_name)
    if payee_id is None:
        stored = bank_accounts.set_requester(ws, project, Requester(code, account)).account
    else:
        stored = bank_accounts.set_bank_account(ws, project, payee_id, account)
    shown = f"{stored.bank}-{stored.branch} {stored.number} {stored.holder}"
    session.tell(f"Recorded: {shown}", f"登録しました: {shown}")
    session.result(stored.to_doc())


@payout.command()
@click.option(
    "--day",
    type=_DAY,
    required=True,
    help="Business day on which the bank is to pay; holidays are not known here.",
)
@project_option
@click.pass_obj
def plan(session: Session, day: datetime, project_id: str | None) -> None:
    """Plan a run of bank transfers; the money is set aside. 振込の計画

    \b
    Example: satoyama payout plan --day 2026-12-25
    Weekends are refused; look up national holidays yourself. 祝日は判定しません
    """
    from flows.work import payouts

    ws, project = opened(session, project_id)
    _tell(session, ws, payouts.plan_payout(ws, project, date(day.year, day.month, day.day)))


@payout.command()
@click.argument("number", type=int)
@click.argument("action")
@click.option("--text", "only_text", is_flag=True, help="Only print the text to sign (EIP-191).")
@click.option(
    "--signature",
    default="",
    help="A signature made with a key held elsewhere over the text that --text prints.",
)
@click.option("--role", default="", help="For trying things out: the officer's key in this keystore.")
@project_option
@click.pass_obj
def sign(
    session: Session,
    number: int,
    action: str,
    role: str,
    signature: str,
    only_text: bool,
    project_id: str | None,
) -> None:
    """Sign an action on a run: pay, cancel, "paid REFERENCE", "return PAYEE REASON". Two officers carry it out. 署名

    \b
    Example: satoyama payout sign 1 pay --text
             satoyama payout sign 1 pay --signature 0x…
    """
    from flows.work import payouts
    from registry.payouts import check_action, message

    ws, project = opened(session, project_id)
    if only_text:
        run = payouts.payout_run(ws, project, number).run
        check_action(run, action)
        text = message(run, action)
        session.tell(text, text)
        session.result({"text": text})
        return
    if bool(role) == bool(signature):
        raise click.UsageError(
            "Give --signature, or --role. --signature か --role のどちらかを指定してください。"
        )
    _tell(session, ws, payouts.sign_payout(ws, project, number, action, role=role, signature=signature))


@payout.command()
@click.argument("number", type=int)
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--again",
    is_flag=True,
    help="Write it although it was written before: a bank that gets it twice pays twice.",
)
@project_option
@click.pass_obj
def file(session: Session, number: int, target: Path, again: bool, project_id: str | None) -> None:
    """Write the bank's transfer file of an approved run (全銀 総合振込), once. 振込データの出力

    \b
    Example: satoyama payout file 1 furikomi.txt
    """
    from flows.work import payouts

    ws, project = opened(session, project_id)
    target.parent.mkdir(parents=True, exist_ok=True)
    data = payouts.payout_file(ws, project, number, again=again)
    target.write_bytes(data)
    session.tell(f"Wrote {target}: {len(data):,} bytes", f"{target} に書き出しました（{len(data):,} バイト）")
    session.result({"file": str(target), "bytes": len(data), **warned(session, ws, project)})


@payout.command("list")
@project_option
@click.pass_obj
def list_runs(session: Session, project_id: str | None) -> None:
    """All runs and where they stand. 支払の一覧

    \b
    Example: satoyama payout list
    """
    from flows.work import payouts

    ws, project = opened(session, project_id)
    records = payouts.payout_runs(ws, project)
    for record in records:
        _say(session, record)
    session.result({"runs": [record.to_doc() for record in records]})


for _verb in (officer, dismiss, endorse, officers, treasury):
    payout.add_command(_verb)


def _tell(session: Session, ws: Workspace, record: RunRecord) -> None:
    _say(session, record)
    session.result({**record.to_doc(), **warned(session, ws, record.run.project_id)})


def _say(session: Session, record: RunRecord) -> None:
    run, count = record.run, len(record.run.lines)
    signed = ", ".join(f"{action}: {name}" for action, name in record.signed) or "-"
    session.tell(
        f"Run {run.number}, {record.state}: {run.total_yen:,} yen in {count} transfers on {run.day}, dues as of block {run.read_at_block:,} (signed {signed})",
        f"支払 {run.number}（{record.state}）: {run.day} に {count} 件 {run.total_yen:,} 円、ブロック {run.read_at_block:,} 時点の未払額による（署名 {signed}）",
    )
    for line in run.lines:
        state = record.lines[line.payee_id]
        text = f"  {line.payee_id:16s} {line.yen:>14,} yen  {line.account.bank}-{line.account.branch} {line.account.number}  {state}"
        session.tell(text, text)
    for when, digest in record.files:
        session.tell(
            f"  file handed out {when}  sha256 {digest}", f"  振込データ出力 {when}  sha256 {digest}"
        )
