// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {IERC1155Receiver} from "@openzeppelin/contracts/token/ERC1155/IERC1155Receiver.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICreditRegistry} from "./interfaces/ICreditRegistry.sol";
import {IRevenueSplit} from "./interfaces/IRevenueSplit.sol";

/// @title First sale of credits at a listed price
/// @notice A seller puts credits into escrow; a buyer pays in an allowed token and gets credits in the same transaction in
/// which the money enters the project's revenue split. The seller's account gets nothing: this is no market for resale,
/// and so only holders of SELLER_ROLE may list.
contract CreditSale is AccessControl, ReentrancyGuardTransient, IERC1155Receiver {
    using SafeERC20 for IERC20;

    // ---------------------------------------------------------------- types

    /// @dev Three slots: seller and kg | token and price | id.
    struct Listing {
        address seller;
        uint64 kg; // still for sale
        address token;
        uint96 pricePerTonne; // token base units per 1,000 kg
        uint256 id;
    }

    // ---------------------------------------------------------------- constants

    bytes32 public constant SELLER_ROLE = keccak256("SELLER_ROLE");
    uint256 public constant KG_PER_TONNE = 1000;

    ICreditRegistry public immutable registry;
    IRevenueSplit public immutable split;

    // ---------------------------------------------------------------- storage

    /// @notice Tokens that listings may ask for. Fee-on-transfer and rebasing tokens do not belong here.
    mapping(address token => bool) public tokenAllowed;
    uint256 public listingCount;
    mapping(uint256 listingId => Listing) private _listings;

    // ---------------------------------------------------------------- events

    event TokenAllowed(address indexed token, bool allowed);
    event Listed(
        uint256 indexed listingId,
        uint256 indexed id,
        address indexed seller,
        uint64 kg,
        address token,
        uint96 pricePerTonne,
        bytes32 projectId
    );
    event Sold(
        uint256 indexed listingId,
        uint256 indexed id,
        address indexed buyer,
        uint64 kg,
        address token,
        uint256 cost,
        bytes32 projectId
    );
    /// @notice Follows `Sold` where the credits were retired at once. The registry's certificate names this contract as the
    /// account, since it held the credits; this says for whom.
    event RetiredForBuyer(
        uint256 indexed listingId, uint256 indexed certificateId, address indexed buyer, uint256 id, uint64 kg
    );
    event Cancelled(uint256 indexed listingId, uint64 kg);

    // ---------------------------------------------------------------- errors

    error Token_NotAllowed(address token);
    error Token_Zero();
    error Listing_Unknown(uint256 listingId);
    error Listing_KgZero();
    error Listing_PriceZero();
    error Listing_NotSeller(uint256 listingId, address caller);
    error Purchase_KgZero();
    error Purchase_KgTooMany(uint64 asked, uint64 left);
    error Purchase_CostAboveMaximum(uint256 cost, uint256 maxCost);
    error Purchase_Expired(uint256 deadline, uint256 blockTime);
    error Escrow_OnlyByListing();

    // ---------------------------------------------------------------- administration

    constructor(address admin, ICreditRegistry registry_, IRevenueSplit split_) {
        registry = registry_;
        split = split_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Allows a token or stops it. Stopping also stops purchases from listings that ask for it.
    /// @dev The split may pull from this contract, which holds a token only within a purchase.
    function setTokenAllowed(address token, bool allowed) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (token == address(0)) revert Token_Zero();
        tokenAllowed[token] = allowed;
        IERC20(token).forceApprove(address(split), allowed ? type(uint256).max : 0);
        emit TokenAllowed(token, allowed);
    }

    // ---------------------------------------------------------------- seller

    /// @notice Puts `kg` of a batch up for sale. Needs the registry's approval for this contract.
    function list(uint256 id, uint64 kg, address token, uint96 pricePerTonne)
        external
        onlyRole(SELLER_ROLE)
        nonReentrant
        returns (uint256 listingId)
    {
        if (kg == 0) revert Listing_KgZero();
        if (pricePerTonne == 0) revert Listing_PriceZero();
        if (!tokenAllowed[token]) revert Token_NotAllowed(token);
        bytes32 projectId = registry.projectIdOf(id);
        listingId = ++listingCount;
        _listings[listingId] = Listing({seller: msg.sender, kg: kg, token: token, pricePerTonne: pricePerTonne, id: id});
        emit Listed(listingId, id, msg.sender, kg, token, pricePerTonne, projectId);
        registry.safeTransferFrom(msg.sender, address(this), id, kg, "");
    }

    /// @notice Gives the seller back what is unsold.
    function cancel(uint256 listingId) external nonReentrant {
        Listing memory l = _listings[listingId];
        if (l.seller == address(0)) revert Listing_Unknown(listingId);
        if (l.seller != msg.sender) revert Listing_NotSeller(listingId, msg.sender);
        if (l.kg == 0) revert Listing_KgZero();
        _listings[listingId].kg = 0;
        emit Cancelled(listingId, l.kg);
        registry.safeTransferFrom(address(this), l.seller, l.id, l.kg, "");
    }

    // ---------------------------------------------------------------- buyer

    /// @notice Buys from a listing. Needs an allowance of the token for this contract.
    /// @param maxCost Refused above this many base units of the token; `quote` gives the exact cost.
    /// @param deadline Refused after this time (unix seconds).
    function buy(uint256 listingId, uint64 kg, uint256 maxCost, uint256 deadline)
        external
        nonReentrant
        returns (uint256 cost)
    {
        return _buy(listingId, kg, maxCost, deadline);
    }

    /// @notice Buys with a permit (EIP-2612) over `maxCost` and the same deadline.
    function buyWithPermit(
        uint256 listingId,
        uint64 kg,
        uint256 maxCost,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant returns (uint256 cost) {
        _permit(listingId, maxCost, deadline, v, r, s);
        return _buy(listingId, kg, maxCost, deadline);
    }

    /// @notice Buys and retires at once: the credits go out of the escrow for ever, with a certificate for
    /// `retirement.beneficiary`. The buyer need not be able to hold credits.
    function buyAndRetire(
        uint256 listingId,
        uint64 kg,
        uint256 maxCost,
        uint256 deadline,
        ICreditRegistry.Retirement calldata retirement
    ) external nonReentrant returns (uint256 cost, uint256 certificateId) {
        return _buyAndRetire(listingId, kg, maxCost, deadline, retirement);
    }

    /// @notice Buys and retires at once, with a permit (EIP-2612) over `maxCost` and the same deadline.
    function buyAndRetireWithPermit(
        uint256 listingId,
        uint64 kg,
        uint256 maxCost,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s,
        ICreditRegistry.Retirement calldata retirement
    ) external nonReentrant returns (uint256 cost, uint256 certificateId) {
        _permit(listingId, maxCost, deadline, v, r, s);
        return _buyAndRetire(listingId, kg, maxCost, deadline, retirement);
    }

    /// @dev A permit may have been sent by somebody else just before, to make this call fail. The allowance it left
    /// decides, so its failure is not ours: with no allowance the payment reverts.
    function _permit(uint256 listingId, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s) private {
        address token = listing(listingId).token;
        if (!tokenAllowed[token]) revert Token_NotAllowed(token);
        try IERC20Permit(token).permit(msg.sender, address(this), value, deadline, v, r, s) {} catch {}
    }

    function _buy(uint256 listingId, uint64 kg, uint256 maxCost, uint256 deadline) private returns (uint256 cost) {
        uint256 id;
        (cost, id) = _pay(listingId, kg, maxCost, deadline);
        // Last, since the buyer is called.
        registry.safeTransferFrom(address(this), msg.sender, id, kg, "");
    }

    function _buyAndRetire(
        uint256 listingId,
        uint64 kg,
        uint256 maxCost,
        uint256 deadline,
        ICreditRegistry.Retirement calldata retirement
    ) private returns (uint256 cost, uint256 certificateId) {
        uint256 id;
        (cost, id) = _pay(listingId, kg, maxCost, deadline);
        // What stops a transfer stops a sale too, but not all of it stops a retirement (a pause does not). So the registry
        // is asked by a transfer of nothing.
        registry.safeTransferFrom(address(this), address(this), id, 0, "");
        certificateId = registry.retire(id, kg, retirement);
        emit RetiredForBuyer(listingId, certificateId, msg.sender, id, kg);
    }

    /// @dev Takes the kilograms off the listing and the money from the buyer to the project's payees.
    function _pay(uint256 listingId, uint64 kg, uint256 maxCost, uint256 deadline)
        private
        returns (uint256 cost, uint256 id)
    {
        if (block.timestamp > deadline) revert Purchase_Expired(deadline, block.timestamp);
        if (kg == 0) revert Purchase_KgZero();
        Listing memory l = listing(listingId);
        if (kg > l.kg) revert Purchase_KgTooMany(kg, l.kg);
        if (!tokenAllowed[l.token]) revert Token_NotAllowed(l.token);
        id = l.id;
        cost = _cost(kg, l.pricePerTonne);
        if (cost > maxCost) revert Purchase_CostAboveMaximum(cost, maxCost);
        bytes32 projectId = registry.projectIdOf(id);

        _listings[listingId].kg = l.kg - kg;
        emit Sold(listingId, id, msg.sender, kg, l.token, cost, projectId);
        IERC20(l.token).safeTransferFrom(msg.sender, address(this), cost);
        split.deposit(projectId, l.token, cost);
    }

    // ---------------------------------------------------------------- views

    function listing(uint256 listingId) public view returns (Listing memory l) {
        l = _listings[listingId];
        if (l.seller == address(0)) revert Listing_Unknown(listingId);
    }

    /// @notice What `kg` of a listing cost now, in base units of its token, rounded up.
    function quote(uint256 listingId, uint64 kg) external view returns (uint256 cost) {
        Listing memory l = listing(listingId);
        if (kg > l.kg) revert Purchase_KgTooMany(kg, l.kg);
        return _cost(kg, l.pricePerTonne);
    }

    function _cost(uint64 kg, uint96 pricePerTonne) private pure returns (uint256) {
        unchecked {
            // 64 + 96 bits: cannot overflow.
            return (uint256(kg) * pricePerTonne + KG_PER_TONNE - 1) / KG_PER_TONNE;
        }
    }

    // ---------------------------------------------------------------- escrow

    /// @dev Credits come in by `list` only; a stray transfer would be lost here and is refused.
    function onERC1155Received(address operator, address, uint256, uint256, bytes calldata)
        external
        view
        returns (bytes4)
    {
        if (msg.sender != address(registry) || operator != address(this)) revert Escrow_OnlyByListing();
        return this.onERC1155Received.selector;
    }

    function onERC1155BatchReceived(address, address, uint256[] calldata, uint256[] calldata, bytes calldata)
        external
        pure
        returns (bytes4)
    {
        revert Escrow_OnlyByListing();
    }

    function supportsInterface(bytes4 interfaceId) public view override(AccessControl, IERC165) returns (bool) {
        return interfaceId == type(IERC1155Receiver).interfaceId || super.supportsInterface(interfaceId);
    }
}
