// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim} from "../src/Claim.sol";
import {IPredecessor} from "../src/interfaces/IPredecessor.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {SuccessorDesk} from "../src/registry/SuccessorDesk.sol";
import {SuccessorRegistry} from "../src/SuccessorRegistry.sol";
import {Court} from "./support/Court.sol";

/// @dev What happens is told, every field of it: who reads events only misses nothing.
contract EventsTest is Court {
    function told(address by) private {
        vm.expectEmit(true, true, true, true, by);
    }

    // ---------------------------------------------------------------- registry

    function test_a_project_is_told() public {
        told(address(registry));
        emit RegistryTypes.ProjectRegistered(OTHER_PROJECT, METHOD, 250, 3 days, "https://example.org/p3");
        vm.prank(admin);
        registry.registerProject(OTHER_PROJECT, METHOD, 250, 3 days, "https://example.org/p3");
    }

    function test_a_batch_is_told_with_all_that_its_claim_says() public {
        Claim memory c = goodClaim();
        (c.contentRoot, c.evidenceRoot) = (keccak256("content"), keccak256("evidence"));
        bytes32 digest = registry.claimDigest(c);
        bytes memory signed = signature(c);
        uint256 id = expectedId(c);
        told(address(registry));
        emit RegistryTypes.BatchIssued(
            c.batchId,
            PROJECT,
            id,
            c.contentRoot,
            c.evidenceRoot,
            PERIOD_START,
            PERIOD_END,
            2025,
            1_000_000,
            24_000,
            40_000,
            960_000,
            28_800,
            seller,
            verifier,
            c.plotKeys,
            digest
        );
        vm.prank(issuer);
        vm.assertEq(registry.issue(c, verifier, signed), id, "id");
    }

    /// @dev By the layout that the registry's documentation gives: project 96 | vintage 16 | batch 144.
    function expectedId(Claim memory c) private pure returns (uint256) {
        return (uint256(c.projectId) >> 160 << 160) | (uint256(c.vintage) << 144) | (uint256(c.batchId) >> 112);
    }

    function test_a_dead_nonce_a_pause_and_its_end_are_told() public {
        told(address(registry));
        emit RegistryTypes.NonceRevoked(verifier, 300);
        vm.prank(verifier);
        registry.revokeNonce(300);
        told(address(registry));
        emit RegistryTypes.ProjectPaused(PROJECT, guardian);
        vm.prank(guardian);
        registry.pause(PROJECT);
        told(address(registry));
        emit RegistryTypes.ProjectUnpaused(PROJECT, guardian);
        vm.prank(guardian);
        registry.unpause(PROJECT);
    }

    function test_a_loss_is_told_with_what_buffer_and_deficit_take_of_it() public {
        uint256 id = issue(goodClaim());
        told(address(registry));
        emit RegistryTypes.Reversed(PROJECT, REASON, guardian, 28_805, 28_800, 5, 5);
        vm.prank(guardian);
        registry.reverse(PROJECT, one(id), 28_805, REASON);
        told(address(registry));
        emit RegistryTypes.Reversed(PROJECT, keccak256("more"), guardian, 7, 0, 7, 12);
        vm.prank(guardian);
        registry.reverse(PROJECT, one(id), 7, keccak256("more"));
    }

    function test_a_project_s_arrival_in_a_successor_is_told() public {
        uint256 id = issue(goodClaim());
        vm.prank(guardian);
        registry.reverse(PROJECT, one(id), 28_805, REASON);
        SuccessorDesk next = announced();
        vm.prank(guardian);
        registry.pause(PROJECT);
        vm.warp(block.timestamp + 500 days);
        told(address(next));
        emit RegistryTypes.ProjectImported(PROJECT, PERIOD_END, 960_000, 28_800, 5);
        next.importProject(PROJECT);
        RegistryTypes.ProjectInfo memory p = SuccessorRegistry(address(next)).projects(PROJECT);
        vm.assertTrue(p.paused, "paused as before");
        vm.assertTrue(next.projectTaken(PROJECT) && next.projectTaken(LOCKED), "known there or here");
        vm.assertTrue(!next.projectTaken(OTHER_PROJECT), "known nowhere");
        vm.assertEq(p.deficitKg, 5, "deficit");
        vm.assertEq(p.reversedKg, 28_805, "reversed");
        vm.assertEq(p.bufferIssuedKg, 28_800, "buffer");
        vm.assertEq(p.minBufferBps, MIN_BUFFER_BPS, "least buffer");
        vm.assertEq(p.uri, "https://example.org/p1", "page");
    }

    function announced() private returns (SuccessorDesk next) {
        next = SuccessorDesk(address(new SuccessorRegistry(admin, IPredecessor(address(registry)))));
        bytes32[] memory list = new bytes32[](1);
        list[0] = PROJECT;
        vm.prank(admin);
        desk.announceMigration(list, address(next));
    }
}
