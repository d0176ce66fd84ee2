// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {RevenueSplit} from "../src/RevenueSplit.sol";
import {Base} from "./support/Base.sol";
import {CallingReceiver, DeafContract, Wallet1271} from "./support/Mocks.sol";

/// @dev Answers every question with the same words.
contract Parrot {
    bytes private answer;

    constructor(bytes memory answer_) {
        answer = answer_;
    }

    fallback(bytes calldata) external returns (bytes memory) {
        return answer;
    }
}

/// @dev Burns all the gas it is given.
contract Glutton {
    fallback() external {
        for (uint256 i = 0;; ++i) {}
    }
}

/// @dev Answers only supportsInterface, as the contract of credits would.
contract Says1155 {
    uint256 private immutable answer;

    constructor(uint256 answer_) {
        answer = answer_;
    }

    function supportsInterface(bytes4) external view returns (uint256) {
        return answer;
    }
}

contract SaysSplit {
    address public immutable split;

    constructor(address split_) {
        split = split_;
    }
}

contract ShareDelayTest is Base {
    uint32 private constant DELAY = 14 days;
    address private constant A = address(0xa1);
    address private constant B = address(0xb2);
    address private constant C = address(0xc3);

    function setUp() public override {
        super.setUp();
        fund(stranger, 1e27, address(split));
        vm.prank(admin);
        split.setDelay(PROJECT, DELAY);
    }

    function pair(address a, uint32 share, address b)
        private
        pure
        returns (address[] memory payees, uint32[] memory shares)
    {
        (payees, shares) = (new address[](2), new uint32[](2));
        (payees[0], payees[1], shares[0], shares[1]) = (a, b, share, 1_000_000 - share);
    }

    function set(address a, uint32 share, address b) private {
        (address[] memory payees, uint32[] memory shares) = pair(a, share, b);
        vm.prank(admin);
        split.setShares(PROJECT, payees, shares);
    }

    function deposit(uint256 amount) private {
        vm.prank(stranger);
        split.deposit(PROJECT, address(yen), amount);
    }

    function claimable(address payee) private view returns (uint256) {
        return split.claimable(PROJECT, address(yen), payee);
    }

    function pending(uint24 epoch, uint40 from) private view {
        (uint24 found, uint40 when) = split.pendingShares(PROJECT);
        vm.assertEq(found, epoch, "pending epoch");
        vm.assertEq(when, from, "effective from");
    }

    // ---------------------------------------------------------------- when a table takes effect

    function test_the_first_table_takes_effect_at_once() public {
        vm.expectEmit(true, true, true, true, address(split));
        emit RevenueSplit.SharesScheduled(PROJECT, 1, uint40(block.timestamp));
        set(A, 300_000, B);
        vm.assertEq(split.currentEpoch(PROJECT), 1, "epoch");
        pending(0, 0);
        deposit(1_000);
        vm.assertEq(claimable(A), 300, "A");
    }

    function test_a_change_is_announced_and_takes_effect_by_itself_to_the_second() public {
        set(A, 300_000, B);
        deposit(1_000);
        uint40 from = uint40(block.timestamp + DELAY);
        vm.expectEmit(true, true, true, true, address(split));
        emit RevenueSplit.SharesScheduled(PROJECT, 2, from);
        set(B, 500_000, C);
        pending(2, from);
        vm.assertEq(split.lastEpoch(PROJECT), 2, "last");

        vm.warp(from - 1);
        vm.assertEq(split.currentEpoch(PROJECT), 1, "still the old table");
        deposit(1_000);
        vm.assertEq(claimable(A), 600, "A of both");
        vm.assertEq(claimable(C), 0, "C not yet");

        vm.warp(from);
        vm.assertEq(split.currentEpoch(PROJECT), 2, "the new table, though nobody sent anything");
        pending(0, 0);
        vm.assertEq(claimable(A), 600, "the hour alone moves no money");
        vm.assertEq(claimable(C), 0, "nor to C");
        deposit(1_000);
        vm.assertEq(claimable(A), 600, "A");
        vm.assertEq(claimable(B), 1_900, "B");
        vm.assertEq(claimable(C), 500, "C");
        vm.assertEq(split.depositedIn(PROJECT, address(yen), 1), 2_000, "first epoch");
        vm.assertEq(split.depositedIn(PROJECT, address(yen), 2), 1_000, "second epoch");
    }

    function test_fractions_survive_an_announced_change() public {
        set(A, 333_333, B);
        deposit(2); // A: 0.666666
        set(A, 500_000, B);
        deposit(1); // A: 0.999999
        vm.assertEq(claimable(A), 0, "A before");
        vm.warp(block.timestamp + DELAY);
        deposit(1); // A: 1.499999
        vm.assertEq(claimable(A), 1, "A after");
        vm.assertEq(claimable(B), 2, "B");
    }

    function test_one_change_is_announced_at_a_time() public {
        set(A, 300_000, B);
        set(B, 500_000, C);
        (address[] memory payees, uint32[] memory shares) = pair(A, 1, C);
        vm.expectRevert(
            abi.encodeWithSelector(
                RevenueSplit.Shares_ChangePending.selector, PROJECT, 2, uint40(block.timestamp + DELAY)
            )
        );
        vm.prank(admin);
        split.setShares(PROJECT, payees, shares);
        vm.warp(block.timestamp + DELAY);
        set(A, 1, C);
        vm.assertEq(split.currentEpoch(PROJECT), 2, "the second is in force");
        pending(3, uint40(block.timestamp + DELAY));
    }

    // ---------------------------------------------------------------- cancelling

    function test_a_cancelled_change_never_takes_effect() public {
        set(A, 300_000, B);
        set(B, 500_000, C);
        vm.expectEmit(true, true, true, true, address(split));
        emit RevenueSplit.SharesCancelled(PROJECT, 2, admin);
        vm.prank(admin);
        split.cancelShares(PROJECT);
        pending(0, 0);
        vm.warp(block.timestamp + 10 * DELAY);
        vm.assertEq(split.currentEpoch(PROJECT), 1, "epoch");
        deposit(1_000);
        vm.assertEq(claimable(C), 0, "C");
        vm.assertEq(claimable(A), 300, "A");
    }

    function test_a_cancelled_table_s_number_and_payees_are_not_used_again() public {
        set(A, 300_000, B);
        deposit(1_000);
        set(B, 500_000, C);
        vm.prank(admin);
        split.cancelShares(PROJECT);
        set(A, 600_000, B);
        pending(3, uint40(block.timestamp + DELAY));
        vm.warp(block.timestamp + DELAY);
        vm.assertEq(split.currentEpoch(PROJECT), 3, "epoch");
        deposit(1_000);
        vm.assertEq(claimable(A), 900, "A");
        vm.assertEq(claimable(B), 1_100, "B");
        vm.assertEq(claimable(C), 0, "C, of the cancelled table only");
        address[] memory both = new address[](2);
        (both[0], both[1]) = (A, B);
        vm.assertEq(split.remainder(PROJECT, address(yen), both), 0, "to the unit");
    }

    function test_the_guardian_may_stop_a_change_but_not_make_one() public {
        bytes32 role = split.GUARDIAN_ROLE();
        vm.prank(admin);
        split.grantRole(role, guardian);
        set(A, 300_000, B);
        set(B, 500_000, C);
        (address[] memory payees, uint32[] memory shares) = pair(A, 1, C);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, guardian, bytes32(0))
        );
        vm.prank(guardian);
        split.setShares(PROJECT, payees, shares);
        vm.prank(guardian);
        split.cancelShares(PROJECT);
        pending(0, 0);
    }

    function test_nobody_else_cancels_and_only_what_is_pending() public {
        set(A, 300_000, B);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Shares_NonePending.selector, PROJECT));
        vm.prank(admin);
        split.cancelShares(PROJECT);
        set(B, 500_000, C);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, stranger, bytes32(0))
        );
        vm.prank(stranger);
        split.cancelShares(PROJECT);
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Shares_NonePending.selector, PROJECT));
        vm.prank(admin);
        split.cancelShares(PROJECT); // in force: too late
        vm.assertEq(split.currentEpoch(PROJECT), 2, "epoch");
    }

    // ---------------------------------------------------------------- the delay

    function test_the_delay_is_raised_never_lowered_and_bounded() public {
        vm.startPrank(admin);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Delay_Lowered.selector, DELAY - 1, DELAY));
        split.setDelay(PROJECT, DELAY - 1);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Delay_TooLong.selector, 180 days + 1, 180 days));
        split.setDelay(PROJECT, 180 days + 1);
        vm.expectEmit(true, true, true, true, address(split));
        emit RevenueSplit.DelaySet(PROJECT, 180 days);
        split.setDelay(PROJECT, 180 days);
        vm.stopPrank();
        vm.assertEq(split.delayOf(PROJECT), 180 days, "delay");
        vm.assertEq(split.delayOf(OTHER_PROJECT), 0, "of the other project");
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, stranger, bytes32(0))
        );
        vm.prank(stranger);
        split.setDelay(PROJECT, 180 days);
    }

    function test_a_raised_delay_does_not_move_what_is_announced() public {
        set(A, 300_000, B);
        set(B, 500_000, C);
        uint40 from = uint40(block.timestamp + DELAY);
        vm.prank(admin);
        split.setDelay(PROJECT, 100 days);
        pending(2, from);
        vm.warp(from);
        set(A, 500_000, C);
        pending(3, from + 100 days);
    }

    function test_without_a_delay_a_change_takes_effect_at_once() public {
        setEqualShares(OTHER_PROJECT, 2);
        setEqualShares(OTHER_PROJECT, 3);
        vm.assertEq(split.currentEpoch(OTHER_PROJECT), 2, "epoch");
        (uint24 epoch,) = split.pendingShares(OTHER_PROJECT);
        vm.assertEq(epoch, 0, "pending");
    }

    /// @dev Whatever the hours, the table of a deposit is the last one in force when it came.
    function test_the_block_s_time_alone_decides_on_the_table(uint32[8] memory waits, uint8 cancels) public {
        set(A, 500_000, B);
        uint24 inForce = 1;
        uint24 next;
        uint256 from;
        for (uint32 i = 0; i < 8; ++i) {
            vm.warp(block.timestamp + bound(waits[i], 0, 2 * DELAY));
            if (next != 0 && block.timestamp >= from) (inForce, next) = (next, 0);
            vm.assertEq(split.currentEpoch(PROJECT), inForce, "in force");
            uint256 before = split.depositedIn(PROJECT, address(yen), inForce);
            deposit(10);
            vm.assertEq(split.depositedIn(PROJECT, address(yen), inForce), before + 10, "booked there");
            if (next != 0 && (cancels >> i) & 1 == 1) {
                vm.prank(admin);
                split.cancelShares(PROJECT);
                next = 0;
            } else if (next == 0) {
                set(A, 500_001 + i, B);
                (next, from) = (split.lastEpoch(PROJECT), block.timestamp + DELAY);
            }
        }
        address[] memory both = new address[](2);
        (both[0], both[1]) = (A, B);
        uint256 due = claimable(A) + claimable(B);
        vm.assertEq(split.remainder(PROJECT, address(yen), both) + due, 80, "to the unit");
    }

    // ---------------------------------------------------------------- payees out of which money never comes

    function refused(address payee, bytes4 reason) private {
        (address[] memory payees, uint32[] memory shares) = pair(address(1), 1, payee);
        vm.expectRevert(abi.encodeWithSelector(reason, payee));
        vm.prank(admin);
        split.setShares(PROJECT, payees, shares);
    }

    function test_tokens_registry_sale_and_the_split_itself_are_no_payees() public {
        bytes4 cannot = RevenueSplit.Shares_PayeeCannotClaim.selector;
        refused(address(yen), cannot);
        refused(address(registry), cannot);
        refused(address(sale), cannot);
        refused(address(split), RevenueSplit.Shares_PayeeInvalid.selector);
        refused(address(new Says1155(1)), cannot);
        refused(address(new Parrot(abi.encode(uint256(0)))), cannot); // a token of which there is none yet
        vm.assertEq(split.lastEpoch(PROJECT), 0, "no table");
    }

    function accepted(address payee) private {
        (address[] memory payees, uint32[] memory shares) = pair(address(1), 1, payee);
        vm.prank(admin);
        split.setShares(OTHER_PROJECT, payees, shares);
        vm.assertEq(split.sharesOf(OTHER_PROJECT, split.currentEpoch(OTHER_PROJECT), payee), 999_999, "a payee");
    }

    function test_wallets_and_treasuries_are_payees_whatever_they_answer() public {
        address[] memory nobody = new address[](0);
        accepted(address(new TimelockController(1, nobody, nobody, address(0))));
        accepted(address(new Wallet1271(admin)));
        accepted(address(new CallingReceiver()));
        accepted(address(new DeafContract()));
        accepted(address(new Says1155(0)));
        accepted(address(new Says1155(2)));
        accepted(address(new SaysSplit(address(this)))); // the sale of another split is not known
        accepted(address(new Parrot(hex"01"))); // no word
        accepted(address(new Parrot(new bytes(64))));
        accepted(address(new Glutton())); // bounded, and then paid like any other
    }

    // ---------------------------------------------------------------- tokens

    function test_only_tokens_on_the_list_are_deposited_and_what_is_in_comes_out() public {
        set(A, 300_000, B);
        deposit(1_000);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Token_Zero.selector));
        vm.prank(admin);
        split.setTokenAllowed(address(0), true);
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, stranger, bytes32(0))
        );
        vm.prank(stranger);
        split.setTokenAllowed(address(yen), false);
        vm.expectEmit(true, true, true, true, address(split));
        emit RevenueSplit.TokenAllowed(address(yen), false);
        vm.prank(admin);
        split.setTokenAllowed(address(yen), false);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Token_NotAllowed.selector, address(yen)));
        deposit(1);
        vm.assertEq(split.claimFor(PROJECT, address(yen), A), 300, "A is paid all the same");
    }
}
