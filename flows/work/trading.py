"""After the signature: issue, list, buy, retire, settle and the statement. Every step may be run again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from flows.definition import accounts_of
from flows.settings import Workspace
from flows.tables import ApprovalRow, ClaimRow
from flows.work import chainroom
from flows.work.claiming import approval_of, claim_record
from flows.work.projects import definition_of_project
from flows.work.sharing import token_of
from models.errors import SatoyamaError
from registry.claimstruct import ClaimStruct, day_number, digest_of, project_key
from registry.events import BatchIssued, Listed, Retired, Reversed, Sold
from registry.issuance import IssuanceConflict, Issued, execute, make_plan, to_finish
from registry.port import ChainPort, Retirement
from registry.refusals import ChainRefused
from registry.sender import ChainBusy
from registry.signer import Signer
from registry.treasury import Statement, statement

OFFER_LIFE_S = 3600


class NotApproved(SatoyamaError):
    """The claim has no verifier's signature yet."""


class NotIssued(SatoyamaError):
    """The batch is not on the chain yet."""


@dataclass(frozen=True)
class Payout:
    """What a settlement paid one payee, base units."""

    payee: str
    amount: int
    tx_hash: str


@dataclass(frozen=True)
class Settlement:
    """One run of `settle`.

    Attributes
    ----------
    finished : tuple of Issued
        Issuances that had been begun and are on the chain now.
    unfinished : tuple of str
        Issuances that the chain refuses, with its reason; they wait for a new approval.
    statement : Statement
        Read from the chain after the payouts.
    """

    events_read: int
    finished: tuple[Issued, ...]
    unfinished: tuple[str, ...]
    payouts: tuple[Payout, ...]
    statement: Statement


def issue(ws: Workspace, claim_or_batch_id: str) -> Issued:
    """Issue an approved claim, exactly once however often this is run.

    Raises
    ------
    NotApproved
        If no verifier signed it.
    SameAccount
        If the verifier's key is the issuer's.
    ChainRefused
        If the registry refuses the claim.
    """
    record = claim_record(ws, claim_or_batch_id)
    approval = approval_of(ws, record.claim_id)
    if approval is None:
        raise NotApproved(
            en=f"The claim {record.claim_id} is not signed by a verifier. Run: satoyama approve {record.claim.batch_id}",
            ja=f"申請 {record.claim_id} は検証者の署名がありません。実行してください: satoyama approve {record.claim.batch_id}",
        )
    issuer = chainroom.accounts(ws).load("issuer")
    if approval.verifier == issuer.address:
        raise chainroom.same_account(issuer.address)
    chainroom.register_on_chain(ws, record.claim.project_id)
    port = chainroom.open_port(ws)
    plan = make_plan(
        port,
        ClaimStruct.from_doc(approval.struct),
        verifier=approval.verifier,
        signature=bytes.fromhex(approval.signature[2:]),
        issuer=issuer.address,
    )
    return execute(plan, port, chainroom.outbox(ws), issuer)


def approved_not_issued(ws: Workspace) -> list[str]:
    """Ids of the claims that a verifier signed and the outbox does not show as mined, in the order they were signed."""
    mined = {digest_of(batch) for batch in chainroom.outbox(ws).mined()}
    query = select(ClaimRow).join(ApprovalRow).order_by(ApprovalRow.signed_at)
    with ws.catalogue.read() as session:
        return [row.claim_id for row in session.scalars(query) if digest_of(row.batch_id) not in mined]


def token_id(port: ChainPort, batch_id: str) -> int:
    """Token id of an issued batch.

    Raises
    ------
    NotIssued
        If the chain does not have it.
    """
    batch = port.batch(digest_of(batch_id))
    if batch is None:
        raise NotIssued(
            en=f"The batch {batch_id} is not on the chain. Run: satoyama issue {batch_id}",
            ja=f"バッチ {batch_id} はチェーンにありません。実行してください: satoyama issue {batch_id}",
        )
    return batch.id


def list_for_sale(ws: Workspace, batch_id: str, kg: int, price_per_tonne: int) -> Listed:
    """Put credits of a batch up for sale at a price in yen base units per tonne; the seller's key signs."""
    port = chainroom.open_port(ws)
    record = claim_record(ws, batch_id)
    seller = chainroom.accounts(ws).load("seller")
    return port.list_batch(seller, token_id(port, record.claim.batch_id), kg, price_per_tonne)


def give_test_yen(ws: Workspace, role: str, amount: int) -> None:
    """Mint development yen (no value) to a role, base units; a real stablecoin refuses."""
    port, keys = chainroom.open_port(ws), chainroom.accounts(ws)
    port.mint_yen(keys.load("admin"), keys.load(role).address, amount)


def buy(
    ws: Workspace, listing_id: int, kg: int, *, max_cost: int | None = None, buyer_role: str = "buyer"
) -> Sold:
    """Buy credits; pays in yen by a signed permit, and the money goes to the split in the same transaction."""
    port = chainroom.open_port(ws)
    buyer = chainroom.accounts(ws).load(buyer_role)
    return port.buy_with_permit(buyer, listing_id, kg, max_cost=max_cost, deadline=offer_deadline(ws, port))


def buy_and_retire(
    ws: Workspace,
    listing_id: int,
    kg: int,
    *,
    beneficiary: str,
    purpose: str,
    country: str = "JP",
    consumption: tuple[date, date] | None = None,
    max_cost: int | None = None,
    buyer_role: str = "buyer",
) -> tuple[Sold, Retired]:
    """Buy credits and retire them at once, in one transaction; the second event is the certificate, its account the buyer's.

    Parameters
    ----------
    consumption : pair of date, optional
        Half-open period of the emissions that are compensated.
    """
    port = chainroom.open_port(ws)
    buyer = chainroom.accounts(ws).load(buyer_role)
    who = Retirement(beneficiary, purpose, country, *consumption_days(consumption))
    deadline = offer_deadline(ws, port)
    return port.buy_and_retire(buyer, listing_id, kg, who, max_cost=max_cost, deadline=deadline)


def offer_deadline(ws: Workspace, port: ChainPort) -> int:
    """Until when (unix seconds) an offer to buy that is made now may be taken."""
    return max(port.head()[1], int(ws.clock().timestamp())) + OFFER_LIFE_S


def consumption_days(period: tuple[date, date] | None) -> tuple[int, int]:
    """Days since 1970-01-01 of a half-open period; 0 and 0 where none is given."""
    return (0, 0) if period is None else (day_number(period[0]), day_number(period[1]))


def retire(
    ws: Workspace,
    batch_id: str,
    kg: int,
    *,
    beneficiary: str,
    purpose: str,
    country: str = "JP",
    consumption: tuple[date, date] | None = None,
    holder_role: str = "buyer",
) -> Retired:
    """Burn credits for a beneficiary; the event given back is the certificate.

    Parameters
    ----------
    consumption : pair of date, optional
        Half-open period of the emissions that are compensated.
    """
    port = chainroom.open_port(ws)
    holder = chainroom.accounts(ws).load(holder_role)
    record = claim_record(ws, batch_id)
    return port.retire(
        holder,
        token_id(port, record.claim.batch_id),
        kg,
        Retirement(beneficiary, purpose, country, *consumption_days(consumption)),
    )


def reverse(
    ws: Workspace, project_id: str, kg: int, reason: str, guardian_role: str = "guardian"
) -> Reversed:
    """Record on the chain that credited carbon is no longer stored: the buffer answers first, the rest is a public deficit.

    Parameters
    ----------
    kg : int
        What is no longer stored, as a refused claim states it.
    reason : str
        Why, in words; its digest goes on chain, so that the same loss is not recorded twice.
    """
    port = chainroom.open_port(ws)
    key = project_key(project_id)
    batches = [e.id for e in port.events() if isinstance(e, BatchIssued) and e.project_id == key]
    guardian = chainroom.accounts(ws).load(guardian_role)
    return port.reverse(guardian, key, batches, kg, hashlib.sha256(reason.encode()).digest())


def settle(ws: Workspace, project_id: str) -> Settlement:
    """Finish what was begun, read new events, pay every payee what is due, and make the statement.

    Paying twice is impossible: the split contract pays what is due and no more.
    """
    port, keys = chainroom.open_port(ws), chainroom.accounts(ws)
    issuer = keys.load("issuer")
    finished, unfinished = _finish_begun(ws, port, issuer)
    key = project_key(project_id)
    payouts = []
    for payee in definition_of_project(ws, project_id).payees:
        address = chainroom.payee_address(ws, payee, keys)
        due = port.claimable(key, address)
        tx_hash = _pay_out(port, issuer, key, address) if due else None
        if tx_hash is not None:
            payouts.append(Payout(payee.role if payee.by_bank else payee.payee_id, due, tx_hash))
    read = chainroom.index_events(ws)
    return Settlement(read, finished, unfinished, tuple(payouts), statement(port, key))


def _pay_out(port: ChainPort, issuer: Signer, project: bytes, payee: str) -> str | None:
    """Pay what is due; None if another run's payment is already on its way or there."""
    try:
        return port.claim_for(issuer, project, payee).tx_hash
    except ChainRefused as refused:
        if refused.name == "Payout_NothingDue" or port.claimable(project, payee) == 0:
            return None
        raise


def _finish_begun(
    ws: Workspace, port: ChainPort, issuer: Signer
) -> tuple[tuple[Issued, ...], tuple[str, ...]]:
    """Carry out what the outbox holds for this chain and issuer; one refused batch does not hold up the others."""
    finished, unfinished = [], []
    outbox = chainroom.outbox(ws)
    for plan in to_finish(port, outbox, issuer):
        try:
            finished.append(execute(plan, port, outbox, issuer))
        except (ChainRefused, IssuanceConflict, ChainBusy) as refused:
            unfinished.append(f"{plan.batch_id}: {refused}")
    return tuple(finished), tuple(unfinished)


def statement_of(ws: Workspace, project_id: str, start: int = 0, end: int | None = None) -> Statement:
    """Statement of a project's money over ``[start, end)`` (unix seconds), read from the chain and reconciled."""
    return statement(chainroom.open_port(ws), project_key(project_id), start=start, end=end)


def payee_names(ws: Workspace, project_id: str) -> dict[str, tuple[str, str]]:
    """English and Japanese name of every payee by address."""
    keys, payees = chainroom.accounts(ws), definition_of_project(ws, project_id).payees
    address_of = {p.payee_id: chainroom.payee_address(ws, p, keys) for p in payees}
    return {address: (en, ja) for address, (en, ja, _) in accounts_of(payees, address_of).items()}


def statement_rows(ws: Workspace, project_id: str, made: Statement) -> list[list[str]]:
    """CSV rows of a statement with the payees' names, and token, decimals, period and block on every one."""
    names = payee_names(ws, project_id)
    header, *rows = made.to_csv_rows()
    named = [["name_en", "name_ja", *header], *([*names.get(row[0], ("", "")), *row] for row in rows)]
    return made.with_context(named, *token_of(ws, chainroom.open_port(ws)))
