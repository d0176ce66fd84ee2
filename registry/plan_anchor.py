"""Monitoring plans on the chain: the first one's digest stands in the project's address from registration on, with the block's time.

The registry never changes a project's URI, so that nobody can say afterwards that another plan had been fixed. A plan for a
later period is put beside it: as a registration of its own, under a key that follows from the project and a count, which the
registry takes once. The newest that was there before a survey's day is the one that survey must be measured by.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from registry.checks import Check, compared
from registry.claimstruct import ClaimStruct
from registry.events import Event, ProjectRegistered
from registry.port import ChainPort
from registry.refusals import ChainRefused
from registry.signer import Signer

_PLAN = re.compile(r"[?&]plan=0x([0-9a-f]{64})(?![0-9a-f])")
_EPOCH = date(1970, 1, 1)
_ANCHOR = b"satoyama-plan-v1|"


@dataclass(frozen=True)
class AnchoredPlan:
    """A plan's digest on the chain. `number` 0 for the one of the registration; `day` of its block, UTC."""

    number: int
    digest: bytes
    day: date
    block_time: int


def project_uri(project_id: str, plan_digest: bytes) -> str:
    """Address of a project as it is registered, with the digest of its monitoring plan."""
    return f"satoyama:{project_id}?plan=0x{plan_digest.hex()}"


def plan_in(uri: str) -> bytes | None:
    """The plan digest that a project's address carries, if any."""
    found = _PLAN.search(uri)
    return bytes.fromhex(found.group(1)) if found else None


def anchor_key(project: bytes, registry: str, number: int) -> bytes:
    """Key under which a project's plan of that number (1, 2, ...) is registered."""
    text = _ANCHOR + project + bytes.fromhex(registry[2:]) + number.to_bytes(4, "big")
    return hashlib.sha256(text).digest()


def anchored_plans(port: ChainPort, project: bytes) -> list[AnchoredPlan]:
    """The plans of a project that are on the chain, in the order they were put there; none where it was registered without."""
    return _anchored(port, project, port.events())


def _anchored(port: ChainPort, project: bytes, events: list[Event]) -> list[AnchoredPlan]:
    registered = {e.project_id: e for e in events if isinstance(e, ProjectRegistered)}
    found: list[AnchoredPlan] = []
    event = registered.get(project)
    while event is not None:
        digest = plan_in(event.uri)
        if digest is None:
            break
        put = port.block_time(event.block)
        found.append(AnchoredPlan(len(found), digest, datetime.fromtimestamp(put, UTC).date(), put))
        event = registered.get(anchor_key(project, port.deployment.registry, len(found)))
    return found


def anchor_change(
    port: ChainPort, admin: Signer, project_id: str, project: bytes, digest: bytes
) -> AnchoredPlan:
    """Put a plan for later periods on the chain; one that is the newest there already is given back.

    Raises
    ------
    ChainRefused
        If the project is closed, or another plan was put there at the same moment.
    """
    known = anchored_plans(port, project)
    if not known or known[-1].digest != digest:
        key = anchor_key(project, port.deployment.registry, len(known))
        uri = f"{project_uri(project_id, digest)}&change={len(known)}"
        try:
            # As its methodology it has the plan itself, so that no claim could ever be issued on it.
            port.register_project(admin, key, digest, 0, 0, uri)
        except ChainRefused:
            # Another run may have put the same plan there in between; only then is the refusal none.
            if anchored_plans(port, project)[-1].digest != digest:
                raise
        known = anchored_plans(port, project)
    return known[-1]


def plan_before(plans: list[AnchoredPlan], day: date) -> AnchoredPlan:
    """The plan that a survey of that day must be measured by: the newest put on the chain before it, else the first."""
    return next((plan for plan in reversed(plans) if plan.day < day), plans[0])


def check_plan(port: ChainPort, expected: ClaimStruct) -> list[Check]:
    """Whether the claim rests on the plan that stood on the chain before its survey, and since which day that was."""
    plans = anchored_plans(port, expected.project_id)
    if not plans:
        return [
            Check(
                "chain.plan",
                "not_made",
                "the project was registered without its monitoring plan: nothing shows when the plan was fixed",
                "プロジェクト登録時に計画が記録されておらず、計画を定めた時期は確認できません",
            )
        ]
    end = _EPOCH + timedelta(days=expected.period_end)
    plan = plan_before(plans, end)
    if plan.digest != expected.plan_digest:
        what = (
            ("put on the chain at registration", "登録時に記録された計画")
            if plan.number == 0
            else (f"put on the chain on {plan.day} for later periods", f"{plan.day} に記録された変更後の計画")
        )
        return [
            compared("chain.plan", f"monitoring plan {what[0]}", what[1], expected.plan_digest, plan.digest)
        ]
    en = f"the monitoring plan is the one put on the chain on {plan.day}"
    ja = f"計画は {plan.day} にチェーンへ記録されたものと一致します"
    if plan.number:
        en += f" (change {plan.number} of the plan)"
        ja += f"（{plan.number} 回目の変更）"
    if plan.day < end:
        en += f", before the survey of {end}"
        ja += f"（{end} の調査より前）"
    else:
        en += f"; that is not before the survey of {end}, so the chain does not show that it came first"
        ja += f"（{end} の調査より前ではないため、先に定めたことの証明にはなりません）"
    return [Check("chain.plan", "passed", en, ja)]
