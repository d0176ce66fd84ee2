"""Verification of a batch by a stranger: hash every file, recompute every stage, compare whole kilograms, then ask the chain.

One line per check. A check that could not be made says so, and is never counted as passed. Nothing here trusts the bundle: its documents are
judged, and what raises is a finding.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from models.errors import SatoyamaError
from mrv import __version__
from mrv.bundle import Bundle
from mrv.credits import method_digest
from mrv.evidence import roots_of
from mrv.layout import CLAIM_NAME, INPUTS
from mrv.project import DESIGN_TEXTS, METHOD_ID, METHOD_VERSION, MonitoringPlan, knows_method
from mrv.provenance import ENVIRONMENT_NAME, STAC_FOLDER, STATEMENT_NAME, measuring_digest, multihash
from mrv.results import Claim
from mrv.tables import load_tables
from registry.checks import Check, compared
from registry.verify_report import LEFT_OUT, SPOILT, Log, VerifyReport

if TYPE_CHECKING:
    from mrv.pipeline import PipelineInputs
    from registry.claimstruct import ClaimStruct
    from registry.port import ChainPort


# The method that this program knows and recomputes, under any design of `mrv.project.DESIGN_TEXTS`.
KNOWN_METHOD = (METHOD_ID, METHOD_VERSION, MonitoringPlan.model_form, " | ".join(DESIGN_TEXTS.values()))


def verify(
    bundle: Path,
    port: ChainPort | None,
    *,
    evidence_root: str | None = None,
    tell: Callable[[Check], None] | None = None,
) -> VerifyReport:
    """Check a bundle from its bytes to its kilograms, and against the chain.

    Parameters
    ----------
    bundle : Path
        Zip or folder.
    port : ChainPort or None
        None leaves the chain out, as the caller asked; the report says so.
    evidence_root : str, optional
        A root known from elsewhere (the public page, the chain), ``0x`` and 64 hex digits.
    tell : callable, optional
        Gets every check as soon as it is made.

    Returns
    -------
    VerifyReport
        Never raises for what is wrong with the bundle.
    """
    log = Log(tell)
    try:
        opened = Bundle(bundle)
    except SatoyamaError as error:
        log.say(
            "bundle.opened",
            "failed",
            f"The bundle cannot be read: {error.en}",
            f"証拠一式を読めません。{error.ja}",
        )
        return VerifyReport(tuple(log.checks), None, "", "")
    with opened:
        intact = _check_bundle(opened, evidence_root, log)
        claim = _read_claim(opened, log)
        if claim is None:
            return VerifyReport(tuple(log.checks), None, "", opened.evidence.evidence_root)
        _check_provenance(opened, log)
        inputs = _check_rules(opened, claim, log)
        same = _check_program(opened, log)
        recomputed = _recompute(opened, claim, inputs, _why_not(opened, intact, same), log)
        _check_chain(port, claim, opened, log)
        return VerifyReport(tuple(log.checks), recomputed, claim.batch_id, opened.evidence.evidence_root)


def _check_bundle(bundle: Bundle, expected_root: str | None, log: Log) -> bool:
    container, found, roots = bundle.container, bundle.compare_files(), bundle.evidence.roots
    whole = not container.damage
    if not whole:
        en = f"The zip is altered outside its files ({container.damage}); unpack it and verify the folder, or ask for an untouched copy."
        ja = f"ZIPのファイル以外の部分が改変されています({container.damage})。展開したフォルダを検証するか、元の一式を求めてください。"
        log.say("bundle.container", "failed", en, ja)
    intact = log.judge(
        "bundle.files",
        found.intact,
        (
            f"Files: all {found.checked} files are the original ones.",
            f"ファイル: {found.checked} 件すべて原本と一致。",
        ),
        _files_wrong(found.differing, found.missing, found.unexpected),
    )
    if found.withheld:
        listed = ", ".join(found.withheld)
        en = f"Withheld on purpose, so not looked at: {listed}"
        log.say("bundle.withheld", "not_made", en, f"非開示のため未確認のファイル: {listed}")
    own = roots_of(bundle.evidence.leaves)
    rooted = log.add(
        compared(
            "bundle.roots",
            "Evidence root over all files",
            "全ファイルの証拠ルート",
            roots.evidence_root,
            own.evidence_root,
        )
        if (own.content_root, own.run_root) == (roots.content_root, roots.run_root)
        else compared("bundle.roots", "Roots of the two halves", "2つの部分木のルート", roots, own)
    )
    if expected_root is not None:
        what = "Evidence root that you gave", "指定された証拠ルート"
        rooted &= log.add(compared("bundle.expected_root", *what, expected_root.lower(), own.evidence_root))
    return whole and intact and rooted


def _files_wrong(
    differing: tuple[str, ...], missing: tuple[str, ...], unexpected: tuple[str, ...]
) -> tuple[str, str]:
    en, ja = [], []
    kinds = (
        (differing, "changed", "内容が変わったファイル"),
        (missing, "missing", "欠けているファイル"),
        (unexpected, "added by nobody knows whom", "由来不明のファイル"),
    )
    for names, word_en, word_ja in kinds:
        if names:
            en.append(f"{len(names)} {word_en}, first {names[0]}; all: {', '.join(names)}")
            ja.append(f"{word_ja} {len(names)} 件、最初は {names[0]}、全件: {', '.join(names)}")
    return f"Files: {'. '.join(en)}.", f"ファイル: {'。'.join(ja)}。"


def _read_claim(bundle: Bundle, log: Log) -> Claim | None:
    try:
        claim = bundle.claim()
        figures = [
            getattr(claim, k) for k in ("estimate_kg", "deduction_kg", "gross_kg", "buffer_kg", "credited_kg")
        ]
        figures += [claim.standard_error_kg, claim.prior_gross_kg, claim.compensated_kg]
        if any(type(figure) is not int for figure in figures):
            raise ValueError(f"expected whole kilograms, got {figures}")
    except SPOILT as error:
        log.broken("claim.read", "The claim cannot be read", "申請を読めません", error)
        return None
    net = claim.estimate_kg - claim.deduction_kg
    shown = (
        f"estimate {claim.estimate_kg:,} - deduction {claim.deduction_kg:,} - issued before {claim.prior_gross_kg:,} "
        f"+ compensated {claim.compensated_kg:,} = {claim.gross_kg:,} = credited {claim.credited_kg:,} + buffer {claim.buffer_kg:,} kg",
        f"推定 {claim.estimate_kg:,} − 控除 {claim.deduction_kg:,} − 発行済 {claim.prior_gross_kg:,} ＋ 補償済 {claim.compensated_kg:,} "
        f"＝ {claim.gross_kg:,} ＝ 発行 {claim.credited_kg:,} ＋ バッファ {claim.buffer_kg:,} kg",
    )
    holds = (
        net - claim.prior_gross_kg + claim.compensated_kg
        == claim.gross_kg
        == claim.credited_kg + claim.buffer_kg
        and min(claim.deduction_kg, claim.standard_error_kg, claim.gross_kg, claim.credited_kg) > 0
        and claim.buffer_kg >= 0
        and claim.period_start < claim.period_end
        and 0 <= claim.compensated_kg <= claim.prior_gross_kg
    )
    good = f"Kilograms add up: {shown[0]}.", f"内訳の合計が一致: {shown[1]}。"
    bad = f"The claim's kilograms do not add up: {shown[0]}.", f"内訳の合計が一致しません: {shown[1]}。"
    log.judge("claim.arithmetic", holds, good, bad)
    if claim.simulated or claim.unverified:
        made_up = (
            ("on SIMULATED survey data, worth nothing", "模擬データによるもので価値はない")
            if claim.simulated
            else ("", "")
        )
        recalled = (
            f"{len(claim.unverified)} constants that nobody has verified in their source",
            f"出典未確認の係数 {len(claim.unverified)} 件",
        )
        parts = [p for p in (made_up, recalled if claim.unverified else ("", "")) if p[0]]
        log.say(
            "claim.nature",
            "passed",
            f"Know what it rests on: {'; '.join(p[0] for p in parts)}.",
            f"前提: {'、'.join(p[1] for p in parts)}。",
        )
    return claim


def _check_provenance(bundle: Bundle, log: Log) -> None:
    """STAC checksums and the run statement name the very files that lie in the bundle."""
    try:
        wrong, count = [], 0
        present = set(bundle.container.names)
        for path in bundle.below(STAC_FOLDER).values():
            for asset in bundle.doc(path)["assets"].values():
                name = unquote(str(asset["href"]).removeprefix("../../"))
                if "file:checksum" in asset and name in present:
                    count += 1
                    digest = bundle.container.digest(name)
                    if digest is None or asset["file:checksum"] != multihash(digest):
                        wrong.append(name)
        statement = bundle.doc(STATEMENT_NAME)
        subject = {s["name"]: s["digest"] for s in statement["subject"]}
        made = str(bundle.container.digest(CLAIM_NAME)).removeprefix("sha256:")
        if subject[CLAIM_NAME]["sha256"] != made:
            wrong.append(f"{STATEMENT_NAME}: claim")
        if "0x" + subject["content_root"]["satoyamaEvidence1"] != bundle.evidence.content_root:
            wrong.append(f"{STATEMENT_NAME}: content root")
    except SPOILT as error:
        log.broken("bundle.provenance", "Provenance cannot be read", "来歴を読めません", error)
        return
    listed = ", ".join(wrong)
    log.judge(
        "bundle.provenance",
        not wrong and count > 0,
        (
            f"Provenance: {count} checksums of the catalogue (STAC) and the run statement fit the files.",
            f"来歴: カタログ(STAC)のチェックサム {count} 件と実行証明がファイルと一致。",
        ),
        (
            f"Provenance does not fit the files: {listed or 'no checksums at all'}.",
            f"来歴がファイルと一致しません: {listed or 'チェックサムなし'}。",
        ),
    )


def _check_rules(bundle: Bundle, claim: Claim, log: Log) -> PipelineInputs | None:
    """Method, plan and tables are those that the claim names and this program knows."""
    try:
        inputs = bundle.inputs()
    except SPOILT as error:
        log.broken("claim.inputs", "The inputs cannot be read", "入力を読めません", error)
        return None
    plan = inputs.plan
    log.add(compared("claim.plan", "Monitoring plan", "モニタリング計画", claim.plan_digest, plan.digest))
    what = (
        f"Method {claim.method_id} {claim.method_version}",
        f"方法論 {claim.method_id} {claim.method_version}",
    )
    if knows_method(plan):
        log.add(compared("claim.method", *what, claim.method_digest, method_digest(plan)))
    else:
        named = (plan.method_id, plan.method_version, plan.model_form, plan.design)
        log.add(compared("claim.method", *what, KNOWN_METHOD, named))
    tables = "Reference tables (volume equations, factors)", "参照表(材積式・係数)"
    log.add(compared("claim.tables", *tables, load_tables().digest, inputs.tables.digest))
    return inputs


def _check_program(bundle: Bundle, log: Log) -> bool:
    try:
        doc = bundle.doc(ENVIRONMENT_NAME)
        made_by, version = str(doc["measuring_digest"]), str(doc["version"])
    except SPOILT as error:
        log.broken("program.version", "The environment cannot be read", "環境記録を読めません", error)
        return False
    own = measuring_digest()
    if made_by == own:
        return log.say(
            "program.version",
            "passed",
            f"Program: made by this very program text, version {version}.",
            f"プログラム: 同一のプログラム(版 {version})で作成。",
        )
    return log.say(
        "program.version",
        "not_made",
        f"Made by another program text: version {version}, {made_by}; this is {__version__}, {own}. "
        "Install the version that made it and verify again.",
        f"別のプログラム(版 {version}、{made_by})で作成されています。こちらは版 {__version__}、{own} です。作成時の版を入れて再検証してください。",
    )


def _why_not(bundle: Bundle, intact: bool, same: bool) -> tuple[str, str] | None:
    if not intact:
        return "the files are not the original ones", "ファイルが原本と一致しないため"
    if any(leaf.withheld and leaf.path.startswith(INPUTS) for leaf in bundle.evidence.leaves):
        return "input files are withheld", "入力ファイルが非開示のため"
    if not same:
        return "another version of the program made them", "別の版のプログラムで作成されたため"
    return None


def _recompute(
    bundle: Bundle, claim: Claim, inputs: PipelineInputs | None, why_not: tuple[str, str] | None, log: Log
) -> int | None:
    if why_not is None and inputs is not None:
        from registry.recompute import recompute

        return recompute(bundle, claim, inputs, log)
    en, ja = why_not or ("the inputs cannot be read", "入力を読めないため")
    log.say(
        "recomputed.kilograms", "not_made", f"Kilograms not recomputed: {en}.", f"{ja}、再計算していません。"
    )
    return None


def _check_chain(port: ChainPort | None, claim: Claim, bundle: Bundle, log: Log) -> None:
    if port is None:
        log.say(
            LEFT_OUT, "not_made", "The chain was left out, as asked.", "指定によりチェーンとの照合を省略。"
        )
        return
    from web3.exceptions import Web3Exception

    from registry.verify_chain import check_chain

    try:
        for check in check_chain(port, _expected_on_chain(port, claim, bundle)):
            log.add(check)
    except (Web3Exception, OSError, *SPOILT) as error:
        log.broken(
            "chain.reached", "The chain could not be read to the end", "チェーンを最後まで読めません", error
        )


def _expected_on_chain(port: ChainPort, claim: Claim, bundle: Bundle) -> ClaimStruct:
    """The claim of this bundle, with what only the issue itself fixed (recipient, nonce, deadline, window) read from the issue."""
    from registry.claimstruct import ClaimStruct, digest_of

    roots = roots_of(bundle.evidence.leaves)
    recipient, nonce, deadline, window = "0x" + "00" * 20, 0, 0, 0
    event = port.issued(digest_of(claim.batch_id))
    if event is not None:
        recipient = event.recipient
        try:
            sent = port.issue_call(event.tx_hash).claim
            recipient, nonce, deadline, window = (
                sent.recipient,
                sent.nonce,
                sent.deadline,
                sent.challenge_window,
            )
        except LookupError:
            # Issued through another contract: `check_chain` reports that the signature cannot be read back.
            pass
    return ClaimStruct.from_claim(
        claim,
        content_root=roots.content_root,
        evidence_root=roots.evidence_root,
        recipient=recipient,
        nonce=nonce,
        deadline=deadline,
        challenge_window=window,
    )
