// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RevenueSplit} from "../src/RevenueSplit.sol";

/// @dev The least token: everybody has enough, and balances are kept.
contract ProofToken {
    mapping(address => uint256) public balanceOf;

    function give(address to, uint256 amount) external {
        unchecked {
            balanceOf[to] += amount;
        }
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        unchecked {
            balanceOf[msg.sender] -= amount;
            balanceOf[to] += amount;
        }
        return true;
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        unchecked {
            balanceOf[from] -= amount;
            balanceOf[to] += amount;
        }
        return true;
    }
}

interface Warp {
    function warp(uint256 timestamp) external;
}

/// @notice The contract itself, compiled as it is deployed: two payees, two share tables, two deposits of any amounts, or
/// a payout, or any time. A revert counts as a failure: the steps are a call of their own. Bounded in payees, tables and
/// steps (the loops are unrolled), and in shares (two tables, as they stand here); amounts below 2^95.
contract SplitContractProofs {
    bytes32 private constant PROJECT = keccak256("project");
    address private constant A = address(0xa1);
    address private constant B = address(0xb2);

    Warp private constant vm = Warp(address(uint160(uint256(keccak256("hevm cheat code")))));

    RevenueSplit private split;
    ProofToken private token;

    function setUp() public {
        split = new RevenueSplit(address(this));
        token = new ProofToken();
        split.setTokenAllowed(address(token), true);
        token.give(address(this), 1 << 97);
    }

    function set(uint32 share) private {
        (address[] memory payees, uint32[] memory shares) = (new address[](2), new uint32[](2));
        (payees[0], payees[1], shares[0], shares[1]) = (A, B, share, 1_000_000 - share);
        split.setShares(PROJECT, payees, shares);
    }

    /// @dev Of the contract's own `remainder` nothing is asked here: its test of completeness is one more identity over
    /// 256 bits, which the solver does not finish together with these.
    function conserved(uint256 total) private view {
        uint256 a = split.entitled(PROJECT, address(token), A);
        uint256 b = split.entitled(PROJECT, address(token), B);
        unchecked {
            assert(a + b <= total);
            assert(total < a + b + 2);
        }
        assert(split.deposited(PROJECT, address(token)) == total);
        assert(token.balanceOf(address(split)) == total);
    }

    function check_entitlements_leave_less_than_a_unit_a_payee(uint96 first, uint96 second) external {
        if (first == 0 || second == 0 || first >= 1 << 95 || second >= 1 << 95) return;
        try this.steps_entitlements_leave_less_than_a_unit_a_payee(first, second) {}
        catch {
            assert(false);
        }
    }

    function steps_entitlements_leave_less_than_a_unit_a_payee(uint96 first, uint96 second) external {
        set(333_333);
        split.deposit(PROJECT, address(token), first);
        set(600_001);
        split.deposit(PROJECT, address(token), second);
        conserved(uint256(first) + second);
    }

    /// @dev A payout pays what is due, once, and nothing else moves.
    function check_a_payout_pays_what_is_due_and_no_more(uint96 amount) external {
        if (amount < 4 || amount >= 1 << 95) return;
        try this.steps_a_payout_pays_what_is_due_and_no_more(amount) {}
        catch {
            assert(false);
        }
    }

    function steps_a_payout_pays_what_is_due_and_no_more(uint96 amount) external {
        set(333_333);
        split.deposit(PROJECT, address(token), amount);
        uint256 due = split.claimable(PROJECT, address(token), A);
        uint256 others = split.claimable(PROJECT, address(token), B);
        uint256 paid = split.claimFor(PROJECT, address(token), A);
        assert(paid == due && token.balanceOf(A) == due);
        assert(split.claimed(PROJECT, address(token), A) == due && split.claimable(PROJECT, address(token), A) == 0);
        assert(split.claimable(PROJECT, address(token), B) == others);
        assert(token.balanceOf(address(split)) == amount - due);
    }

    /// @dev With a delay the hour decides: a deposit at any time goes by the table in force then, whole.
    function check_a_deposit_goes_by_the_table_in_force(uint96 amount, uint64 time) external {
        if (amount < 4 || amount >= 1 << 95 || time < block.timestamp || time >= 1 << 40) return;
        try this.steps_a_deposit_goes_by_the_table_in_force(amount, time) {}
        catch {
            assert(false);
        }
    }

    function steps_a_deposit_goes_by_the_table_in_force(uint96 amount, uint64 time) external {
        split.setDelay(PROJECT, 14 days);
        set(333_333);
        set(600_001);
        uint256 from = block.timestamp + 14 days;
        vm.warp(time);
        split.deposit(PROJECT, address(token), amount);
        (uint24 then_, uint24 other) = time < from ? (1, 2) : (2, 1);
        assert(split.currentEpoch(PROJECT) == then_);
        assert(split.depositedIn(PROJECT, address(token), then_) == amount);
        assert(split.depositedIn(PROJECT, address(token), other) == 0);
    }
}
