// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim} from "../src/Claim.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {Court} from "./support/Court.sol";

contract BufferTest is Court {
    uint256 private id;
    uint256 private start; // of the release schedule

    function setUp() public override {
        super.setUp();
        id = issue(goodClaim());
        start = block.timestamp + 3653 days; // the lock is later than the last credited day
    }

    function lose(uint64 kg) private {
        vm.prank(guardian);
        registry.reverse(PROJECT, one(id), kg, keccak256(abi.encode(kg)));
    }

    // ---------------------------------------------------------------- refill

    function test_anybody_makes_a_deficit_smaller_with_credits() public {
        lose(50_000);
        vm.prank(seller);
        registry.safeTransferFrom(seller, buyer, id, 30_000, "");
        vm.expectEmit(true, true, true, true, address(registry));
        emit RegistryTypes.DeficitRefilled(PROJECT, id, buyer, 21_000, 200);
        vm.prank(buyer);
        desk.refill(PROJECT, id, 21_000);
        RegistryTypes.ProjectInfo memory p = registry.projects(PROJECT);
        vm.assertEq(p.deficitKg, 200, "deficit");
        vm.assertEq(p.compensatedKg, 28_800 + 21_000, "compensated");
        vm.assertEq(p.bufferIssuedKg - p.compensatedKg, 0, "no buffer appears");
        vm.assertEq(registry.balanceOf(buyer, id), 9_000, "balance");
        vm.assertEq(registry.totalSupply(id), 960_000 - 28_800 - 21_000, "supply");
        vm.assertEq(registry.batchOf(id).retiredKg, 0, "not retired: nobody may claim it");
    }

    function test_credits_of_another_project_refill_too() public {
        lose(50_000);
        uint256 other = issue(following(LOCKED, 100_000));
        vm.warp(block.timestamp + WINDOW);
        vm.prank(seller);
        desk.refill(PROJECT, other, 21_200);
        vm.assertEq(registry.projects(PROJECT).deficitKg, 0, "deficit");
        vm.assertEq(registry.projects(LOCKED).compensatedKg, 0, "the other project lost nothing");
        vm.assertEq(registry.totalSupply(other), 78_800, "supply");
    }

    function test_after_a_refill_the_next_claim_s_identity_holds(uint64 kg) public {
        lose(50_000);
        kg = uint64(bound(kg, 1, 21_200));
        vm.prank(seller);
        desk.refill(PROJECT, id, kg);
        Claim memory c = nextClaim(10_000);
        vm.assertEq(c.compensatedKg, 28_800 + kg, "compensated");
        uint256 next = issue(c);
        RegistryTypes.ProjectInfo memory p = registry.projects(PROJECT);
        uint256 exist = registry.totalSupply(id) + registry.totalSupply(next);
        vm.assertEq(exist, c.estimateKg - c.deductionKg, "what exists is what is shown to be stored");
        vm.assertEq(p.deficitKg, 0, "deficit");
    }

    function test_a_refill_is_of_a_deficit_and_no_larger() public {
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Refill_KgInvalid.selector, 1, 0));
        vm.prank(seller);
        desk.refill(PROJECT, id, 1);
        lose(50_000);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Refill_KgInvalid.selector, 21_201, 21_200));
        vm.prank(seller);
        desk.refill(PROJECT, id, 21_201);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Refill_KgInvalid.selector, 0, 21_200));
        vm.prank(seller);
        desk.refill(PROJECT, id, 0);
        vm.expectRevert();
        vm.prank(stranger); // has none
        desk.refill(PROJECT, id, 1);
    }

    // ---------------------------------------------------------------- release

    function releaseSigned(uint256 key, uint64 kg, uint256 nonce) private view returns (bytes memory) {
        bytes32 typeHash = keccak256("Release(uint256 id,uint64 kg,address to,uint256 nonce,uint64 deadline)");
        bytes32 inner = keccak256(abi.encode(typeHash, id, kg, seller, nonce, type(uint64).max));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", registry.domainSeparator(), inner));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function release(uint64 kg, uint256 nonce) private {
        bytes memory signed = releaseSigned(VERIFIER_KEY, kg, nonce);
        vm.prank(guardian);
        desk.release(id, kg, seller, verifier, nonce, type(uint64).max, signed);
    }

    function refusedRelease(uint64 kg, bytes memory reason) private {
        bytes memory signed = releaseSigned(VERIFIER_KEY, kg, 500);
        vm.expectRevert(reason);
        vm.prank(guardian);
        desk.release(id, kg, seller, verifier, 500, type(uint64).max, signed);
    }

    function test_nothing_is_released_before_the_time_of_permanence_is_over() public {
        vm.warp(start);
        vm.assertEq(desk.releasable(id), 0, "releasable");
        refusedRelease(1, abi.encodeWithSelector(RegistryTypes.Release_KgInvalid.selector, 1, 0));
    }

    function test_the_buffer_is_released_in_proportion_to_the_time(uint256 time) public {
        time = bound(time, 0, 3_000 days);
        vm.warp(start + time);
        uint256 due = time >= 1826 days ? 28_800 : 28_800 * time / 1826 days;
        vm.assertEq(desk.releasable(id), due, "releasable");
        refusedRelease(uint64(due + 1), abi.encodeWithSelector(RegistryTypes.Release_KgInvalid.selector, due + 1, due));
        if (due == 0) return;
        release(uint64(due), 500);
        vm.assertEq(desk.releasable(id), 0, "no more");
        vm.assertEq(registry.balanceOf(seller, id), 931_200 + due, "treasury");
        vm.assertEq(registry.balanceOf(address(registry), id), 28_800 - due, "buffer");
        vm.assertEq(registry.totalSupply(id), 960_000, "nothing is minted by it");
        vm.assertEq(registry.projects(PROJECT).bufferIssuedKg, 28_800 - due, "account");
        vm.assertEq(registry.batchOf(id).bufferIssuedKg, 28_800, "what the claim said stands");
        vm.assertEq(desk.batchState(id).bufferOutKg, due, "out");
    }

    function test_what_reversals_burn_is_never_released() public {
        vm.warp(start + 913 days); // half
        release(14_400, 500);
        lose(10_000);
        vm.assertEq(desk.releasable(id), 0, "half of what is left is out already");
        vm.warp(start + 1826 days);
        vm.assertEq(desk.releasable(id), 4_400, "the rest");
        release(4_400, 501);
        vm.assertEq(registry.balanceOf(address(registry), id), 0, "buffer");
        vm.assertEq(registry.totalSupply(id), 950_000, "supply");
    }

    function test_nothing_is_released_while_a_deficit_stands() public {
        lose(28_800 + 5);
        uint256 next = issue(nextClaim(100_000)); // makes it good, and brings 3,000 of buffer
        vm.warp(start + 2_000 days);
        vm.prank(guardian);
        registry.reverse(PROJECT, one(next), 3_001, REASON);
        id = next;
        refusedRelease(1, abi.encodeWithSelector(RegistryTypes.Release_KgInvalid.selector, 1, 0));
    }

    function test_a_deficit_beside_buffer_stops_a_release() public {
        // Only an annulment can bring both about: ten years on, in a project credited anew.
        vm.warp(start + 2_000 days);
        uint256 locked = issue(lockedClaim());
        Claim memory c = following(LOCKED, 500_000);
        uint256 later = issue(c);
        vm.prank(guardian);
        registry.reverse(LOCKED, one(locked), 20_000, REASON);
        uint256 n = challenge(lockedClaim().contentRoot);
        vm.prank(guardian);
        court.resolve(n, true);
        vm.warp(block.timestamp + 6_000 days);
        id = later;
        vm.assertEq(desk.releasable(id), 15_000, "by the schedule");
        refusedRelease(1, abi.encodeWithSelector(RegistryTypes.Release_Deficit.selector, LOCKED, 20_000));
    }

    function test_a_project_that_is_still_credited_keeps_its_buffers() public {
        vm.warp(start + 1826 days);
        vm.assertEq(desk.releasable(id), 28_800, "before");
        Claim memory c = nextClaim(100_000);
        c.periodEnd = uint32(block.timestamp / 1 days);
        c.vintage = 2041;
        issue(c);
        vm.assertEq(desk.releasable(id), 0, "after");
    }

    function test_a_release_needs_a_guardian_who_calls_and_another_who_verifies() public {
        vm.warp(start + 1826 days);
        bytes memory signed = releaseSigned(VERIFIER_KEY, 100, 500);
        bytes32 role = registry.GUARDIAN_ROLE();
        vm.expectRevert(unauthorized(verifier, role));
        vm.prank(verifier);
        desk.release(id, 100, seller, verifier, 500, type(uint64).max, signed);
        vm.prank(admin);
        registry.grantRole(role, verifier);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Claim_VerifierIsIssuer.selector, verifier));
        vm.prank(verifier);
        desk.release(id, 100, seller, verifier, 500, type(uint64).max, signed);
        vm.startPrank(guardian);
        vm.expectPartialRevert(RegistryTypes.Claim_SignatureInvalid.selector);
        desk.release(id, 101, seller, verifier, 500, type(uint64).max, signed);
        vm.expectPartialRevert(RegistryTypes.Claim_SignatureInvalid.selector);
        desk.release(id, 100, guardian, verifier, 500, type(uint64).max, signed);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Claim_VerifierUnknown.selector, stranger));
        desk.release(id, 100, seller, stranger, 500, type(uint64).max, signed);
        vm.expectRevert(
            abi.encodeWithSelector(RegistryTypes.Claim_Expired.selector, block.timestamp - 1, block.timestamp)
        );
        desk.release(id, 100, seller, verifier, 500, uint64(block.timestamp - 1), signed);
        desk.release(id, 100, seller, verifier, 500, type(uint64).max, signed);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Claim_NonceUsed.selector, verifier, 500));
        desk.release(id, 100, seller, verifier, 500, type(uint64).max, signed);
        vm.stopPrank();
    }

    // ---------------------------------------------------------------- serials

    function ended(uint256 certificate, uint256 from, uint256 to) private {
        vm.expectEmit(true, true, true, true, address(registry));
        emit RegistryTypes.SerialsEnded(certificate, id, uint64(from), uint64(to));
    }

    function test_each_certificate_has_serials_of_its_own() public {
        ended(1, 0, 1_200);
        vm.prank(seller);
        registry.retire(id, 1_200, retirement());
        ended(2, 1_200, 1_201);
        vm.prank(seller);
        registry.retire(id, 1, retirement());
        lose(50_000);
        ended(0, 1_201, 22_401);
        vm.prank(seller);
        desk.refill(PROJECT, id, 21_200);
        ended(3, 22_401, 22_501);
        vm.prank(seller);
        registry.retire(id, 100, retirement());
        RegistryTypes.BatchState memory s = desk.batchState(id);
        vm.assertEq(s.serialNext, 22_501, "next");
        vm.assertEq(s.serialEnd, 960_000 - 28_800, "reversed from above");
        vm.assertEq(s.serialEnd - s.serialNext, registry.totalSupply(id), "those between live");
    }

    function test_serials_never_overlap(uint64[8] memory amounts) public {
        uint256 next;
        for (uint256 i = 0; i < 8; ++i) {
            uint256 kg = bound(amounts[i], 1, registry.balanceOf(seller, id) / 2);
            ended(i + 1, next, next + kg);
            vm.prank(seller);
            registry.retire(id, kg, retirement());
            next += kg;
        }
    }

    function test_the_second_half_does_nothing_by_itself() public {
        address half = registry.desk();
        vm.assertEq(half.code.length > 0 ? 1 : 0, 1, "is there");
        (bool ok,) = half.call(abi.encodeCall(desk.refill, (PROJECT, id, 1)));
        vm.assertTrue(!ok, "no project there");
        vm.prank(guardian);
        (ok,) = half.call(abi.encodeCall(desk.suspend, (keccak256("VERIFIER_ROLE"), verifier)));
        vm.assertTrue(!ok, "no role there");
        (ok,) = address(registry).call(abi.encodeWithSignature("noSuchFunction()"));
        vm.assertTrue(!ok, "what neither half knows is refused");
        (ok,) = address(registry).call("");
        vm.assertTrue(!ok, "nor an empty call");
    }
}
