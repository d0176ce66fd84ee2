"""What the contracts would do each time is done once: killed anywhere, asked again, raced, passed over, reorganised away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from registry.actions import Action, NotInTurn, Performed, on_chain, perform
from registry.outbox import JsonFileOutbox
from registry.port import ChainPort, Retirement
from registry.portbase import PortBase
from registry.refusals import ChainRefused
from registry.sender import Sender
from tests.registry.conftest import World

WHO = Retirement("Example Co.", "events")


class Bench:
    """A holder who wants 5 kg of one batch retired."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.port = world, world.port
        self.batch = world.issue()
        self.log = JsonFileOutbox(folder / "actions.json")
        asked = {"id": self.batch.id, "kg": 5}
        holder = world["seller"].address
        self.action = Action("retire", self.port.chain_id, self.port.deployment.registry, holder, asked)

    def go(self, action: Action | None = None, act: Callable[[PortBase], object] | None = None) -> Performed:
        return perform(self.port, self.log, action or self.action, self.world["seller"], act or self.act)

    def act(self, port: PortBase) -> object:
        assert isinstance(port, ChainPort)
        return port.retire(self.world["seller"], self.batch.id, 5, WHO)

    @property
    def retired_kg(self) -> int:
        found = self.port.batch_of(self.batch.id)
        assert found is not None
        return found.retired_kg


@pytest.fixture
def bench(world: World, tmp_path: Path) -> Bench:
    return Bench(world, tmp_path)


def test_asked_again_it_gives_back_what_happened_and_sends_nothing(bench: Bench) -> None:
    first = bench.go()
    height = bench.port.head()[0]
    again = bench.go()
    assert first.sent_now and not again.sent_now
    assert again.mined.tx_hash == first.mined.tx_hash and bench.port.events_of(again.mined)
    assert bench.retired_kg == 5 and bench.port.head()[0] == height


def test_a_deliberate_second_one_has_a_word_of_its_own_and_is_done_once_too(bench: Bench) -> None:
    bench.go()
    second = replace(bench.action, reference="second invoice")
    assert bench.go(second).sent_now and not bench.go(second).sent_now
    assert bench.retired_kg == 10


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (Sender, "prepare"),  # before it is signed
        (Sender, "send"),  # signed and recorded, not sent
        (Sender, "wait"),  # sent, no receipt seen
        (JsonFileOutbox, "take"),  # signed, not recorded
        (JsonFileOutbox, "mark_mined"),  # receipt seen, not recorded
    ],
)
def test_killed_anywhere_the_next_run_does_it_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, where: type, name: str
) -> None:
    def die(*_: object, **__: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(where, name, die)
        with pytest.raises(KeyboardInterrupt):
            bench.go()
    bench.go()
    bench.go()
    assert bench.retired_kg == 5


def test_bytes_whose_turn_another_transaction_took_are_signed_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Sender, "send", die)
        with pytest.raises(KeyboardInterrupt):
            bench.go()
    before = bench.log.get(bench.action.key)
    bench.port.approve_operator(bench.world["seller"], bench.world["stranger"].address)
    assert before is not None and not on_chain(bench.port.sender, before)
    assert bench.go().sent_now and not bench.go().sent_now
    after = bench.log.get(bench.action.key)
    assert after is not None and after.raw_tx != before.raw_tx and on_chain(bench.port.sender, after)
    assert bench.retired_kg == 5


def test_bytes_behind_a_turn_that_nobody_has_any_more_are_neither_sent_nor_replaced(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seller = bench.world["seller"]
    count = bench.port.w3.eth.get_transaction_count

    def die(*_: object, **__: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Sender, "send", die)
        patch.setattr(bench.port.w3.eth, "get_transaction_count", lambda *a: count(*a) + 1)
        with pytest.raises(KeyboardInterrupt):
            bench.go()
    with pytest.raises(NotInTurn, match="waits behind"):
        bench.go()
    assert bench.retired_kg == 0
    bench.port.approve_operator(seller, bench.world["stranger"].address)
    bench.go()
    assert bench.retired_kg == 5


def test_of_two_workers_one_sends_and_the_other_finds_it(bench: Bench) -> None:
    other: list[Performed] = []

    def meanwhile(port: PortBase) -> object:
        if not other:
            other.append(bench.go())
        return bench.act(port)

    mine = bench.go(act=meanwhile)
    assert mine.mined.tx_hash == other[0].mined.tx_hash and not mine.sent_now
    assert bench.retired_kg == 5


def test_of_two_workers_who_both_signed_the_one_that_recorded_first_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, other = Sender.prepare, list[Performed]()

    def slow(self: Sender, *arguments: object, **named: object) -> object:
        signed = prepare(self, *arguments, **named)  # type: ignore[arg-type]
        if not other:
            monkeypatch.setattr(Sender, "prepare", prepare)
            other.append(bench.go())
        return signed

    monkeypatch.setattr(Sender, "prepare", slow)
    assert bench.go().mined.tx_hash == other[0].mined.tx_hash
    assert bench.retired_kg == 5


def test_what_the_chain_refuses_may_be_asked_for_again(bench: Bench) -> None:
    bench.port.pause(bench.world["guardian"], bench.world.project)
    seller, stranger = bench.world["seller"], bench.world["stranger"].address
    move = replace(bench.action, function="safeTransferFrom", arguments={"to": stranger})

    def act(port: PortBase) -> object:
        assert isinstance(port, ChainPort)
        return port.transfer(seller, stranger, bench.batch.id, 3)

    with pytest.raises(ChainRefused, match="Project_Paused"):
        bench.go(move, act)
    bench.port.unpause(bench.world["guardian"], bench.world.project)
    assert bench.go(move, act).sent_now and not bench.go(move, act).sent_now
    assert bench.port.balance(stranger, bench.batch.id) == 3


@pytest.mark.parametrize("chain", ["anvil"], indirect=True)  # the embedded chain never reorganises
def test_what_a_reorganised_chain_dropped_is_sent_again_as_it_was(bench: Bench) -> None:
    ask = bench.port.w3.provider.make_request
    snapshot = ask("evm_snapshot", [])["result"]  # type: ignore[arg-type]
    first = bench.go()
    assert bench.retired_kg == 5
    ask("evm_revert", [snapshot])  # type: ignore[arg-type]
    assert bench.retired_kg == 0
    assert bench.go().mined.tx_hash == first.mined.tx_hash
    assert bench.retired_kg == 5


def test_bytes_that_offer_too_little_are_offered_at_more_and_both_are_watched(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Sender, "send", die)
        with pytest.raises(KeyboardInterrupt):
            bench.go()
    with monkeypatch.context() as patch:
        patch.setattr(Sender, "outpriced", lambda *_: True)
        bench.go()
    entry = bench.log.get(bench.action.key)
    assert entry is not None and entry.raw_tx is not None and len(entry.raw_tx.split()) == 2
    assert not bench.go().sent_now and bench.retired_kg == 5


def test_rewards_are_funded_once_and_stand_in_the_courts_state(world: World, tmp_path: Path) -> None:
    port, giver, log = world.port, world["buyer"], JsonFileOutbox(tmp_path / "actions.json")
    port.mint_yen(world["admin"], giver.address, 100)
    before = port.court().reward_fund
    asked = Action("fundRewards", port.chain_id, port.deployment.registry, giver.address, {"amount": 40})
    for _ in range(2):
        perform(port, log, asked, giver, lambda p: p.fund_rewards(giver, 40))  # type: ignore[attr-defined]
    assert port.court().reward_fund == before + 40 and port.yen_balance(giver.address) >= 60
