"""Payouts by bank as values: what a run pays whom, what officers sign, and what two signatures do.

A run is planned (its yen are set aside), approved by two officers, handed to the bank, and marked paid by two officers. A run that
does not go out is cancelled, and a transfer that came back is returned, by two officers as well; their yen are then due again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal, Self

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.exceptions import ValidationError

from models.errors import SatoyamaError
from mrv.blob import digest_doc
from registry.households import BankBook, HouseholdLine
from registry.officers import Officer
from registry.signer import Signer
from registry.zengin import MAX_YEN, BankAccount, Requester, Transfer, check_account, transfer_file

State = Literal["planned", "approved", "paid", "cancelled"]
_ACTION = re.compile(r"pay|cancel|paid .{1,120}|return [^ ]{1,100} .{1,80}")


class PayoutRefused(SatoyamaError):
    """A payout that may not be planned, signed or handed out so."""


@dataclass(frozen=True)
class PayoutLine:
    """One transfer: whole yen to a household, and the account as it was when the run was planned."""

    payee_id: str
    yen: int
    account: BankAccount


@dataclass(frozen=True)
class PayoutRun:
    """A run as planned; its digest is what officers sign.

    Parameters
    ----------
    number : int
        Counts from 1 within the project.
    token_address, bank_address : str
        The token on chain, and the account on chain that received the money.
    day : date
        Day on which the bank is to pay.
    read_at_block : int
        Block up to which the dues were read.
    officers : tuple of Officer
        Who could sign when the run was planned; nobody added later approves it. Empty for runs of before they were recorded so.
    officers_digest : str
        Of the register of officers then.
    """

    project_id: str
    number: int
    chain_id: int
    token_address: str
    bank_address: str
    day: date
    read_at_block: int
    requester: Requester
    lines: tuple[PayoutLine, ...]
    officers: tuple[Officer, ...] = ()
    officers_digest: str = ""

    @property
    def total_yen(self) -> int:
        return sum(line.yen for line in self.lines)

    def to_doc(self) -> dict[str, Any]:
        """Plain document."""
        lines = [
            {"payee_id": one.payee_id, "yen": one.yen, "account": one.account.to_doc()} for one in self.lines
        ]
        fields = {**self.__dict__, "day": self.day.isoformat(), "requester": self.requester.to_doc()}
        frozen = {"officers": [asdict(o) for o in self.officers], "officers_digest": self.officers_digest}
        if not self.officers:
            fields = {name: value for name, value in fields.items() if name not in frozen}
            frozen = {}
        return {**fields, "lines": lines, **frozen}

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        """Inverse of `to_doc`."""
        lines = tuple(
            PayoutLine(one["payee_id"], one["yen"], BankAccount.from_doc(one["account"]))
            for one in doc["lines"]
        )
        day, requester = date.fromisoformat(doc["day"]), Requester.from_doc(doc["requester"])
        officers = tuple(Officer(**one) for one in doc.get("officers", ()))
        return cls(**{**doc, "day": day, "requester": requester, "lines": lines, "officers": officers})

    @property
    def digest(self) -> str:
        """Digest of the run's canonical JSON: payees, yen, accounts, day and officers."""
        return digest_doc(self.to_doc())

    def to_file(self) -> bytes:
        """The transfer file for the bank; the customer number in it is the line's place in the run."""
        transfers = [Transfer(one.account, one.yen, place) for place, one in enumerate(self.lines, 1)]
        return transfer_file(self.requester, transfers, self.day)


def payable_yen(
    households: Iterable[HouseholdLine], taken_yen: Mapping[str, int], base_units_per_yen: int
) -> dict[str, int]:
    """Whole yen that each household paid by bank can get now; fractions of a yen stay due.

    Parameters
    ----------
    taken_yen : mapping of payee id to yen
        Set aside or paid by earlier runs.
    """
    found = {
        line.payee_id: line.entitled_total // base_units_per_yen - taken_yen.get(line.payee_id, 0)
        for line in households
        if line.by_bank
    }
    return {payee: yen for payee, yen in sorted(found.items()) if yen > 0}


def check_covered(
    book: BankBook, taken_yen: int, new_yen: int, base_units_per_yen: int, confirmations: int = 1
) -> None:
    """Refuse a run that would pay more than the account received from the split.

    Raises
    ------
    PayoutRefused
        If the account has not received enough yet.
    """
    needed = (taken_yen + new_yen) * base_units_per_yen
    deep = confirmations > 1
    if needed > book.received:
        raise PayoutRefused(
            en=f"The account for bank payouts {book.address} received {book.received:,} base units; this run and the earlier ones need "
            f"{needed:,}. Run 'satoyama settle' first, which brings in the {book.claimable:,} that wait in the split"
            + (f"; what is paid counts when it lies {confirmations} blocks deep." if deep else "."),
            ja=f"銀行振込用の口座 {book.address} の受取額は {book.received:,}（最小単位）で、これまでの分と合わせて {needed:,} が必要です。"
            f"先に satoyama settle を実行してください（分配契約に {book.claimable:,} 残っています）。"
            + (f"入金は確認ブロック数 {confirmations} に達してから数えます。" if deep else ""),
        )


def lines_of(
    payable: Mapping[str, int],
    accounts: Mapping[str, BankAccount],
    open_runs: Mapping[int, State] | None = None,
) -> tuple[PayoutLine, ...]:
    """Lines of a run; `open_runs` are those that have set money aside, for the error.

    Raises
    ------
    PayoutRefused
        If nothing is due, a household has no account on record, or an amount is above a transfer's limit.
    """
    missing = sorted(set(payable) - set(accounts))
    if not payable and open_runs:
        runs_en = ", ".join(f"run {number} ({state})" for number, state in open_runs.items())
        runs_ja = "、".join(f"支払 {number}（{state}）" for number, state in open_runs.items())
        raise PayoutRefused(
            en=f"No run was planned: no whole yen is due to anybody beside what is set aside in {runs_en}. Finish that first, or cancel it "
            f"(satoyama payout sign {min(open_runs)} cancel, by two officers).",
            ja=f"支払を計画できません: {runs_ja} で確保済みの分のほかに、支払うべき円単位の額がありません。先にそれを終えるか、"
            f"役員2名の署名で取り消してください（satoyama payout sign {min(open_runs)} cancel）。",
        )
    if missing or not payable:
        what_en = (
            f"no bank account on record for {', '.join(missing)}"
            if missing
            else "no whole yen is due to anybody"
        )
        what_ja = (
            f"{'、'.join(missing)} の口座が未登録です" if missing else "支払うべき円単位の額がありません"
        )
        raise PayoutRefused(
            en=f"No run was planned: {what_en}. Accounts are recorded with 'satoyama payout bank'.",
            ja=f"支払を計画できません: {what_ja}。口座は satoyama payout bank で登録します。",
        )
    return tuple(
        PayoutLine(payee, min(yen, MAX_YEN), check_account(accounts[payee], payee))
        for payee, yen in payable.items()
    )


def message(run: PayoutRun, action: str) -> str:
    """What an officer signs, in words that can be read in a wallet."""
    return (
        f"Satoyama MRV payout\nproject: {run.project_id}\nrun: {run.number}\ndigest: {run.digest}\n"
        f"total: {run.total_yen:,} yen in {len(run.lines)} transfers on {run.day.isoformat()}\naction: {action}"
    )


def sign(run: PayoutRun, action: str, officer: Signer) -> str:
    """An officer's signature of an action (EIP-191), 0x-hex."""
    check_action(run, action)
    return "0x" + bytes(officer.sign_message(encode_defunct(text=message(run, action))).signature).hex()


def signer(run: PayoutRun, action: str, signature: str) -> str:
    """Address that signed an action on this very run.

    Raises
    ------
    PayoutRefused
        If it is no signature at all.
    """
    try:
        return str(Account.recover_message(encode_defunct(text=message(run, action)), signature=signature))
    except (ValueError, TypeError, ValidationError) as error:
        raise PayoutRefused(
            en=f"{signature[:20]!r}… is no signature: expected 0x and 130 hex digits.",
            ja=f"{signature[:20]!r}… は署名ではありません（0x と16進130桁が必要です）。",
        ) from error


def check_action(run: PayoutRun, action: str) -> None:
    """Refuse an action that there is not.

    Raises
    ------
    PayoutRefused
        Also if a transfer to be returned is not in the run.
    """
    named = action.split(" ")[1] if action.startswith("return ") else None
    if not _ACTION.fullmatch(action) or (named is not None and named not in {p.payee_id for p in run.lines}):
        raise PayoutRefused(
            en=f"No action {action!r}. There are: pay; cancel; 'paid REFERENCE'; 'return PAYEE REASON', PAYEE one of the run's.",
            ja=f"操作 {action!r} はありません。pay、cancel、'paid 照会番号'、'return 支払先 理由'（この支払の支払先）のいずれかです。",
        )


def may_follow(state: State, action: str, line_states: Mapping[str, str]) -> None:
    """Refuse an action that the run's state does not allow.

    Raises
    ------
    PayoutRefused
        E.g. to cancel what was paid, or to return the same transfer twice.
    """
    kind, *rest = action.split(" ")
    allowed = {
        "pay": ("planned",),
        "cancel": ("planned", "approved"),
        "paid": ("approved",),
        "return": ("paid",),
    }
    fits = state in allowed[kind] and (kind != "return" or line_states.get(rest[0]) == "paid")
    if not fits:
        raise PayoutRefused(
            en=f"'{action}' cannot follow: the run is {state}"
            + (f", the transfer to {rest[0]} {line_states.get(rest[0])}" if kind == "return" else "")
            + ". A run goes planned, approved (pay), paid; cancel before it is paid, return after.",
            ja=f"「{action}」はできません（状態: {state}）。planned → approved (pay) → paid の順で、支払前は cancel、支払後は return です。",
        )
