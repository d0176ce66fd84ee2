// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim} from "../src/Claim.sol";
import {IPredecessor} from "../src/interfaces/IPredecessor.sol";
import {SuccessorDesk} from "../src/registry/SuccessorDesk.sol";
import {SuccessorRegistry} from "../src/SuccessorRegistry.sol";
import {Court} from "./support/Court.sol";

/// @notice What the registry's seldom acts cost, as whole transactions.
/// forge-config: default.isolate = true
contract LifeGasTest is Court {
    function measured(string memory name, uint256 budget) private {
        uint256 used = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue("Gas", name, used);
        vm.assertLe(used, budget, name);
    }

    function test_a_challenge_and_its_end() public {
        issue(lockedClaim());
        bytes32 root = lockedClaim().contentRoot;
        uint256 n = challenge(root);
        measured("challenge: first of all", 450_000);
        vm.prank(guardian);
        court.resolve(n, true);
        measured("resolve: upheld", 250_000);
        vm.prank(challenger);
        court.withdraw(challenger);
        measured("withdraw: bond", 80_000);
    }

    function test_a_refill() public {
        uint256 id = issue(goodClaim());
        vm.prank(guardian);
        registry.reverse(PROJECT, one(id), 50_000, REASON);
        vm.prank(seller);
        desk.refill(PROJECT, id, 1_000);
        measured("refill", 120_000);
    }

    function test_a_move_and_an_issue_after_it() public {
        uint256 id = issue(goodClaim());
        SuccessorRegistry next = new SuccessorRegistry(admin, IPredecessor(address(registry)));
        bytes32[] memory list = new bytes32[](1);
        list[0] = PROJECT;
        vm.startPrank(admin);
        next.grantRole(next.ISSUER_ROLE(), issuer);
        next.grantRole(next.VERIFIER_ROLE(), verifier);
        desk.announceMigration(list, address(next));
        vm.stopPrank();
        vm.warp(block.timestamp + 30 days);
        SuccessorDesk(address(next)).importProject(PROJECT);
        measured("importProject", 350_000);
        vm.prank(seller);
        desk.migrate(id, 1_000);
        measured("migrate: first of a batch", 350_000);
        vm.prank(seller);
        desk.migrate(id, 1_000);
        measured("migrate: next of a batch", 120_000);
        Claim memory c = nextClaim(500_000);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(VERIFIER_KEY, next.claimDigest(c));
        vm.prank(issuer);
        next.issue(c, verifier, abi.encodePacked(r, s, v));
        measured("issue: 1 plot key, next batch, in a successor", 190_000);
    }
}
