"""Officers whose signatures pay households, as a chain of changes that two officers signed.

The first treasurer and the first auditor are recorded freely. From then on every officer who is added or removed needs the
signatures of a treasurer and of an auditor already recorded, over a text that holds the digest of the change before. The list is made
by replaying the changes, so an officer written into the record by hand is not one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.exceptions import ValidationError

from models.errors import SatoyamaError
from mrv.blob import digest_doc
from registry.signer import Signer

Duty = Literal["treasurer", "auditor"]
Kind = Literal["add", "remove"]
DUTIES: tuple[Duty, ...] = ("treasurer", "auditor")
DUTY_JA: Mapping[str, str] = {"treasurer": "会計", "auditor": "監事"}


class OfficersRefused(SatoyamaError):
    """An officer who may not be added or removed so."""


@dataclass(frozen=True)
class Officer:
    """A person with a key. `address` in checksum form."""

    address: str
    name: str
    duty: Duty


@dataclass(frozen=True)
class OfficerChange:
    """An officer added or removed.

    Parameters
    ----------
    number : int
        Counts from 1 within the project.
    previous : str
        Digest of the change before; "" for the first.
    """

    project_id: str
    number: int
    kind: Kind
    officer: Officer
    previous: str

    def to_doc(self) -> dict[str, Any]:
        """Plain document."""
        return asdict(self)

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        """Inverse of `to_doc`."""
        return cls(**{**doc, "officer": Officer(**doc["officer"])})

    @property
    def digest(self) -> str:
        """Digest of the change's canonical JSON, and with it of all changes before."""
        return digest_doc(self.to_doc())

    @property
    def text(self) -> str:
        """What officers sign, in words that can be read in a wallet."""
        who = self.officer
        return (
            f"Satoyama MRV payout officers\nproject: {self.project_id}\nchange: {self.number}\n"
            f"{self.kind}: {who.name}, {who.duty}, {who.address}\ndigest: {self.digest}"
        )

    def sign(self, officer: Signer) -> str:
        """An officer's signature (EIP-191), 0x-hex."""
        return "0x" + bytes(officer.sign_message(encode_defunct(text=self.text)).signature).hex()

    def signer(self, signature: str) -> str:
        """Address that signed this very change.

        Raises
        ------
        OfficersRefused
            If it is no signature at all.
        """
        try:
            return str(Account.recover_message(encode_defunct(text=self.text), signature=signature))
        except (ValueError, TypeError, ValidationError) as error:
            raise OfficersRefused(
                en=f"{signature[:20]!r}… is no signature: expected 0x and 130 hex digits. Sign the text of 'payout endorse --text'.",
                ja=f"{signature[:20]!r}… は署名ではありません（0x と16進130桁が必要）。payout endorse --text の文に署名してください。",
            ) from error


def both_duties(officers: Iterable[Officer]) -> bool:
    """Whether a treasurer and an auditor are among them."""
    return {o.duty for o in officers} == set(DUTIES)


@dataclass(frozen=True)
class Register:
    """The officers after some changes.

    Attributes
    ----------
    history : tuple of str
        Digests of the changes, oldest first.
    """

    officers: tuple[Officer, ...] = ()
    history: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of the last change, and with it of all: what the general meeting's minutes can hold. "" where nobody is recorded."""
        return self.history[-1] if self.history else ""

    @property
    def closed(self) -> bool:
        """Whether changes need two signatures by now."""
        return both_duties(self.officers)

    def by_address(self) -> dict[str, Officer]:
        return {o.address: o for o in self.officers}

    def change(self, project_id: str, kind: Kind, officer: Officer) -> OfficerChange:
        """The next change.

        Raises
        ------
        OfficersRefused
            If one person would count twice, nobody is there to be removed, or a duty would be without an officer.
        """
        if kind == "add":
            self._check_new(officer)
        else:
            self._check_removal(officer)
        return OfficerChange(project_id, len(self.history) + 1, kind, officer, self.digest)

    def _check_new(self, officer: Officer) -> None:
        for have in self.officers:
            if officer.address == have.address or officer.name == have.name:
                raise OfficersRefused(
                    en=f"An officer {have.name!r} ({have.duty}) with the key {have.address} is on record; two officers are two persons with two keys. "
                    "Give the other person's name and key, or remove this officer first.",
                    ja=f"役員「{have.name}」（{DUTY_JA[have.duty]}、鍵 {have.address}）は登録済みです。役員2名には別々の氏名と鍵が必要です。"
                    "別の方の氏名と鍵を指定するか、先に登録を外してください。",
                )

    def _check_removal(self, officer: Officer) -> None:
        if officer not in self.officers:
            names = ", ".join(o.name for o in self.officers) or "-"
            raise OfficersRefused(
                en=f"No officer {officer.name!r} is on record. Officers: {names} (satoyama payout officers).",
                ja=f"役員「{officer.name}」は登録されていません。登録済み: {names}（satoyama payout officers）",
            )
        left = [o for o in self.officers if o != officer]
        if self.closed and not both_duties(left):
            raise OfficersRefused(
                en=f"{officer.name!r} is the only {officer.duty}; without one nothing can be signed again. Add the successor first "
                f"(satoyama payout officer NAME --duty {officer.duty} --address 0x…), then remove.",
                ja=f"「{officer.name}」は唯一の{DUTY_JA[officer.duty]}です。外すと以後の署名ができません。先に後任を登録してください"
                f"（satoyama payout officer 氏名 --duty {officer.duty} --address 0x…）。",
            )

    def signed_by(self, change: OfficerChange, signatures: Iterable[str]) -> tuple[Officer, ...]:
        """Officers of this register who signed the change."""
        known = self.by_address()
        found = dict.fromkeys(change.signer(s) for s in signatures)
        return tuple(known[a] for a in found if a in known)

    def after(self, change: OfficerChange) -> Register:
        """The register with the change; who signed it was looked at before."""
        officers = (
            (*self.officers, change.officer)
            if change.kind == "add"
            else tuple(o for o in self.officers if o != change.officer)
        )
        return Register(officers, (*self.history, change.digest))


@dataclass(frozen=True)
class Open:
    """A change that waits for signatures, and the officers who signed it."""

    change: OfficerChange
    signed: tuple[Officer, ...]


def replay(changes: Sequence[tuple[OfficerChange, Sequence[str]]]) -> tuple[Register, Open | None]:
    """The officers, from all changes and their signatures in order; the last change may still wait for signatures.

    Raises
    ------
    OfficersRefused
        If the record was altered: a change that does not follow from those before it, or was not signed by two officers.
    """
    register = Register()
    for place, (change, signatures) in enumerate(changes, 1):
        try:
            fits = change == register.change(change.project_id, change.kind, change.officer)
        except OfficersRefused:
            fits = False
        if not fits:
            raise altered(change.number)
        if register.closed:
            signed = register.signed_by(change, signatures)
            if not both_duties(signed):
                if place == len(changes):
                    return register, Open(change, signed)
                raise altered(change.number)
        register = register.after(change)
    return register, None


def altered(number: int) -> OfficersRefused:
    """The error for a record that was changed by hand."""
    return OfficersRefused(
        en=f"The record of officers was altered: change {number} does not follow from the ones before it, or lacks a treasurer's and an auditor's "
        "signature. Nothing is planned or signed. Compare with the digest in the minutes and restore the catalogue from a backup.",
        ja=f"役員の記録が改変されています。変更 {number} が前の変更とつながらないか、会計と監事の署名がありません。計画・署名は行いません。"
        "議事録に控えたダイジェストと照合し、バックアップから台帳を復元してください。",
    )
