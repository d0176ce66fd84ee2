"""What is said of a transaction whose fate is open depends on whether anything remembers it; who lacks gas is told how much."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account

from registry import sender
from registry.abi import encode_call
from registry.chain import ChainUnavailable
from registry.refusals import ChainRefused
from registry.sender import ChainBusy, Sender
from tests.registry.conftest import World


def pausing(world: World) -> tuple[str, bytes]:
    return world.port.deployment.registry, encode_call("CreditRegistry", "pause", world.project)


def test_what_nothing_remembers_is_to_be_looked_up_first(
    embedded_copy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "RECEIPT_TIMEOUT_S", -1)
    monkeypatch.setattr(Sender, "_receipt", lambda self, tx_hash: None)
    with pytest.raises(ChainBusy) as caught:
        embedded_copy.port.pause(embedded_copy["guardian"], embedded_copy.project)
    assert "look at transaction 0x" in caught.value.en and "まず取引 0x" in caught.value.ja
    assert "not be sent twice" not in caught.value.en


def test_what_is_on_record_may_be_asked_for_again(
    embedded_copy: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "RECEIPT_TIMEOUT_S", -1)
    monkeypatch.setattr(Sender, "_receipt", lambda self, tx_hash: None)
    port = embedded_copy.port
    signed = port.sender.prepare(embedded_copy["guardian"], "pause", *pausing(embedded_copy))
    with pytest.raises(ChainBusy, match="will not be sent twice") as caught:
        port.sender.send(replace(signed, recorded=True))
    assert "二重には送られません" in caught.value.ja


@pytest.mark.parametrize(
    ("recorded", "advice"), [(True, "not be sent twice"), (False, "look at transaction")]
)
def test_a_node_that_goes_away_after_the_transaction_was_offered_says_which_one(
    embedded_copy: World, monkeypatch: pytest.MonkeyPatch, recorded: bool, advice: str
) -> None:
    port = embedded_copy.port
    signed = port.sender.prepare(embedded_copy["guardian"], "pause", *pausing(embedded_copy))

    def gone(raw: bytes) -> Any:
        raise ChainUnavailable(en="No chain answers.", ja="応答がありません。")

    monkeypatch.setattr(port.w3.eth, "send_raw_transaction", gone)
    with pytest.raises(ChainUnavailable, match=advice) as caught:
        port.sender.send(replace(signed, recorded=recorded))
    assert signed.tx_hash in caught.value.en and signed.tx_hash in caught.value.ja


def test_an_account_without_gas_is_named_with_what_it_has_and_needs(world: World) -> None:
    poor, port = Account.create(), world.port
    with pytest.raises(ChainRefused) as caught:
        port.approve_operator(poor, world["admin"].address)
    assert caught.value.name == "Account_GasMissing" and caught.value.arguments["account"] == poor.address
    assert "has 0 of the chain's own coin and needs 0.0" in caught.value.en
    assert "ガス代" in caught.value.ja and "Send it some" in caught.value.en


def test_more_than_an_account_has_cannot_be_given_away(world: World) -> None:
    with pytest.raises(ChainRefused) as caught:
        world.port.send_gas(world["stranger"], world["admin"].address, 10**30)
    assert caught.value.name == "Account_GasMissing"
    assert caught.value.arguments["needed"].startswith("1000000000000")


def test_nothing_is_signed_where_a_check_says_no(embedded_copy: World) -> None:
    class Unchecked(Exception):
        pass

    def refuse() -> None:
        raise Unchecked

    checked = Sender(embedded_copy.port.w3, refuse)
    with pytest.raises(Unchecked):
        checked.transact(embedded_copy["guardian"], "pause", *pausing(embedded_copy))
