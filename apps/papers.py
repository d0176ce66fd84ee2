"""What certificates and statements say, as frozen values: read from claims and chain events, drawn by `apps.pdf` and the web pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from apps.look.wording import Text, moment, money, same, whole
from mrv.project import Project
from mrv.results import Claim
from registry.events import BatchIssued, Retired
from registry.pending import PendingShares
from registry.treasury import JST, Statement

_EPOCH = date(1970, 1, 1)


def day_of_number(days: int) -> date:
    """The calendar day that many days after 1970-01-01, as contracts count."""
    return _EPOCH + timedelta(days=days)


def time_of_block(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def in_japan(value: datetime) -> datetime:
    """The same time by Japan's clock, by which periods and days of money count."""
    return value.astimezone(JST)


@dataclass(frozen=True)
class ChainPlace:
    """Where on which chain a thing stands, and when it was read.

    Attributes
    ----------
    kind : str
        ``embedded`` or ``rpc``.
    block, read_at : int, datetime
        Last block read and the time of reading.
    confirmations : int
        How deep that block lies, itself included.
    """

    kind: str
    chain_id: int
    registry: str
    block: int
    read_at: datetime
    confirmations: int = 1

    @property
    def read_up_to(self) -> Text:
        """Chain, block, its depth and time (Japan's), as statements print it."""
        read, block = moment(in_japan(self.read_at)), whole(self.block)
        return Text(
            f"{self.name.en}, read up to block {block} (confirmations: {self.confirmations}) of {read.en}",
            f"{self.name.ja}、ブロック {block}（確認 {self.confirmations} ブロック、{read.ja}）まで",
        )

    @property
    def name(self) -> Text:
        if self.kind == "embedded":
            return Text(f"embedded chain (id {self.chain_id})", f"組込みチェーン（ID {self.chain_id}）")
        return Text(f"chain {self.chain_id}", f"チェーン {self.chain_id}")


@dataclass(frozen=True)
class Certificate:
    """One retirement: kilograms that nobody can ever use again, and for whom.

    Attributes
    ----------
    consumption_first, consumption_last : date or None
        First and last day of the emissions compensated (the chain holds the day after the last); None where not given.
    serials : pair of int or None
        First and last serial number of the batch, of a kilogram each; None where the chain tells none.
    """

    certificate_id: int
    batch_id: str
    token_id: int
    kg: int
    beneficiary: str
    purpose: str
    country: str
    consumption_first: date | None
    consumption_last: date | None
    account: str
    project: Text
    place: Text
    vintage: int
    period_first: date
    period_last: date
    method: str
    evidence_root: str
    verifier: str
    tx_hash: str
    block: int
    retired_at: datetime
    chain: ChainPlace
    simulated: bool
    serials: tuple[int, int] | None = None

    @property
    def serials_text(self) -> str:
        """Serial numbers as they are printed."""
        return "–" if self.serials is None else f"{self.serials[0]:,} – {self.serials[1]:,}"

    @property
    def verify_command(self) -> str:
        return "satoyama verify evidence.zip --no-chain"


def certificate_of(
    retired: Retired,
    issued: BatchIssued,
    claim: Claim,
    project: Project,
    chain: ChainPlace,
    *,
    serials: tuple[int, int] | None = None,
) -> Certificate:
    """The certificate of one retirement event; `serials` half-open, as the chain tells them."""
    if retired.id != issued.id:
        raise ValueError(f"expected a retirement of token {issued.id:#x}, got one of {retired.id:#x}")
    given = retired.consumption_end > retired.consumption_start
    return Certificate(
        certificate_id=retired.certificate_id,
        batch_id="0x" + issued.batch_id.hex(),
        token_id=retired.id,
        kg=retired.kg,
        beneficiary=retired.beneficiary,
        purpose=retired.purpose,
        country=retired.country.decode("ascii", errors="replace"),
        consumption_first=day_of_number(retired.consumption_start) if given else None,
        consumption_last=day_of_number(retired.consumption_end - 1) if given else None,
        account=retired.account,
        project=Text(project.name_en, project.name_ja),
        place=Text(project.municipality_en, project.municipality_ja),
        vintage=issued.vintage,
        period_first=claim.period_start,
        period_last=claim.period_end - timedelta(days=1),
        method=f"{claim.method_id} {claim.method_version}",
        evidence_root="0x" + issued.evidence_root.hex(),
        verifier=issued.verifier,
        tx_hash=retired.tx_hash,
        block=retired.block,
        retired_at=time_of_block(retired.block_time),
        chain=chain,
        simulated=claim.simulated or project.simulated,
        serials=None if serials is None else (serials[0], serials[1] - 1),
    )


@dataclass(frozen=True)
class PayeeLine:
    """What one payee is owed and got, token base units; share in parts per million."""

    name: Text
    address: str
    share_ppm: int | None
    entitled: int
    paid: int
    claimable: int


@dataclass(frozen=True)
class SaleLine:
    """One sale: who bought how many kilograms for how much."""

    sold_at: datetime
    buyer: str
    kg: int
    amount: int
    tx_hash: str


@dataclass(frozen=True)
class ChangeLine:
    """One payee's share, parts per million, now and when the announced change is in force."""

    name: Text
    address: str
    now_ppm: int
    then_ppm: int


@dataclass(frozen=True)
class SharesAnnounced:
    """A change of shares announced on chain: from when on it holds, and for whom."""

    announced_at: datetime
    effective_from: datetime
    lines: tuple[ChangeLine, ...]


@dataclass(frozen=True)
class StatementSheet:
    """Revenue of a project and where it went, token base units throughout.

    Raises
    ------
    ValueError
        If paid out, claimable and carried do not add up to the revenue, or the payees to the totals.
    """

    project: Text
    token: str
    decimals: int
    payees: tuple[PayeeLine, ...]
    sales: tuple[SaleLine, ...]
    revenue: int
    paid_out: int
    claimable: int
    carried: int
    chain: ChainPlace
    simulated: bool
    announced: SharesAnnounced | None = None

    def __post_init__(self) -> None:
        if self.paid_out + self.claimable + self.carried != self.revenue:
            raise ValueError(
                f"expected paid out {self.paid_out} + claimable {self.claimable} + carried {self.carried} "
                f"to equal the revenue {self.revenue}"
            )
        for name, total in (("paid", self.paid_out), ("claimable", self.claimable)):
            got = sum(getattr(p, name) for p in self.payees)
            if got != total:
                raise ValueError(f"expected the payees' {name} amounts to add up to {total}, got {got}")

    def amount(self, base_units: int) -> str:
        """An exact decimal of the token, thousands separated."""
        return money(base_units, self.decimals)


def named(names: Mapping[str, Text], address: str) -> Text:
    """The name of an account, or its address where it has none."""
    return names.get(address.lower(), same(address))


def sheet_of(
    statement: Statement,
    *,
    project: Text,
    names: Mapping[str, Text],
    shares_ppm: Mapping[str, int],
    token: str,
    decimals: int,
    sales: tuple[SaleLine, ...],
    chain: ChainPlace,
    simulated: bool,
    pending: PendingShares | None = None,
) -> StatementSheet:
    """A reconciled statement with the names of its payees; `names` and `shares_ppm` are keyed by lower-case address, and payees
    stand in the order of `names`.
    """
    order = {address: place for place, address in enumerate(names)}
    payees = tuple(
        PayeeLine(
            name=named(names, line.payee),
            address=line.payee,
            share_ppm=shares_ppm.get(line.payee.lower()),
            entitled=line.entitled_total,
            paid=line.paid_total,
            claimable=line.claimable,
        )
        for line in sorted(statement.payees, key=lambda line: order.get(line.payee.lower(), len(order)))
    )
    return StatementSheet(
        project=project,
        token=token,
        decimals=decimals,
        payees=payees,
        sales=sales,
        revenue=statement.revenue_total,
        paid_out=statement.paid_total,
        claimable=statement.claimable,
        carried=statement.carried,
        chain=chain,
        simulated=simulated,
        announced=None if pending is None else _announced(pending, names),
    )


def _announced(pending: PendingShares, names: Mapping[str, Text]) -> SharesAnnounced:
    lines = (ChangeLine(named(names, who), who, now, then) for who, now, then in pending.rows())
    told, start = time_of_block(pending.announced_at), time_of_block(pending.effective_from)
    return SharesAnnounced(told, start, tuple(lines))
