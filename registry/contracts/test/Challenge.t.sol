// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChallengeWindow} from "../src/ChallengeWindow.sol";
import {Claim} from "../src/Claim.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {Court} from "./support/Court.sol";

contract ChallengeTest is Court {
    event TransferSingle(address indexed operator, address indexed from, address indexed to, uint256 id, uint256 value);

    uint256 private id;
    bytes32 private root;
    uint256 private lockEnd;

    function setUp() public override {
        super.setUp();
        Claim memory c = lockedClaim();
        root = c.contentRoot;
        id = issue(c);
        lockEnd = block.timestamp + WINDOW;
    }

    function decided(uint256 challengeId, bool uphold) private {
        vm.prank(guardian);
        court.resolve(challengeId, uphold);
    }

    function status(uint256 challengeId) private view returns (uint256) {
        return uint256(court.challenges(challengeId).status);
    }

    // ---------------------------------------------------------------- freeze

    function test_a_challenge_freezes_the_batch_beyond_its_lock() public {
        vm.warp(block.timestamp + 20 days);
        uint256 n = challenge(root);
        vm.assertTrue(desk.batchState(id).frozen, "frozen");
        vm.assertEq(court.openOf(id), n, "open");
        vm.assertEq(yen.balanceOf(address(court)), BOND, "bond");
        vm.assertEq(registry.batchOf(id).issuedAt, lockEnd - WINDOW, "issue is still told");
        vm.warp(lockEnd + 1 days);
        bytes memory frozen = abi.encodeWithSelector(RegistryTypes.Batch_Frozen.selector, id);
        vm.expectRevert(frozen);
        vm.prank(seller);
        registry.safeTransferFrom(seller, buyer, id, 1, "");
        vm.expectRevert(frozen);
        vm.prank(seller);
        registry.retire(id, 1, retirement());
        vm.expectRevert(frozen);
        vm.prank(seller);
        registry.safeBatchTransferFrom(seller, buyer, one(id), one(1), "");
    }

    function test_only_a_court_freezes_thaws_and_annuls() public {
        bytes32 role = desk.COURT_ROLE();
        address[4] memory people = [admin, guardian, verifier, issuer];
        for (uint256 i = 0; i < people.length; ++i) {
            vm.startPrank(people[i]);
            vm.expectRevert(unauthorized(people[i], role));
            desk.freeze(id);
            vm.expectRevert(unauthorized(people[i], role));
            desk.thaw(id, uint40(lockEnd));
            vm.expectRevert(unauthorized(people[i], role));
            desk.annul(id, seller);
            vm.stopPrank();
        }
    }

    function test_a_court_can_do_nothing_to_a_batch_whose_lock_is_over() public {
        vm.warp(lockEnd);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Batch_LockOver.selector, id, lockEnd));
        challenge(root);
        vm.startPrank(address(court));
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Batch_NotFrozen.selector, id));
        desk.annul(id, seller);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Batch_NotFrozen.selector, id));
        desk.thaw(id, uint40(lockEnd));
        vm.stopPrank();
    }

    function test_a_project_without_a_window_knows_no_challenge() public {
        bytes32 freeRoot = goodClaim().contentRoot;
        uint256 free = issue(goodClaim());
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Batch_LockOver.selector, free, block.timestamp));
        challenge(freeRoot);
    }

    function test_a_court_cannot_shorten_a_lock_nor_make_it_endless() public {
        vm.startPrank(address(court));
        vm.assertEq(desk.freeze(id), lockEnd, "the lock that stood");
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Batch_LockTooShort.selector, id, lockEnd - 1, lockEnd));
        desk.thaw(id, uint40(lockEnd - 1));
        vm.expectRevert(
            abi.encodeWithSelector(RegistryTypes.Batch_LockTooShort.selector, id, type(uint40).max, lockEnd)
        );
        desk.thaw(id, type(uint40).max);
        desk.thaw(id, uint40(lockEnd));
        vm.stopPrank();
    }

    // ---------------------------------------------------------------- what a challenge needs

    function test_a_challenge_needs_a_known_root_another_root_and_the_true_recipient() public {
        vm.startPrank(challenger);
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_RootUnknown.selector, OTHER_ROOT));
        court.challenge(OTHER_ROOT, root, seller, "");
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_RootSame.selector, root));
        court.challenge(root, root, seller, "");
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_RootSame.selector, 0));
        court.challenge(root, 0, seller, "");
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_RecipientWrong.selector, id, buyer));
        court.challenge(root, OTHER_ROOT, buyer, "");
        vm.stopPrank();
        vm.expectRevert();
        vm.prank(stranger); // no money
        court.challenge(root, OTHER_ROOT, seller, "");
        vm.assertTrue(!desk.batchState(id).frozen, "nothing of it remains");
    }

    function test_one_challenge_at_a_time_and_a_root_only_once() public {
        uint256 n = challenge(root);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Batch_Frozen.selector, id));
        vm.prank(challenger);
        court.challenge(root, keccak256("third"), seller, "");
        decided(n, false);
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_RootPosted.selector, id, OTHER_ROOT));
        challenge(root);
    }

    function test_the_bond_doubles_with_each_dismissal_four_times_at_most(uint8 times) public {
        uint256 rounds = bound(times, 1, 7);
        uint256 lost;
        for (uint256 i = 0; i < rounds; ++i) {
            uint256 expected = uint256(BOND) << (i < 4 ? i : 4);
            vm.assertEq(court.bondOf(id), expected, "bond");
            vm.prank(challenger);
            uint256 n = court.challenge(root, keccak256(abi.encode(i)), seller, "");
            vm.assertEq(court.challenges(n).bond, expected, "posted");
            decided(n, false);
            lost += expected;
        }
        vm.assertEq(court.dismissals(id), rounds, "dismissals");
        // A first bond each to the co-op; what it had doubled by, to those who will be right.
        uint256 paid = uint256(BOND) * rounds;
        vm.assertEq(court.owed(seller), paid, "co-op");
        vm.assertEq(court.rewardFund(), lost - paid, "fund");
        vm.prank(seller);
        vm.assertEq(court.withdraw(stranger), paid, "withdrawn");
        vm.assertEq(yen.balanceOf(stranger), paid, "paid");
        vm.assertEq(yen.balanceOf(address(court)), lost - paid, "the court holds what it owes");
    }

    function test_an_accomplice_of_the_coop_pays_for_each_doubling_but_the_first() public {
        uint256 before = yen.balanceOf(challenger) + yen.balanceOf(seller);
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(challenger);
            uint256 n = court.challenge(root, keccak256(abi.encode(i)), seller, "");
            decided(n, false);
        }
        vm.prank(seller);
        court.withdraw(seller);
        uint256 cost = before - yen.balanceOf(challenger) - yen.balanceOf(seller);
        vm.assertEq(cost, uint256(BOND) * 4, "of 1 + 2 + 4 bonds three come home");
        vm.assertEq(court.bondOf(id), uint256(BOND) * 8, "what others post now");
    }

    function test_a_guardian_who_issues_does_not_judge() public {
        uint256 n = challenge(root);
        bytes32 role = registry.ISSUER_ROLE();
        vm.prank(admin);
        registry.grantRole(role, guardian);
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_OwnCause.selector, n, guardian));
        decided(n, false);
        vm.prank(admin);
        registry.revokeRole(role, guardian);
        decided(n, false);
        vm.assertEq(status(n), uint256(ChallengeWindow.Status.Dismissed), "status");
    }

    function test_a_guardian_freezes_without_a_bond_but_may_not_judge_it() public {
        vm.prank(guardian);
        uint256 n = court.challenge(root, OTHER_ROOT, seller, "");
        vm.assertEq(court.challenges(n).bond, 0, "no bond");
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_OwnCause.selector, n, guardian));
        decided(n, true);
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(jury[i]);
            court.vote(n, false);
        }
        vm.assertEq(court.bondOf(id), BOND, "a dismissal without bond makes nothing dearer");
        vm.assertEq(court.owed(seller), 0, "owed");
    }

    // ---------------------------------------------------------------- dismissed

    function test_dismissed_the_batch_is_locked_as_long_as_it_still_was() public {
        vm.warp(lockEnd - 10 days);
        uint256 n = challenge(root);
        vm.warp(block.timestamp + 7 days);
        decided(n, false);
        vm.assertEq(status(n), uint256(ChallengeWindow.Status.Dismissed), "status");
        RegistryTypes.BatchInfo memory b = registry.batchOf(id);
        vm.assertEq(b.lockedUntil, lockEnd + 7 days, "lock");
        vm.assertEq(b.issuedAt, lockEnd - WINDOW, "issued");
        vm.assertTrue(!desk.batchState(id).frozen, "frozen");
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Batch_Locked.selector, id, lockEnd + 7 days));
        vm.prank(seller);
        registry.retire(id, 1, retirement());
        vm.warp(lockEnd + 7 days);
        vm.prank(seller);
        registry.retire(id, 1, retirement());
        vm.assertEq(registry.totalSupply(id), 959_999, "all else is there");
    }

    // ---------------------------------------------------------------- upheld

    function test_upheld_the_batch_is_gone_and_the_account_as_before() public {
        uint256 n = challenge(root);
        vm.expectEmit(true, true, true, true, address(registry));
        emit RegistryTypes.BatchAnnulled(id, LOCKED, address(court), 960_000, 0, 0);
        decided(n, true);
        vm.assertEq(registry.totalSupply(id), 0, "supply");
        vm.assertEq(registry.balanceOf(seller, id), 0, "recipient");
        vm.assertEq(registry.balanceOf(address(registry), id), 0, "buffer");
        RegistryTypes.BatchState memory s = desk.batchState(id);
        vm.assertTrue(s.annulled && !s.frozen, "state");
        vm.assertEq(s.serialNext, s.serialEnd, "no serial lives");
        RegistryTypes.ProjectInfo memory p = registry.projects(LOCKED);
        vm.assertEq(p.grossKg + p.compensatedKg + p.bufferIssuedKg + p.deficitKg, 0, "account");
        vm.assertEq(p.lastPeriodEnd, PERIOD_END, "the period stays spent");
        vm.assertEq(registry.spentUntil(lockedClaim().plotKeys[0]), PERIOD_END, "the plots' days stay spent");
    }

    function test_after_an_annulment_the_next_claim_credits_what_was_true() public {
        decided(challenge(root), true);
        Claim memory c = following(LOCKED, 1_200_000); // both years' growth, from project start
        vm.assertEq(c.priorGrossKg, 0, "prior");
        issue(c);
        vm.assertEq(registry.projects(LOCKED).grossKg, 1_200_000, "gross");
    }

    function test_an_annulled_batch_is_not_issued_again() public {
        decided(challenge(root), true);
        Claim memory c = lockedClaim();
        c.nonce = 78;
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_PeriodOverlaps.selector, PERIOD_START, PERIOD_END));
        Claim memory d = following(LOCKED, 1_000);
        d.contentRoot = root;
        refused(d, abi.encodeWithSelector(RegistryTypes.Claim_ContentRootUsed.selector, root, id));
        d.contentRoot = sha256("fresh");
        d.batchId = c.batchId;
        refused(d, abi.encodeWithSelector(RegistryTypes.Claim_BatchKnown.selector, c.batchId));
    }

    function test_the_annulled_batch_s_lot_does_not_touch_a_later_one() public {
        Claim memory c = following(LOCKED, 500_000);
        uint256 later = issue(c);
        decided(challenge(root), true);
        vm.assertEq(registry.projects(LOCKED).grossKg, 500_000, "gross");
        vm.assertEq(registry.totalSupply(later), 500_000, "later");
        vm.assertEq(registry.projects(LOCKED).bufferIssuedKg, 15_000, "buffer");
    }

    function test_upheld_the_bond_comes_back_with_a_reward_as_far_as_the_fund_reaches() public {
        fund(buyer, uint256(BOND) * 3, address(court));
        vm.prank(buyer);
        court.fundRewards(uint256(BOND) / 2);
        decided(challenge(root), true);
        vm.assertEq(court.owed(challenger), uint256(BOND) * 3 / 2, "owed");
        vm.assertEq(court.rewardFund(), 0, "fund");
        vm.assertEq(yen.balanceOf(address(court)), court.owed(challenger), "the court holds what it owes");
    }

    function test_a_reward_is_no_more_than_the_bond() public {
        fund(buyer, uint256(BOND) * 3, address(court));
        vm.prank(buyer);
        court.fundRewards(uint256(BOND) * 3);
        decided(challenge(root), true);
        vm.assertEq(court.owed(challenger), uint256(BOND) * 2, "owed");
        vm.assertEq(court.rewardFund(), uint256(BOND) * 2, "fund");
    }

    function test_a_reward_is_of_the_first_bond_however_often_it_has_doubled() public {
        fund(buyer, uint256(BOND) * 9, address(court));
        vm.prank(buyer);
        court.fundRewards(uint256(BOND) * 9);
        decided(challenge(root), false);
        vm.prank(challenger);
        uint256 second = court.challenge(root, keccak256("another root"), seller, "");
        decided(second, true);
        vm.assertEq(court.owed(challenger), uint256(BOND) * 3, "the double bond, and once the first");
        vm.assertEq(court.rewardFund(), uint256(BOND) * 8, "fund");
    }

    function test_what_a_doubled_bond_loses_rewards_the_next_who_is_right() public {
        decided(challenge(root), false);
        vm.prank(challenger);
        uint256 second = court.challenge(root, keccak256("second"), seller, "");
        decided(second, false);
        vm.assertEq(court.rewardFund(), BOND, "fund");
        vm.prank(challenger);
        uint256 third = court.challenge(root, keccak256("third"), seller, "");
        decided(third, true);
        vm.assertEq(court.owed(challenger), uint256(BOND) * 5, "four bonds and the reward");
        vm.assertEq(court.rewardFund(), 0, "left");
        vm.assertEq(yen.balanceOf(address(court)), court.owed(challenger) + court.owed(seller), "covered");
    }

    function test_a_deficit_that_an_annulled_issue_had_ended_stands_again() public {
        vm.warp(lockEnd);
        vm.prank(guardian);
        registry.reverse(LOCKED, one(id), 500_000, REASON);
        vm.assertEq(registry.projects(LOCKED).deficitKg, 471_200, "before");
        Claim memory c = following(LOCKED, 100_000);
        uint256 later = issue(c);
        vm.assertEq(registry.projects(LOCKED).deficitKg, 0, "made good by the claim");
        uint256 n = challenge(c.contentRoot);
        vm.expectEmit(true, true, true, true, address(registry));
        emit RegistryTypes.BatchAnnulled(later, LOCKED, address(court), 100_000, 0, 471_200);
        decided(n, true);
        RegistryTypes.ProjectInfo memory p = registry.projects(LOCKED);
        vm.assertEq(p.deficitKg, 471_200, "after");
        vm.assertEq(p.grossKg, 960_000, "gross");
        vm.assertEq(p.compensatedKg, 28_800, "compensated");
    }

    function test_losses_that_the_annulled_buffer_covered_are_uncovered_again() public {
        Claim memory c = following(LOCKED, 500_000);
        uint256 later = issue(c); // buffer 15,000
        vm.prank(guardian);
        registry.reverse(LOCKED, one(id), 20_000, REASON); // of the first batch's 28,800
        decided(challenge(root), true);
        RegistryTypes.ProjectInfo memory p = registry.projects(LOCKED);
        vm.assertEq(p.compensatedKg, 0, "compensated");
        vm.assertEq(p.deficitKg, 20_000, "deficit");
        vm.assertEq(p.grossKg, 500_000, "gross");
        // A guardian or verifier covers it from the buffer that is left.
        vm.expectEmit(true, true, true, true, address(registry));
        emit RegistryTypes.Reversed(LOCKED, keccak256("cover"), verifier, 0, 15_000, 0, 5_000);
        vm.prank(verifier);
        registry.reverse(LOCKED, one(later), 0, keccak256("cover"));
        p = registry.projects(LOCKED);
        vm.assertEq(p.compensatedKg, 15_000, "compensated");
        vm.assertEq(p.deficitKg, 5_000, "deficit");
        vm.assertEq(p.reversedKg, 20_000, "reversed");
    }

    function test_no_deficit_is_left_where_nothing_is_credited() public {
        vm.prank(guardian);
        registry.reverse(LOCKED, one(id), 500_000, REASON);
        vm.assertEq(registry.projects(LOCKED).deficitKg, 471_200, "before");
        uint256 rich = issue(goodClaim());
        vm.prank(seller);
        desk.refill(LOCKED, rich, 400_000);
        decided(challenge(root), true);
        RegistryTypes.ProjectInfo memory p = registry.projects(LOCKED);
        vm.assertEq(p.grossKg + p.deficitKg + p.compensatedKg + p.bufferIssuedKg, 0, "account");
        issue(following(LOCKED, 100_000));
    }

    function test_refills_beyond_what_is_still_credited_give_no_right_to_new_credits() public {
        uint256 small = issue(following(LOCKED, 10_000)); // 300 of it buffer
        uint256[] memory both = new uint256[](2);
        (both[0], both[1]) = (id, small);
        vm.prank(guardian);
        registry.reverse(LOCKED, both, 500_000, REASON);
        vm.assertEq(registry.projects(LOCKED).deficitKg, 500_000 - 28_800 - 300, "before");
        uint256 rich = issue(goodClaim());
        vm.prank(seller);
        desk.refill(LOCKED, rich, 400_000);
        decided(challenge(root), true);
        RegistryTypes.ProjectInfo memory p = registry.projects(LOCKED);
        vm.assertEq(p.grossKg, 10_000, "what is left");
        vm.assertEq(p.compensatedKg, 10_000, "made good: all of it, and no more");
        vm.assertEq(p.bufferIssuedKg, 10_000, "buffer");
        vm.assertEq(p.deficitKg, 0, "deficit");
    }

    function test_a_deficit_is_never_above_what_is_credited_and_not_made_good() public {
        uint256 other = issue(following(LOCKED, 100_000)); // 3,000 of it buffer
        uint256[] memory both = new uint256[](2);
        (both[0], both[1]) = (id, other);
        vm.prank(guardian);
        registry.reverse(LOCKED, both, 103_000, REASON);
        vm.assertEq(registry.projects(LOCKED).deficitKg, 103_000 - 28_800 - 3_000, "before");
        decided(challenge(root), true);
        // Of the 100,000 left 3,000 are made good: 71,200 + 28,800 would be more than the rest.
        vm.assertEq(registry.projects(LOCKED).deficitKg, 97_000, "deficit");
        vm.assertEq(registry.projects(LOCKED).compensatedKg, 3_000, "compensated");
    }

    function test_the_buffer_s_end_is_told_when_its_batch_is_annulled() public {
        uint256 n = challenge(root);
        vm.expectEmit(true, true, true, true, address(registry));
        emit TransferSingle(address(court), address(registry), address(0), id, 28_800);
        decided(n, true);
    }

    function test_a_frozen_batch_s_buffer_still_answers_for_losses() public {
        uint256 n = challenge(root);
        vm.prank(guardian);
        registry.reverse(LOCKED, one(id), 8_800, REASON);
        decided(n, false);
        vm.assertEq(registry.balanceOf(address(registry), id), 20_000, "buffer");
    }
}
