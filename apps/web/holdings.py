"""Where the kilograms of a batch are, counted from chain events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mrv.results import Claim
from registry.events import BatchIssued, Cancelled, Event, Listed, Retired, Sold


@dataclass(frozen=True)
class Holdings:
    """Where the credits of a batch are now, kg: retired, sold and held by buyers, for sale, held by the seller."""

    retired_kg: int
    sold_kg: int
    for_sale_kg: int
    credited_kg: int

    @property
    def held_kg(self) -> int:
        """Sold and not retired."""
        return max(0, self.sold_kg - self.retired_kg)

    @property
    def unsold_kg(self) -> int:
        """Not sold, whether for sale or not, and not retired by the seller itself."""
        return self.credited_kg - self.held_kg - self.retired_kg


def holdings_of(events: Sequence[Event], issued: BatchIssued | None, claim: Claim) -> Holdings:
    """Holdings of an issued batch; before issue nothing is anywhere."""
    if issued is None:
        return Holdings(0, 0, 0, claim.credited_kg)
    ours = [e for e in events if getattr(e, "id", None) == issued.id]
    listings = {e.listing_id for e in ours if isinstance(e, Listed)}
    sold = sum(e.kg for e in ours if isinstance(e, Sold))
    listed = sum(e.kg for e in ours if isinstance(e, Listed))
    taken_back = sum(e.kg for e in events if isinstance(e, Cancelled) and e.listing_id in listings)
    retired = sum(e.kg for e in ours if isinstance(e, Retired))
    return Holdings(retired, sold, listed - sold - taken_back, claim.credited_kg)


def open_price(events: Sequence[Event], issued: BatchIssued | None) -> int | None:
    """Price, token base units per tonne, of the newest listing of the batch that still has kilograms."""
    if issued is None:
        return None
    left = {
        e.listing_id: (e.kg, e.price_per_tonne) for e in events if isinstance(e, Listed) and e.id == issued.id
    }
    for event in events:
        if isinstance(event, Sold | Cancelled) and event.listing_id in left:
            kg, price = left[event.listing_id]
            left[event.listing_id] = (kg - event.kg, price)
    return next((price for _, (kg, price) in sorted(left.items(), reverse=True) if kg > 0), None)
