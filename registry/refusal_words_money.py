"""What the refusals of the sale, the split, the treasury and the libraries underneath mean, in both languages."""

from __future__ import annotations

from collections.abc import Mapping

SALE_AND_SPLIT: Mapping[str, tuple[str, str]] = {
    "Listing_Unknown": (
        "There is no offer {listingId}. See what is for sale: satoyama buy --help",
        "販売の番号 {listingId} はありません。販売中のものを確認してください: satoyama buy --help",
    ),
    "Listing_KgZero": (
        "An offer is of 1 kg or more, and this one has nothing left or asked for nothing. Give an amount, or choose another offer.",
        "販売は 1 kg 以上です。指定がゼロか、残りがありません。数量を指定するか、別の販売を選んでください。",
    ),
    "Listing_PriceZero": (
        "The price per tonne is zero. Give one of 1 base unit or more.",
        "1 トンあたりの価格がゼロです。1 最小単位以上を指定してください。",
    ),
    "Listing_NotSeller": (
        "Offer {listingId} is another account's; {caller} cannot take it back. Use the seller's key.",
        "販売 {listingId} は別のアカウントのもので、{caller} は取り消せません。出品者の鍵を使ってください。",
    ),
    "Purchase_KgZero": (
        "Buy 1 kg or more.",
        "購入は 1 kg 以上です。",
    ),
    "Purchase_Expired": (
        "The purchase was good until {deadline} (unix seconds), and the block came at {blockTime}. Ask for it again.",
        "購入の期限は {deadline}(unix 秒)でしたが、ブロックの時刻は {blockTime} です。もう一度購入してください。",
    ),
    "Escrow_OnlyByListing": (
        "Credits are not sent to the sale; they are offered: satoyama sell",
        "クレジットは販売契約へ直接送れません。出品してください: satoyama sell",
    ),
    "Token_Zero": (
        "The zero address is no token. Give the token's address.",
        "ゼロアドレスはトークンではありません。トークンのアドレスを指定してください。",
    ),
    "Delay_TooLong": (
        "The delay of share changes is {delay} seconds; {maximum} is the most. Choose a shorter one.",
        "配分変更の予告期間は {delay} 秒ですが、上限は {maximum} 秒です。短くしてください。",
    ),
    "Deposit_AmountZero": (
        "Nothing was paid in. Give 1 base unit or more.",
        "入金がゼロです。1 最小単位以上を指定してください。",
    ),
    "Deposit_TooLarge": (
        "{amount} base units are more than one deposit can hold. Pay in several parts.",
        "{amount}(最小単位)は 1 回の入金の上限を超えます。分けて入金してください。",
    ),
    "Deposit_AmountDiffers": (
        "{asked} base units were to come and {received} arrived: a token that takes a fee or changes balances cannot be used here.",
        "{asked}(最小単位)の入金のはずが {received} でした。手数料を取る、または残高の変わるトークンは使えません。",
    ),
    "Shares_LengthDiffers": (
        "{payees} payees and {shares} shares were given; each payee has one share.",
        "分配先 {payees} 件に対して分配率が {shares} 件です。1 件ずつ対応させてください。",
    ),
    "Shares_CountInvalid": (
        "A project has 1 to {maximum} payees; {count} were given. Join small ones in a fund.",
        "分配先は 1 から {maximum} 件ですが、{count} 件です。小口は基金にまとめてください。",
    ),
    "Shares_NotAscending": (
        "The payees must ascend by address, each once; {payee} comes after {before}. An account may stand for one payee only.",
        "分配先はアドレスの昇順で重複なしです({before} の次に {payee})。同じアカウントは一度だけ指定できます。",
    ),
    "Shares_PayeeInvalid": (
        "{payee} is the zero address or the split itself, and cannot be paid. Give an account whose key somebody holds.",
        "{payee} はゼロアドレスか分配契約自身で、支払先にできません。鍵の持ち主がいるアカウントを指定してください。",
    ),
    "Shares_Zero": (
        "The share of {payee} is zero. Give it one, or leave it out.",
        "{payee} の分配率がゼロです。分配率を指定するか、除いてください。",
    ),
    "Shares_SumInvalid": (
        "The shares add up to {sum} of {expected}. Correct them so that all is given out.",
        "分配率の合計が {sum} で、{expected} になりません。合計が一致するように直してください。",
    ),
    "Remainder_PayeesIncomplete": (
        "Not every payee the project ever had is named, so the remainder cannot be told yet. Name them all.",
        "これまでの分配先がすべて指定されていないため、端数を確定できません。全員を指定してください。",
    ),
    "Remainder_PayeesNotAscending": (
        "The payees must ascend by address, each once; {payee} comes after {before}.",
        "分配先はアドレスの昇順で重複なしです({before} の次に {payee})。",
    ),
}

TREASURY_AND_LIBRARIES: Mapping[str, tuple[str, str]] = {
    "Account_GasMissing": (
        "The account {account} has {balance} of the chain's own coin and needs {needed} to pay gas. Send it some from another account, "
        "then run the same command again.",
        "アカウント {account} の残高は {balance}(チェーンの通貨)で、ガス代に {needed} が必要です。別のアカウントから送金してから、"
        "もう一度実行してください。",
    ),
    "TimelockInsufficientDelay": (
        "A delay of {delay} seconds was asked for; the treasury waits {minDelay} at least.",
        "待機時間 {delay} 秒の指定ですが、会計口座の最短は {minDelay} 秒です。",
    ),
    "TimelockInvalidOperationLength": (
        "The payment names {targets} targets, {payloads} calls and {values} amounts; they must be as many of each.",
        "支払の宛先 {targets} 件、呼出し {payloads} 件、金額 {values} 件の数が一致しません。",
    ),
    "TimelockUnauthorizedCaller": (
        "{caller} may not change the treasury's delay: only the treasury itself does, through schedule and execute.",
        "{caller} は待機時間を変えられません。変更は会計口座自身の操作(予定と実行)で行います。",
    ),
    "TimelockUnexecutedPredecessor": (
        "The payment is to follow {predecessorId}, which is not done yet. Execute that one first.",
        "先に行う支払 {predecessorId} が未実行です。そちらを先に実行してください。",
    ),
    "FailedCall": (
        "The treasury's payment failed at the token. Check that the treasury holds enough of it.",
        "会計口座からの支払がトークン側で失敗しました。会計口座の残高を確認してください。",
    ),
    "AccessControlBadConfirmation": (
        "A role is given up only by the account that holds it. Use that account's key.",
        "権限の返上は本人のアカウントだけができます。そのアカウントの鍵を使ってください。",
    ),
    "ReentrancyGuardReentrantCall": (
        "A token or wallet called back in the middle of the action, which is not allowed. Use another token or wallet.",
        "処理の途中でトークンまたはウォレットから再度呼び出されました。別のトークンかウォレットを使ってください。",
    ),
    "SafeCastOverflowedUintDowncast": (
        "The number {value} does not fit in {bits} bits. Give a smaller one.",
        "数値 {value} は {bits} ビットに収まりません。小さくしてください。",
    ),
    "InvalidShortString": (
        "A name stored in the contract is damaged; it was not built by this program.",
        "契約に記録された名前が壊れています。このプログラムで作られた契約ではありません。",
    ),
    "StringTooLong": (
        "The text '{str}' is too long; 31 bytes are the most.",
        "文字列「{str}」が長すぎます(最大 31 バイト)。",
    ),
    "ERC1155InvalidApprover": (
        "{approver} cannot approve anybody. Use an account's key.",
        "{approver} は許可を与えられません。アカウントの鍵を使ってください。",
    ),
    "ERC1155InvalidArrayLength": (
        "{idsLength} batches and {valuesLength} amounts were given; each batch has one amount.",
        "バッチ {idsLength} 件に対して数量が {valuesLength} 件です。1 件ずつ対応させてください。",
    ),
    "ERC1155InvalidOperator": (
        "{operator} cannot be given the right to move credits. Name another account.",
        "{operator} にクレジットを動かす許可は与えられません。別のアカウントを指定してください。",
    ),
    "ERC1155InvalidSender": (
        "{sender} cannot send credits. Use the holder's key.",
        "{sender} はクレジットを送れません。保有者の鍵を使ってください。",
    ),
    "ERC20InvalidApprover": (
        "{approver} cannot approve a payment. Use an account's key.",
        "{approver} は支払の許可を与えられません。アカウントの鍵を使ってください。",
    ),
    "ERC20InvalidReceiver": (
        "{receiver} cannot be paid. Name an account whose key somebody holds.",
        "{receiver} には支払えません。鍵の持ち主がいるアカウントを指定してください。",
    ),
    "ERC20InvalidSender": (
        "{sender} cannot pay. Use an account's key.",
        "{sender} からは支払えません。アカウントの鍵を使ってください。",
    ),
    "ERC20InvalidSpender": (
        "{spender} cannot be allowed to spend. Name another account.",
        "{spender} に支払の許可は与えられません。別のアカウントを指定してください。",
    ),
    "ECDSAInvalidSignature": (
        "The signature is no signature of any account. Sign again.",
        "署名がどのアカウントのものでもありません。署名し直してください。",
    ),
    "ECDSAInvalidSignatureLength": (
        "The signature has {length} bytes; 65 were expected. Sign again.",
        "署名が {length} バイトです(65 バイトが必要)。署名し直してください。",
    ),
    "ECDSAInvalidSignatureS": (
        "The signature is not in the form that counts (its s is {s}). Sign again.",
        "署名の形式が正しくありません(s = {s})。署名し直してください。",
    ),
    "ERC2612ExpiredSignature": (
        "The permit to pay was good until {deadline} (unix seconds). Run the command again for a new one.",
        "支払の許可(permit)の期限は {deadline}(unix 秒)でした。もう一度実行して署名し直してください。",
    ),
    "ERC2612InvalidSigner": (
        "The permit to pay was signed by {signer}, not by {owner}. Sign with the payer's key.",
        "支払の許可(permit)の署名者は {signer} で、{owner} ではありません。支払う人の鍵で署名してください。",
    ),
    "InvalidAccountNonce": (
        "The permit of {account} has another number than its next one, {currentNonce}: it was used, or another came first. Run the "
        "command again.",
        "{account} の許可の番号が次の番号 {currentNonce} と違います(使用済み、または別の許可が先)。もう一度実行してください。",
    ),
    "OwnableInvalidOwner": (
        "{owner} cannot own the contract. Name an account whose key somebody holds.",
        "{owner} は契約の所有者になれません。鍵の持ち主がいるアカウントを指定してください。",
    ),
    "OwnableUnauthorizedAccount": (
        "{account} is not the owner of the development yen, which alone mints. Use the admin's key.",
        "{account} は開発用の円の所有者ではなく、発行できません。管理者(admin)の鍵を使ってください。",
    ),
}
