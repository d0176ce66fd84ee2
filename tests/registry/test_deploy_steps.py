"""A deployment is finished by whoever runs it next, put up once, and what lies on the chain is compared before it counts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mrv import __version__
from registry import artifacts, sender
from registry import deploy as deploying
from registry.address import AddressRefused
from registry.chain import create_embedded
from registry.deploy import CourtTerms, Deployment, OtherContracts, Roles, deploy, require_ours
from registry.deploy_steps import UnfinishedDeployment
from registry.manifest import ManifestUnreadable, read_manifest
from registry.sender import ChainBusy, Sender
from tests.registry.conftest import Chain

CREATED = ("CreditRegistry", "RevenueSplit", "CreditSale", "DevYen", "ChallengeWindow")


class Bed:
    """A fresh embedded chain and an admin on it."""

    def __init__(self, folder: Path, chain: Chain) -> None:
        self.admin, self.unfinished = chain.accounts["admin"], folder / "unfinished.json"
        self.roles = Roles(issuers=(chain.accounts["issuer"].address,))
        self.w3 = create_embedded(folder / "chain.sqlite", [a.address for a in chain.accounts.values()])

    def deploy(self, **changes: Any) -> Deployment:
        return deploy(self.w3, self.admin, self.roles, unfinished=self.unfinished, **changes)

    @property
    def sent(self) -> int:
        return int(self.w3.eth.get_transaction_count(self.admin.address))


@pytest.fixture
def bed(tmp_path: Path, embedded_chain: Chain) -> Bed:
    return Bed(tmp_path, embedded_chain)


def cut_off(monkeypatch: pytest.MonkeyPatch, bed: Bed, where: str, after: int, *, before_it: bool) -> None:
    """Run a deployment that dies at the call of `Sender.<where>` after so many."""
    count, original = iter(range(100)), getattr(Sender, where)

    def dying(*arguments: Any, **named: Any) -> Any:
        last = next(count) == after
        if last and before_it:
            raise KeyboardInterrupt
        found = original(*arguments, **named)
        if last:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Sender, where, dying)
        with pytest.raises(KeyboardInterrupt):
            bed.deploy()


@pytest.mark.parametrize("before_it", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("where", ["prepare", "send"])
@pytest.mark.parametrize("after", [0, 3, 5, 8])
def test_cut_off_anywhere_it_is_finished_without_a_contract_twice(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, after: int, before_it: bool
) -> None:
    cut_off(monkeypatch, bed, where, after, before_it=before_it)
    found = bed.deploy()
    # Five contracts, one issuer, two allowances of the yen, the court's role.
    assert bed.sent == len(CREATED) + 4, "no transaction more than an uninterrupted deployment has"
    assert found.program == __version__
    assert bed.deploy() == found and bed.sent == len(CREATED) + 4


def test_a_step_that_is_not_mined_in_time_says_to_run_the_same_command_again(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt, left = Sender._receipt, iter([True] * len(CREATED[:4]))
    with monkeypatch.context() as patch:
        patch.setattr(sender, "RECEIPT_TIMEOUT_S", -1)
        patch.setattr(Sender, "_receipt", lambda self, h: receipt(self, h) if next(left, False) else None)
        with pytest.raises(
            ChainBusy, match=r"'grant ISSUER_ROLE' .* same command again later: it will not be sent twice"
        ):
            bed.deploy()
    assert bed.deploy().registry and bed.sent == len(CREATED) + 4


def test_a_deployment_begun_with_other_terms_is_not_gone_on_with(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(monkeypatch, bed, "send", 2, before_it=False)
    with pytest.raises(UnfinishedDeployment, match="bond_yen: 50000 then, 7 now") as caught:
        bed.deploy(terms=CourtTerms(bond_yen=7))
    assert "bond_yen: 当時 50000" in caught.value.ja and str(bed.unfinished) in caught.value.en


@pytest.mark.parametrize("text", ["{", "[]", '{"asked": {}}', '{"asked": {}, "created": {"DevYen": 5}}'])
def test_a_damaged_record_of_an_unfinished_deployment_is_named(bed: Bed, text: str) -> None:
    bed.unfinished.write_text(text)
    with pytest.raises(UnfinishedDeployment, match="cannot be read"):
        bed.deploy()


@pytest.mark.parametrize(
    ("yen", "why"),
    [("0x12", "40 hex digits"), ("0x" + "12" * 20, "answers as one"), ("0x" + "00" * 20, "zero address")],
)
def test_a_yen_that_is_none_is_refused_before_anything_is_deployed(bed: Bed, yen: str, why: str) -> None:
    with pytest.raises((AddressRefused, OtherContracts), match=why):
        bed.deploy(yen=yen)
    assert bed.sent == 0


def test_a_yen_that_is_there_is_taken(bed: Bed) -> None:
    first = bed.deploy()
    bed.unfinished.unlink()
    again = bed.deploy(yen=first.yen.lower())
    assert again.yen == first.yen and not again.yen_is_ours


def test_what_lies_on_the_chain_is_compared_right_after_deploying(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = deploying.encode_constructor

    def altered(contract: str, *arguments: Any) -> bytes:
        code = bytearray(encode(contract, *arguments))
        if contract == "DevYen":
            code[len(artifacts.load(contract).bytecode) - 10] ^= (
                1  # in what the compiler notes behind the code
            )
        return bytes(code)

    monkeypatch.setattr(deploying, "encode_constructor", altered)
    with pytest.raises(OtherContracts, match="The contracts DevYen are not those of this program"):
        bed.deploy()


def test_other_contracts_are_told_with_the_version_that_deployed_them(embedded_chain: Chain) -> None:
    here = embedded_chain.port.deployment
    require_ours(embedded_chain.port.w3, here)
    with pytest.raises(OtherContracts) as caught:
        require_ours(embedded_chain.port.w3, replace(here, sale=here.yen, program="0.0.7"))
    assert "CreditSale" in caught.value.en and here.yen in caught.value.en
    assert "deployed by version 0.0.7" in caught.value.en and "版 0.0.7" in caught.value.ja


def test_a_manifest_is_read_back_and_addresses_in_lower_case_too(
    embedded_chain: Chain, tmp_path: Path
) -> None:
    here, file = embedded_chain.port.deployment, tmp_path / "deployment.json"
    doc = here.to_doc()
    file.write_text(json.dumps({**doc, "registry": here.registry.lower()}))
    assert read_manifest(file) == here
    del doc["program"], doc["predecessor"]
    file.write_text(json.dumps(doc))
    assert read_manifest(file) == replace(here, program="")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"registry": None}, "registry is None, expected str"),
        ({"registry": "0x12"}, "40 hex digits"),
        ({"block": -1}, "block is -1"),
        ({"chain_id": "1"}, "chain_id is '1', expected int"),
        ({"yen_is_ours": 1}, "expected bool"),
        ({"colour": "red"}, "does not know colour"),
        ({"court": 5}, "court is 5"),
    ],
)
def test_a_manifest_that_is_none_is_named_with_what_is_wrong(
    embedded_chain: Chain, tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    file = tmp_path / "deployment.json"
    file.write_text(json.dumps({**embedded_chain.port.deployment.to_doc(), **change}))
    with pytest.raises(ManifestUnreadable, match=why) as caught:
        read_manifest(file)
    assert str(file) in caught.value.en and str(file) in caught.value.ja


@pytest.mark.parametrize("text", ["{", "[]", "5", "{}", "\x00"])
def test_a_file_that_is_no_manifest_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "d.json").write_text(text)
    with pytest.raises(ManifestUnreadable, match=r"d\.json is no deployment manifest"):
        read_manifest(tmp_path / "d.json")
    with pytest.raises(ManifestUnreadable, match="cannot be opened"):
        read_manifest(tmp_path / "absent.json")
