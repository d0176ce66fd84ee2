"""The co-op's treasury on the workspace's chain: deployed once, kept on record, checked whenever asked."""

from __future__ import annotations

import json

from flows.settings import Workspace
from flows.work import chainroom
from models.errors import SatoyamaError
from registry.chain import connect
from registry.checks import Check
from registry.deploy_treasury import Officers, TreasuryDeployment, check_treasury, checked, deploy_treasury

FILE = "treasury.json"


class TreasuryExists(SatoyamaError):
    """The workspace has a treasury already."""


def set_up_treasury(ws: Workspace, officers: Officers) -> TreasuryDeployment:
    """Deploy a timelock treasury; the admin's key pays the gas and has no say in it.

    Raises
    ------
    TreasuryRefused
        If one person could empty it.
    TreasuryExists
        If there is one on record with other officers.
    """
    have = treasury_of(ws)
    if have is not None:
        same = (set(have.proposers), set(have.executors), have.delay_s)
        asked = checked(officers)
        if same == (set(asked.proposers), set(asked.executors), asked.delay_s):
            return have
        raise TreasuryExists(
            en=f"The workspace has the treasury {have.address} with other officers or another delay. Officers are changed by the "
            "treasury itself (grantRole, revokeRole through schedule and execute).",
            ja=f"会計口座 {have.address} が別の役員または待機時間で登録済みです。役員の変更は会計口座自身の操作で行います。",
        )
    admin = chainroom.accounts(ws).load("admin")
    deployed = deploy_treasury(connect(chainroom.chain_config(ws)), admin, officers)
    chainroom.write_whole(ws.chain_folder / FILE, json.dumps(deployed.to_doc(), indent=1))
    return deployed


def treasury_of(ws: Workspace) -> TreasuryDeployment | None:
    """The treasury on record, if there is one."""
    file = ws.chain_folder / FILE
    return TreasuryDeployment.from_doc(json.loads(file.read_text())) if file.is_file() else None


def check(ws: Workspace, deployed: TreasuryDeployment) -> list[Check]:
    """Code, officers and delay, as the chain has them now."""
    return check_treasury(connect(chainroom.chain_config(ws)), deployed)
