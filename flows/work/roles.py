"""Roles of the workspace's contracts after deployment: who holds them, and giving, taking and suspending one."""

from __future__ import annotations

from dataclasses import dataclass

from eth_utils.address import to_checksum_address

from flows.settings import Workspace
from flows.work import chainroom
from models.errors import SatoyamaError
from registry.address import checked_address
from registry.bench import court_warning
from registry.port import ChainPort
from registry.roles import (
    SUSPENDABLE,
    Holder,
    RolePlan,
    RoleVerb,
    change_role,
    plan_role,
    prepare_role,
    role_holders,
    role_kind,
)

COIN_WEI = 10**18


class NotSuspendable(SatoyamaError):
    """A guardian suspends issuers and verifiers only."""


@dataclass(frozen=True)
class RoleChange:
    """A plan, and the transaction that carried it out; none where it was so already, or it was only shown."""

    plan: RolePlan
    tx_hash: str | None


@dataclass(frozen=True)
class RolesNow:
    """Who holds what.

    Attributes
    ----------
    holders : tuple of (Holder, str)
        Each with the name its key has in the workspace's keystore, or "".
    warning : pair of str or None
        What is weak about the court, in English and Japanese.
    """

    holders: tuple[tuple[Holder, str], ...]
    warning: tuple[str, str] | None


def roles_now(ws: Workspace) -> RolesNow:
    """Who holds which role of the workspace's contracts, as the chain says."""
    port = chainroom.open_port(ws)
    names = {address: name for name, address in chainroom.accounts(ws).addresses().items()}
    held = tuple((holder, names.get(holder.account, "")) for holder in role_holders(port))
    return RolesNow(held, court_warning(port))


def set_role(
    ws: Workspace, verb: RoleVerb, role: str, who: str, *, show: bool = False, by: str = "", gas_wei: int = 0
) -> RoleChange:
    """Give, take or suspend a role; what is so already is left as it is, however often this is run.

    Parameters
    ----------
    who : str
        An address, or a name in the keystore (``guardian_2``): a key is made there for one that gets a role and has none.
    show : bool
        Only say what would be sent, and whether the chain would refuse it.
    by : str
        Whose key signs; the admin's, or a guardian's for a suspension, by default.
    gas_wei : int
        What the admin's account gives one who gets a role and has less, to pay gas with.

    Raises
    ------
    ChainRefused
        If the chain refuses it, e.g. an issuer who is to verify as well.
    """
    kind = role_kind(role)
    if verb == "suspend" and kind.word not in SUSPENDABLE:
        raise NotSuspendable(
            en=f"A guardian suspends issuers and verifiers; a {role} loses the role by the administrator: satoyama chain revoke {role}",
            ja=f"監視役が停止できるのは発行者と検証者です。{role} は管理者が外します: satoyama chain revoke {role}",
        )
    port, keys = chainroom.open_port(ws), chainroom.accounts(ws)
    signer = keys.load(by or ("guardian" if verb == "suspend" else "admin"))
    plan = plan_role(port, verb, role, _address(ws, who, make=verb == "grant" and not show), signer.address)
    if not plan.needed:
        return RoleChange(plan, None)
    if show:
        prepare_role(port, plan, signer)
        return RoleChange(plan, None)
    done = change_role(port, plan, signer)
    if verb == "grant":
        _give_gas(ws, port, plan.account, gas_wei)
    return RoleChange(plan, None if done is None else done.tx_hash)


def _address(ws: Workspace, who: str, *, make: bool) -> str:
    if who[:2].lower() == "0x":  # no role begins with a digit
        return checked_address(
            who, "account to be given or deprived of a role", "役割を付与・剥奪するアカウント"
        )
    keys = chainroom.accounts(ws)
    return str((keys.load_or_create(who) if make else keys.load(who)).address)


def _give_gas(ws: Workspace, port: ChainPort, account: str, gas_wei: int) -> None:
    # The embedded chain's coin is worth nothing, and there is nowhere else to get it.
    wanted = gas_wei or (COIN_WEI if ws.settings.chain_kind != "rpc" else 0)
    if port.w3.eth.get_balance(to_checksum_address(account)) < wanted:
        port.send_gas(chainroom.accounts(ws).load("admin"), account, wanted)
