// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC1155} from "@openzeppelin/contracts/token/ERC1155/IERC1155.sol";
import {IERC1155Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Claim} from "../src/Claim.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {Base} from "./support/Base.sol";

/// @notice What happens to credits after their issue: roles, transfers, locks, pauses, retirement, reversal.
contract CreditsTest is Base {
    uint256 private id;

    function setUp() public override {
        super.setUp();
        id = issue(goodClaim());
    }

    function ids(uint256 a) private pure returns (uint256[] memory list) {
        list = new uint256[](1);
        list[0] = a;
    }

    function ids(uint256 a, uint256 b) private pure returns (uint256[] memory list) {
        list = new uint256[](2);
        (list[0], list[1]) = (a, b);
    }

    function unauthorized(address who, bytes32 role) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, who, role);
    }

    // ---------------------------------------------------------------- roles and projects

    function test_nobody_is_issuer_and_verifier_at_once() public {
        (bytes32 issuing, bytes32 verifying) = (registry.ISSUER_ROLE(), registry.VERIFIER_ROLE());
        vm.startPrank(admin);
        vm.expectRevert(
            abi.encodeWithSelector(RegistryTypes.Role_DutiesNotSeparated.selector, issuer, verifying, issuing)
        );
        registry.grantRole(verifying, issuer);
        vm.expectRevert(
            abi.encodeWithSelector(RegistryTypes.Role_DutiesNotSeparated.selector, verifier, issuing, verifying)
        );
        registry.grantRole(issuing, verifier);
        // One after the other is allowed.
        registry.revokeRole(verifying, verifier);
        registry.grantRole(issuing, verifier);
        vm.stopPrank();
    }

    function test_only_the_admin_registers_projects_and_each_once() public {
        vm.expectRevert(unauthorized(stranger, 0));
        vm.prank(stranger);
        registry.registerProject(OTHER_PROJECT, METHOD, 0, 0, "");
        vm.startPrank(admin);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Known.selector, PROJECT));
        registry.registerProject(PROJECT, METHOD, 0, 0, "");
        // An id with the same packed bits would share token ids with the first.
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Known.selector, PROJECT));
        registry.registerProject(PROJECT ^ bytes32(uint256(1)), METHOD, 0, 0, "");
        vm.stopPrank();
        vm.assertEq(registry.projectCount(), 1, "count");
        vm.assertEq(registry.projectAt(0), PROJECT, "id");
        vm.assertTrue(registry.projectKnown(PROJECT) && !registry.projectKnown(OTHER_PROJECT), "known");
    }

    function test_a_project_needs_id_method_a_sane_buffer_and_a_sane_window() public {
        vm.startPrank(admin);
        vm.expectRevert(RegistryTypes.Project_IdZero.selector);
        registry.registerProject(0, METHOD, 0, 0, "");
        vm.expectRevert(RegistryTypes.Project_MethodZero.selector);
        registry.registerProject(OTHER_PROJECT, 0, 0, 0, "");
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_BufferTooHigh.selector, 10_000));
        registry.registerProject(OTHER_PROJECT, METHOD, 10_000, 0, "");
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_WindowTooLong.selector, 365 days + 1, 365 days));
        registry.registerProject(OTHER_PROJECT, METHOD, 0, 365 days + 1, "");
        vm.stopPrank();
    }

    function test_unknown_projects_and_batches_have_no_views() public {
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Unknown.selector, OTHER_PROJECT));
        registry.projects(OTHER_PROJECT);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Batch_Unknown.selector, 1));
        registry.batchOf(1);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Batch_Unknown.selector, 1));
        registry.batches(bytes32(uint256(1)));
        // The right batch under a wrong project or a wrong year is no batch.
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Batch_Unknown.selector, id ^ (1 << 200)));
        registry.batchOf(id ^ (1 << 200));
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Batch_Unknown.selector, id ^ (1 << 150)));
        registry.projectIdOf(id ^ (1 << 150));
        vm.assertEq(registry.totalSupply(id ^ (1 << 150)), 0, "supply");
        vm.assertEq(registry.balanceOf(address(registry), id ^ (1 << 150)), 0, "buffer");
    }

    function test_interfaces_are_announced() public view {
        vm.assertTrue(registry.supportsInterface(type(IERC1155).interfaceId), "ERC-1155");
        vm.assertTrue(registry.supportsInterface(type(IAccessControl).interfaceId), "access control");
        vm.assertTrue(!registry.supportsInterface(0xffffffff), "none");
    }

    // ---------------------------------------------------------------- transfers, pause, lock

    function test_credits_move_between_holders() public {
        vm.prank(seller);
        registry.safeTransferFrom(seller, buyer, id, 1_200, "");
        vm.assertEq(registry.balanceOf(buyer, id), 1_200, "buyer");
        vm.assertEq(registry.balanceOf(seller, id), 930_000, "seller");
    }

    function test_nobody_moves_the_buffer() public {
        address self = address(registry);
        address[4] memory people = [admin, issuer, guardian, stranger];
        for (uint256 i = 0; i < people.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IERC1155Errors.ERC1155MissingApprovalForAll.selector, people[i], self)
            );
            vm.prank(people[i]);
            registry.safeTransferFrom(self, stranger, id, 1, "");
            vm.expectRevert(
                abi.encodeWithSelector(IERC1155Errors.ERC1155MissingApprovalForAll.selector, people[i], self)
            );
            vm.prank(people[i]);
            registry.retireFor(self, id, 1, retirement());
        }
    }

    function test_credits_cannot_be_lost_to_the_registry() public {
        vm.expectRevert(abi.encodeWithSelector(IERC1155Errors.ERC1155InvalidReceiver.selector, address(registry)));
        vm.prank(seller);
        registry.safeTransferFrom(seller, address(registry), id, 1, "");
    }

    function test_a_pause_stops_transfers_but_never_a_retirement() public {
        vm.prank(seller);
        registry.setApprovalForAll(stranger, true);
        vm.prank(guardian);
        registry.pause(PROJECT);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Paused.selector, PROJECT));
        vm.prank(seller);
        registry.safeTransferFrom(seller, buyer, id, 1, "");
        uint256[] memory one = ids(1);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Paused.selector, PROJECT));
        vm.prank(seller);
        registry.safeBatchTransferFrom(seller, buyer, ids(id), one, "");
        vm.prank(seller);
        registry.retire(id, 1_000, retirement());
        vm.prank(stranger);
        registry.retireFor(seller, id, 1_000, retirement());
        vm.prank(guardian);
        registry.unpause(PROJECT);
        vm.prank(seller);
        registry.safeTransferFrom(seller, buyer, id, 1, "");
    }

    function test_a_pause_of_one_project_leaves_others_alone() public {
        uint256 other = issueInOtherProject(0);
        vm.prank(guardian);
        registry.pause(PROJECT);
        vm.prank(seller);
        registry.safeTransferFrom(seller, buyer, other, 1, "");
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Paused.selector, PROJECT));
        vm.prank(seller);
        registry.safeBatchTransferFrom(seller, buyer, ids(other, id), ids(1, 1), "");
    }

    function test_only_a_guardian_pauses_and_only_what_is_not_paused() public {
        bytes32 role = registry.GUARDIAN_ROLE();
        vm.expectRevert(unauthorized(admin, role));
        vm.prank(admin);
        registry.pause(PROJECT);
        vm.expectRevert(unauthorized(admin, role));
        vm.prank(admin);
        registry.unpause(PROJECT);
        vm.startPrank(guardian);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_NotPaused.selector, PROJECT));
        registry.unpause(PROJECT);
        registry.pause(PROJECT);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Paused.selector, PROJECT));
        registry.pause(PROJECT);
        vm.stopPrank();
    }

    function issueInOtherProject(uint32 window) private returns (uint256) {
        vm.prank(admin);
        registry.registerProject(OTHER_PROJECT, METHOD, MIN_BUFFER_BPS, window, "");
        Claim memory c = goodClaim();
        c.projectId = OTHER_PROJECT;
        c.batchId = sha256("batch of project 2");
        c.contentRoot = sha256("content of project 2");
        c.plotKeys[0] = sha256("plot of project 2");
        c.challengeWindow = window;
        c.nonce = 9;
        return issue(c);
    }

    function test_a_batch_is_locked_through_its_challenge_window() public {
        uint256 locked = issueInOtherProject(1 days);
        uint256 end = block.timestamp + 1 days;
        vm.assertEq(registry.batchOf(locked).lockedUntil, end, "until");
        vm.assertEq(registry.batchOf(locked).issuedAt, end - 1 days, "issued");
        vm.warp(end - 1);
        bytes memory reason = abi.encodeWithSelector(RegistryTypes.Batch_Locked.selector, locked, end);
        vm.expectRevert(reason);
        vm.prank(seller);
        registry.safeTransferFrom(seller, buyer, locked, 1, "");
        vm.expectRevert(reason);
        vm.prank(seller);
        registry.retire(locked, 1, retirement());
        vm.warp(end);
        vm.prank(seller);
        registry.safeTransferFrom(seller, buyer, locked, 1, "");
        vm.prank(seller);
        registry.retire(locked, 1, retirement());
    }

    // ---------------------------------------------------------------- retirement

    function test_a_retirement_burns_and_gives_a_numbered_certificate() public {
        RegistryTypes.Retirement memory r = retirement();
        vm.expectEmit(true, true, true, true, address(registry));
        emit RegistryTypes.Retired(
            1, id, seller, 1_200, r.beneficiary, r.purpose, r.country, r.consumptionStart, r.consumptionEnd
        );
        vm.prank(seller);
        vm.assertEq(registry.retire(id, 1_200, r), 1, "first");
        vm.prank(seller);
        vm.assertEq(registry.retire(id, 1, r), 2, "second");
        vm.assertEq(registry.certificateCount(), 2, "count");
        vm.assertEq(registry.balanceOf(seller, id), 929_999, "balance");
        vm.assertEq(registry.totalSupply(id), 958_799, "supply");
        vm.assertEq(registry.batchOf(id).retiredKg, 1_201, "retired");
    }

    function test_nobody_retires_more_than_it_has(uint256 kg) public {
        kg = bound(kg, 931_201, type(uint256).max);
        vm.expectRevert(
            abi.encodeWithSelector(IERC1155Errors.ERC1155InsufficientBalance.selector, seller, 931_200, kg, id)
        );
        vm.prank(seller);
        registry.retire(id, kg, retirement());
    }

    function test_another_s_credits_are_retired_with_its_approval_only() public {
        vm.expectRevert(abi.encodeWithSelector(IERC1155Errors.ERC1155MissingApprovalForAll.selector, stranger, seller));
        vm.prank(stranger);
        registry.retireFor(seller, id, 1, retirement());
        vm.prank(seller);
        registry.setApprovalForAll(stranger, true);
        vm.prank(stranger);
        registry.retireFor(seller, id, 1, retirement());
        vm.assertEq(registry.balanceOf(seller, id), 931_199, "balance");
    }

    function test_a_certificate_needs_an_amount_a_beneficiary_a_country_and_a_period_that_make_sense() public {
        vm.startPrank(seller);
        RegistryTypes.Retirement memory r = retirement();
        vm.expectRevert(RegistryTypes.Retirement_KgZero.selector);
        registry.retire(id, 0, r);
        r.beneficiary = "";
        vm.expectRevert(RegistryTypes.Retirement_BeneficiaryEmpty.selector);
        registry.retire(id, 1, r);
        r = retirement();
        r.country = "jp";
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Retirement_CountryInvalid.selector, bytes2("jp")));
        registry.retire(id, 1, r);
        r.country = bytes2("J");
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Retirement_CountryInvalid.selector, bytes2("J")));
        registry.retire(id, 1, r);
        r = retirement();
        r.consumptionEnd = r.consumptionStart;
        vm.expectRevert(
            abi.encodeWithSelector(RegistryTypes.Retirement_PeriodEmpty.selector, r.consumptionStart, r.consumptionEnd)
        );
        registry.retire(id, 1, r);
        // Country and period may be left open.
        registry.retire(id, 1, RegistryTypes.Retirement("A", "", 0, 0, 0));
        vm.stopPrank();
    }

    // ---------------------------------------------------------------- reversal

    function reverse(uint256[] memory inOrder, uint64 kg) private {
        vm.prank(guardian);
        registry.reverse(PROJECT, inOrder, kg, REASON);
    }

    function test_a_small_loss_is_covered_by_the_buffer() public {
        vm.expectEmit(true, true, true, true, address(registry));
        emit RegistryTypes.Reversed(PROJECT, REASON, guardian, 8_800, 8_800, 0, 0);
        reverse(ids(id), 8_800);
        RegistryTypes.ProjectInfo memory p = registry.projects(PROJECT);
        vm.assertEq(p.compensatedKg, 8_800, "compensated");
        vm.assertEq(p.deficitKg, 0, "deficit");
        vm.assertEq(registry.balanceOf(address(registry), id), 20_000, "buffer");
        vm.assertEq(registry.totalSupply(id), 951_200, "supply");
        vm.assertEq(registry.balanceOf(seller, id), 931_200, "holders keep what they have");
    }

    function test_a_loss_beyond_the_buffer_is_published_as_the_deficit() public {
        reverse(ids(id), 50_000);
        RegistryTypes.ProjectInfo memory p = registry.projects(PROJECT);
        vm.assertEq(p.compensatedKg, 28_800, "compensated");
        vm.assertEq(p.deficitKg, 21_200, "deficit");
        vm.assertEq(p.reversedKg, 50_000, "reversed");
        vm.assertEq(registry.balanceOf(address(registry), id), 0, "buffer");
    }

    function test_no_deficit_while_buffer_is_left_in_another_batch() public {
        uint256 next = issue(nextClaim(500_000)); // buffer 15,000
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Reversal_BufferLeft.selector, 15_000, 1_200));
        reverse(ids(id), 30_000);
        reverse(ids(id, next), 30_000);
        vm.assertEq(registry.projects(PROJECT).deficitKg, 0, "deficit");
        vm.assertEq(registry.batchOf(next).bufferKg, 13_800, "buffer");
    }

    function test_naming_a_batch_twice_burns_its_buffer_once() public {
        reverse(ids(id, id), 50_000);
        vm.assertEq(registry.projects(PROJECT).compensatedKg, 28_800, "compensated");
    }

    function test_a_project_s_loss_burns_no_other_project_s_buffer() public {
        uint256 other = issueInOtherProject(0);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Batch_NotOfProject.selector, other, PROJECT));
        reverse(ids(other), 1);
    }

    function test_a_reversal_retried_is_refused() public {
        reverse(ids(id), 1_000);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Reversal_Known.selector, PROJECT, REASON));
        reverse(ids(id), 1_000);
        vm.assertTrue(registry.reversalKnown(PROJECT, REASON), "known");
    }

    function test_no_more_is_lost_than_was_ever_credited() public {
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Reversal_ExceedsIssued.selector, 960_001, 960_000));
        reverse(ids(id), 960_001);
        reverse(ids(id), 960_000);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Reversal_ExceedsIssued.selector, 1, 0));
        vm.prank(guardian);
        registry.reverse(PROJECT, ids(id), 1, keccak256("more"));
    }

    function test_a_reversal_needs_an_amount_a_reason_and_an_office() public {
        vm.startPrank(guardian);
        vm.expectRevert(RegistryTypes.Reversal_KgZero.selector);
        registry.reverse(PROJECT, ids(id), 0, REASON);
        vm.expectRevert(RegistryTypes.Reversal_ReasonZero.selector);
        registry.reverse(PROJECT, ids(id), 1, 0);
        vm.stopPrank();
        bytes32 role = registry.VERIFIER_ROLE();
        vm.expectRevert(unauthorized(issuer, role));
        vm.prank(issuer);
        registry.reverse(PROJECT, ids(id), 1, REASON);
        vm.prank(verifier);
        registry.reverse(PROJECT, ids(id), 1, REASON);
    }

    function test_what_the_buffer_covered_may_be_credited_again_when_it_has_grown_again() public {
        reverse(ids(id), 10_000);
        Claim memory c = nextClaim(500_000);
        vm.assertEq(c.estimateKg - c.deductionKg, 960_000 - 10_000 + 500_000, "identity");
        issue(c);
        vm.assertEq(registry.projects(PROJECT).grossKg, 1_460_000, "gross");
    }

    function test_an_issue_after_a_deficit_makes_it_good() public {
        reverse(ids(id), 50_000);
        Claim memory c = nextClaim(1_000);
        vm.expectEmit(true, true, true, true, address(registry));
        emit RegistryTypes.DeficitMadeGood(PROJECT, 21_200);
        issue(c);
        RegistryTypes.ProjectInfo memory p = registry.projects(PROJECT);
        vm.assertEq(p.deficitKg, 0, "deficit");
        vm.assertEq(p.reversedKg, 50_000, "reversed");
        // The lower bound of the change stands above all credits that exist or were retired.
        vm.assertLe(p.grossKg - p.compensatedKg, c.estimateKg - c.deductionKg, "backed");
    }
}
