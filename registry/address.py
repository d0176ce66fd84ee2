"""Addresses as people write them: one mistyped character must not send money to nobody.

An address in mixed case carries a checksum in the case of its letters (EIP-55, https://eips.ethereum.org/EIPS/eip-55). Making it
anew from a mistyped address would hide the mistake, so it is checked, never repaired.
"""

from __future__ import annotations

import re

from eth_utils.address import to_checksum_address

from models.errors import SatoyamaError

_ADDRESS = re.compile(r"0[xX][0-9a-fA-F]{40}")
_SHOWN = 60


class AddressRefused(SatoyamaError):
    """What a person wrote is no address, or one with a character mistyped."""


def checked_address(text: object, where_en: str = "", where_ja: str = "") -> str:
    """The account a person wrote, in checksum form.

    Parameters
    ----------
    text
        ``0x`` and 40 hex digits. All lower or all upper case passes, as it carries no checksum; mixed case must be the checksum's
        (EIP-55). Space around it is ignored.
    where_en, where_ja
        What the address is of and where it stands, for the error: ``project.toml, address of payee 'owner-a'``.

    Returns
    -------
    str
        EIP-55 form.

    Raises
    ------
    AddressRefused
        If it is no text, has another length or other characters, is the zero address, or its checksum is wrong.
    """
    written = text.strip() if isinstance(text, str) else text
    if not isinstance(written, str) or not _ADDRESS.fullmatch(written):
        shown, length = repr(text)[:_SHOWN], len(written) if isinstance(written, str) else 0
        raise _refused(
            f"{shown} ({length} characters) is no account on a chain: expected 0x and 40 hex digits. Copy it from the wallet.",
            f"{shown}（{length} 文字）はチェーン上のアドレスではありません（0x と16進40桁が必要）。ウォレットからコピーしてください。",
            where_en,
            where_ja,
        )
    digits = written[2:]
    if int(digits, 16) == 0:
        raise _refused(
            "the zero address belongs to nobody; what is sent there is lost. Expected an account whose key somebody holds; give its address.",
            "ゼロアドレスには持ち主がなく、送ったものは失われます。鍵の持ち主がいるアドレスを指定してください。",
            where_en,
            where_ja,
        )
    right = str(to_checksum_address(written.lower()))
    if digits not in (digits.lower(), digits.upper(), right[2:]):
        raise _refused(
            f"the checksum (EIP-55) of {written} is wrong: expected the upper and lower case letters of the wallet's own address; "
            "a character was mistyped or its case changed. Copy it again from the wallet, and do not mend it by hand.",
            f"{written} のチェックサム（EIP-55）が合いません。大文字・小文字を含め、ウォレットの表示と同じ文字列が必要です。"
            "入力誤りの可能性があります。手で直さず、ウォレットからもう一度コピーしてください。",
            where_en,
            where_ja,
        )
    return right


def _refused(en: str, ja: str, where_en: str, where_ja: str) -> AddressRefused:
    return AddressRefused(
        en=f"{where_en}: {en}" if where_en else en,
        ja=f"{where_ja or where_en}: {ja}" if where_ja or where_en else ja,
    )
