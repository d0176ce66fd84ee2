"""What the contracts' refusals mean, in both languages."""

from __future__ import annotations

from collections.abc import Mapping

from registry.refusal_words_court import COURT_AND_BOOKS
from registry.refusal_words_money import SALE_AND_SPLIT, TREASURY_AND_LIBRARIES

# One sentence each for the refusals a user of the program can meet; {placeholders} are the error's arguments.
MONEY_AND_CLAIMS: Mapping[str, tuple[str, str]] = {
    "Project_Unknown": (
        "The project is not registered on this chain.",
        "このプロジェクトはチェーンに登録されていません。",
    ),
    "Project_Known": ("The project is already registered.", "このプロジェクトは登録済みです。"),
    "Project_Paused": (
        "The project is paused by its guardian.",
        "このプロジェクトは監視役により停止中です。",
    ),
    "Claim_UncertaintyAbsent": (
        "A claim without a standard error and a deduction of the change cannot be issued.",
        "変化量の標準誤差と控除のないクレームは発行できません。",
    ),
    "Claim_IdentityBroken": (
        "The gross is {grossKg} kg, but estimate - deduction - prior + compensated is {expected} kg.",
        "総量は {grossKg} kg ですが、推定 - 控除 - 既発行 + 補償済みは {expected} kg です。",
    ),
    "Claim_PriorGrossDiffers": (
        "The claim says {claimed} kg were issued before; the chain has {expected} kg. Compute the claim again.",
        "クレームの既発行量は {claimed} kg ですが、チェーンでは {expected} kg です。クレームを計算し直してください。",
    ),
    "Claim_CompensatedDiffers": (
        "The claim says {claimed} kg of reversals were compensated; the chain has {expected} kg.",
        "クレームの補償済み反転量は {claimed} kg ですが、チェーンでは {expected} kg です。",
    ),
    "Claim_BufferTooSmall": (
        "The buffer is {bufferKg} kg; this project needs at least {minimum} kg.",
        "バッファーは {bufferKg} kg ですが、最低 {minimum} kg が必要です。",
    ),
    "Claim_MethodDiffers": (
        "The claim was made with another methodology than the project's.",
        "クレームの方法論がプロジェクトの登録と異なります。",
    ),
    "Claim_PeriodOverlaps": (
        "The period starts on day {periodStart}, before the project's last credited day {lastPeriodEnd}.",
        "期間の初日({periodStart})が、プロジェクトの前回の終わり({lastPeriodEnd})より前です。",
    ),
    "Claim_PeriodInFuture": (
        "The period ends on day {periodEnd}, which has not come yet.",
        "期間の終わり({periodEnd} 日目)がまだ来ていません。",
    ),
    "Claim_ContentRootUsed": (
        "This evidence was already issued as batch {id}.",
        "この証拠はすでにバッチ {id} として発行されています。",
    ),
    "Claim_BatchKnown": ("This batch was already issued.", "このバッチはすでに発行されています。"),
    "Claim_Expired": (
        "The verifier's signature was good until {deadline} (unix seconds). Ask for a new one.",
        "検証者の署名の期限({deadline})が過ぎています。署名を取り直してください。",
    ),
    "Claim_NonceUsed": (
        "This signature's nonce was used by another claim of the verifier. Ask the verifier to sign again (approve).",
        "この署名の番号(nonce)は同じ検証者の別のクレームで使用済みです。検証者に署名し直してもらってください(approve)。",
    ),
    "Claim_SignatureInvalid": (
        "The signature is not that of verifier {verifier} over this claim.",
        "署名は検証者 {verifier} のこのクレームへのものではありません。",
    ),
    "Claim_VerifierIsIssuer": (
        "The verifier may not be the issuer.",
        "検証者と発行者は別のアカウントでなければなりません。",
    ),
    "Claim_VerifierUnknown": (
        "{verifier} is no verifier on this chain.",
        "{verifier} は検証者の権限を持ちません。",
    ),
    "Plot_AlreadySpent": (
        "A plot of the claim is already credited until day {spentUntilDay}; the claim starts on day {periodStart}.",
        "クレームの区画は {spentUntilDay} 日目まで発行済みですが、クレームは {periodStart} 日目から始まります。",
    ),
    "Batch_Unknown": ("There is no such batch.", "そのようなバッチはありません。"),
    "Batch_Locked": (
        "The batch is locked until {lockedUntil} (unix seconds) while it may be challenged.",
        "異議申立て期間のため、このバッチは {lockedUntil} まで動かせません。",
    ),
    "Reversal_BufferLeft": (
        "The named batches do not hold all of the buffer: {bufferKg} kg are left elsewhere. Name them too.",
        "指定のバッチ以外に {bufferKg} kg のバッファーが残っています。それらも指定してください。",
    ),
    "Purchase_KgTooMany": (
        "{asked} kg were asked for; the listing has {left} kg left.",
        "{asked} kg の注文ですが、残りは {left} kg です。",
    ),
    "Purchase_CostAboveMaximum": (
        "The cost is {cost} base units, above your maximum of {maxCost}.",
        "費用は {cost}(最小単位)で、上限 {maxCost} を超えます。",
    ),
    "Token_NotAllowed": (
        "The token {token} is not allowed for sales.",
        "トークン {token} は販売に使えません。",
    ),
    "Payout_NothingDue": ("Nothing is due to {payee}.", "{payee} に支払うべき額はありません。"),
    "Deposit_NoShares": (
        "The project has no payees yet. Set the shares first.",
        "プロジェクトの分配先が未設定です。先に分配率を設定してください。",
    ),
    "Shares_ChangePending": (
        "A change of shares (table {epoch}) is announced already, in force from {effectiveFrom} (unix seconds). Wait, or cancel it.",
        "配分の変更(表 {epoch})がすでに予告されており、{effectiveFrom}(unix 秒)に発効します。待つか、取り消してください。",
    ),
    "Shares_NonePending": (
        "No change of shares is announced that could be stopped.",
        "取り消せる予告中の配分変更はありません。",
    ),
    "Shares_PayeeCannotClaim": (
        "{payee} is a token, a registry or the sale: money sent there never comes out. Name a wallet, a Safe or a timelock.",
        "{payee} はトークン・登録簿・販売契約で、送金すると取り出せません。ウォレット、Safe、タイムロックを指定してください。",
    ),
    "Delay_Lowered": (
        "The delay of share changes may be raised, not lowered: {current} seconds stand, {delay} were asked for.",
        "配分変更の予告期間は延ばせますが短くできません。現在 {current} 秒、指定 {delay} 秒。",
    ),
    "Role_DutiesNotSeparated": (
        "{account} cannot be both issuer and verifier.",
        "{account} は発行者と検証者を兼ねられません。",
    ),
    "AccessControlUnauthorizedAccount": (
        "{account} has not the role this needs.",
        "{account} にはこの操作の権限がありません。",
    ),
    "TimelockUnexpectedOperationState": (
        "The payment is not in the state this needs: not scheduled, its delay not over, or done already.",
        "支払がこの操作のできる状態ではありません（未予定、待機中、または実行済み）。",
    ),
    "ERC20InsufficientBalance": (
        "{sender} has {balance} base units, {needed} are needed.",
        "{sender} の残高は {balance}(最小単位)で、{needed} が必要です。",
    ),
    "ERC20InsufficientAllowance": (
        "The allowance is {allowance} base units, {needed} are needed.",
        "許可額は {allowance}(最小単位)で、{needed} が必要です。",
    ),
    "ERC1155InsufficientBalance": (
        "{sender} holds {balance} kg of the batch, {needed} kg are needed.",
        "{sender} の保有は {balance} kg で、{needed} kg が必要です。",
    ),
}

WORDS: Mapping[str, tuple[str, str]] = {
    **COURT_AND_BOOKS,
    **MONEY_AND_CLAIMS,
    **SALE_AND_SPLIT,
    **TREASURY_AND_LIBRARIES,
}
