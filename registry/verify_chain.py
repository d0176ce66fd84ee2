"""What a buyer can check of a batch on the chain, one line per check, without asking us."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta

from hexbytes import HexBytes
from web3 import Web3

from registry.checks import Check, compared
from registry.claimstruct import ClaimStruct
from registry.court_events import SerialsEnded
from registry.deploy import check_deployment
from registry.events import BatchIssued, Event, Retired, Reversed
from registry.plan_anchor import anchored_plans, check_plan
from registry.port import ChainPort
from registry.refusals import ChainRefused
from registry.treasury import StatementMismatch, statement
from registry.verify_court import check_standing
from registry.views import BatchInfo, BatchState, IssueCall

_EIP1271_MAGIC = bytes.fromhex("1626ba7e")


def check_chain(port: ChainPort, expected: ClaimStruct) -> list[Check]:
    """Every check of one batch against the chain.

    Parameters
    ----------
    expected
        The claim as the evidence bundle says: `ClaimStruct.from_claim` with the roots computed from the bundle, and with
        recipient, nonce, deadline and window as published (they are compared by digest and signature).

    Returns
    -------
    list of Check
        If the contracts are not the published ones or the batch is unknown, the rest is *not made*.
    """
    checks = check_deployment(port.w3, port.deployment)
    if any(check.status != "passed" for check in checks):
        # What other code answers means nothing, and may not even be readable.
        return [*checks, *_not_made(*_OTHER_CODE)]
    event = port.issued(expected.batch_id)
    batch = port.batch(expected.batch_id)
    if event is None or batch is None:
        failed = Check(
            "chain.batch",
            "failed",
            f"batch 0x{expected.batch_id.hex()} was not issued by registry {port.deployment.registry} on chain {port.chain_id}"
            + (f"; the registry before it was {before}" if (before := port.deployment.predecessor) else ""),
            f"バッチ 0x{expected.batch_id.hex()} はチェーン {port.chain_id} の登録簿 {port.deployment.registry} で発行されていません"
            + (f"（前の登録簿は {before}）" if before else ""),
        )
        return [*checks, failed, *_not_made(*_NO_BATCH)]
    found = Check(
        "chain.batch",
        "passed",
        f"issued in block {event.block}, transaction {event.tx_hash}",
        f"ブロック {event.block}、取引 {event.tx_hash} で発行されました",
    )
    parts: Sequence[Callable[[], list[Check]]] = (
        lambda: _roots(port, expected, event),
        lambda: _signature(port, expected, event),
        lambda: _period(expected, event, batch),
        lambda: _continues(port, expected, event),
        lambda: check_plan(port, expected),
        lambda: _plots(port, expected, event),
        lambda: _figures(port, expected, event, batch),
        lambda: _supply(port, event, batch),
        lambda: check_standing(port, event, batch),
        lambda: _money(port, event),
    )
    return [*checks, found, *(check for part in parts for check in part())]


_LATER = (
    ("chain.content_root", "content root", "内容のルート"),
    ("chain.evidence_root", "evidence root", "証拠のルート"),
    ("chain.claim_digest", "signed claim", "署名されたクレーム"),
    ("chain.signature", "verifier's signature", "検証者の署名"),
    ("chain.duties", "verifier is not the issuer", "検証者と発行者の分離"),
    ("chain.period", "period", "期間"),
    ("chain.continues", "follows the batch before", "前回バッチとの連続性"),
    ("chain.plan", "monitoring plan", "モニタリング計画"),
    ("chain.plots", "plots spent", "区画の使用済み記録"),
    ("chain.kg", "kilograms", "キログラム"),
    ("chain.buffer", "buffer", "バッファー"),
    ("chain.supply", "supply and retirements", "残高と無効化"),
    ("chain.challenge", "challenge, annulment or move", "異議・取消・移行"),
    ("chain.money", "money", "収支"),
)


_NO_BATCH = ("there is no batch to check", "検査するバッチがありません")
_OTHER_CODE = ("the contracts are not the published ones", "契約が公開されたものではありません")


def _not_made(why_en: str, why_ja: str) -> list[Check]:
    return [Check(name, "not_made", f"{en}: {why_en}", f"{ja}: {why_ja}") for name, en, ja in _LATER]


def _roots(port: ChainPort, expected: ClaimStruct, event: BatchIssued) -> list[Check]:
    return [
        compared(
            "chain.content_root",
            "content root of inputs, outputs and claim",
            "入力・出力・クレームの内容ルート",
            expected.content_root,
            event.content_root,
        ),
        compared(
            "chain.evidence_root",
            "evidence root of the bundle",
            "証拠一式のルート",
            expected.evidence_root,
            event.evidence_root,
        ),
        compared(
            "chain.claim_digest",
            "digest of the whole claim that was signed",
            "署名されたクレーム全体のダイジェスト",
            expected.digest(port.chain_id, port.deployment.registry),
            event.claim_digest,
        ),
    ]


def _signature(port: ChainPort, expected: ClaimStruct, event: BatchIssued) -> list[Check]:
    try:
        call = port.issue_call(event.tx_hash)
    except LookupError:
        en = "the issue went through another contract, so the signature is not read back here"
        ja = "発行が別の契約を経由したため、署名をここでは読み出せません"
        names = ("chain.signature", "chain.duties")
        return [Check(name, "not_made", en, ja) for name in names]
    signed = _signed_by(port, expected, call)
    held = port.has_role("VERIFIER_ROLE", event.verifier, block=event.block)
    status = "passed" if signed and held and call.verifier == event.verifier else "failed"
    signature = Check(
        "chain.signature",
        "passed" if status == "passed" else "failed",
        f"verifier {event.verifier}: signature {'holds' if signed else 'does NOT hold'} for this claim, "
        f"role at that block: {'yes' if held else 'NO'}",
        f"検証者 {event.verifier}: このクレームへの署名は{'有効' if signed else '無効'}、"
        f"その時点の権限: {'あり' if held else 'なし'}",
    )
    apart = call.issuer.lower() != event.verifier.lower()
    duties = Check(
        "chain.duties",
        "passed" if apart else "failed",
        f"issued by {call.issuer}, verified by {event.verifier}",
        f"発行者 {call.issuer}、検証者 {event.verifier}",
    )
    return [signature, duties]


def _signed_by(port: ChainPort, expected: ClaimStruct, call: IssueCall) -> bool:
    chain_id, registry = port.chain_id, port.deployment.registry
    if bytes(port.w3.eth.get_code(Web3.to_checksum_address(call.verifier))):
        digest = expected.digest(chain_id, registry)
        return _eip1271(port, call.verifier, digest, call.signature)
    return expected.signer(call.signature, chain_id, registry) == call.verifier


def _eip1271(port: ChainPort, verifier: str, digest: bytes, signature: bytes) -> bool:
    from eth_abi.abi import encode
    from web3.exceptions import ContractLogicError

    data = _EIP1271_MAGIC + encode(["bytes32", "bytes"], [digest, signature])
    try:
        answer = port.w3.eth.call({"to": Web3.to_checksum_address(verifier), "data": HexBytes(data)})
    except ContractLogicError:
        return False
    return bytes(answer)[:4] == _EIP1271_MAGIC


def _day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()


def _period(expected: ClaimStruct, event: BatchIssued, batch: BatchInfo) -> list[Check]:
    def shown(start: int, end: int, vintage: int) -> str:
        return f"[{_day(start)}, {_day(end)}), {vintage}"

    wanted = shown(expected.period_start, expected.period_end, expected.vintage)
    logged = shown(event.period_start, event.period_end, event.vintage)
    stored = shown(batch.period_start, batch.period_end, batch.vintage)
    found = logged if logged == stored else f"{logged} in the event, {stored} in storage"
    return [compared("chain.period", "period and vintage", "期間とビンテージ", wanted, found)]


def _continues(port: ChainPort, expected: ClaimStruct, event: BatchIssued) -> list[Check]:
    """The batch goes on where the project's last one ended, on the same plots, by the same monitoring plan or a later one.

    That a later one stood on the chain before the survey is the check `chain.plan`.
    """
    before = [
        e
        for e in port.events(to_block=event.block)
        if isinstance(e, BatchIssued)
        and e.project_id == event.project_id
        and (e.block, e.log_index) < (event.block, event.log_index)
    ]
    if not before:
        plain = expected.prior_gross_kg == 0
        return [
            Check(
                "chain.continues",
                "passed" if plain else "failed",
                f"the project's first batch, {expected.prior_gross_kg} kg issued before",
                f"プロジェクト最初のバッチ、発行済み {expected.prior_gross_kg} kg",
            )
        ]
    last = before[-1]
    before_plan = port.issue_call(last.tx_hash).claim.plan_digest
    plans = [plan.digest for plan in anchored_plans(port, event.project_id)]
    changed = before_plan in plans and expected.plan_digest in plans[plans.index(before_plan) + 1 :]
    wanted = (_day(last.period_end), last.plot_keys, expected.plan_digest if changed else before_plan)
    found = (_day(expected.period_start), expected.plot_keys, expected.plan_digest)
    names = (("start", "開始日"), ("plots", "区画"), ("monitoring plan", "モニタリング計画"))
    other = [name for name, a, b in zip(names, wanted, found, strict=True) if a != b]
    plan = (
        ("a monitoring plan changed since", "計画は変更後のもの")
        if changed
        else ("same monitoring plan", "計画も同一")
    )
    good = (
        f"goes on where batch {len(before)} of the project ended on {_day(last.period_end)}, same plots, {plan[0]}",
        f"前回バッチ（{_day(last.period_end)} まで）に続き、区画は同一、{plan[1]}です",
    )
    bad = (
        f"differs from the project's batch {len(before)} in: {', '.join(n[0] for n in other)}",
        f"前回のバッチと異なります: {'、'.join(n[1] for n in other)}",
    )
    text = bad if other else good
    return [Check("chain.continues", "failed" if other else "passed", *text)]


def _plots(port: ChainPort, expected: ClaimStruct, event: BatchIssued) -> list[Check]:
    unspent = [key for key in expected.plot_keys if port.spent_until(key) < expected.period_end]
    same = expected.plot_keys == event.plot_keys
    count = len(expected.plot_keys)
    if same and not unspent:
        return [
            Check(
                "chain.plots",
                "passed",
                f"{count} plots are spent until {_day(expected.period_end)} or later",
                f"{count} 区画が {_day(expected.period_end)} 以降まで使用済みです",
            )
        ]
    return [
        Check(
            "chain.plots",
            "failed",
            f"expected {count} plots spent until {_day(expected.period_end)}; {len(unspent)} are not, "
            f"keys in the event {'agree' if same else 'differ'}",
            f"{count} 区画が {_day(expected.period_end)} まで使用済みのはずですが、{len(unspent)} 区画が異なります",
        )
    ]


def _figures(port: ChainPort, expected: ClaimStruct, event: BatchIssued, batch: BatchInfo) -> list[Check]:
    def shown(estimate: int, error: int, deduction: int, gross: int, buffer: int) -> str:
        return f"estimate {estimate}, standard error {error}, deduction {deduction}, gross {gross}, buffer {buffer}"

    wanted = shown(
        expected.estimate_kg,
        expected.standard_error_kg,
        expected.deduction_kg,
        expected.gross_kg,
        expected.buffer_kg,
    )
    logged = shown(
        event.estimate_kg, event.standard_error_kg, event.deduction_kg, event.gross_kg, event.buffer_kg
    )
    held = port.balance(port.deployment.registry, event.id)
    out = port.batch_state(event.id).buffer_out_kg
    left = batch.buffer_issued_kg - batch.buffer_burned_kg - out
    stored = (batch.gross_kg, batch.buffer_issued_kg) == (expected.gross_kg, expected.buffer_kg)
    buffer_ok = stored and held == left
    return [
        compared("chain.kg", "kilograms of the claim", "クレームの数量(kg)", wanted, logged),
        Check(
            "chain.buffer",
            "passed" if buffer_ok else "failed",
            f"buffer holds {held} kg: {batch.buffer_issued_kg} put in, {batch.buffer_burned_kg} used for reversals"
            + (f", {out} released, annulled or handed to a successor" if out else ""),
            f"バッファー残高 {held} kg(拠出 {batch.buffer_issued_kg}、反転に使用 {batch.buffer_burned_kg}"
            + (f"、解放・取消・移行 {out})" if out else ")"),
        ),
    ]


def _supply(port: ChainPort, event: BatchIssued, batch: BatchInfo) -> list[Check]:
    events = port.events()
    retired = sum(e.kg for e in events if isinstance(e, Retired) and e.id == event.id)
    count = sum(1 for e in events if isinstance(e, Retired) and e.id == event.id)
    supply = port.total_supply(event.id)
    state = port.batch_state(event.id)
    gone = state.gone_kg
    right = (
        retired == batch.retired_kg
        and supply == batch.gross_kg - retired - batch.buffer_burned_kg - gone
        and _serials_fit(events, event.id, retired, state)
    )
    reversals = [e for e in events if isinstance(e, Reversed) and e.project_id == event.project_id]
    deficit = reversals[-1].deficit_kg if reversals else 0
    return [
        Check(
            "chain.supply",
            "passed" if right else "failed",
            f"{batch.gross_kg} kg issued, {retired} kg retired in {count} certificates, {supply} kg exist"
            + (f", {gone} kg ended otherwise" if gone else "")
            + f"; serials below {state.serial_next} have ended, none twice; "
            f"{len(reversals)} reversals recorded in the project (last deficit {deficit} kg)",
            f"発行 {batch.gross_kg} kg、無効化 {retired} kg(証書 {count} 通)、現存 {supply} kg"
            + (f"、その他の終了 {gone} kg" if gone else "")
            + f"。通し番号 {state.serial_next} 未満は使用済みで重複なし。"
            f"プロジェクトの反転記録 {len(reversals)} 件(直近の不足 {deficit} kg)",
        )
    ]


def _serials_fit(events: Sequence[Event], token_id: int, retired: int, state: BatchState) -> bool:
    """No serial was told twice, and those on certificates add up to what was retired.

    Gaps are no fault: buffer that a successor took over, and an annulment, end serials without telling them.
    """
    ranges = [e for e in events if isinstance(e, SerialsEnded) and e.id == token_id]
    told = sum(e.end - e.first for e in ranges if e.certificate_id)
    bounds = [0, *(bound for e in ranges for bound in (e.first, e.end)), state.serial_next]
    return told == retired and bounds == sorted(bounds)


def _money(port: ChainPort, event: BatchIssued) -> list[Check]:
    try:
        books = statement(port, event.project_id)
    except (StatementMismatch, ChainRefused) as error:
        return [Check("chain.money", "failed", error.en, error.ja)]
    en = (
        f"{books.revenue_total} base units came in = {books.paid_total} paid out + {books.claimable} due "
        f"+ {books.carried} carried, {len(books.payees)} payees"
    )
    ja = (
        f"入金 {books.revenue_total} = 支払済 {books.paid_total} + 未払 {books.claimable} "
        f"+ 繰越 {books.carried}(最小単位、分配先 {len(books.payees)} 件)"
    )
    return [Check("chain.money", "passed", en, ja)]
