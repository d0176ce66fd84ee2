"""Roles after the deployment, the same on the embedded chain and on anvil: listed, given, taken, suspended, and who can judge."""

from __future__ import annotations

import pytest

from registry.bench import Bench, bench_of, court_warning
from registry.deploy import CourtTerms, Roles, deploy
from registry.port import ChainPort
from registry.refusals import ChainRefused
from registry.roles import (
    GIVEN_ROLES,
    Holder,
    RoleUnknown,
    RoleVerb,
    change_role,
    plan_role,
    prepare_role,
    role_holders,
)
from registry.sender import Sender
from tests.registry.conftest import Chain

A, B, C, D = ("0x" + str(n) * 40 for n in range(1, 5))


class Own:
    """Contracts of a test's own: one holder of each role."""

    def __init__(self, chain: Chain) -> None:
        self.accounts = chain.accounts
        roles = Roles(*((self.accounts[r].address,) for r in ("issuer", "verifier", "guardian", "seller")))
        made = deploy(chain.port.w3, self.accounts["admin"], roles, terms=CourtTerms(panel=2))
        self.port = ChainPort(chain.port.w3, made)

    def do(self, verb: RoleVerb, role: str, who: str, by: str = "admin") -> str | None:
        signer = self.accounts[by]
        plan = plan_role(self.port, verb, role, self.accounts[who].address, signer.address)
        done = change_role(self.port, plan, signer)
        return None if done is None else done.tx_hash

    def who(self, role: str) -> list[str]:
        return [h.account for h in role_holders(self.port) if h.role.word == role]


@pytest.fixture
def own(chain: Chain) -> Own:
    return Own(chain)


def test_every_role_of_the_deployment_is_listed_with_its_day(own: Own) -> None:
    held = role_holders(own.port)
    for role in ("issuer", "verifier", "guardian", "seller"):
        assert own.who(role) == [own.accounts[role].address]
    for role in ("admin", "sale-admin", "split-admin"):
        assert own.who(role) == [own.accounts["admin"].address]
    assert own.who("court") == [own.port.deployment.court] and own.who("share-guardian") == []
    assert all(isinstance(h, Holder) and 0 < h.since <= own.port.head()[1] for h in held)


@pytest.mark.parametrize("role", GIVEN_ROLES)
def test_a_role_is_given_once_and_taken_once_however_often_it_is_asked(own: Own, role: str) -> None:
    stranger = own.accounts["stranger"].address
    assert own.do("grant", role, "stranger") is not None
    height = own.port.head()[0]
    assert own.do("grant", role, "stranger") is None and own.port.head()[0] == height
    assert stranger in own.who(role)
    assert own.do("revoke", role, "stranger") is not None and own.do("revoke", role, "stranger") is None
    assert stranger not in own.who(role)


def test_killed_while_waiting_for_the_receipt_the_next_run_finds_the_role_given(
    own: Own, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Sender, "wait", die)
        with pytest.raises(KeyboardInterrupt):
            own.do("grant", "guardian", "stranger")
    assert own.do("grant", "guardian", "stranger") is None
    assert own.who("guardian")[-1] == own.accounts["stranger"].address


def test_who_issues_may_not_verify_and_the_refusal_says_so_in_both_languages(own: Own) -> None:
    for role, who in (("verifier", "issuer"), ("issuer", "verifier")):
        with pytest.raises(ChainRefused, match="Role_DutiesNotSeparated") as caught:
            own.do("grant", role, who)
        assert "cannot be both issuer and verifier" in caught.value.en and "兼ねられません" in caught.value.ja
    signer = own.accounts["admin"]
    plan = plan_role(own.port, "grant", "verifier", own.accounts["issuer"].address, signer.address)
    with pytest.raises(ChainRefused, match="Role_DutiesNotSeparated"):
        prepare_role(own.port, plan, signer)


def test_nobody_but_the_administrator_gives_a_role(own: Own) -> None:
    with pytest.raises(ChainRefused, match="AccessControlUnauthorizedAccount"):
        own.do("grant", "guardian", "stranger", by="guardian")


def test_a_guardian_suspends_a_verifier_and_only_the_administrator_gives_it_back(own: Own) -> None:
    verifier = own.accounts["verifier"].address
    assert own.do("suspend", "verifier", "verifier", by="guardian") is not None
    assert own.do("suspend", "verifier", "verifier", by="guardian") is None
    assert own.who("verifier") == []
    with pytest.raises(ChainRefused, match="AccessControlUnauthorizedAccount"):
        own.do("grant", "verifier", "verifier", by="guardian")
    assert own.do("grant", "verifier", "verifier") is not None and own.who("verifier") == [verifier]
    with pytest.raises(ChainRefused, match="Role_NotSuspendable"):
        own.do("suspend", "guardian", "guardian", by="guardian")


def test_the_court_and_the_administration_are_not_handed_out_one_by_one(own: Own) -> None:
    for role in ("court", "admin", "wizard"):
        with pytest.raises(RoleUnknown, match="fixed when the contracts"):
            plan_role(own.port, "grant", role, A, A)


def test_a_court_of_one_guardian_and_one_verifier_is_warned_of_until_a_second_guardian_is_named(
    own: Own,
) -> None:
    warning = court_warning(own.port)
    assert warning is not None and "ONLY ONE guardian" in warning[0] and "監視役は1人だけ" in warning[1]
    own.do("grant", "guardian", "stranger")
    assert court_warning(own.port) is None


def test_a_panel_that_can_be_reached_stands_in_for_the_second_guardian(own: Own) -> None:
    own.do("grant", "verifier", "stranger")
    assert court_warning(own.port) is not None, "the signer of a batch has no vote on it"
    own.do("grant", "verifier", "buyer")
    assert court_warning(own.port) is None


def test_a_guardian_who_issues_judges_nothing(own: Own) -> None:
    own.do("grant", "issuer", "guardian")
    found = bench_of(own.port)
    assert found is not None and found.guardians == ()
    warning = court_warning(own.port)
    assert warning is not None and "NOBODY" in warning[0]


@pytest.mark.parametrize(
    ("bench", "parties", "word"),
    [
        (Bench((A, B), (), 2), (), ""),
        (Bench((A, B), (), 2), (B,), "ONLY ONE guardian"),
        (Bench((A,), (B, C), 2), (), ""),
        (Bench((A,), (B, C), 2), (C,), "ONLY ONE guardian"),
        (Bench((), (B, C, D), 2), (), ""),
        (Bench((), (B, C), 2), (), "every one of the verifiers must vote"),
        (Bench((), (B, C), 2), (C.lower(),), "NOBODY"),
        (Bench((), (), 1), (), "NOBODY"),
    ],
)
def test_the_warning_says_who_must_not_be_silent(bench: Bench, parties: tuple[str, ...], word: str) -> None:
    warning = bench.without(parties).warning()
    assert (warning is None) == (word == "")
    if warning is not None:
        assert word in warning[0] and warning[1]
