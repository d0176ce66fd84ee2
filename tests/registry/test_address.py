"""An address that a person mistyped is refused; one that carries no checksum, or the right one, is taken."""

from __future__ import annotations

import pytest

from registry.address import AddressRefused, checked_address

# Examples of EIP-55 itself.
RIGHT = (
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
)


@pytest.mark.parametrize("right", RIGHT)
def test_the_right_checksum_and_all_lower_and_all_upper_case_are_taken(right: str) -> None:
    upper = "0x" + right[2:].upper()
    assert {checked_address(a) for a in (right, right.lower(), upper, upper.upper(), f" {right}\n")} == {
        right
    }


def test_every_single_letter_of_another_case_is_refused() -> None:
    right = RIGHT[0]
    swapped = [
        right[:i] + c.swapcase() + right[i + 1 :] for i, c in enumerate(right) if i > 1 and c.isalpha()
    ]
    assert len(swapped) > 15
    for wrong in swapped:
        with pytest.raises(AddressRefused, match="checksum"):
            checked_address(wrong)


def test_a_mistyped_digit_is_refused_not_given_a_checksum_of_its_own() -> None:
    with pytest.raises(AddressRefused, match="Copy it again from the wallet") as refused:
        checked_address(
            RIGHT[0].replace("6053", "6058"), "project.toml, payee 'a'", "project.toml の支払先 a"
        )
    assert str(refused.value).startswith("project.toml, payee 'a': the checksum")
    assert (
        refused.value.ja.startswith("project.toml の支払先 a: ") and "コピーしてください" in refused.value.ja
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "0x",
        RIGHT[0][:-1],
        RIGHT[0] + "0",
        RIGHT[0][2:],
        "0x" + "g" * 40,
        "会計",
        7,
        None,
        "0x" + "１" * 40,
    ],
)
def test_what_is_no_address_is_refused_and_shown(wrong: object) -> None:
    with pytest.raises(AddressRefused, match="expected 0x and 40 hex digits") as refused:
        checked_address(wrong)
    assert repr(wrong)[:20] in refused.value.ja


def test_the_zero_address_is_refused() -> None:
    with pytest.raises(AddressRefused, match="belongs to nobody"):
        checked_address("0x" + "0" * 40)
