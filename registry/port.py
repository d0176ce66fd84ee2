"""Acting on the contracts: each method is one transaction, done when it returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.address import to_checksum_address

from registry.claimstruct import ClaimStruct
from registry.court import CourtPort
from registry.events import Listed, Retired, Reversed, Sold, retirements
from registry.moving import MovePort
from registry.portbase import PortError as PortError
from registry.portbase import only
from registry.sender import Mined, SignedTx
from registry.signer import Signer
from registry.views import SHARES

_DOMAIN = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]
# EIP-2612
_PERMIT = [
    {"name": "owner", "type": "address"},
    {"name": "spender", "type": "address"},
    {"name": "value", "type": "uint256"},
    {"name": "nonce", "type": "uint256"},
    {"name": "deadline", "type": "uint256"},
]


@dataclass(frozen=True)
class Retirement:
    """Who a retirement is for. `country` ISO 3166-1 alpha-2 or empty; days since 1970-01-01, half-open, or 0 and 0."""

    beneficiary: str
    purpose: str
    country: str = ""
    consumption_start: int = 0
    consumption_end: int = 0

    def to_tuple(self) -> tuple[Any, ...]:
        """The struct as it is encoded."""
        code = self.country.encode("ascii", "replace")
        if len(code) not in (0, 2):
            raise PortError(
                en=f"The country is a two-letter code such as 'JP', or empty; got {self.country!r}.",
                ja=f"国は 'JP' のような2文字の符号か空欄です。受け取った値: {self.country!r}",
            )
        country = code.ljust(2, b"\x00")
        return (self.beneficiary, self.purpose, country, self.consumption_start, self.consumption_end)


class ChainPort(CourtPort, MovePort):
    """The deployed contracts over one web3 connection.

    Every sending method builds, signs, sends and waits for the receipt, and raises `ChainRefused`, with the contract's
    error decoded, where the chain says no.
    """

    def send_gas(self, account: Signer, to: str, wei: int) -> Mined:
        """Give an account of the chain's own coin to pay gas with."""
        return self.sender.pay(account, to, wei)

    # Registry

    def register_project(
        self,
        admin: Signer,
        project: bytes,
        method_digest: bytes,
        min_buffer_bps: int,
        challenge_window: int = 0,
        uri: str = "",
    ) -> Mined:
        """Open a project. Buffer in 1/10000 of the gross, window in seconds."""
        arguments = (project, method_digest, min_buffer_bps, challenge_window, uri)
        return self._send(admin, "CreditRegistry", "registerProject", *arguments)

    def sign_claim(self, verifier: Signer, claim: ClaimStruct) -> bytes:
        """The verifier's signature for this chain and registry."""
        return claim.sign(verifier, self.chain_id, self.deployment.registry)

    def prepare_issue(self, issuer: Signer, claim: ClaimStruct, verifier: str, signature: bytes) -> SignedTx:
        """The signed transaction that issues; nothing is sent. ChainRefused if it would be refused now."""
        arguments = (claim.to_tuple(), verifier, signature)
        return self._prepare(issuer, "CreditRegistry", "issue", *arguments)

    def send_signed(self, signed: SignedTx) -> Mined:
        """Send a prepared transaction and wait for its receipt."""
        return self.sender.send(signed)

    def issue(self, issuer: Signer, claim: ClaimStruct, verifier: str, signature: bytes) -> Mined:
        """Issue at once. Programs that may be killed use `registry.issuance.execute`."""
        return self.send_signed(self.prepare_issue(issuer, claim, verifier, signature))

    def retire(self, account: Signer, token_id: int, kg: int, retirement: Retirement) -> Retired:
        """Burn own credits; the event given back is the certificate."""
        mined = self._send(account, "CreditRegistry", "retire", token_id, kg, retirement.to_tuple())
        return only(self.events_of(mined), Retired)

    def retire_for(
        self, operator: Signer, account: str, token_id: int, kg: int, retirement: Retirement
    ) -> Retired:
        """Burn another account's credits with its approval."""
        arguments = (account, token_id, kg, retirement.to_tuple())
        return only(self.events_of(self._send(operator, "CreditRegistry", "retireFor", *arguments)), Retired)

    def reverse(
        self, account: Signer, project: bytes, token_ids: Sequence[int], kg: int, reason_digest: bytes
    ) -> Reversed:
        """Record a loss (guardian or verifier): burns the buffer of the named batches, publishes what is not covered."""
        arguments = (project, list(token_ids), kg, reason_digest)
        return only(self.events_of(self._send(account, "CreditRegistry", "reverse", *arguments)), Reversed)

    def pause(self, guardian: Signer, project: bytes) -> Mined:
        """Stop issues and transfers of a project."""
        return self._send(guardian, "CreditRegistry", "pause", project)

    def unpause(self, guardian: Signer, project: bytes) -> Mined:
        """Let them go on."""
        return self._send(guardian, "CreditRegistry", "unpause", project)

    def approve_operator(self, account: Signer, operator: str, approved: bool = True) -> Mined:
        """Let `operator` move or retire the account's credits."""
        return self._send(account, "CreditRegistry", "setApprovalForAll", operator, approved)

    def transfer(self, account: Signer, to: str, token_id: int, kg: int) -> Mined:
        """Move own credits."""
        return self._send(
            account, "CreditRegistry", "safeTransferFrom", account.address, to, token_id, kg, b""
        )

    # Sale

    def list_batch(self, seller: Signer, token_id: int, kg: int, price_per_tonne: int) -> Listed:
        """Put credits up for sale in yen; approves the sale contract first if that is not done yet."""
        approved = self.view("CreditRegistry", "isApprovedForAll", seller.address, self.deployment.sale)
        if not approved:
            self.approve_operator(seller, self.deployment.sale)
        arguments = (token_id, kg, self.deployment.yen, price_per_tonne)
        return only(self.events_of(self._send(seller, "CreditSale", "list", *arguments)), Listed)

    def cancel(self, seller: Signer, listing_id: int) -> Mined:
        """Take back what is unsold."""
        return self._send(seller, "CreditSale", "cancel", listing_id)

    def buy(
        self, buyer: Signer, listing_id: int, kg: int, *, max_cost: int | None = None, deadline: int
    ) -> Sold:
        """Buy; approves exactly the cost first. `max_cost` defaults to the quote, `deadline` in unix seconds."""
        cost = self.quote(listing_id, kg) if max_cost is None else max_cost
        self._send(buyer, "DevYen", "approve", self.deployment.sale, cost)
        mined = self._send(buyer, "CreditSale", "buy", listing_id, kg, cost, deadline)
        return only(self.events_of(mined), Sold)

    def buy_with_permit(
        self, buyer: Signer, listing_id: int, kg: int, *, max_cost: int | None = None, deadline: int
    ) -> Sold:
        """Buy in one transaction, the allowance given by signature (EIP-2612)."""
        cost = self.quote(listing_id, kg) if max_cost is None else max_cost
        v, r, s = self.sign_permit(buyer, cost, deadline)
        arguments = (listing_id, kg, cost, deadline, v, r, s)
        return only(self.events_of(self._send(buyer, "CreditSale", "buyWithPermit", *arguments)), Sold)

    def buy_and_retire(
        self,
        buyer: Signer,
        listing_id: int,
        kg: int,
        retirement: Retirement,
        *,
        max_cost: int | None = None,
        deadline: int,
    ) -> tuple[Sold, Retired]:
        """Buy and retire in one transaction, the allowance given by signature; the certificate's account is the buyer's."""
        cost = self.quote(listing_id, kg) if max_cost is None else max_cost
        v, r, s = self.sign_permit(buyer, cost, deadline)
        arguments = (listing_id, kg, cost, deadline, v, r, s, retirement.to_tuple())
        events = self.events_of(self._send(buyer, "CreditSale", "buyAndRetireWithPermit", *arguments))
        return only(events, Sold), only(retirements(events), Retired)

    def sign_permit(self, owner: Signer, value: int, deadline: int) -> tuple[int, bytes, bytes]:
        """EIP-2612 signature that lets the sale contract take `value` base units of yen."""
        _, name, version, chain_id, contract, _, _ = self.view("DevYen", "eip712Domain")
        message = {
            "owner": owner.address,
            "spender": self.deployment.sale,
            "value": value,
            "nonce": int(self.view("DevYen", "nonces", owner.address)),
            "deadline": deadline,
        }
        domain = {"name": name, "version": version, "chainId": chain_id, "verifyingContract": contract}
        types = {"EIP712Domain": _DOMAIN, "Permit": _PERMIT}
        signed = owner.sign_typed_data(
            full_message={"types": types, "primaryType": "Permit", "domain": domain, "message": message}
        )
        return signed.v, int(signed.r).to_bytes(32, "big"), int(signed.s).to_bytes(32, "big")

    # Money

    def mint_yen(self, admin: Signer, to: str, amount: int) -> Mined:
        """Mint development yen (no value); refused by a real stablecoin."""
        return self._send(admin, "DevYen", "mint", to, amount)

    def transfer_yen(self, account: Signer, to: str, amount: int) -> Mined:
        """Pay yen, base units."""
        return self._send(account, "DevYen", "transfer", to, amount)

    def set_shares(self, admin: Signer, project: bytes, shares: Mapping[str, int]) -> Mined:
        """Set who gets what of later revenue: shares by payee address, of 1,000,000.

        A project's first table is in force at once, every other one when the project's delay is over
        (`ChainViews.pending_shares`).

        Raises
        ------
        ChainRefused
            If a change is announced already, or a payee is a contract that could never pass the money on.
        PortError
            If they do not add up; the chain would refuse them too.
        """
        total = sum(shares.values())
        if total != SHARES:
            raise PortError(
                en=f"The shares must add up to {SHARES}, they add up to {total}.",
                ja=f"分配率の合計は {SHARES} でなければなりませんが、{total} です。",
            )
        ordered = sorted(shares.items(), key=lambda item: int(item[0], 16))
        payees = [to_checksum_address(payee) for payee, _ in ordered]
        return self._send(
            admin, "RevenueSplit", "setShares", project, payees, [share for _, share in ordered]
        )

    def cancel_shares(self, account: Signer, project: bytes) -> Mined:
        """Stop a change of shares that is announced and not in force yet (admin, or the split's guardian)."""
        return self._send(account, "RevenueSplit", "cancelShares", project)

    def set_share_delay(self, admin: Signer, project: bytes, seconds: int) -> Mined:
        """Set for how long later changes of shares are announced; it may be raised, never lowered."""
        return self._send(admin, "RevenueSplit", "setDelay", project, seconds)

    def deposit(self, payer: Signer, project: bytes, amount: int) -> Mined:
        """Pay revenue of a project in directly (not by a sale), base units of yen."""
        self._send(payer, "DevYen", "approve", self.deployment.split, amount)
        return self._send(payer, "RevenueSplit", "deposit", project, self.deployment.yen, amount)

    def claim_for(self, account: Signer, project: bytes, payee: str) -> Mined:
        """Pay a payee what is due; anyone may ask, the money goes to the payee."""
        return self._send(account, "RevenueSplit", "claimFor", project, self.deployment.yen, payee)
