// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IRevenueSplit} from "./interfaces/IRevenueSplit.sol";

/// @title Sends a project's revenue home
/// @notice Payees of a project hold shares of a million. Money is pulled, by the payee or by anyone on its behalf, and
/// always goes to the payee. A change of shares opens a new epoch and touches nothing deposited before.
/// @dev Over the epochs e, with deposits D_e and shares s: entitlement = floor(sum D_e * s_e / SHARES). The numerators are
/// kept whole over epochs, so nothing is lost by rounding twice. Nobody can take the remainder (< number of payees).
contract RevenueSplit is IRevenueSplit, AccessControl, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    // ---------------------------------------------------------------- types

    /// @dev One slot. `open` are the deposits of `epoch`, the latest epoch that had any.
    struct Book {
        uint96 deposited; // over all epochs
        uint96 open;
        uint32 epoch;
    }

    /// @dev One slot. `numerator` is the sum of D_e * s_e over the epochs before `settledEpoch`: < 2^96 * 10^6 < 2^128.
    struct Ledger {
        uint128 numerator;
        uint96 claimed;
        uint32 settledEpoch;
    }

    // ---------------------------------------------------------------- constants

    uint32 public constant SHARES = 1_000_000;
    uint256 public constant MAX_PAYEES = 500;

    // ---------------------------------------------------------------- storage

    /// @notice The project's current epoch; 0 before the first shares are set.
    mapping(bytes32 projectId => uint32) public currentEpoch;
    /// @notice A payee's shares of a million in an epoch; 0 for who is no payee then.
    mapping(bytes32 projectId => mapping(uint32 epoch => mapping(address payee => uint32))) public sharesOf;

    mapping(bytes32 projectId => mapping(address token => Book)) private _books;
    mapping(bytes32 projectId => mapping(address token => mapping(uint32 epoch => uint96))) private _closed;
    mapping(bytes32 projectId => mapping(address token => mapping(address payee => Ledger))) private _ledgers;

    // ---------------------------------------------------------------- events

    event SharesSet(bytes32 indexed projectId, uint32 indexed epoch, address[] payees, uint32[] shares);
    event Deposited(
        bytes32 indexed projectId, address indexed token, address indexed from, uint32 epoch, uint256 amount
    );
    event Claimed(bytes32 indexed projectId, address indexed token, address indexed payee, uint256 amount);

    // ---------------------------------------------------------------- errors

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

    // ---------------------------------------------------------------- shares

    constructor(address admin) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Sets who gets what of all later deposits. Payees in strictly ascending order, shares adding to SHARES.
    function setShares(bytes32 projectId, address[] calldata payees, uint32[] calldata shares)
        external
        onlyRole(DEFAULT_ADMIN_ROLE)
    {
        if (payees.length != shares.length) revert Shares_LengthDiffers(payees.length, shares.length);
        if (payees.length == 0 || payees.length > MAX_PAYEES) {
            revert Shares_CountInvalid(payees.length, MAX_PAYEES);
        }
        uint32 epoch = ++currentEpoch[projectId];
        mapping(address => uint32) storage sharesNow = sharesOf[projectId][epoch];
        address before;
        uint256 sum;
        for (uint256 i = 0; i < payees.length; ++i) {
            address payee = payees[i];
            if (payee == address(this) || payee == address(0)) revert Shares_PayeeInvalid(payee);
            if (payee <= before) revert Shares_NotAscending(before, payee);
            if (shares[i] == 0) revert Shares_Zero(payee);
            sharesNow[payee] = shares[i];
            sum += shares[i];
            before = payee;
        }
        if (sum != SHARES) revert Shares_SumInvalid(sum, SHARES);
        emit SharesSet(projectId, epoch, payees, shares);
    }

    // ---------------------------------------------------------------- deposit

    /// @inheritdoc IRevenueSplit
    /// @dev Costs the same whatever the number of payees. Refuses a token that delivers less (or more) than asked.
    function deposit(bytes32 projectId, address token, uint256 amount) external nonReentrant {
        if (amount == 0) revert Deposit_AmountZero();
        if (amount > type(uint96).max) revert Deposit_TooLarge(amount);
        uint32 epoch = currentEpoch[projectId];
        if (epoch == 0) revert Deposit_NoShares(projectId);

        Book memory book = _books[projectId][token];
        if (book.epoch != epoch) {
            if (book.open != 0) _closed[projectId][token][book.epoch] = book.open;
            book.open = 0;
            book.epoch = epoch;
        }
        // Fits: refused above when it does not.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint96 added = uint96(amount);
        book.open += added;
        book.deposited += added;
        _books[projectId][token] = book;
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

    /// @notice Carries a payee's book forward to an epoch without paying, for one who let more epochs pass than fit in a
    /// single transaction.
    function settle(bytes32 projectId, address token, address payee, uint32 untilEpoch) external nonReentrant {
        Book memory book = _books[projectId][token];
        if (untilEpoch > book.epoch) untilEpoch = book.epoch;
        _ledgers[projectId][token][payee] = _carry(projectId, token, payee, untilEpoch);
    }

    function _payOut(bytes32 projectId, address token, address payee) private nonReentrant returns (uint256 amount) {
        Book memory book = _books[projectId][token];
        Ledger memory ledger = _carry(projectId, token, payee, book.epoch);
        amount = _entitlement(projectId, payee, book, ledger) - ledger.claimed;
        if (amount == 0) revert Payout_NothingDue(projectId, token, payee);
        // claimed + amount is an entitlement, which is no more than all deposits.
        // forge-lint: disable-next-line(unsafe-typecast)
        ledger.claimed += uint96(amount);
        _ledgers[projectId][token][payee] = ledger;
        emit Claimed(projectId, token, payee, amount);
        IERC20(token).safeTransfer(payee, amount);
    }

    // ---------------------------------------------------------------- views

    /// @notice Deposits of a project in a token, over all epochs.
    function deposited(bytes32 projectId, address token) external view returns (uint256) {
        return _books[projectId][token].deposited;
    }

    /// @notice Deposits made while an epoch was the current one.
    function depositedIn(bytes32 projectId, address token, uint32 epoch) external view returns (uint256) {
        Book memory book = _books[projectId][token];
        return epoch == book.epoch ? book.open : _closed[projectId][token][epoch];
    }

    /// @notice All that a payee ever was entitled to, paid or not.
    function entitled(bytes32 projectId, address token, address payee) public view returns (uint256) {
        Book memory book = _books[projectId][token];
        return _entitlement(projectId, payee, book, _carry(projectId, token, payee, book.epoch));
    }

    function claimed(bytes32 projectId, address token, address payee) public view returns (uint256) {
        return _ledgers[projectId][token][payee].claimed;
    }

    function claimable(bytes32 projectId, address token, address payee) external view returns (uint256) {
        return entitled(projectId, token, payee) - claimed(projectId, token, payee);
    }

    /// @notice Base units that no payee is entitled to yet: deposits minus all entitlements, less than the payees.
    /// @param payees All who had shares in an epoch with deposits (see `SharesSet`), strictly ascending. Shares of an epoch
    /// add to SHARES, so the numerators show by themselves whether anybody is missing; then the call is refused.
    function remainder(bytes32 projectId, address token, address[] calldata payees) external view returns (uint256) {
        Book memory book = _books[projectId][token];
        uint256 numerators;
        uint256 entitlements;
        address before;
        for (uint256 i = 0; i < payees.length; ++i) {
            address payee = payees[i];
            if (payee <= before) revert Remainder_PayeesNotAscending(before, payee);
            before = payee;
            Ledger memory ledger = _carry(projectId, token, payee, book.epoch);
            numerators += _numerator(projectId, payee, book, ledger);
            entitlements += _entitlement(projectId, payee, book, ledger);
        }
        if (numerators != uint256(book.deposited) * SHARES) revert Remainder_PayeesIncomplete(projectId, token);
        return book.deposited - entitlements;
    }

    // ---------------------------------------------------------------- private views

    /// @dev A payee's ledger with all epochs before `untilEpoch` added in.
    function _carry(bytes32 projectId, address token, address payee, uint32 untilEpoch)
        private
        view
        returns (Ledger memory ledger)
    {
        ledger = _ledgers[projectId][token][payee];
        while (ledger.settledEpoch < untilEpoch) {
            uint96 amount = _closed[projectId][token][ledger.settledEpoch];
            if (amount != 0) {
                ledger.numerator += uint128(amount) * sharesOf[projectId][ledger.settledEpoch][payee];
            }
            ++ledger.settledEpoch;
        }
    }

    /// @dev `ledger` must be carried to `book.epoch`.
    function _numerator(bytes32 projectId, address payee, Book memory book, Ledger memory ledger)
        private
        view
        returns (uint256)
    {
        return uint256(ledger.numerator) + uint256(book.open) * sharesOf[projectId][book.epoch][payee];
    }

    function _entitlement(bytes32 projectId, address payee, Book memory book, Ledger memory ledger)
        private
        view
        returns (uint256)
    {
        return _numerator(projectId, payee, book, ledger) / SHARES;
    }
}
