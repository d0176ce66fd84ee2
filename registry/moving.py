"""What ends or changes hands otherwise than by sale: deficits refilled, buffer released, credits moved to a successor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry.court_events import (
    BatchImported,
    BufferReleased,
    DeficitRefilled,
    Migrated,
    MigrationAnnounced,
    ProjectImported,
)
from registry.portbase import PortBase, only
from registry.refusals import ChainRefused
from registry.signer import Signer

_NOBODY = "0x" + "00" * 20
_RELEASE = [
    {"name": "id", "type": "uint256"},
    {"name": "kg", "type": "uint64"},
    {"name": "to", "type": "address"},
    {"name": "nonce", "type": "uint256"},
    {"name": "deadline", "type": "uint64"},
]
_DOMAIN = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]


@dataclass(frozen=True)
class ReleaseOrder:
    """Buffer that a guardian may release once a verifier has signed it. `deadline` of the signature in unix seconds."""

    id: int
    kg: int
    to: str
    verifier: str
    nonce: int
    deadline: int


class MovePort(PortBase):
    """What administrators, guardians and holders do when a project changes its registry or its buffer."""

    # Buffer

    def refill(self, holder: Signer, project: bytes, token_id: int, kg: int) -> DeficitRefilled:
        """Burn own credits, of any project, to make this project's deficit smaller."""
        mined = self._send(holder, "CreditRegistry", "refill", project, token_id, kg)
        return only(self.events_of(mined), DeficitRefilled)

    def releasable(self, token_id: int) -> int:
        """Kilograms that the schedule lets go of a batch's buffer now."""
        return int(self.view("CreditRegistry", "releasable", token_id))

    def sign_release(self, verifier: Signer, order: ReleaseOrder) -> bytes:
        """The verifier's signature over a release, for this chain and registry."""
        domain = {
            "name": "SatoyamaCreditRegistry",
            "version": "1",
            "chainId": self.chain_id,
            "verifyingContract": self.deployment.registry,
        }
        message = {
            "id": order.id,
            "kg": order.kg,
            "to": order.to,
            "nonce": order.nonce,
            "deadline": order.deadline,
        }
        types = {"EIP712Domain": _DOMAIN, "Release": _RELEASE}
        signed = verifier.sign_typed_data(
            full_message={"types": types, "primaryType": "Release", "domain": domain, "message": message}
        )
        return bytes(signed.signature)

    def release(self, guardian: Signer, order: ReleaseOrder, signature: bytes) -> BufferReleased:
        """Give out buffer whose time of permanence is over. The verifier's nonce makes it happen once."""
        arguments = (
            order.id,
            order.kg,
            order.to,
            order.verifier,
            order.nonce,
            order.deadline,
            signature,
        )
        return only(
            self.events_of(self._send(guardian, "CreditRegistry", "release", *arguments)), BufferReleased
        )

    # The move to a successor

    def announce_migration(
        self, admin: Signer, projects: Sequence[bytes], successor: str | None
    ) -> list[MigrationAnnounced]:
        """Announce that projects go over to a successor; None takes back what is not in effect yet.

        Projects that are announced for that successor already are left alone, so that asking again does not start their
        time anew.
        """
        target = successor or _NOBODY
        same = str(self.migration().successor) == target
        left = [
            p for p in projects if not (same and bool(self.closing(p).closes_at) == (successor is not None))
        ]
        if not left:
            return []
        mined = self._send(admin, "CreditRegistry", "announceMigration", left, target)
        return [e for e in self.events_of(mined) if isinstance(e, MigrationAnnounced)]

    def migrate(self, holder: Signer, token_id: int, kg: int) -> Migrated:
        """Move own credits: burned here, minted by the successor under the same id."""
        mined = self._send(holder, "CreditRegistry", "migrate", token_id, kg)
        return only(self.events_of(mined), Migrated)

    def import_project(self, account: Signer, project: bytes) -> ProjectImported | None:
        """At a successor: carry on the account of a project that is settled in the registry before; None if that is done."""
        if self.project(project) is not None:
            return None
        try:
            mined = self._send(account, "SuccessorRegistry", "importProject", project)
        except ChainRefused as refused:
            if refused.name == "Project_Known":
                return None
            raise
        return only(self.events_of(mined), ProjectImported)

    def import_batch(self, account: Signer, token_id: int) -> BatchImported | None:
        """At a successor: take over a batch's buffer; None if that is done. The first holder who moves does it too."""
        if self.batch_of(token_id) is not None:
            return None
        try:
            mined = self._send(account, "SuccessorRegistry", "importBatch", token_id)
        except ChainRefused as refused:
            if refused.name == "Migration_BatchKnown":
                return None
            raise
        return only(self.events_of(mined), BatchImported)
