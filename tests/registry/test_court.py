"""A challenge of a batch, the same on the embedded chain and on anvil: bonded, decided, paid, and never twice."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from registry import artifacts
from registry.abi import signatures
from registry.claimstruct import ClaimStruct
from registry.court_events import BatchAnnulled, BatchFrozen, BatchThawed, Challenged, Resolved
from registry.deploy import Deployment, check_deployment
from registry.events import event_from_doc, standing_of
from registry.port import ChainPort, PortError
from registry.refusal_words import WORDS
from registry.refusals import ChainRefused
from registry.sender import Sender
from registry.verify_chain import check_chain
from tests.registry.clockwork import DAY, WINDOW, chains, court_world, key_of, rich, wait
from tests.registry.conftest import Chain, World, sha

MINE = sha("what I get from the same inputs")


@pytest.fixture(scope="module", params=["embedded", "anvil"])
def clock_chain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    yield from chains(request.param, tmp_path_factory.mktemp("court"))


@pytest.fixture
def world(clock_chain: Chain) -> World:
    made = court_world(clock_chain)
    rich(made, "buyer")
    return made


def issue(world: World, **changes: object) -> ClaimStruct:
    claim = world.claim(challenge_window=WINDOW, **changes)
    signature = world.port.sign_claim(world["verifier"], claim)
    world.port.issue(world["issuer"], claim, world["verifier"].address, signature)
    return claim


def challenged(world: World, root: bytes = MINE) -> Challenged:
    return world.port.challenge(world["buyer"], key_of(world), root, "https://example.org/mine.zip")


def line(world: World, claim: ClaimStruct) -> tuple[str, str]:
    (found,) = [c for c in check_chain(world.port, claim) if c.name == "chain.challenge"]
    assert found.detail_ja
    return found.status, found.detail_en


def test_a_challenge_bonds_freezes_and_is_told_by_verify(world: World) -> None:
    port, buyer = world.port, world["buyer"].address
    claim = issue(world)
    assert line(world, claim)[0] == "passed" and "may be challenged until" in line(world, claim)[1]
    before, terms = port.yen_balance(buyer), port.court()
    opened = challenged(world)
    assert before - port.yen_balance(buyer) == opened.bond == terms.bond == 50_000 * 10**6
    assert (opened.other_root, opened.recipient) == (MINE, world["seller"].address)
    info = port.challenge_info(opened.challenge_id)
    assert (
        info is not None
        and info.status == "open"
        and port.open_challenge_of(opened.id) == opened.challenge_id
    )
    assert info.deadline == opened.block_time + terms.resolution_s
    with pytest.raises(ChainRefused, match="Batch_Frozen"):
        port.transfer(world["seller"], buyer, opened.id, 1)
    status, text = line(world, claim)
    assert status == "not_made" and "wait" in text and MINE.hex() in text


def test_asking_again_bonds_nothing_twice(world: World) -> None:
    issue(world)
    first = challenged(world)
    left = world.port.yen_balance(world["buyer"].address)
    height = world.port.head()[0]
    assert challenged(world) == first
    assert world.port.yen_balance(world["buyer"].address) == left and world.port.head()[0] == height


def test_killed_between_approval_and_challenge_the_next_try_bonds_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, buyer = world.port, world["buyer"]
    issue(world)
    before, bond = port.yen_balance(buyer.address), port.court().bond
    send = ChainPort._send

    def die(self: ChainPort, account: object, contract: str, function: str, *arguments: object) -> object:
        if function == "challenge":
            raise KeyboardInterrupt
        return send(self, account, contract, function, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(ChainPort, "_send", die)
        with pytest.raises(KeyboardInterrupt):
            challenged(world)
    assert port.view("DevYen", "allowance", buyer.address, port.deployment.court) == bond
    challenged(world)
    assert before - port.yen_balance(buyer.address) == bond
    assert port.view("DevYen", "allowance", buyer.address, port.deployment.court) == 0


def test_killed_while_waiting_for_a_receipt_no_step_pays_twice_when_it_is_run_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, buyer = world.port, world["buyer"]
    issue(world)
    before, court = port.yen_balance(buyer.address), port.deployment.court
    port._send(buyer, "DevYen", "approve", court, port.court().bond)
    held = port.yen_balance(court)

    def killed(step: Callable[[], object]) -> None:
        def die(self: Sender, signed: object) -> object:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Sender, "wait", die)
            with pytest.raises(KeyboardInterrupt):
                step()

    killed(lambda: challenged(world))
    opened = challenged(world)
    assert port.yen_balance(court) - held == opened.bond == before - port.yen_balance(buyer.address)
    killed(lambda: port.resolve_challenge(world["guardian"], opened.challenge_id, True))
    ruled = port.resolve_challenge(world["guardian"], opened.challenge_id, True)
    assert port.owed(buyer.address) == ruled.amount
    killed(lambda: port.withdraw_bond(buyer))
    with pytest.raises(ChainRefused, match="Payment_NothingDue"):
        port.withdraw_bond(buyer)
    assert port.yen_balance(court) == held and port.yen_balance(buyer.address) == before


def test_a_challenge_that_another_run_of_ours_opened_meanwhile_is_taken_as_ours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue(world)
    opened = challenged(world)
    left = world.port.yen_balance(world["buyer"].address)
    # As if the first look had come before the other run's transaction.
    looks = iter([[], [opened]])
    monkeypatch.setattr(ChainPort, "challenges_of", lambda self, token_id: next(looks))
    assert challenged(world) == opened
    assert world.port.yen_balance(world["buyer"].address) == left


def test_upheld_annuls_the_batch_and_gives_the_bond_back_once(world: World) -> None:
    port, buyer = world.port, world["buyer"]
    claim = issue(world)
    port.mint_yen(world["admin"], world["admin"].address, 7)
    port.fund_rewards(world["admin"], 7)
    before = port.yen_balance(buyer.address)
    opened = challenged(world)
    ruled = port.resolve_challenge(world["guardian"], opened.challenge_id, True)
    assert port.resolve_challenge(world["guardian"], opened.challenge_id, True) == ruled
    assert (ruled.paid_to, ruled.amount) == (buyer.address, opened.bond + 7)
    with pytest.raises(ChainRefused, match="Challenge_NotOpen"):
        port.resolve_challenge(world["guardian"], opened.challenge_id, False)
    state = port.batch_state(opened.id)
    assert state.annulled and not state.frozen and port.total_supply(opened.id) == 0
    assert port.balance(world["seller"].address, opened.id) == 0
    port.withdraw_bond(buyer)
    assert port.yen_balance(buyer.address) == before + 7
    with pytest.raises(ChainRefused, match="Payment_NothingDue"):
        port.withdraw_bond(buyer)
    status, text = line(world, claim)
    assert status == "failed" and "ANNULLED" in text
    bad = {c.name for c in check_chain(port, claim) if c.status != "passed"}
    assert bad == {"chain.challenge"}, "the books of an annulled batch still add up"


def test_dismissed_pays_the_recipient_and_doubles_the_next_bond(world: World) -> None:
    port = world.port
    claim = issue(world)
    opened = challenged(world)
    owed = port.owed(world["seller"].address)
    ruled = port.resolve_challenge(world["guardian"], opened.challenge_id, False)
    assert ruled.paid_to == world["seller"].address
    assert port.owed(world["seller"].address) - owed == opened.bond
    assert port.bond_of(opened.id) == 2 * opened.bond
    status, text = line(world, claim)
    assert status == "passed" and "1 challenge(s) were heard and dismissed" in text
    assert challenged(world) == opened, "the same root is heard once"
    assert challenged(world, sha("another result")).bond == 2 * opened.bond


def test_two_verifiers_who_did_not_sign_decide_together(world: World) -> None:
    port = world.port
    issue(world)
    opened = challenged(world)
    with pytest.raises(ChainRefused, match="Challenge_OwnCause"):
        port.vote(world["verifier"], opened.challenge_id, False)
    with pytest.raises(ChainRefused, match="Challenge_NotVerifier"):
        port.vote(world["stranger"], opened.challenge_id, True)
    vote, ruled = port.vote(world["verifier2"], opened.challenge_id, True)
    assert vote.uphold and ruled is None
    assert port.vote(world["verifier2"], opened.challenge_id, True) == (vote, None), "a retry counts once"
    with pytest.raises(ChainRefused, match="Challenge_Voted"):
        port.vote(world["verifier2"], opened.challenge_id, False)
    _, ruled = port.vote(world["verifier3"], opened.challenge_id, True)
    assert ruled is not None and port.batch_state(opened.id).annulled


def test_undecided_by_the_deadline_the_batch_is_annulled(world: World) -> None:
    port = world.port
    issue(world)
    opened = challenged(world)
    with pytest.raises(ChainRefused, match="Challenge_DeadlineAhead"):
        port.expire_challenge(world["stranger"], opened.challenge_id)
    wait(world.chain, port.court().resolution_s)
    with pytest.raises(ChainRefused, match="Challenge_DeadlineOver"):
        port.resolve_challenge(world["guardian"], opened.challenge_id, False)
    ruled = port.expire_challenge(world["stranger"], opened.challenge_id)
    assert port.expire_challenge(world["stranger"], opened.challenge_id) == ruled
    assert (ruled.paid_to, ruled.amount) == (world["buyer"].address, opened.bond)
    assert port.batch_state(opened.id).annulled


def test_when_the_window_is_over_nobody_can_challenge_and_verify_says_when_it_ended(world: World) -> None:
    claim = issue(world)
    wait(world.chain, WINDOW + DAY)
    before = world.port.yen_balance(world["buyer"].address)
    with pytest.raises(ChainRefused, match="Batch_LockOver"):
        challenged(world)
    assert world.port.yen_balance(world["buyer"].address) == before
    status, text = line(world, claim)
    assert status == "passed" and "the time to do so ended on" in text


def test_a_guardian_needs_no_bond_and_cannot_judge_what_he_opened(world: World) -> None:
    issue(world)
    opened = world.port.challenge(world["guardian"], key_of(world), MINE)
    assert opened.bond == 0
    with pytest.raises(ChainRefused, match="Challenge_OwnCause"):
        world.port.resolve_challenge(world["guardian"], opened.challenge_id, True)
    assert world.port.resolve_challenge(world["guardian2"], opened.challenge_id, True).amount == 0


def test_after_an_annulment_the_period_stays_spent_and_the_next_claim_counts_from_the_start(
    world: World,
) -> None:
    port = world.port
    first = issue(world)
    opened = challenged(world)
    port.resolve_challenge(world["guardian"], opened.challenge_id, True)
    info = port.project(world.project)
    assert info is not None
    assert (info.gross_kg, info.compensated_kg, info.last_period_end) == (0, 0, first.period_end)

    def offer(claim: ClaimStruct) -> None:
        signature = port.sign_claim(world["verifier"], claim)
        port.issue(world["issuer"], claim, world["verifier"].address, signature)

    corrected = replace(first, batch_id=sha("b"), content_root=sha("c"), evidence_root=sha("e"), nonce=1)
    with pytest.raises(ChainRefused, match="Claim_PeriodOverlaps"):
        offer(corrected)
    following = world.claim(challenge_window=WINDOW)
    stale = replace(following, prior_gross_kg=9_000, estimate_kg=following.estimate_kg + 9_000)
    with pytest.raises(ChainRefused, match="Claim_PriorGrossDiffers"):
        offer(stale)
    assert following.prior_gross_kg == 0 and following.period_start == first.period_end
    offer(following)
    names = {c.name for c in check_chain(port, following) if c.status != "passed"}
    assert names == set()
    after = port.project(world.project)
    assert after is not None and after.gross_kg == 9_000, "the annulled 9,000 kg are out of the account"


def test_events_of_a_dispute_survive_their_documents_and_tell_the_batchs_standing(world: World) -> None:
    port = world.port
    start = port.head()[0] + 1
    issue(world)
    opened = challenged(world)
    assert standing_of(port.events(start), opened.id) == "challenged"
    port.resolve_challenge(world["guardian"], opened.challenge_id, False)
    assert standing_of(port.events(start), opened.id) == ""
    again = challenged(world, sha("another result"))
    port.resolve_challenge(world["guardian"], again.challenge_id, True)
    events = port.events(start)
    assert standing_of(events, opened.id) == "annulled"
    assert [type(e) for e in events if type(e) in (BatchFrozen, BatchThawed, BatchAnnulled)] == [
        BatchFrozen,
        BatchThawed,
        BatchFrozen,
        BatchAnnulled,
    ]
    assert sum(isinstance(e, Resolved) for e in events) == 2
    assert all(event_from_doc(e.to_doc()) == e for e in events)


def test_a_manifest_from_before_the_court_is_read_and_says_what_is_missing(world: World) -> None:
    doc = world.port.deployment.to_doc()
    old = Deployment.from_doc({k: v for k, v in doc.items() if k not in ("court", "predecessor")})
    port = ChainPort(world.port.w3, old)
    assert {c.status for c in check_deployment(port.w3, old)} == {"passed"}
    claim = issue(world)
    assert "this deployment names no court" in line(replace_port(world, port), claim)[1]
    with pytest.raises(PortError, match="no court"):
        port.challenge(world["buyer"], key_of(world), MINE)


def replace_port(world: World, port: ChainPort) -> World:
    return replace(world, chain=replace(world.chain, port=port))


def test_a_court_of_another_registry_shows(world: World) -> None:
    from tests.registry.clockwork import another

    other = another(world.chain).port.deployment
    mixed = replace(world.port.deployment, court=other.court)
    links = {c.name: c.status for c in check_deployment(world.port.w3, mixed)}
    assert links["chain.links"] == "failed" and links["chain.code.ChallengeWindow"] == "passed"


def test_a_batch_that_was_never_issued_cannot_be_challenged(world: World) -> None:
    with pytest.raises(PortError, match="nothing to challenge"):
        world.port.challenge(world["buyer"], sha("never"), MINE)


@pytest.mark.parametrize("contract", [*artifacts.CONTRACTS, "TimelockController"])
def test_every_refusal_has_words_in_both_languages_that_name_only_what_it_carries(contract: str) -> None:
    for name, error in signatures(contract, "error").items():
        assert name in WORDS, f"{contract}: {name} has no words"
        for text in WORDS[name]:
            fields = {field for _, field, _, _ in string.Formatter().parse(text) if field}
            assert fields <= set(error.names), name
        assert any(ord(letter) > 0x3000 for letter in WORDS[name][1]), name
