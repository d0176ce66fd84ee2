"""What the refusals of the registry's books and of the court mean, in both languages."""

from __future__ import annotations

from collections.abc import Mapping

COURT_AND_BOOKS: Mapping[str, tuple[str, str]] = {
    "Role_NotSuspendable": (
        "Only issuers and verifiers can be suspended by a guardian.",
        "監視役が停止できるのは発行者と検証者だけです。",
    ),
    "Project_NotPaused": (
        "The project is not paused.",
        "このプロジェクトは停止されていません。",
    ),
    "Project_Closed": (
        "The project closed in this registry at {closedAt} (unix seconds): it goes on in the successor. See: satoyama migrate status",
        "このプロジェクトはこの登録簿では {closedAt}(unix 秒)に締め切られ、後継の登録簿で続きます。確認: satoyama migrate status",
    ),
    "Project_IdZero": (
        "A project needs an id.",
        "プロジェクトの識別子がありません。",
    ),
    "Project_MethodZero": (
        "A project needs the digest of its methodology.",
        "方法論のダイジェストがありません。",
    ),
    "Project_BufferTooHigh": (
        "A buffer of {minBufferBps} of 10,000 would leave nothing to credit.",
        "バッファー率 {minBufferBps}/10000 ではクレジットが残りません。",
    ),
    "Project_WindowTooLong": (
        "The challenge window is {challengeWindow} seconds; {maximum} is the most.",
        "異議申立て期間は {challengeWindow} 秒ですが、上限は {maximum} 秒です。",
    ),
    "Claim_WindowDiffers": (
        "The claim says a challenge window of {claimed} seconds; the project has {expected}. Sign the claim again.",
        "クレームの異議申立て期間は {claimed} 秒ですが、プロジェクトは {expected} 秒です。署名し直してください。",
    ),
    "Claim_GrossZero": (
        "The claim credits nothing.",
        "クレームの発行量がゼロです。",
    ),
    "Claim_BufferTooLarge": (
        "A buffer of {bufferKg} kg leaves nothing of {grossKg} kg.",
        "バッファー {bufferKg} kg では、総量 {grossKg} kg から何も残りません。",
    ),
    "Claim_PeriodEmpty": (
        "The period from day {periodStart} to day {periodEnd} is empty.",
        "期間({periodStart} 日目から {periodEnd} 日目)が空です。",
    ),
    "Claim_VintageDiffers": (
        "The claim says vintage {claimed}; its period's last day is of {expected}.",
        "クレームのビンテージは {claimed} ですが、期間の最終日は {expected} 年です。",
    ),
    "Claim_RecipientInvalid": (
        "{recipient} cannot receive credits.",
        "{recipient} はクレジットを受け取れません。",
    ),
    "Claim_RootZero": (
        "The claim lacks its content root, evidence root or monitoring plan.",
        "クレームに内容ルート、証拠ルート、または計画がありません。",
    ),
    "Claim_BatchIdZero": (
        "The claim has no batch id.",
        "クレームにバッチ番号がありません。",
    ),
    "Plots_CountInvalid": (
        "A claim names 1 to {maximum} plots; this one names {count}.",
        "クレームの区画は 1 から {maximum} 件ですが、{count} 件です。",
    ),
    "Plots_NotAscending": (
        "The plot keys must ascend, each once.",
        "区画キーは昇順で、重複なしでなければなりません。",
    ),
    "Batch_Frozen": (
        "The batch is under challenge; nothing moves until that is decided. See: satoyama challenge status",
        "このバッチは異議申立ての審査中で、決定まで動かせません。確認: satoyama challenge status",
    ),
    "Batch_NotFrozen": (
        "The batch is not under challenge.",
        "このバッチは審査中ではありません。",
    ),
    "Batch_LockOver": (
        "The time to challenge this batch ended at {lockedUntil} (unix seconds): its credits may have been sold. A guardian or verifier can still report a reversal.",
        "このバッチの異議申立て期間は {lockedUntil}(unix 秒)に終わり、クレジットは売却済みかもしれません。監視役か検証者による反転の記録は今からでもできます。",
    ),
    "Batch_LockTooShort": (
        "The batch must stay locked until {least} at least.",
        "バッチは少なくとも {least} まで動かせない必要があります。",
    ),
    "Batch_NotOfProject": (
        "The batch is not of this project.",
        "このバッチは別のプロジェクトのものです。",
    ),
    "Retirement_KgZero": (
        "Retire 1 kg or more.",
        "無効化は 1 kg 以上です。",
    ),
    "Retirement_BeneficiaryEmpty": (
        "A retirement needs a beneficiary.",
        "無効化には受益者の名前が必要です。",
    ),
    "Retirement_CountryInvalid": (
        "The country is two capital letters such as JP, or none.",
        "国は JP のような大文字2字か空欄です。",
    ),
    "Retirement_PeriodEmpty": (
        "The consumption period from day {consumptionStart} to day {consumptionEnd} is empty.",
        "使用期間({consumptionStart} 日目から {consumptionEnd} 日目)が空です。",
    ),
    "Reversal_KgZero": (
        "Report 1 kg or more.",
        "反転は 1 kg 以上です。",
    ),
    "Reversal_ReasonZero": (
        "A reversal needs the digest of its reason.",
        "反転には理由のダイジェストが必要です。",
    ),
    "Reversal_Known": (
        "This reversal is recorded already; it counts once. Another loss needs another reason text.",
        "この反転は記録済みで、一度だけ数えます。別の損失には別の理由を書いてください。",
    ),
    "Reversal_ExceedsIssued": (
        "{kg} kg cannot be lost: only {outstandingKg} kg are issued and not compensated.",
        "{kg} kg の反転はできません。発行済みで未補償の量は {outstandingKg} kg です。",
    ),
    "Refill_KgInvalid": (
        "{kg} kg were offered; the deficit is {deficitKg} kg. Give 1 kg up to that.",
        "{kg} kg の補填ですが、不足は {deficitKg} kg です。1 kg からその量までを指定してください。",
    ),
    "Release_KgInvalid": (
        "{kg} kg were asked for; the schedule lets {releasableKg} kg of this batch's buffer go now. See: satoyama buffer status",
        "{kg} kg の解放ですが、予定により今解放できるのは {releasableKg} kg です。確認: satoyama buffer status",
    ),
    "Release_Deficit": (
        "The project has a deficit of {deficitKg} kg: no buffer is released before it is made good (satoyama buffer refill).",
        "不足が {deficitKg} kg 残っています。補填(satoyama buffer refill)が済むまでバッファーは解放できません。",
    ),
    "Migration_ProjectsClosing": (
        "The move cannot be taken back as long as projects are announced to close ({count}). Take those back first: "
        "satoyama migrate announce --take-back",
        "締切を予告したプロジェクトが {count} 件ある間は、移行を取り消せません。先にそれらを取り消してください: satoyama migrate announce --take-back",
    ),
    "Migration_Final": (
        "The move to {successor} is in effect since {from} (unix seconds) and final.",
        "{successor} への移行は {from}(unix 秒)に発効しており、取り消せません。",
    ),
    "Migration_NotInEffect": (
        "No move is in effect yet (successor {successor}, from {from} unix seconds). Wait; until then credits stay here.",
        "移行はまだ発効していません(後継 {successor}、発効 {from} unix 秒)。それまでクレジットはここに残ります。",
    ),
    "Migration_NotSuccessor": (
        "{caller} is not the successor in effect of this registry.",
        "{caller} はこの登録簿の発効済みの後継ではありません。",
    ),
    "Migration_Unsettled": (
        "The project cannot go over yet: every lock of its batches must be over and no challenge open. See: satoyama migrate status",
        "まだ移行できません。全バッチの異議申立て期間が終わり、審査中のものがないことが必要です。確認: satoyama migrate status",
    ),
    "Migration_NotPredecessor": (
        "{caller} is not the registry before this one.",
        "{caller} は前の登録簿ではありません。",
    ),
    "Migration_BatchKnown": (
        "The successor has this batch already.",
        "後継の登録簿はこのバッチを引き継ぎ済みです。",
    ),
    "Court_PanelZero": (
        "A panel needs at least one verifier.",
        "合議には検証者が1人以上必要です。",
    ),
    "Court_BondZero": (
        "The bond is zero or too large to double.",
        "保証金がゼロか、倍にできないほど大きな額です。",
    ),
    "Court_TimeInvalid": (
        "The time to decide is {resolutionTime} seconds; it must be 1 to 90 days.",
        "審査期間は {resolutionTime} 秒ですが、1 日から 90 日でなければなりません。",
    ),
    "Challenge_RootUnknown": (
        "No batch was issued on this content root.",
        "この内容ルートで発行されたバッチはありません。",
    ),
    "Challenge_RootSame": (
        "The root posted is the batch's own (or zero): a challenge says that the same inputs give another result.",
        "示されたルートがバッチのもの(またはゼロ)です。異議は、同じ入力から別の結果が出ることを示すものです。",
    ),
    "Challenge_RootPosted": (
        "This root was posted against the batch before; it is heard once. See: satoyama challenge status",
        "このルートによる異議は申立て済みで、審査は一度だけです。確認: satoyama challenge status",
    ),
    "Challenge_RecipientWrong": (
        "{recipient} does not hold the batch; name the recipient of its claim.",
        "{recipient} はこのバッチの保有者ではありません。クレームの受取人を指定してください。",
    ),
    "Challenge_NotOpen": (
        "Challenge {challengeId} is not open: it was decided, or never was.",
        "異議 {challengeId} は審査中ではありません(決定済み、または存在しません)。",
    ),
    "Challenge_DeadlineOver": (
        "Challenge {challengeId} was to be decided before {deadline} (unix seconds). Anybody can now end it: satoyama challenge expire {challengeId}",
        "異議 {challengeId} の審査期限({deadline} unix 秒)は過ぎました。誰でも終わらせられます: satoyama challenge expire {challengeId}",
    ),
    "Challenge_DeadlineAhead": (
        "Challenge {challengeId} may still be decided until {deadline} (unix seconds).",
        "異議 {challengeId} は {deadline}(unix 秒)まで審査できます。",
    ),
    "Challenge_NotGuardian": (
        "{caller} is no guardian; guardians decide alone, verifiers vote (satoyama challenge vote).",
        "{caller} は監視役ではありません。単独で決めるのは監視役、検証者は投票します(satoyama challenge vote)。",
    ),
    "Challenge_NotVerifier": (
        "{caller} is no verifier, so it has no vote.",
        "{caller} は検証者ではないため、投票できません。",
    ),
    "Challenge_OwnCause": (
        "{caller} is the challenger, the batch's recipient, its signer or an issuer, and cannot judge challenge {challengeId}. Ask another guardian or verifier.",
        "{caller} は申立人・受取人・署名者・発行者のいずれかで、異議 {challengeId} を裁けません。別の監視役か検証者に依頼してください。",
    ),
    "Challenge_Voted": (
        "{caller} has voted on challenge {challengeId} already.",
        "{caller} は異議 {challengeId} に投票済みです。",
    ),
    "Payment_AmountDiffers": (
        "The token moved {received} base units instead of {expected}: such a token cannot be used here.",
        "トークンの移動額が {expected} ではなく {received}(最小単位)でした。このようなトークンは使えません。",
    ),
    "Payment_NothingDue": (
        "The court owes {account} nothing.",
        "{account} が引き出せる保証金はありません。",
    ),
    "SafeERC20FailedOperation": (
        "The token {token} refused the payment. Check balance and allowance.",
        "トークン {token} が支払を拒否しました。残高と許可額を確認してください。",
    ),
    "ERC1155InvalidReceiver": (
        "{receiver} cannot hold credits: it is a contract that does not accept them.",
        "{receiver} はクレジットを受け取れない契約です。",
    ),
    "ERC1155MissingApprovalForAll": (
        "{operator} has not the approval of {owner} to move its credits.",
        "{operator} は {owner} のクレジットを動かす許可を得ていません。",
    ),
}
