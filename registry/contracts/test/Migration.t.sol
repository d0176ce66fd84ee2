// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim} from "../src/Claim.sol";
import {CreditRegistry} from "../src/CreditRegistry.sol";
import {IPredecessor} from "../src/interfaces/IPredecessor.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {SuccessorDesk} from "../src/registry/SuccessorDesk.sol";
import {SuccessorRegistry} from "../src/SuccessorRegistry.sol";
import {Court} from "./support/Court.sol";

contract MigrationTest is Court {
    SuccessorRegistry private next;
    SuccessorDesk private nextDesk;
    uint256 private id;
    uint256 private closing;

    function setUp() public override {
        super.setUp();
        id = issue(goodClaim());
        (next, nextDesk) = successorOf(address(registry));
    }

    function successorOf(address before) private returns (SuccessorRegistry r, SuccessorDesk d) {
        r = new SuccessorRegistry(admin, IPredecessor(before));
        d = SuccessorDesk(address(r));
        vm.startPrank(admin);
        r.grantRole(r.ISSUER_ROLE(), issuer);
        r.grantRole(r.VERIFIER_ROLE(), verifier);
        r.grantRole(r.GUARDIAN_ROLE(), guardian);
        vm.stopPrank();
    }

    function announce(bytes32 projectId, address successor) private {
        bytes32[] memory list = new bytes32[](1);
        list[0] = projectId;
        vm.prank(admin);
        desk.announceMigration(list, successor);
        closing = block.timestamp + 30 days;
    }

    /// @dev The project is announced, closed, and carried on by the successor.
    function moved(bytes32 projectId) private {
        announce(projectId, address(next));
        vm.warp(closing + registry.projects(projectId).challengeWindow);
        nextDesk.importProject(projectId);
    }

    function issueIn(SuccessorRegistry r, Claim memory c) private returns (uint256) {
        bytes memory signed = signedFor(r, c);
        vm.prank(issuer);
        return r.issue(c, verifier, signed);
    }

    function refusedIn(SuccessorRegistry r, Claim memory c, bytes memory reason) private {
        bytes memory signed = signedFor(r, c);
        vm.expectRevert(reason);
        vm.prank(issuer);
        r.issue(c, verifier, signed);
    }

    function signedFor(SuccessorRegistry r, Claim memory c) private view returns (bytes memory) {
        (uint8 v, bytes32 a, bytes32 b) = vm.sign(VERIFIER_KEY, r.claimDigest(c));
        return abi.encodePacked(a, b, v);
    }

    // ---------------------------------------------------------------- announcement

    function test_a_move_is_announced_thirty_days_before_it_takes_effect() public {
        vm.expectEmit(true, true, true, true, address(registry));
        emit RegistryTypes.MigrationAnnounced(PROJECT, address(next), uint40(block.timestamp + 30 days));
        announce(PROJECT, address(next));
        (address successor, uint40 from) = desk.migration();
        vm.assertEq(successor, address(next), "successor");
        vm.assertEq(from, closing, "from");
        (uint40 closesAt,, bool settled) = desk.closing(PROJECT);
        vm.assertEq(closesAt, closing, "closes");
        vm.assertTrue(!settled, "settled");
        vm.warp(closing - 1);
        bytes memory early =
            abi.encodeWithSelector(RegistryTypes.Migration_NotInEffect.selector, address(next), closing);
        vm.expectRevert(early);
        vm.prank(seller);
        desk.migrate(id, 1);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_Unsettled.selector, PROJECT));
        nextDesk.importProject(PROJECT);
        issue(nextClaim(1_000)); // until then all goes on
    }

    function test_from_the_closing_day_on_nothing_is_issued_reversed_refilled_or_released_here() public {
        announce(PROJECT, address(next));
        vm.warp(closing);
        bytes memory closed = abi.encodeWithSelector(RegistryTypes.Project_Closed.selector, PROJECT, closing);
        refused(nextClaim(1_000), closed);
        vm.expectRevert(closed);
        vm.prank(guardian);
        registry.reverse(PROJECT, one(id), 1, REASON);
        vm.expectRevert(closed);
        desk.refill(PROJECT, id, 1);
        vm.warp(closing + 8_000 days);
        vm.expectRevert(closed);
        vm.prank(guardian);
        desk.release(id, 1, seller, verifier, 1, type(uint64).max, "");
        // Other projects go on.
        Claim memory c = lockedClaim();
        c.deadline = type(uint64).max;
        issue(c);
    }

    function test_who_stays_may_move_credits_about_and_retire_here_for_ever() public {
        moved(PROJECT);
        vm.warp(block.timestamp + 10_000 days);
        vm.prank(seller);
        registry.safeTransferFrom(seller, buyer, id, 100, "");
        vm.prank(buyer);
        registry.retire(id, 100, retirement());
        vm.assertEq(registry.batchOf(id).retiredKg, 100, "retired");
    }

    function test_what_is_announced_can_be_taken_back_until_it_is_in_effect() public {
        announce(PROJECT, address(next));
        announce(PROJECT, address(0));
        (uint40 closesAt,,) = desk.closing(PROJECT);
        vm.assertEq(closesAt, 0, "closes");
        announce(PROJECT, address(next));
        vm.warp(closing);
        bytes32[] memory none = new bytes32[](0);
        vm.startPrank(admin);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_Final.selector, address(next), closing));
        desk.announceMigration(none, address(0));
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_Final.selector, address(next), closing));
        desk.announceMigration(none, stranger);
        bytes32[] memory list = new bytes32[](1);
        list[0] = PROJECT;
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Closed.selector, PROJECT, closing));
        desk.announceMigration(list, address(next));
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_Final.selector, address(next), closing));
        registry.registerProject(OTHER_PROJECT, METHOD, 0, 0, "");
        vm.stopPrank();
    }

    function test_a_move_is_taken_back_for_all_its_projects_or_not_at_all() public {
        bytes32[] memory both = new bytes32[](2);
        (both[0], both[1]) = (PROJECT, LOCKED);
        vm.startPrank(admin);
        desk.announceMigration(both, address(next));
        desk.announceMigration(both, address(next)); // again, which counts each but once
        for (uint24 left = 2; left > 0; --left) {
            bytes32[] memory some = new bytes32[](2 - left);
            if (left == 1) some[0] = PROJECT;
            vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_ProjectsClosing.selector, left));
            desk.announceMigration(some, address(0));
        }
        (uint40 closesAt,,) = desk.closing(PROJECT);
        vm.assertTrue(closesAt != 0, "still closes");
        both[1] = PROJECT;
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_ProjectsClosing.selector, 1));
        desk.announceMigration(both, address(0)); // named twice is no other's name
        both[1] = LOCKED;
        desk.announceMigration(both, address(0));
        (address successor,) = desk.migration();
        vm.assertEq(successor, address(0), "successor");
        vm.stopPrank();
        announce(LOCKED, address(next));
        announce(LOCKED, address(0));
        announce(PROJECT, address(next));
    }

    function test_a_changed_mind_starts_the_delay_anew() public {
        announce(PROJECT, stranger);
        vm.warp(block.timestamp + 29 days);
        announce(PROJECT, address(next));
        (, uint40 from) = desk.migration();
        vm.assertEq(from, block.timestamp + 30 days, "from");
    }

    function test_only_the_administration_announces() public {
        bytes32[] memory none = new bytes32[](0);
        vm.expectRevert(unauthorized(guardian, 0));
        vm.prank(guardian);
        desk.announceMigration(none, address(next));
    }

    // ---------------------------------------------------------------- accounts

    function test_the_successor_carries_the_account_on() public {
        vm.prank(guardian);
        registry.reverse(PROJECT, one(id), 50_000, REASON);
        moved(PROJECT);
        RegistryTypes.ProjectInfo memory a = registry.projects(PROJECT);
        RegistryTypes.ProjectInfo memory b = next.projects(PROJECT);
        a.index = b.index;
        vm.assertEq(keccak256(abi.encode(a)), keccak256(abi.encode(b)), "figure by figure");
        vm.assertEq(b.deficitKg, 21_200, "deficit");
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Known.selector, PROJECT));
        nextDesk.importProject(PROJECT);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Reversal_Known.selector, PROJECT, REASON));
        vm.prank(guardian);
        next.reverse(PROJECT, one(id), 1, REASON);
    }

    function test_the_buffer_moves_once_and_burns_there() public {
        moved(PROJECT);
        nextDesk.importBatch(id);
        vm.assertEq(registry.balanceOf(address(registry), id), 0, "here");
        vm.assertEq(next.balanceOf(address(next), id), 28_800, "there");
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_BatchKnown.selector, id));
        nextDesk.importBatch(id);
        vm.prank(guardian);
        next.reverse(PROJECT, one(id), 28_800, REASON);
        vm.assertEq(next.totalSupply(id), 0, "burned");
        vm.assertEq(next.projects(PROJECT).compensatedKg, 28_800, "compensated");
    }

    function test_a_release_goes_on_where_it_was() public {
        vm.prank(guardian);
        registry.reverse(PROJECT, one(id), 8_800, REASON);
        moved(PROJECT);
        uint256 issued = registry.batchOf(id).issuedAt;
        nextDesk.importBatch(id);
        vm.warp(issued + 3653 days + 913 days);
        vm.assertEq(nextDesk.releasable(id), 10_000, "half of the 20,000 left");
        vm.assertEq(next.batchOf(id).bufferIssuedKg, 28_800, "issued");
        vm.assertEq(next.batchOf(id).issuedAt, issued, "when");
    }

    function test_a_project_under_challenge_is_settled_only_when_it_is_decided() public {
        issue(lockedClaim());
        announce(LOCKED, address(next));
        vm.warp(block.timestamp + 29 days);
        uint256 n = challenge(lockedClaim().contentRoot);
        vm.warp(closing + WINDOW);
        (, uint16 frozen, bool settled) = desk.closing(LOCKED);
        vm.assertEq(frozen, 1, "frozen");
        vm.assertTrue(!settled, "settled");
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_Unsettled.selector, LOCKED));
        nextDesk.importProject(LOCKED);
        court.expire(n); // nobody decided
        nextDesk.importProject(LOCKED);
        vm.assertEq(next.projects(LOCKED).grossKg, 0, "as annulled");
    }

    function test_a_project_is_settled_no_earlier_than_its_last_lock_is_over() public {
        vm.warp(block.timestamp + 29 days);
        announce(LOCKED, address(next));
        vm.warp(closing - 1);
        Claim memory c = lockedClaim();
        c.deadline = type(uint64).max;
        uint256 locked = issue(c);
        vm.prank(challenger);
        uint256 n = court.challenge(c.contentRoot, OTHER_ROOT, seller, "");
        vm.warp(closing - 1 + 13 days);
        vm.prank(guardian);
        court.resolve(n, false); // the lock now ends 13 days later
        vm.warp(closing + WINDOW);
        vm.assertTrue(closing + WINDOW < registry.batchOf(locked).lockedUntil, "locked still");
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_Unsettled.selector, LOCKED));
        nextDesk.importProject(LOCKED);
        vm.prank(challenger);
        n = court.challenge(c.contentRoot, keccak256("late"), seller, ""); // there was time left for it
        vm.prank(guardian);
        court.resolve(n, false);
        (uint40 closesAt,,) = desk.closing(LOCKED);
        vm.assertEq(closesAt, closing - 1 + 13 days, "closed since the clock went on");
        c = following(LOCKED, 1_000);
        refused(c, abi.encodeWithSelector(RegistryTypes.Project_Closed.selector, LOCKED, closesAt));
        vm.warp(registry.batchOf(locked).lockedUntil);
        nextDesk.importProject(LOCKED);
        vm.prank(seller);
        desk.migrate(locked, 1);
    }

    function test_no_court_opens_a_closed_project_again() public {
        bytes32 role = desk.COURT_ROLE();
        vm.prank(admin);
        registry.grantRole(role, stranger);
        uint256 locked = issue(lockedClaim());
        announce(LOCKED, address(next));
        vm.warp(registry.batchOf(locked).lockedUntil - 1);
        vm.prank(stranger);
        desk.freeze(locked);
        vm.warp(closing + 5 days);
        vm.prank(stranger);
        desk.thaw(locked, uint40(closing + 300 days));
        (uint40 closesAt,,) = desk.closing(LOCKED);
        vm.assertEq(closesAt, closing + 5 days, "closed, and no later than now");
    }

    // ---------------------------------------------------------------- holders

    function test_credits_move_under_the_same_id_and_none_are_lost_or_made(uint64 kg) public {
        kg = uint64(bound(kg, 1, 931_200));
        moved(PROJECT);
        vm.expectEmit(true, true, true, true, address(registry));
        emit RegistryTypes.Migrated(id, seller, address(next), kg);
        vm.prank(seller);
        desk.migrate(id, kg);
        vm.assertEq(next.balanceOf(seller, id), kg, "there");
        vm.assertEq(registry.balanceOf(seller, id), 931_200 - kg, "here");
        vm.assertEq(registry.totalSupply(id) + next.totalSupply(id), 960_000, "both");
        vm.prank(seller);
        next.retire(id, kg, retirement());
        vm.assertEq(next.batchOf(id).retiredKg, kg, "retired there");
        vm.assertEq(next.uri(id), "https://example.org/p1", "uri");
        vm.assertEq(next.projectIdOf(id), PROJECT, "project");
    }

    function test_nobody_but_the_predecessor_makes_credits_there_nor_takes_buffer_here() public {
        moved(PROJECT);
        address[4] memory people = [admin, issuer, guardian, seller];
        for (uint256 i = 0; i < people.length; ++i) {
            vm.startPrank(people[i]);
            vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_NotPredecessor.selector, people[i]));
            nextDesk.acceptMigrated(people[i], id, 1);
            bytes memory no = abi.encodeWithSelector(RegistryTypes.Migration_NotSuccessor.selector, people[i]);
            vm.expectRevert(no);
            desk.handOverBuffer(id);
            vm.expectRevert(no);
            desk.spendFor(RegistryTypes.Spending(METHOD, REASON, plotKeys(1), 0, 1));
            vm.expectRevert(no);
            desk.checkOpening(OTHER_PROJECT);
            vm.stopPrank();
        }
    }

    function test_the_successor_takes_no_buffer_of_a_project_that_is_not_settled() public {
        uint256 locked = issue(lockedClaim());
        moved(PROJECT);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Unknown.selector, LOCKED));
        nextDesk.importBatch(locked);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_Unsettled.selector, LOCKED));
        vm.prank(address(next));
        desk.handOverBuffer(locked);
        vm.warp(block.timestamp + WINDOW);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Unknown.selector, LOCKED));
        vm.prank(seller);
        desk.migrate(locked, 1); // its project has not moved
    }

    function test_nobody_moves_more_than_it_has() public {
        moved(PROJECT);
        vm.expectRevert();
        vm.prank(stranger);
        desk.migrate(id, 1);
    }

    // ---------------------------------------------------------------- no plot-year twice

    function test_a_plot_spent_there_is_spent_here_and_the_reverse() public {
        moved(PROJECT);
        bytes32 key = plotKeys(1)[0];
        vm.assertEq(next.spentUntil(key), PERIOD_END, "seen there");
        vm.startPrank(admin);
        next.registerProject(OTHER_PROJECT, METHOD, MIN_BUFFER_BPS, 0, "");
        vm.stopPrank();
        Claim memory c = goodClaim();
        c.projectId = OTHER_PROJECT;
        c.batchId = sha256("other batch");
        c.contentRoot = sha256("other content");
        refusedIn(
            next, c, abi.encodeWithSelector(RegistryTypes.Plot_AlreadySpent.selector, key, PERIOD_END, PERIOD_START)
        );
        c.plotKeys[0] = keccak256("a plot of its own");
        issueIn(next, c);
        vm.assertEq(registry.spentUntil(c.plotKeys[0]), PERIOD_END, "spent here too");
        Claim memory d = lockedClaim(); // LOCKED is still issued here
        d.plotKeys[0] = c.plotKeys[0];
        d.deadline = type(uint64).max;
        refused(
            d, abi.encodeWithSelector(RegistryTypes.Plot_AlreadySpent.selector, c.plotKeys[0], PERIOD_END, PERIOD_START)
        );
    }

    function test_a_batch_and_a_root_of_the_predecessor_are_not_issued_again() public {
        moved(PROJECT);
        Claim memory c = nextClaim(1_000);
        c.deadline = type(uint64).max;
        Claim memory old = goodClaim();
        bytes32 root = c.contentRoot;
        c.contentRoot = old.contentRoot;
        refusedIn(next, c, abi.encodeWithSelector(RegistryTypes.Claim_ContentRootUsed.selector, old.contentRoot, id));
        vm.assertTrue(next.contentRootUsed(old.contentRoot), "told there");
        c.contentRoot = root;
        c.batchId = old.batchId;
        refusedIn(next, c, abi.encodeWithSelector(RegistryTypes.Claim_BatchKnown.selector, old.batchId));
    }

    function test_a_batch_id_in_both_registries_touches_no_other_batch_s_books() public {
        moved(PROJECT);
        vm.prank(admin);
        next.registerProject(OTHER_PROJECT, METHOD, MIN_BUFFER_BPS, 0, "");
        Claim memory c = goodClaim();
        c.projectId = OTHER_PROJECT;
        c.batchId = lockedClaim().batchId;
        c.contentRoot = sha256("there");
        c.plotKeys[0] = keccak256("a plot of its own");
        uint256 there = issueIn(next, c);
        uint256 here = issue(lockedClaim());
        announce(LOCKED, address(next));
        (uint40 closesAt,,) = desk.closing(LOCKED);
        vm.warp(closesAt + WINDOW);
        nextDesk.importProject(LOCKED);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_BatchKnown.selector, here));
        vm.prank(seller);
        desk.migrate(here, 1);
        vm.assertEq(next.totalSupply(there), 960_000, "there");
    }

    function test_the_next_claim_goes_on_from_the_cumulative_figures() public {
        moved(PROJECT);
        Claim memory c = nextClaim(500_000);
        c.deadline = type(uint64).max;
        vm.assertEq(c.priorGrossKg, 960_000, "prior");
        uint256 later = issueIn(next, c);
        vm.assertEq(next.projects(PROJECT).grossKg, 1_460_000, "gross");
        vm.assertEq(next.totalSupply(later), 500_000, "supply");
        c.priorGrossKg = 0;
        c.nonce = 99;
        refusedIn(
            next, c, abi.encodeWithSelector(RegistryTypes.Claim_PeriodOverlaps.selector, PERIOD_END, PERIOD_END + 365)
        );
    }

    function test_a_project_of_the_predecessor_is_not_opened_anew_there() public {
        bytes memory early = abi.encodeWithSelector(RegistryTypes.Migration_NotSuccessor.selector, address(next));
        vm.startPrank(admin);
        vm.expectRevert(early); // the predecessor might still open the same
        next.registerProject(OTHER_PROJECT, METHOD, 0, 0, "");
        vm.stopPrank();
        moved(PROJECT);
        vm.startPrank(admin);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Known.selector, LOCKED));
        next.registerProject(LOCKED, METHOD, 0, 0, "");
        next.registerProject(OTHER_PROJECT, METHOD, 0, 0, "");
        vm.stopPrank();
    }

    function test_a_third_registry_opens_nothing_while_the_first_still_could() public {
        (SuccessorRegistry third,) = successorOf(address(next));
        bytes32[] memory none = new bytes32[](0);
        vm.prank(admin);
        nextDesk.announceMigration(none, address(third));
        vm.warp(block.timestamp + 30 days);
        vm.startPrank(admin);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_NotSuccessor.selector, address(next)));
        third.registerProject(OTHER_PROJECT, METHOD, 0, 0, "");
        vm.stopPrank();
        moved(PROJECT);
        vm.prank(admin);
        third.registerProject(OTHER_PROJECT, METHOD, 0, 0, "");
        vm.assertTrue(third.projectKnown(OTHER_PROJECT), "opened");
    }

    function test_a_third_registry_takes_over_from_the_second() public {
        moved(PROJECT);
        vm.prank(seller);
        desk.migrate(id, 1_000);
        (SuccessorRegistry third, SuccessorDesk thirdDesk) = successorOf(address(next));
        bytes32[] memory list = new bytes32[](1);
        list[0] = PROJECT;
        vm.prank(admin);
        nextDesk.announceMigration(list, address(third));
        vm.warp(block.timestamp + 30 days);
        thirdDesk.importProject(PROJECT);
        vm.prank(seller);
        nextDesk.migrate(id, 600);
        vm.assertEq(third.balanceOf(seller, id), 600, "third");
        vm.assertEq(third.balanceOf(address(third), id), 28_800, "buffer");
        vm.assertEq(registry.totalSupply(id) + next.totalSupply(id) + third.totalSupply(id), 960_000, "in all three");
        vm.assertEq(third.spentUntil(plotKeys(1)[0]), PERIOD_END, "seen through the second");
        vm.startPrank(admin);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Known.selector, LOCKED));
        third.registerProject(LOCKED, METHOD, 0, 0, ""); // known in the first only
        vm.stopPrank();
        Claim memory c = nextClaim(500_000);
        c.deadline = type(uint64).max;
        issueIn(third, c);
        vm.assertEq(registry.spentUntil(c.plotKeys[0]), PERIOD_END + 365, "spent in the first's books");
    }
}
