// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IRevenueSplit} from "./interfaces/IRevenueSplit.sol";
import {DeadEnd} from "./libraries/DeadEnd.sol";
import {Entitlement} from "./libraries/Entitlement.sol";
import {PayeeLedger, PayeeLedgerLib} from "./libraries/PayeeLedger.sol";
import {ShareSchedule, ShareScheduleLib} from "./libraries/ShareSchedule.sol";

/// @title Sends a project's revenue home
/// @notice Payees of a project hold shares of a million. Money is pulled, by the payee or by anyone on its behalf, and
/// always goes to the payee. A change of shares is announced for as long as the project's delay says, then opens a new
/// epoch by itself, and touches nothing deposited before.
/// @dev Over the epochs e, with deposits D_e and shares s: entitlement = floor(sum D_e * s_e / SHARES). The numerators are
/// kept whole over epochs, so nothing is lost by rounding twice. Nobody can take the remainder (< number of payees).
contract RevenueSplit is IRevenueSplit, AccessControl, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;
    using ShareScheduleLib for ShareSchedule;

    // ---------------------------------------------------------------- types

    /// @dev One slot. `open` are the deposits of `epoch`, the latest epoch that had any.
    struct Book {
        uint96 deposited; // over all epochs
        uint96 open;
        uint24 epoch;
    }

    /// @dev The books of one project in one token.
    struct Books {
        Book book;
        mapping(uint256 epoch => uint256) closed; // deposits of the epochs before `book.epoch`
        mapping(address payee => PayeeLedger) ledgers;
    }

    // ---------------------------------------------------------------- constants

    /// @notice Who may stop an announced change of shares, besides the admin.
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");
    uint32 public constant SHARES = Entitlement.SHARES;
    uint32 public constant MAX_DELAY = 180 days;
    uint256 public constant MAX_PAYEES = 500;

    // ---------------------------------------------------------------- storage

    /// @notice Tokens that may be deposited. Fee-on-transfer and rebasing tokens do not belong here.
    mapping(address token => bool) public tokenAllowed;
    mapping(bytes32 projectId => ShareSchedule) private _schedules;
    /// @dev Shares by epoch and payee in one word, which saves a hash at each claim.
    mapping(bytes32 projectId => mapping(uint256 epochAndPayee => uint256)) private _shares;

    mapping(bytes32 projectId => mapping(address token => Books)) private _books;

    // ---------------------------------------------------------------- events

    event TokenAllowed(address indexed token, bool allowed);
    event DelaySet(bytes32 indexed projectId, uint32 delay);
    event SharesSet(bytes32 indexed projectId, uint24 indexed epoch, address[] payees, uint32[] shares);
    /// @notice The table just set is in force for deposits from `effectiveFrom` (unix seconds) on.
    event SharesScheduled(bytes32 indexed projectId, uint24 indexed epoch, uint40 effectiveFrom);
    event SharesCancelled(bytes32 indexed projectId, uint24 indexed epoch, address indexed by);
    event Deposited(
        bytes32 indexed projectId, address indexed token, address indexed from, uint24 epoch, uint256 amount
    );
    event Claimed(bytes32 indexed projectId, address indexed token, address indexed payee, uint256 amount);

    // ---------------------------------------------------------------- errors

    error Token_NotAllowed(address token);
    error Token_Zero();
    error Delay_Lowered(uint32 delay, uint32 current);
    error Delay_TooLong(uint32 delay, uint32 maximum);
    error Shares_ChangePending(bytes32 projectId, uint24 epoch, uint40 effectiveFrom);
    error Shares_NonePending(bytes32 projectId);
    error Shares_PayeeCannotClaim(address payee);
    error Shares_LengthDiffers(uint256 payees, uint256 shares);
    error Shares_CountInvalid(uint256 count, uint256 maximum);
    error Shares_NotAscending(address before, address payee);
    error Shares_PayeeInvalid(address payee);
    error Shares_Zero(address payee);
    error Shares_SumInvalid(uint256 sum, uint256 expected);
    error Deposit_NoShares(bytes32 projectId);
    error Deposit_AmountZero();
    error Deposit_TooLarge(uint256 amount);
    error Deposit_AmountDiffers(uint256 asked, uint256 received);
    error Payout_NothingDue(bytes32 projectId, address token, address payee);
    error Remainder_PayeesNotAscending(address before, address payee);
    error Remainder_PayeesIncomplete(bytes32 projectId, address token);

    // ---------------------------------------------------------------- administration

    constructor(address admin) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Allows a token to be deposited or stops it. What was deposited before can be claimed either way.
    function setTokenAllowed(address token, bool allowed) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (token == address(0)) revert Token_Zero();
        tokenAllowed[token] = allowed;
        emit TokenAllowed(token, allowed);
    }

    /// @notice Sets for how many seconds a change of a project's shares is announced before it takes effect. May be
    /// raised, never lowered: whoever could lower it could change shares at once. Holds for tables set from now on.
    function setDelay(bytes32 projectId, uint32 delay) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (delay > MAX_DELAY) revert Delay_TooLong(delay, MAX_DELAY);
        uint32 current = _schedules[projectId].delay;
        if (delay < current) revert Delay_Lowered(delay, current);
        _schedules[projectId].delay = delay;
        emit DelaySet(projectId, delay);
    }

    // ---------------------------------------------------------------- shares

    /// @notice Sets who gets what of later deposits: of a project's first table from now on, of every other one from when
    /// the delay is over. Payees in strictly ascending order, shares adding to SHARES. One change at a time: cancel an
    /// announced one before setting another.
    function setShares(bytes32 projectId, address[] calldata payees, uint32[] calldata shares)
        external
        onlyRole(DEFAULT_ADMIN_ROLE)
    {
        if (payees.length != shares.length) revert Shares_LengthDiffers(payees.length, shares.length);
        if (payees.length == 0 || payees.length > MAX_PAYEES) {
            revert Shares_CountInvalid(payees.length, MAX_PAYEES);
        }
        ShareSchedule memory schedule = _schedules[projectId];
        if (schedule.isPending(block.timestamp)) {
            revert Shares_ChangePending(projectId, schedule.last, schedule.lastFrom);
        }
        schedule.add(block.timestamp);
        _schedules[projectId] = schedule;
        _writeShares(projectId, schedule.last, payees, shares);
        emit SharesSet(projectId, schedule.last, payees, shares);
        emit SharesScheduled(projectId, schedule.last, schedule.lastFrom);
    }

    /// @notice Stops a change of shares that is not in force yet.
    function cancelShares(bytes32 projectId) external {
        if (!hasRole(GUARDIAN_ROLE, msg.sender)) _checkRole(DEFAULT_ADMIN_ROLE);
        ShareSchedule memory schedule = _schedules[projectId];
        if (!schedule.isPending(block.timestamp)) revert Shares_NonePending(projectId);
        schedule.cancel();
        _schedules[projectId] = schedule;
        emit SharesCancelled(projectId, schedule.last, msg.sender);
    }

    function _writeShares(bytes32 projectId, uint24 epoch, address[] calldata payees, uint32[] calldata shares)
        private
    {
        mapping(uint256 => uint256) storage sharesThen = _shares[projectId];
        address before;
        uint256 sum;
        for (uint256 i = 0; i < payees.length; ++i) {
            address payee = payees[i];
            if (payee == address(this) || payee == address(0)) revert Shares_PayeeInvalid(payee);
            if (payee <= before) revert Shares_NotAscending(before, payee);
            if (shares[i] == 0) revert Shares_Zero(payee);
            if (DeadEnd.isAt(payee, address(this))) revert Shares_PayeeCannotClaim(payee);
            sharesThen[_shareKey(epoch, payee)] = shares[i];
            sum += shares[i];
            before = payee;
        }
        if (sum != SHARES) revert Shares_SumInvalid(sum, SHARES);
    }

    // ---------------------------------------------------------------- deposit

    /// @inheritdoc IRevenueSplit
    /// @dev Costs the same whatever the number of payees. The block's time decides on the table. Refuses a token that
    /// delivers less (or more) than asked.
    function deposit(bytes32 projectId, address token, uint256 amount) external nonReentrant {
        if (amount == 0) revert Deposit_AmountZero();
        if (amount > type(uint96).max) revert Deposit_TooLarge(amount);
        if (!tokenAllowed[token]) revert Token_NotAllowed(token);
        uint24 epoch = currentEpoch(projectId);
        if (epoch == 0) revert Deposit_NoShares(projectId);

        Books storage books = _books[projectId][token];
        Book memory book = books.book;
        if (book.epoch != epoch) {
            if (book.open != 0) books.closed[book.epoch] = book.open;
            book.open = 0;
            book.epoch = epoch;
        }
        // Fits: refused above when it does not.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint96 added = uint96(amount);
        book.open += added;
        book.deposited += added;
        books.book = book;
        emit Deposited(projectId, token, msg.sender, epoch, amount);

        uint256 held = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = IERC20(token).balanceOf(address(this)) - held;
        if (received != amount) revert Deposit_AmountDiffers(amount, received);
    }

    // ---------------------------------------------------------------- payout

    /// @notice Pays the caller what is due to it.
    function claim(bytes32 projectId, address token) external returns (uint256 amount) {
        return _payOut(projectId, token, msg.sender);
    }

    /// @notice Pays a payee what is due to it. Anyone may ask; the money goes to the payee.
    function claimFor(bytes32 projectId, address token, address payee) external returns (uint256 amount) {
        return _payOut(projectId, token, payee);
    }

    /// @notice Carries a payee's ledger forward to an epoch without paying, for one who let more epochs pass than fit into
    /// a single transaction.
    function settle(bytes32 projectId, address token, address payee, uint24 untilEpoch) external {
        Books storage books = _books[projectId][token];
        uint256 latest = books.book.epoch;
        (uint256 numerator, uint256 paid, uint256 shares, uint256 epoch) =
            _carry(projectId, books, payee, untilEpoch < latest ? untilEpoch : latest);
        books.ledgers[payee] = PayeeLedgerLib.pack(numerator, paid, shares, epoch);
    }

    /// @dev The ledger is written before the token is called, so a second entry finds nothing due. Not within a deposit,
    /// whose money is booked but may not have come yet.
    function _payOut(bytes32 projectId, address token, address payee)
        private
        nonReentrantView
        returns (uint256 amount)
    {
        Books storage books = _books[projectId][token];
        uint256 open = books.book.open;
        (uint256 numerator, uint256 paid, uint256 shares, uint256 epoch) =
            _carry(projectId, books, payee, books.book.epoch);
        unchecked {
            // Entitlements never fall, so `paid` is no more than the entitlement.
            uint256 entitlement = Entitlement.floor(Entitlement.add(numerator, open, shares));
            amount = entitlement - paid;
            if (amount == 0) revert Payout_NothingDue(projectId, token, payee);
            books.ledgers[payee] = PayeeLedgerLib.pack(numerator, entitlement, shares, epoch);
        }
        emit Claimed(projectId, token, payee, amount);
        IERC20(token).safeTransfer(payee, amount);
    }

    // ---------------------------------------------------------------- views

    /// @notice The share table (epoch) that a deposit now would be split by; 0 before the first shares are set.
    function currentEpoch(bytes32 projectId) public view returns (uint24) {
        return _schedules[projectId].inForceAt(block.timestamp);
    }

    /// @notice The table set last, cancelled or not. The next one gets the number after it.
    function lastEpoch(bytes32 projectId) external view returns (uint24) {
        return _schedules[projectId].last;
    }

    /// @notice Seconds for which a change of the project's shares is announced.
    function delayOf(bytes32 projectId) external view returns (uint32) {
        return _schedules[projectId].delay;
    }

    /// @notice The table that is announced and from when (unix seconds) it is in force; 0 and 0 when none is.
    function pendingShares(bytes32 projectId) external view returns (uint24 epoch, uint40 effectiveFrom) {
        ShareSchedule memory schedule = _schedules[projectId];
        if (schedule.isPending(block.timestamp)) return (schedule.last, schedule.lastFrom);
    }

    /// @notice A payee's shares of a million in an epoch; 0 for who is no payee then.
    function sharesOf(bytes32 projectId, uint24 epoch, address payee) public view returns (uint32) {
        // No share is above SHARES.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint32(_shares[projectId][_shareKey(epoch, payee)]);
    }

    /// @notice Deposits of a project in a token, over all epochs.
    function deposited(bytes32 projectId, address token) external view returns (uint256) {
        return _books[projectId][token].book.deposited;
    }

    /// @notice Deposits made while an epoch was the current one.
    function depositedIn(bytes32 projectId, address token, uint24 epoch) external view returns (uint256) {
        Books storage books = _books[projectId][token];
        return epoch == books.book.epoch ? books.book.open : books.closed[epoch];
    }

    /// @notice All that a payee ever was entitled to, paid or not.
    function entitled(bytes32 projectId, address token, address payee) public view returns (uint256) {
        return Entitlement.floor(_numerator(projectId, _books[projectId][token], payee));
    }

    function claimed(bytes32 projectId, address token, address payee) public view returns (uint256 paid) {
        (, paid,,) = _books[projectId][token].ledgers[payee].unpack();
    }

    function claimable(bytes32 projectId, address token, address payee) external view returns (uint256) {
        return entitled(projectId, token, payee) - claimed(projectId, token, payee);
    }

    /// @notice Base units that no payee is entitled to yet: deposits minus all entitlements, less than the payees.
    /// @param payees All who had shares in an epoch with deposits (see `SharesSet`), strictly ascending. Shares of an epoch
    /// add to SHARES, so the numerators show by themselves whether anybody is missing; then the call is refused.
    function remainder(bytes32 projectId, address token, address[] calldata payees) external view returns (uint256) {
        Books storage books = _books[projectId][token];
        uint256 total = books.book.deposited;
        uint256 numerators;
        uint256 entitlements;
        address before;
        for (uint256 i = 0; i < payees.length; ++i) {
            if (payees[i] <= before) revert Remainder_PayeesNotAscending(before, payees[i]);
            before = payees[i];
            uint256 numerator = _numerator(projectId, books, payees[i]);
            numerators += numerator;
            entitlements += Entitlement.floor(numerator);
        }
        if (numerators != total * SHARES) revert Remainder_PayeesIncomplete(projectId, token);
        return total - entitlements;
    }

    // ---------------------------------------------------------------- private views

    function _shareKey(uint256 epoch, address payee) private pure returns (uint256) {
        return (epoch << 160) | uint160(payee);
    }

    /// @dev The numerator of a payee's entitlement up to now.
    function _numerator(bytes32 projectId, Books storage books, address payee) private view returns (uint256) {
        (uint256 numerator,, uint256 shares,) = _carry(projectId, books, payee, books.book.epoch);
        return Entitlement.add(numerator, books.book.open, shares);
    }

    /// @dev A payee's ledger with all epochs before `untilEpoch` added in. Epochs count from 1.
    function _carry(bytes32 projectId, Books storage books, address payee, uint256 untilEpoch)
        private
        view
        returns (uint256 numerator, uint256 paid, uint256 shares, uint256 epoch)
    {
        (numerator, paid, shares, epoch) = books.ledgers[payee].unpack();
        if (epoch >= untilEpoch) return (numerator, paid, shares, epoch);
        unchecked {
            if (epoch == 0) epoch = 1;
            for (; epoch < untilEpoch; ++epoch) {
                uint256 amount = books.closed[epoch];
                if (amount != 0) {
                    numerator = Entitlement.add(numerator, amount, _shares[projectId][_shareKey(epoch, payee)]);
                }
            }
        }
        shares = _shares[projectId][_shareKey(epoch, payee)];
    }
}
