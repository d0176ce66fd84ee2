"""What the pages show, as frozen values read from the workspace; templates get nothing else."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select

from apps.look.wording import Text
from apps.papers import (
    Certificate,
    ChainPlace,
    SaleLine,
    StatementSheet,
    certificate_of,
    sheet_of,
    time_of_block,
)
from apps.web.holdings import Holdings, holdings_of, open_price
from flows.definition import ProjectDefinition, accounts_of
from flows.settings import Workspace
from flows.tables import AlertRow, ApprovalRow, ClaimRefusalRow, ClaimRow, ProjectRow, SurveyRow
from flows.work import chainroom
from flows.work.claiming import approval_of, change_document
from flows.work.projects import definition_of_project
from models.errors import SatoyamaError
from mrv.project import MonitoringPlan
from mrv.results import Change, Claim, change_from_doc
from registry.claimstruct import project_key
from registry.events import BatchIssued, Event, Reversed, Sold, retirements, serials_of, standing_of
from registry.pending import pending_shares
from registry.treasury import make_statement

State = Literal["claimed", "approved", "issued", "challenged", "annulled"]
STATES: dict[State, Text] = {
    "claimed": Text("claimed, not yet checked", "申請済み（検証前）"),
    "approved": Text("checked, not yet issued", "検証済み（発行前）"),
    "issued": Text("issued", "発行済み"),
    "challenged": Text("issued, now under challenge", "発行済み（異議の審査中）"),
    "annulled": Text("annulled after a challenge", "異議により取消し"),
}
REFRESH_S = 10.0
DEV_TOKEN = ("dJPY", 6)
log = logging.getLogger(__name__)


class NotFound(SatoyamaError):
    """What a page asks for is not in this workspace."""


@dataclass(frozen=True)
class BatchPage:
    """Everything the public page of a batch shows.

    Attributes
    ----------
    batch_id : str
        Hex digits without prefix; the page's address.
    state : {"claimed", "approved", "issued", "challenged", "annulled"}
    bundle_size : int
        Bytes of ``evidence.zip``.
    issued_at, issued_block, issued_tx : None until issued
    price_per_tonne : int or None
        Of the open listing, token base units per 1000 kg.
    chain : ChainPlace or None
        None where no chain was set up.
    """

    batch_id: str
    state: State
    definition: ProjectDefinition
    claim: Claim
    change: Change
    plan: MonitoringPlan
    plan_stored_at: datetime
    content_root: str
    evidence_root: str
    bundle_size: int
    verifier: str | None
    signed_at: datetime | None
    recomputed_kg: int | None
    token_id: int | None
    issued_at: datetime | None
    issued_block: int | None
    issued_tx: str | None
    holdings: Holdings
    price_per_tonne: int | None
    retirements: tuple[Certificate, ...]
    reversals: tuple[Reversed, ...]
    statement: StatementSheet | None
    chain: ChainPlace | None
    token: tuple[str, int]

    @property
    def simulated(self) -> bool:
        return self.claim.simulated or self.definition.project.simulated

    @property
    def state_text(self) -> Text:
        return STATES[self.state]

    def to_doc(self) -> dict[str, Any]:
        """Plain document for scripts; whole numbers beyond 2**53 as text."""
        return {
            "batch_id": "0x" + self.batch_id,
            "state": self.state,
            "simulated": self.simulated,
            "claim": self.claim.to_doc(),
            "content_root": self.content_root,
            "evidence_root": self.evidence_root,
            "verifier": self.verifier,
            "recomputed_kg": self.recomputed_kg,
            "token_id": None if self.token_id is None else f"0x{self.token_id:064x}",
            "issued_tx": self.issued_tx,
            "issued_block": self.issued_block,
            "retired_kg": self.holdings.retired_kg,
            "sold_kg": self.holdings.sold_kg,
            "retirements": [
                {
                    "certificate_id": c.certificate_id,
                    "kg": c.kg,
                    "beneficiary": c.beneficiary,
                    "serials": c.serials,
                }
                for c in self.retirements
            ],
            "read_at_block": None if self.chain is None else self.chain.block,
            "read_at": None if self.chain is None else self.chain.read_at.isoformat(),
        }


@dataclass(frozen=True)
class BatchLine:
    """One batch in a list."""

    batch_id: str
    claim: Claim
    state: State

    @property
    def state_text(self) -> Text:
        return STATES[self.state]


@dataclass(frozen=True)
class ProjectPage:
    """A project with what was handed in, measured, claimed and paid."""

    definition: ProjectDefinition
    surveys: tuple[SurveyRow, ...]
    batches: tuple[BatchLine, ...]
    refusals: tuple[ClaimRefusalRow, ...]
    alerts: tuple[AlertRow, ...]
    statement: StatementSheet | None

    @property
    def simulated(self) -> bool:
        return self.definition.project.simulated


class Reader:
    """Reads pages from one workspace; new chain events are indexed at most every `REFRESH_S` seconds."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self._refreshed = float("-inf")
        self._token: tuple[str, int] | None = None
        self.stale: bool = False

    # Chain

    def refresh(self) -> None:
        """Read new events from the chain; where it cannot be reached, pages go on with what was read before and say so."""
        if not chainroom.is_set_up(self.ws) or time.monotonic() - self._refreshed < REFRESH_S:
            return
        self._refreshed = time.monotonic()
        try:
            chainroom.index_events(self.ws)
            self.stale = False
        except (SatoyamaError, OSError) as error:
            # The chain is a part that can be away for a while; the pages show the time they were read at.
            log.warning("chain not read: %s", error)
            self.stale = True

    def chain(self) -> ChainPlace | None:
        """The workspace's chain and the block up to which it was read."""
        read = chainroom.read_at(self.ws)
        if read is None:
            return None
        deployed = chainroom.deployment(self.ws)
        depth = chainroom.chain_config(self.ws).confirmations
        return ChainPlace(self.ws.settings.chain_kind, deployed.chain_id, deployed.registry, *read, depth)

    def events(self) -> list[Event]:
        return chainroom.indexed_events(self.ws) if chainroom.is_set_up(self.ws) else []

    def token(self) -> tuple[str, int]:
        """Symbol and decimal places of the yen token."""
        if self._token is None:
            if not chainroom.is_set_up(self.ws) or chainroom.deployment(self.ws).yen_is_ours:
                self._token = DEV_TOKEN
            else:
                self._token = ("JPY", chainroom.open_port(self.ws).yen_decimals())
        return self._token

    # Pages

    def projects(self) -> tuple[ProjectPage, ...]:
        """Every project of the workspace."""
        with self.ws.catalogue.read() as session:
            ids = list(session.scalars(select(ProjectRow.project_id).order_by(ProjectRow.registered_at)))
        return tuple(self.project(i) for i in ids)

    def project(self, project_id: str) -> ProjectPage:
        """One project."""
        definition = definition_of_project(self.ws, project_id)
        events = self.events()
        with self.ws.catalogue.read() as session:
            refusals = session.scalars(
                select(ClaimRefusalRow)
                .where(ClaimRefusalRow.project_id == project_id)
                .order_by(ClaimRefusalRow.number)
            ).all()
            alerts = session.scalars(
                select(AlertRow)
                .where(AlertRow.project_id == project_id)
                .order_by(AlertRow.break_day, AlertRow.plot_id)
            ).all()
        latest = {row.batch_id: row for row in self.ws.catalogue.claims_of(project_id)}
        return ProjectPage(
            definition=definition,
            surveys=tuple(self.ws.catalogue.surveys_of(project_id)),
            batches=tuple(
                BatchLine(bare(row.batch_id), Claim.from_doc(row.doc), self._state(row, events)[0])
                for row in latest.values()
            ),
            refusals=tuple(refusals[-1:]),
            alerts=tuple(alerts),
            statement=self.statement(definition, events),
        )

    def batch(self, batch_id: str) -> BatchPage:
        """The page of one batch.

        Raises
        ------
        CatalogueError
            If no claim of this batch is stored.
        """
        row = self.ws.catalogue.claim_row(batch_id)
        claim, definition, events = (
            Claim.from_doc(row.doc),
            definition_of_project(self.ws, row.project_id),
            self.events(),
        )
        state, issued, approval = self._state(row, events)
        plan_row = next(
            p for p in self.ws.catalogue.plans_of(row.project_id) if p.digest == claim.plan_digest
        )
        statement = self.statement(definition, events)
        price = open_price(events, issued)
        return BatchPage(
            batch_id=bare(row.batch_id),
            state=state,
            definition=definition,
            claim=claim,
            change=change_from_doc(change_document(self.ws, row)),
            plan=MonitoringPlan.from_doc(plan_row.doc),
            plan_stored_at=plan_row.stored_at,
            content_root="0x" + bare(row.content_root or ""),
            evidence_root="0x" + bare(row.evidence_root or ""),
            bundle_size=self.ws.objects.size(row.bundle_digest) if row.bundle_digest else 0,
            verifier=issued.verifier if issued else approval.verifier if approval else None,
            signed_at=approval.signed_at if approval else None,
            recomputed_kg=approval.recomputed_kg if approval else None,
            token_id=issued.id if issued else None,
            issued_at=time_of_block(issued.block_time) if issued else None,
            issued_block=issued.block if issued else None,
            issued_tx=issued.tx_hash if issued else None,
            holdings=holdings_of(events, issued, claim),
            price_per_tonne=price,
            retirements=self._certificates(events, issued, claim, definition),
            reversals=tuple(
                e for e in events if isinstance(e, Reversed) and e.project_id == project_key(claim.project_id)
            ),
            statement=statement,
            chain=self.chain(),
            token=self.token(),
        )

    def certificate(self, certificate_id: int) -> Certificate:
        """One retirement's certificate.

        Raises
        ------
        NotFound
            If the chain has no such certificate.
        """
        events = self.events()
        # Where a co-op has moved, the present registry counts from 1 again; a number is looked for there first.
        retired = next((e for e in reversed(retirements(events)) if e.certificate_id == certificate_id), None)
        issued = next(
            (e for e in events if isinstance(e, BatchIssued) and retired and e.id == retired.id), None
        )
        if retired is None or issued is None:
            raise NotFound(
                en=f"No certificate {certificate_id} on this chain, as far as it was read. Check the number on the paper.",
                ja=f"証明書番号 {certificate_id} は、読み込み済みのチェーンにありません。番号をご確認ください。",
            )
        row = self.ws.catalogue.claim_row("0x" + issued.batch_id.hex())
        definition, chain = definition_of_project(self.ws, row.project_id), self.chain()
        assert chain is not None, "events were read, so the chain was"
        serials = serials_of((e for e in events if e.tx_hash == retired.tx_hash), certificate_id)
        return certificate_of(
            retired, issued, Claim.from_doc(row.doc), definition.project, chain, serials=serials
        )

    def statement(self, definition: ProjectDefinition, events: Sequence[Event]) -> StatementSheet | None:
        """Revenue of a project and where it went; None where no chain was read."""
        place = self.chain()
        if place is None:
            return None
        project, deployed = definition.project, chainroom.deployment(self.ws)
        key, read_s = project_key(project.project_id), int(place.read_at.timestamp())
        end = max([e.block_time for e in events], default=read_s) + 1
        books = make_statement(
            events, key, deployed.yen, start=0, end=end, read_at_block=place.block, read_at_time=read_s
        )
        accounts = chainroom.accounts(self.ws).addresses()
        address_of = {p.payee_id: (p.address or accounts.get(p.role, "")).lower() for p in definition.payees}
        payees = accounts_of(definition.payees, address_of)
        ids = {e.id for e in events if isinstance(e, BatchIssued) and e.project_id == key}
        symbol, decimals = self.token()
        return sheet_of(
            books,
            project=Text(project.name_en, project.name_ja),
            names={address: Text(en, ja) for address, (en, ja, _) in payees.items()},
            shares_ppm={address: ppm for address, (_, _, ppm) in payees.items()},
            token=symbol,
            decimals=decimals,
            sales=tuple(_sale(e) for e in events if isinstance(e, Sold) and e.id in ids),
            chain=place,
            simulated=project.simulated,
            pending=pending_shares(events, key, max(end - 1, int(self.ws.clock().timestamp()))),
        )

    def _state(
        self, row: ClaimRow, events: Sequence[Event]
    ) -> tuple[State, BatchIssued | None, ApprovalRow | None]:
        wanted = bytes.fromhex(bare(row.batch_id))
        issued = next((e for e in events if isinstance(e, BatchIssued) and e.batch_id == wanted), None)
        approval = approval_of(self.ws, row.claim_id)
        if issued is None:
            return ("approved" if approval else "claimed"), None, approval
        known: dict[str, State] = {"challenged": "challenged", "annulled": "annulled"}
        return known.get(standing_of(events, issued.id), "issued"), issued, approval

    def _certificates(
        self, events: Sequence[Event], issued: BatchIssued | None, claim: Claim, definition: ProjectDefinition
    ) -> tuple[Certificate, ...]:
        chain = self.chain()
        if issued is None or chain is None:
            return ()
        ours = [e for e in retirements(events) if e.id == issued.id]
        return tuple(
            certificate_of(
                e, issued, claim, definition.project, chain, serials=serials_of(events, e.certificate_id)
            )
            for e in ours
        )


def bare(digest: str) -> str:
    """Hex digits of a digest, without prefix."""
    return digest.removeprefix("sha256:").removeprefix("0x").lower()


def _sale(event: Sold) -> SaleLine:
    return SaleLine(time_of_block(event.block_time), event.buyer, event.kg, event.cost, event.tx_hash)
