"""The file a Japanese bank takes for transfers: 全銀協規定フォーマット 総合振込, records of 120 bytes, half-width kana in Shift_JIS.

Layout: header (1), one record per transfer (2), trailer (8) with count and sum, end (9). Numbers stand right, filled with 0; text stands
left, filled with spaces. Source: record layouts that banks publish, e.g. 群馬銀行「全銀協制定ファイルフォーマット【総合振込】」.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any, Literal, Self

from models.errors import SatoyamaError

RECORD_BYTES = 120
MAX_TRANSFERS = 999_999
MAX_YEN = 10**10 - 1
# The file names a day by month and day alone; within half a year that can mean one year only.
MAX_DAYS_AHEAD = 180
Line = Literal["crlf", "none"]
_KINDS = {"ordinary": 1, "checking": 2, "savings": 4, "other": 9}
KINDS = tuple(_KINDS)
_KINDS_JA = {"ordinary": "普通", "checking": "当座", "savings": "貯蓄", "other": "その他"}
_LINE_ENDS: dict[Line, bytes] = {"crlf": b"\r\n", "none": b""}
_SMALL = str.maketrans("ｧｨｩｪｫｬｭｮｯｦｰ", "ｱｲｳｴｵﾔﾕﾖﾂｵ-")
_FULL_TO_HALF = {unicodedata.normalize("NFKC", chr(code)): chr(code) for code in range(0xFF66, 0xFF9E)} | {
    "゙": "ﾞ",
    "゚": "ﾟ",
    "゛": "ﾞ",
    "゜": "ﾟ",
    "「": "｢",
    "」": "｣",
    "・": ".",
    "￥": "\\",
    "¥": "\\",
}
_DASHES = dict.fromkeys("‐‑‒–—―−－", "-")
_ALLOWED = frozenset(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ ()-./\\｢｣ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜﾝﾞﾟ"
)


class ZenginRefused(SatoyamaError):
    """A value does not go into a transfer file."""


@dataclass(frozen=True)
class BankAccount:
    """A bank account as a transfer names it.

    Parameters
    ----------
    bank, branch, number : str
        4, 3 and up to 7 digits.
    kind : {"ordinary", "checking", "savings", "other"}
        普通・当座・貯蓄・その他.
    holder : str
        The holder's name in kana, as the bank has it; half-width in the file.
    bank_name, branch_name : str
        In kana; may be empty.
    """

    bank: str
    branch: str
    kind: str
    number: str
    holder: str
    bank_name: str = ""
    branch_name: str = ""

    def to_doc(self) -> dict[str, Any]:
        """Plain document."""
        return asdict(self)

    @classmethod
    def from_doc(cls, doc: dict[str, Any]) -> Self:
        """Inverse of `to_doc`."""
        return cls(**doc)


@dataclass(frozen=True)
class Transfer:
    """One transfer: whole yen to an account. `customer` is the payer's own number of the receiver, up to 10 digits."""

    account: BankAccount
    yen: int
    customer: int = 0


@dataclass(frozen=True)
class Requester:
    """Who orders the transfers, and from which account. `code` is given by the bank, 10 digits (委託者コード)."""

    code: str
    account: BankAccount

    def to_doc(self) -> dict[str, Any]:
        """Plain document."""
        return asdict(self)

    @classmethod
    def from_doc(cls, doc: dict[str, Any]) -> Self:
        """Inverse of `to_doc`."""
        return cls(doc["code"], BankAccount.from_doc(doc["account"]))


def kana(text: str) -> str:
    """Text in the characters a transfer may hold: capitals, digits, half-width kana without small ones, a few signs.

    Full-width and small kana, hiragana, ー and ヲ are rewritten as banks do (ャ→ﾔ, ー→-, ヲ→ｵ).

    Raises
    ------
    ZenginRefused
        If a character (a kanji, say) has no such form.
    """
    wide = "".join(_DASHES.get(c, c) for c in unicodedata.normalize("NFD", _nfkc(text)))
    katakana = "".join(chr(ord(c) + 0x60) if "ぁ" <= c <= "ゖ" else c for c in wide)
    half = "".join(_FULL_TO_HALF.get(c, c) for c in katakana).upper().translate(_SMALL)
    wrong = sorted({c for c in half if c not in _ALLOWED})
    if wrong:
        raise ZenginRefused(
            en=f"{text!r} holds {' '.join(wrong)!r}, which a bank transfer cannot. Write it in katakana, as the passbook does.",
            ja=f"{text!r} の {' '.join(wrong)!r} は振込データに使えません。通帳のカナ表記で書いてください。",
        )
    return half


def _nfkc(text: str) -> str:
    # NFKC would turn the free-standing sound marks into combining ones after a space.
    return unicodedata.normalize("NFKC", text.replace("゛", "゙").replace("゜", "゚"))


def check_account(account: BankAccount, whose: str) -> BankAccount:
    """The account with its kana made half-width, full-width digits made plain, and its number filled to 7 digits.

    Raises
    ------
    ZenginRefused
        If a field is not what a bank takes; the text names the field and whose account it is.
    """
    bank, branch, number = (_digits(text) for text in (account.bank, account.branch, account.number))
    kinds_ja = "、".join(f"{key}（{name}）" for key, name in _KINDS_JA.items())
    for name, name_ja, value, pattern, en, ja in (
        ("bank", "銀行コード", bank, r"[0-9]{4}", "4 digits", "数字4桁"),
        ("branch", "支店コード", branch, r"[0-9]{3}", "3 digits", "数字3桁"),
        ("number", "口座番号", number, r"[0-9]{1,7}", "up to 7 digits", "数字7桁以内"),
        ("kind", "預金種目", account.kind, "|".join(_KINDS), " | ".join(_KINDS), kinds_ja),
    ):
        if not re.fullmatch(pattern, value):
            raise ZenginRefused(
                en=f"{whose}: the account's {name} is {en}; got {value!r}. Look at the passbook and give it again.",
                ja=f"{whose}: 口座の{name_ja}は{ja}です。受け取った値: {value!r}。通帳を確認して入力し直してください。",
            )
    holder = kana(account.holder).strip()
    if not holder:
        raise ZenginRefused(
            en=f"{whose}: the holder's name in kana is missing. Give it as the passbook has it.",
            ja=f"{whose}: 口座名義（カナ）がありません。通帳のカナ表記で入力してください。",
        )
    names = kana(account.bank_name).strip(), kana(account.branch_name).strip()
    return BankAccount(bank, branch, account.kind, number.zfill(7), holder, *(n[:15] for n in names))


def _digits(text: str) -> str:
    """Digits as people type them in Japanese (１２３－４) made plain; hyphens and space in between stay to be refused."""
    return unicodedata.normalize("NFKC", text).strip()


def check_requester(requester: Requester) -> Requester:
    """The co-op's own account, checked, and its code in plain digits.

    Raises
    ------
    ZenginRefused
        If the code or a field of the account is not what a bank takes.
    """
    code = _digits(requester.code)
    if not re.fullmatch(r"[0-9]{1,10}", code):
        raise ZenginRefused(
            en=f"The requester's code that the bank gave has 1 to 10 digits; got {requester.code!r}. Take it from the bank's contract "
            "(委託者コード) and give it as --code.",
            ja=f"委託者コードは数字10桁以内です。受け取った値: {requester.code!r}。銀行との契約書にあるコードを --code で指定してください。",
        )
    return Requester(code, check_account(requester.account, "requester / 振込依頼人"))


def check_day(day: date, today: date) -> date:
    """The day on which the bank is to pay, if it can be one.

    Weekends are known here; national holidays and the banks' turn of the year are not.

    Raises
    ------
    ZenginRefused
        If it has passed, is a Saturday or Sunday, or lies so far ahead that month and day could mean another year.
    """
    last = today + timedelta(days=MAX_DAYS_AHEAD)
    if day < today or day > last:
        raise ZenginRefused(
            en=f"The bank's day must be from {today} to {last} (the transfer file holds month and day only, so that a later day could be taken for "
            f"one of another year); got {day}. Give --day {next_weekday(max(today, min(day, last - timedelta(days=2))))}, say.",
            ja=f"振込指定日は {today} から {last} までです（振込データには月日しか入らず、それより先の日は別の年と区別できません）。受け取った値: {day}。"
            f"例: --day {next_weekday(max(today, min(day, last - timedelta(days=2))))}",
        )
    if day.weekday() >= 5:
        name_en, name_ja = ("Saturday", "土曜日") if day.weekday() == 5 else ("Sunday", "日曜日")
        raise ZenginRefused(
            en=f"{day} is a {name_en}; banks pay on business days. The next weekday is {next_weekday(day)} (national holidays are not known here; "
            "look at the calendar).",
            ja=f"{day} は{name_ja}です。振込は銀行営業日に行われます。次の平日は {next_weekday(day)} です（祝日は判定していません。暦を確認してください）。",
        )
    return day


def next_weekday(day: date) -> date:
    """The day itself, or the Monday after it if it falls on a weekend; national holidays are not known."""
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() >= 5 else 0)


def transfer_file(
    requester: Requester, transfers: Sequence[Transfer], day: date, *, line_end: Line = "crlf"
) -> bytes:
    """The file of one day's transfers; the same values give the same bytes.

    Parameters
    ----------
    day : date
        The day the bank is to pay (振込指定日); a banking day.
    line_end : {"crlf", "none"}
        Whether each record is followed by CR LF; banks take either, ask yours.

    Raises
    ------
    ZenginRefused
        If there is no transfer, or a value does not fit.
    """
    if not 0 < len(transfers) <= MAX_TRANSFERS:
        raise ZenginRefused(
            en=f"A transfer file holds 1 to {MAX_TRANSFERS:,} transfers; got {len(transfers):,}.",
            ja=f"振込データは1～{MAX_TRANSFERS:,}件です。受け取った件数: {len(transfers):,}",
        )
    own = check_requester(requester)
    for one in transfers:
        if not 0 < one.yen <= MAX_YEN:
            raise ZenginRefused(
                en=f"A transfer is of 1 to {MAX_YEN:,} whole yen; got {one.yen:,} for {one.account.holder!r}.",
                ja=f"振込額は1～{MAX_YEN:,}円です。{one.account.holder!r} の額: {one.yen:,}",
            )
    records = [
        _header(own, day),
        *(_data(one) for one in transfers),
        "8" + _number(len(transfers), 6) + _number(sum(one.yen for one in transfers), 12) + " " * 101,
        "9" + " " * 119,
    ]
    encoded = [record.encode("cp932") for record in records]
    assert all(len(record) == RECORD_BYTES for record in encoded), "every field was set to its width"
    return b"".join(record + _LINE_ENDS[line_end] for record in encoded)


def _header(requester: Requester, day: date) -> str:
    own = requester.account
    return (
        "1" + "21" + "0"  # 総合振込, JIS
        + _number(int(requester.code), 10)
        + _text(own.holder, 40)
        + f"{day:%m%d}"
        + own.bank + _text(own.bank_name, 15)
        + own.branch + _text(own.branch_name, 15)
        + str(_KINDS[own.kind]) + own.number
        + " " * 17
    )  # fmt: skip


def _data(one: Transfer) -> str:
    to = check_account(one.account, one.account.holder)
    return (
        "2"
        + to.bank + _text(to.bank_name, 15)
        + to.branch + _text(to.branch_name, 15)
        + "0000"  # 手形交換所番号, unused
        + str(_KINDS[to.kind]) + to.number
        + _text(to.holder, 30)
        + _number(one.yen, 10)
        + "0"  # 新規コード: その他
        + _number(one.customer, 10) + _number(0, 10)  # 顧客コード1, 2
        + "7" + " "  # 電信扱; no EDI text
        + " " * 7
    )  # fmt: skip


def _number(value: int, width: int) -> str:
    text = f"{value:0{width}d}"
    if value < 0 or len(text) > width:
        raise ZenginRefused(
            en=f"{value:,} does not fit into {width} digits of a transfer file; split the payout into several files.",
            ja=f"{value:,} は振込データの {width} 桁に収まりません。支払を分割してください。",
        )
    return text


def _text(text: str, width: int) -> str:
    # Banks compare the first 30 characters of a holder's name, so a longer one is cut there.
    return text[:width].ljust(width)
