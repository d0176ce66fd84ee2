"""What is done once however often it is asked for, though the contracts would do it every time: money, sales, retirements.

Each is recorded in the catalogue before it is signed (`registry.actions`). The same words again give back what happened;
a deliberate second one is told from the first by a `reference`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar

from flows.outbox import CatalogueActions
from flows.settings import Workspace
from flows.work import chainroom
from flows.work.claiming import claim_record
from flows.work.disputes import batch_key, issued_batch
from flows.work.trading import consumption_days, offer_deadline, token_id
from registry.actions import Action, perform
from registry.claimstruct import project_key
from registry.court_events import DeficitRefilled, Migrated, RewardFunded
from registry.events import Event, Listed, Retired, Sold, retirements
from registry.port import ChainPort, Retirement
from registry.portbase import only
from registry.signer import Signer

T = TypeVar("T")


@dataclass(frozen=True)
class Once(Generic[T]):
    """What happened, and whether this run sent it or an earlier one had."""

    result: T
    sent_now: bool


def _once(
    ws: Workspace,
    port: ChainPort,
    account: Signer,
    function: str,
    arguments: Mapping[str, Any],
    reference: str,
    act: Callable[[ChainPort], object],
    read: Callable[[list[Event]], T],
) -> Once[T]:
    action = Action(function, port.chain_id, port.deployment.registry, account.address, arguments, reference)
    done = perform(port, CatalogueActions(ws.catalogue, ws.clock), action, account, act)  # type: ignore[arg-type]  # it is a ChainPort's copy
    return Once(read(port.events_of(done.mined)), done.sent_now)


def list_once(
    ws: Workspace, batch_id: str, kg: int, price_per_tonne: int, reference: str = ""
) -> Once[Listed]:
    """Put credits of a batch up for sale at a price in yen base units per tonne."""
    port, seller = chainroom.open_port(ws), chainroom.accounts(ws).load("seller")
    batch = claim_record(ws, batch_id).claim.batch_id
    asked = {"batch": batch, "kg": kg, "price_per_tonne": price_per_tonne}
    return _once(
        ws,
        port,
        seller,
        "list",
        asked,
        reference,
        lambda p: p.list_batch(seller, token_id(p, batch), kg, price_per_tonne),
        lambda events: only(events, Listed),
    )


def buy_once(
    ws: Workspace,
    kg: int,
    listing_id: int | None,
    choose: Callable[[], int],
    *,
    max_cost: int | None = None,
    reference: str = "",
    buyer_role: str = "buyer",
) -> Once[Sold]:
    """Buy credits, paid by a signed permit.

    Parameters
    ----------
    listing_id : int, optional
        The offer asked for; where none is, `choose` finds one when it is bought, and asked again the purchase is the same.
    """
    port, buyer = chainroom.open_port(ws), chainroom.accounts(ws).load(buyer_role)

    def act(recording: ChainPort) -> object:
        offer = choose() if listing_id is None else listing_id
        deadline = offer_deadline(ws, port)
        return recording.buy_with_permit(buyer, offer, kg, max_cost=max_cost, deadline=deadline)

    asked = {"listing": listing_id, "kg": kg, "max_cost": max_cost}
    return _once(ws, port, buyer, "buyWithPermit", asked, reference, act, lambda events: only(events, Sold))


def buy_and_retire_once(
    ws: Workspace,
    kg: int,
    listing_id: int | None,
    choose: Callable[[], int],
    who: Retirement,
    *,
    max_cost: int | None = None,
    reference: str = "",
    buyer_role: str = "buyer",
) -> Once[tuple[Sold, Retired]]:
    """Buy credits and retire them in the same transaction; the certificate's account is the buyer's."""
    port, buyer = chainroom.open_port(ws), chainroom.accounts(ws).load(buyer_role)

    def act(recording: ChainPort) -> object:
        offer = choose() if listing_id is None else listing_id
        deadline = offer_deadline(ws, port)
        return recording.buy_and_retire(buyer, offer, kg, who, max_cost=max_cost, deadline=deadline)

    def read(events: list[Event]) -> tuple[Sold, Retired]:
        return only(events, Sold), only(retirements(events), Retired)

    asked = {"listing": listing_id, "kg": kg, "max_cost": max_cost, **vars(who)}
    return _once(ws, port, buyer, "buyAndRetireWithPermit", asked, reference, act, read)


def retire_once(
    ws: Workspace,
    batch_id: str,
    kg: int,
    *,
    beneficiary: str,
    purpose: str,
    country: str = "JP",
    consumption: tuple[date, date] | None = None,
    holder_role: str = "buyer",
    reference: str = "",
) -> Once[Retired]:
    """Burn credits for a beneficiary; the event is the certificate."""
    port, holder = chainroom.open_port(ws), chainroom.accounts(ws).load(holder_role)
    batch = claim_record(ws, batch_id).claim.batch_id
    who = Retirement(beneficiary, purpose, country, *consumption_days(consumption))
    return _once(
        ws,
        port,
        holder,
        "retire",
        {"batch": batch, "kg": kg, **vars(who)},
        reference,
        lambda p: p.retire(holder, token_id(p, batch), kg, who),
        lambda events: only(events, Retired),
    )


def refill_once(
    ws: Workspace,
    project_id: str,
    claim_or_batch_id: str,
    kg: int,
    role: str = "seller",
    reference: str = "",
) -> Once[DeficitRefilled]:
    """Give a stated amount of a batch's credits to make a project's deficit smaller."""
    port, holder, key = chainroom.open_port(ws), chainroom.accounts(ws).load(role), project_key(project_id)
    batch = issued_batch(port, batch_key(ws, claim_or_batch_id))
    return _once(
        ws,
        port,
        holder,
        "refill",
        {"project": project_id, "id": f"0x{batch.id:064x}", "kg": kg},
        reference,
        lambda p: p.refill(holder, key, batch.id, kg),
        lambda events: only(events, DeficitRefilled),
    )


def move_once(
    ws: Workspace, claim_or_batch_id: str, kg: int, role: str = "buyer", reference: str = ""
) -> Once[Migrated]:
    """Move a stated amount of a holder's credits to the registry that followed."""
    past = chainroom.past_deployments(ws)
    port = chainroom.open_port(ws, past[-1] if past else None)
    holder = chainroom.accounts(ws).load(role)
    batch = issued_batch(port, batch_key(ws, claim_or_batch_id))
    return _once(
        ws,
        port,
        holder,
        "migrate",
        {"id": f"0x{batch.id:064x}", "kg": kg},
        reference,
        lambda p: p.migrate(holder, batch.id, kg),
        lambda events: only(events, Migrated),
    )


def fund_rewards_once(
    ws: Workspace, amount: int, role: str = "seller", reference: str = ""
) -> Once[RewardFunded]:
    """Give to the fund from which challengers who were right are rewarded, base units of yen."""
    port, giver = chainroom.open_port(ws), chainroom.accounts(ws).load(role)
    port.court()
    return _once(
        ws,
        port,
        giver,
        "fundRewards",
        {"court": port.deployment.court, "amount": amount},
        reference,
        lambda p: p.fund_rewards(giver, amount),
        lambda events: only(events, RewardFunded),
    )
