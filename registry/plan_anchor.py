"""The monitoring plan on the chain: its digest stands in the project's address from registration on, with the block's time.

The registry never changes a project's URI, so that nobody can say afterwards that another plan had been fixed.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from registry.checks import Check, compared
from registry.claimstruct import ClaimStruct
from registry.events import ProjectRegistered
from registry.port import ChainPort

_PLAN = re.compile(r"[?&]plan=0x([0-9a-f]{64})(?![0-9a-f])")
_EPOCH = date(1970, 1, 1)


def project_uri(project_id: str, plan_digest: bytes) -> str:
    """Address of a project as it is registered, with the digest of its monitoring plan."""
    return f"satoyama:{project_id}?plan=0x{plan_digest.hex()}"


def plan_in(uri: str) -> bytes | None:
    """The plan digest that a project's address carries, if any."""
    found = _PLAN.search(uri)
    return bytes.fromhex(found.group(1)) if found else None


def check_plan(port: ChainPort, expected: ClaimStruct) -> list[Check]:
    """Whether the claim rests on the plan that was put on the chain when the project was, and on which day that was."""
    registered = next(
        (
            e
            for e in port.events()
            if isinstance(e, ProjectRegistered) and e.project_id == expected.project_id
        ),
        None,
    )
    anchored = plan_in(registered.uri) if registered is not None else None
    if registered is None or anchored is None:
        return [
            Check(
                "chain.plan",
                "not_made",
                "the project was registered without its monitoring plan: nothing shows when the plan was fixed",
                "プロジェクト登録時に計画が記録されておらず、計画を定めた時期は確認できません",
            )
        ]
    if anchored != expected.plan_digest:
        return [
            compared(
                "chain.plan",
                "monitoring plan put on the chain at registration",
                "登録時に記録された計画",
                expected.plan_digest,
                anchored,
            )
        ]
    put = datetime.fromtimestamp(port.block_time(registered.block), UTC).date()
    end = _EPOCH + timedelta(days=expected.period_end)
    en = f"the monitoring plan is the one put on the chain on {put}"
    ja = f"計画は {put} にチェーンへ記録されたものと一致します"
    if put < end:
        en += f", before the survey of {end}"
        ja += f"（{end} の調査より前）"
    else:
        en += f"; that is not before the survey of {end}, so the chain does not show that it came first"
        ja += f"（{end} の調査より前ではないため、先に定めたことの証明にはなりません）"
    return [Check("chain.plan", "passed", en, ja)]
