// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {RevenueSplit} from "../src/RevenueSplit.sol";
import {Base} from "./support/Base.sol";
import {BlockingToken, FalseToken, FeeToken, HookToken, OpenToken, SilentToken} from "./support/Mocks.sol";

contract SplitTest is Base {
    function setUp() public override {
        super.setUp();
        fund(stranger, 1e27, address(split));
    }

    function deposit(uint256 amount) private {
        vm.prank(stranger);
        split.deposit(PROJECT, address(yen), amount);
    }

    function share(address[] memory payees, uint32[] memory shares) private {
        vm.prank(admin);
        split.setShares(PROJECT, payees, shares);
    }

    function two(address a, uint32 s, address b, uint32 t) private {
        (address[] memory payees, uint32[] memory shares) = (new address[](2), new uint32[](2));
        (payees[0], payees[1], shares[0], shares[1]) = (a, b, s, t);
        share(payees, shares);
    }

    function claimable(address payee) private view returns (uint256) {
        return split.claimable(PROJECT, address(yen), payee);
    }

    address private constant A = address(0xa1);
    address private constant B = address(0xb2);
    address private constant C = address(0xc3);

    // ---------------------------------------------------------------- shares

    function test_shares_are_refused_unless_they_are_whole_positive_and_in_order() public {
        vm.startPrank(admin);
        (address[] memory payees, uint32[] memory shares) = (new address[](2), new uint32[](1));
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Shares_LengthDiffers.selector, 2, 1));
        split.setShares(PROJECT, payees, shares);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Shares_CountInvalid.selector, 0, 500));
        split.setShares(PROJECT, new address[](0), new uint32[](0));
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Shares_CountInvalid.selector, 501, 500));
        split.setShares(PROJECT, new address[](501), new uint32[](501));
        shares = new uint32[](2);
        (payees[0], payees[1], shares[0], shares[1]) = (B, A, 500_000, 500_000);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Shares_NotAscending.selector, B, A));
        split.setShares(PROJECT, payees, shares);
        (payees[0], payees[1]) = (A, A);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Shares_NotAscending.selector, A, A));
        split.setShares(PROJECT, payees, shares);
        (payees[0], payees[1]) = (address(0), A);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Shares_PayeeInvalid.selector, address(0)));
        split.setShares(PROJECT, payees, shares);
        (payees[0], payees[1]) = (A, address(split));
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Shares_PayeeInvalid.selector, address(split)));
        split.setShares(PROJECT, payees, shares);
        (payees[0], payees[1], shares[0], shares[1]) = (A, B, 0, 1_000_000);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Shares_Zero.selector, A));
        split.setShares(PROJECT, payees, shares);
        (shares[0], shares[1]) = (1, 1_000_000);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Shares_SumInvalid.selector, 1_000_001, 1_000_000));
        split.setShares(PROJECT, payees, shares);
        (shares[0], shares[1]) = (type(uint32).max, 1_000_001); // sums to a million in 32 bits
        vm.expectRevert(
            abi.encodeWithSelector(RevenueSplit.Shares_SumInvalid.selector, uint256(1 << 32) + 1_000_000, 1_000_000)
        );
        split.setShares(PROJECT, payees, shares);
        vm.stopPrank();
        vm.assertEq(split.currentEpoch(PROJECT), 0, "epoch");
    }

    function test_only_the_admin_sets_shares() public {
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, stranger, bytes32(0))
        );
        vm.prank(stranger);
        split.setShares(PROJECT, new address[](0), new uint32[](0));
    }

    // ---------------------------------------------------------------- deposits and payouts

    function test_money_goes_to_payees_by_their_shares() public {
        two(A, 300_000, B, 700_000);
        deposit(1_000 * YEN);
        vm.prank(A);
        vm.assertEq(split.claim(PROJECT, address(yen)), 300 * YEN, "A");
        vm.prank(stranger);
        vm.assertEq(split.claimFor(PROJECT, address(yen), B), 700 * YEN, "B");
        vm.assertEq(yen.balanceOf(A), 300 * YEN, "A has");
        vm.assertEq(yen.balanceOf(B), 700 * YEN, "B has, whoever asked");
        vm.assertEq(yen.balanceOf(address(split)), 0, "nothing stays");
    }

    function test_asking_again_or_without_shares_gives_nothing() public {
        two(A, 300_000, B, 700_000);
        deposit(1_000);
        split.claimFor(PROJECT, address(yen), A);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Payout_NothingDue.selector, PROJECT, address(yen), A));
        split.claimFor(PROJECT, address(yen), A);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Payout_NothingDue.selector, PROJECT, address(yen), C));
        split.claimFor(PROJECT, address(yen), C);
    }

    function test_no_deposit_without_payees_or_without_money() public {
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Deposit_NoShares.selector, PROJECT));
        deposit(1);
        two(A, 300_000, B, 700_000);
        vm.expectRevert(RevenueSplit.Deposit_AmountZero.selector);
        deposit(0);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Deposit_TooLarge.selector, 1 << 96));
        deposit(1 << 96);
    }

    function test_deposits_may_not_pass_what_the_books_hold() public {
        vm.prank(admin);
        yen.mint(stranger, type(uint128).max);
        two(A, 300_000, B, 700_000);
        deposit(type(uint96).max);
        vm.assertEq(claimable(B), uint256(type(uint96).max) * 7 / 10, "exact at the rim");
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        deposit(1);
        two(B, 300_000, C, 700_000);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        deposit(1);
        vm.assertEq(split.claimFor(PROJECT, address(yen), A), uint256(type(uint96).max) * 3 / 10, "and paid");
    }

    function test_projects_and_tokens_are_apart() public {
        two(A, 300_000, B, 700_000);
        setEqualShares(OTHER_PROJECT, 1);
        deposit(1_000);
        vm.assertEq(split.claimable(OTHER_PROJECT, address(yen), A), 0, "other project");
        vm.assertEq(split.claimable(PROJECT, address(1), A), 0, "other token");
        vm.assertEq(split.deposited(OTHER_PROJECT, address(yen)), 0, "deposited");
    }

    // ---------------------------------------------------------------- epochs

    function test_new_shares_do_not_touch_old_money() public {
        two(A, 300_000, B, 700_000);
        deposit(1_000);
        two(B, 500_000, C, 500_000);
        vm.assertEq(claimable(A), 300, "A keeps");
        vm.assertEq(claimable(C), 0, "C has nothing yet");
        deposit(100);
        vm.assertEq(claimable(A), 300, "A");
        vm.assertEq(claimable(B), 750, "B");
        vm.assertEq(claimable(C), 50, "C");
        vm.assertEq(split.depositedIn(PROJECT, address(yen), 1), 1_000, "first epoch");
        vm.assertEq(split.depositedIn(PROJECT, address(yen), 2), 100, "second epoch");
        vm.assertEq(split.deposited(PROJECT, address(yen)), 1_100, "all");
        vm.assertEq(split.sharesOf(PROJECT, 1, B), 700_000, "shares then");
        vm.assertEq(split.sharesOf(PROJECT, 2, B), 500_000, "shares now");
    }

    function test_fractions_survive_a_change_of_shares() public {
        two(A, 333_333, B, 666_667);
        deposit(2); // A: 0.666666
        two(A, 500_000, B, 500_000);
        deposit(1); // A: 1.166666
        vm.assertEq(claimable(A), 1, "A");
        vm.assertEq(claimable(B), 1, "B");
        deposit(1); // A: 1.666666, B: 2.333334
        vm.assertEq(claimable(B), 2, "B");
    }

    function test_fractions_survive_payouts_in_between() public {
        two(A, 333_333, B, 666_667);
        uint256 paid;
        for (uint256 i = 0; i < 30; ++i) {
            deposit(1);
            if (claimable(A) != 0) paid += split.claimFor(PROJECT, address(yen), A);
        }
        vm.assertEq(paid, 9, "floor of 9.99999, not a sum of floors");
    }

    function test_epochs_without_deposits_are_passed_over() public {
        two(A, 300_000, B, 700_000);
        deposit(1_000);
        split.claimFor(PROJECT, address(yen), A);
        for (uint32 i = 0; i < 20; ++i) {
            two(A, 300_000 + i, C, 700_000 - i);
        }
        deposit(1_000);
        vm.assertEq(claimable(A), 300, "A"); // 1000 * 300019 / 10^6
        vm.assertEq(claimable(B), 700, "B");
        vm.assertEq(claimable(C), 699, "C");
        vm.assertEq(split.claimFor(PROJECT, address(yen), A), 300, "A paid");
    }

    function test_a_payee_who_slept_through_many_epochs_can_be_carried_in_steps() public {
        for (uint32 i = 0; i < 40; ++i) {
            two(A, 300_000 + i, B, 700_000 - i);
            deposit(10);
        }
        uint256 due = claimable(A);
        for (uint24 epoch = 7; epoch < 60; epoch += 7) {
            split.settle(PROJECT, address(yen), A, epoch);
            vm.assertEq(claimable(A), due, "settling pays and loses nothing");
        }
        split.settle(PROJECT, address(yen), A, 3); // never backwards
        vm.assertEq(split.claimFor(PROJECT, address(yen), A), due, "paid");
        deposit(1_000_000);
        uint256 numerator = 10 * (40 * 300_000 + 780) + 1_000_000 * 300_039;
        vm.assertEq(due, 120, "floor of 120.0078");
        vm.assertEq(claimable(A), numerator / 1_000_000 - due, "after");
    }

    /// @dev Against a plain model: numerators summed in the open, one floor.
    function test_entitlements_are_those_of_the_plain_formula(
        uint96[6] memory amounts,
        uint32[6] memory cuts,
        uint8 pays
    ) public {
        uint256[2] memory numerators;
        uint256[2] memory paid;
        uint256 total;
        address[2] memory people = [A, B];
        for (uint256 i = 0; i < 6; ++i) {
            uint32 cut = uint32(bound(cuts[i], 1, 999_999));
            if (i % 2 == 0) two(A, cut, B, 1_000_000 - cut);
            uint256 amount = bound(amounts[i], 1, 1e24);
            deposit(amount);
            total += amount;
            uint32 mine = split.sharesOf(PROJECT, split.currentEpoch(PROJECT), A);
            numerators[0] += amount * mine;
            numerators[1] += amount * (1_000_000 - mine);
            uint256 who = (pays >> i) & 1;
            if (claimable(people[who]) != 0) paid[who] += split.claimFor(PROJECT, address(yen), people[who]);
        }
        uint256 due;
        for (uint256 who = 0; who < 2; ++who) {
            uint256 entitled = numerators[who] / 1_000_000;
            vm.assertEq(split.entitled(PROJECT, address(yen), people[who]), entitled, "entitled");
            vm.assertEq(claimable(people[who]), entitled - paid[who], "claimable");
            due += entitled - paid[who];
        }
        address[] memory both = new address[](2);
        (both[0], both[1]) = (A, B);
        uint256 remainder = split.remainder(PROJECT, address(yen), both);
        vm.assertEq(remainder + due + paid[0] + paid[1], total, "to the unit");
        vm.assertLt(remainder, 2, "remainder");
    }

    // ---------------------------------------------------------------- the remainder

    function test_the_remainder_is_less_than_the_payees_and_nobody_s(uint96 amount, uint8 count) public {
        address[] memory payees = setEqualShares(PROJECT, uint160(bound(count, 1, 200)));
        amount = uint96(bound(amount, 1, 1e26));
        deposit(amount);
        uint256 paid;
        for (uint256 i = 0; i < payees.length; ++i) {
            if (claimable(payees[i]) != 0) paid += split.claimFor(PROJECT, address(yen), payees[i]);
        }
        uint256 remainder = split.remainder(PROJECT, address(yen), payees);
        vm.assertEq(paid + remainder, amount, "to the unit");
        vm.assertLt(remainder, payees.length, "remainder");
        vm.assertEq(yen.balanceOf(address(split)), remainder, "what stays");
    }

    function test_the_remainder_wants_all_payees_in_order() public {
        two(A, 300_000, B, 700_000);
        deposit(1_001);
        two(B, 500_000, C, 500_000);
        deposit(1_001);
        address[] memory all = new address[](3);
        (all[0], all[1], all[2]) = (A, B, C);
        vm.assertEq(split.remainder(PROJECT, address(yen), all), 1, "2002 - 300 - 1201 - 500");
        address[] memory some = new address[](2);
        (some[0], some[1]) = (A, B);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Remainder_PayeesIncomplete.selector, PROJECT, address(yen)));
        split.remainder(PROJECT, address(yen), some);
        (some[0], some[1]) = (B, B);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Remainder_PayeesNotAscending.selector, B, B));
        split.remainder(PROJECT, address(yen), some);
    }

    // ---------------------------------------------------------------- odd tokens

    function allow(address token) private {
        vm.prank(admin);
        split.setTokenAllowed(token, true);
    }

    function put(OpenToken token, uint256 amount) private {
        allow(address(token));
        token.mint(stranger, amount);
        vm.prank(stranger);
        token.approve(address(split), amount);
    }

    function test_a_token_that_keeps_a_fee_is_refused() public {
        two(A, 300_000, B, 700_000);
        FeeToken token = new FeeToken();
        put(token, 1_000);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Deposit_AmountDiffers.selector, 1_000, 990));
        vm.prank(stranger);
        split.deposit(PROJECT, address(token), 1_000);
    }

    function test_a_token_that_says_no_by_false_is_refused() public {
        two(A, 300_000, B, 700_000);
        FalseToken token = new FalseToken();
        allow(address(token));
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token)));
        split.deposit(PROJECT, address(token), 1);
    }

    function test_a_token_that_returns_nothing_works() public {
        two(A, 300_000, B, 700_000);
        SilentToken token = new SilentToken();
        allow(address(token));
        token.mint(stranger, 1_000);
        vm.prank(stranger);
        token.approve(address(split), 1_000);
        vm.prank(stranger);
        split.deposit(PROJECT, address(token), 1_000);
        vm.assertEq(split.claimFor(PROJECT, address(token), A), 300, "A");
        vm.assertEq(token.balanceOf(A), 300, "A has");
    }

    function test_a_blocked_payee_holds_up_nobody_else() public {
        two(A, 300_000, B, 700_000);
        BlockingToken token = new BlockingToken();
        put(token, 1_000);
        vm.prank(stranger);
        split.deposit(PROJECT, address(token), 1_000);
        token.setBlocked(A, true);
        vm.assertEq(split.claimFor(PROJECT, address(token), B), 700, "B is paid");
        vm.expectRevert("blocked");
        split.claimFor(PROJECT, address(token), A);
        token.setBlocked(A, false);
        vm.assertEq(split.claimFor(PROJECT, address(token), A), 300, "A's money waited");
    }

    function test_a_token_that_calls_back_gets_no_money_that_has_not_come() public {
        two(A, 300_000, B, 700_000);
        HookToken token = new HookToken();
        put(token, 2_000);
        vm.prank(stranger);
        split.deposit(PROJECT, address(token), 1_000); // A's 300 are in the pool
        bytes[2] memory calls = [
            abi.encodeCall(split.claimFor, (PROJECT, address(token), A)),
            abi.encodeCall(split.deposit, (PROJECT, address(token), 1))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            token.prepare(address(split), calls[i]);
            vm.prank(stranger);
            split.deposit(PROJECT, address(token), 100);
            vm.assertTrue(!token.succeeded(), "entered");
        }
        vm.assertEq(split.deposited(PROJECT, address(token)), 1_200, "deposited");
        vm.assertEq(token.balanceOf(address(split)), 1_200, "held");
    }

    function test_money_sent_past_deposit_belongs_to_nobody_and_breaks_nothing() public {
        two(A, 300_000, B, 700_000);
        vm.prank(stranger);
        yen.transfer(address(split), 555);
        deposit(1_000);
        vm.assertEq(claimable(A), 300, "A");
        vm.assertEq(claimable(B), 700, "B");
    }

    function test_a_coin_without_decimals_starves_nobody_over_time() public {
        address[] memory payees = setEqualShares(PROJECT, 100); // a hundredth each
        for (uint256 i = 0; i < 250; ++i) {
            deposit(1);
        }
        for (uint256 i = 0; i < payees.length; ++i) {
            vm.assertEq(claimable(payees[i]), 2, "two yen of 2.5");
        }
    }
}
