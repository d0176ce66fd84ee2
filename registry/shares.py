"""Who gets what share of a project's revenue, and for what reason: a fixed table, or by what was measured on each plot.

A table has one part for every household and plot (and one for every fund). On chain only the sum by address stands; the table
behind an epoch is kept beside it and must add up to what the chain says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from models.errors import SatoyamaError
from mrv.blob import digest_doc
from mrv.results import PlotChange

SHARES = 1_000_000
Basis = Literal["fixed", "net_change", "growth"]
BASES: tuple[Basis, ...] = ("fixed", "net_change", "growth")
_GROWTH = ("growth", "recruited", "replanted")


class SharesRefused(SatoyamaError):
    """No share table can be made of this."""


@dataclass(frozen=True)
class Member:
    """One who takes part in the revenue.

    Parameters
    ----------
    payee_id : str
    address : str
        Where the share is paid on chain; several members may have one address (the account for bank payouts).
    share_ppm : int
        Parts of a million by the fixed table; for members with plots, their stake in the owners' pool.
    plots : tuple of str
        Ids of the member's plots; empty for a fund.
    by_bank : bool
        Whether the address is not the member's own but the account out of which it is paid by bank.
    """

    payee_id: str
    address: str
    share_ppm: int
    plots: tuple[str, ...] = ()
    by_bank: bool = False


@dataclass(frozen=True)
class Part:
    """A share and its reason.

    Parameters
    ----------
    plot_id, plot_name : str
        The plot, or the member's plots in one text under a fixed table; "" for a fund.
    measured_g, of_g : int
        What was measured on the plot, and on all plots together, grams CO2e; 0 and 0 under a fixed table.
    share_ppm : int
        Parts of a million of the revenue.
    """

    payee_id: str
    plot_id: str
    plot_name: str
    measured_g: int
    of_g: int
    share_ppm: int


@dataclass(frozen=True)
class ShareTable:
    """The shares of one epoch.

    Parameters
    ----------
    basis : {"fixed", "net_change", "growth"}
    source : str
        Digest of the change that was measured; "" under a fixed table.
    addresses : mapping of payee id to address
    by_bank : tuple of str
        Payees who are paid by bank out of their address.
    """

    basis: Basis
    source: str
    parts: tuple[Part, ...]
    addresses: Mapping[str, str]
    by_bank: tuple[str, ...] = ()

    def by_payee(self) -> dict[str, int]:
        """Parts of a million of each payee."""
        return _summed((part.payee_id, part.share_ppm) for part in self.parts)

    def by_address(self) -> dict[str, int]:
        """Parts of a million as they stand on chain: nobody with nothing."""
        summed = _summed((self.addresses[payee], ppm) for payee, ppm in self.by_payee().items())
        return {address: ppm for address, ppm in summed.items() if ppm}

    def to_doc(self) -> dict[str, Any]:
        """Plain document."""
        parts = [asdict(part) for part in self.parts]
        return {
            "basis": self.basis,
            "source": self.source,
            "parts": parts,
            "addresses": dict(self.addresses),
            "by_bank": list(self.by_bank),
        }

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        """Inverse of `to_doc`."""
        parts = tuple(Part(**part) for part in doc["parts"])
        return cls(doc["basis"], doc["source"], parts, dict(doc["addresses"]), tuple(doc["by_bank"]))

    @property
    def digest(self) -> str:
        """Digest of the table's canonical JSON."""
        return digest_doc(self.to_doc())


def fixed_table(members: Sequence[Member]) -> ShareTable:
    """Every member has the share of the definition, whatever grew.

    Raises
    ------
    SharesRefused
        If the shares do not add up to a million.
    """
    parts = tuple(Part(m.payee_id, "", ", ".join(m.plots), 0, 0, m.share_ppm) for m in members)
    return _checked(_table("fixed", "", parts, members))


def measured_table(
    members: Sequence[Member], plots: Sequence[PlotChange], basis: Basis, source: str
) -> ShareTable:
    """Funds keep their fixed shares; the pool of the members with plots is split by what was measured on each plot.

    Parameters
    ----------
    plots : sequence of PlotChange
        Every plot of the project. A plot that lost carbon counts as nothing, never as a debt.
    basis : {"net_change", "growth"}
        ``net_change``: the plot's change of stock. ``growth``: growth, ingrowth and replanting, whatever was thinned or cut.
    source : str
        Digest of the change.

    Raises
    ------
    SharesRefused
        If a plot has no owner or several, an owner's plot was not measured, or nothing grew anywhere.
    """
    owner = _owners(members, plots)
    weight = {plot.plot_id: max(0, measured_g(plot, basis)) for plot in plots}
    pool = sum(m.share_ppm for m in members if m.plots)
    total = sum(weight.values())
    if total == 0:
        raise SharesRefused(
            en="Nothing grew on any plot, so there is no contribution to share by. Use the fixed table.",
            ja="どの区画も増加していないため、貢献度による配分はできません。固定の配分表を使ってください。",
        )
    share = apportion(pool, weight)
    names = {plot.plot_id: plot.name for plot in plots}
    funds = [Part(m.payee_id, "", "", 0, 0, m.share_ppm) for m in members if not m.plots]
    lots = [
        Part(owner[plot], plot, names[plot], weight[plot], total, share[plot])
        for member in members
        for plot in member.plots
    ]
    return _checked(_table(basis, source, (*funds, *lots), members))


def measured_g(plot: PlotChange, basis: Basis) -> int:
    """What a plot contributed, grams CO2e; may be negative for ``net_change``."""
    if basis == "growth":
        return sum(plot.components_g[kind] for kind in _GROWTH)
    return plot.change.total_g


def apportion(whole: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Whole units split in proportion to weights >= 0 (not all 0): floors, then one unit each by largest remainder.

    Ties go to the smaller name, so that everybody computes the same table. Source: Hamilton's method.
    """
    total = sum(weights.values())
    floors = {name: whole * weight // total for name, weight in weights.items()}
    rest = whole - sum(floors.values())
    ranked = sorted(weights, key=lambda name: (-(whole * weights[name] % total), name))
    for name in ranked[:rest]:
        floors[name] += 1
    return floors


def _owners(members: Sequence[Member], plots: Sequence[PlotChange]) -> dict[str, str]:
    pairs = [(plot, member.payee_id) for member in members for plot in member.plots]
    owned, known = [plot for plot, _ in pairs], {plot.plot_id for plot in plots}
    twice = sorted({plot for plot in owned if owned.count(plot) > 1})
    nobody, unknown = sorted(known - set(owned)), sorted(set(owned) - known)
    if twice or nobody or unknown:
        raise SharesRefused(
            en=f"Every measured plot must have one owner among the payees; without an owner: {nobody or '-'}, with several: "
            f"{twice or '-'}, not measured: {unknown or '-'}. Correct 'plots' of [[payees]].",
            ja=f"計測した各区画に所有者が1名ずつ必要です。所有者なし: {nobody or '-'}、重複: {twice or '-'}、"
            f"計測なし: {unknown or '-'}。[[payees]] の plots を直してください。",
        )
    return dict(pairs)


def _table(basis: Basis, source: str, parts: tuple[Part, ...], members: Sequence[Member]) -> ShareTable:
    addresses = {member.payee_id: member.address for member in members}
    by_bank = tuple(sorted(m.payee_id for m in members if m.by_bank))
    return ShareTable(basis, source, parts, addresses, by_bank)


def _checked(table: ShareTable) -> ShareTable:
    total = sum(part.share_ppm for part in table.parts)
    if total != SHARES or any(part.share_ppm < 0 for part in table.parts):
        raise SharesRefused(
            en=f"The shares must add up to {SHARES:,}, none below zero; they add up to {total:,}. Correct share_ppm of [[payees]].",
            ja=f"配分の合計は {SHARES:,}（負は不可）ですが、{total:,} です。[[payees]] の share_ppm を直してください。",
        )
    return table


def _summed(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    out: dict[str, int] = {}
    for key, value in pairs:
        out[key] = out.get(key, 0) + value
    return out
