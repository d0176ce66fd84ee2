// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChallengeWindow} from "../src/ChallengeWindow.sol";
import {Claim} from "../src/Claim.sol";
import {ICourtRegistry} from "../src/interfaces/ICourtRegistry.sol";
import {IPredecessor} from "../src/interfaces/IPredecessor.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {SuccessorDesk} from "../src/registry/SuccessorDesk.sol";
import {SuccessorRegistry} from "../src/SuccessorRegistry.sol";
import {Court} from "./support/Court.sol";

/// @dev The last moment at which something may still happen, and what lies just beside a rule.
contract EdgesTest is Court {
    function test_a_claim_is_taken_at_the_last_second_of_its_deadline() public {
        Claim memory c = goodClaim();
        c.deadline = uint64(block.timestamp);
        issue(c);
    }

    function test_a_release_is_taken_at_the_last_second_of_its_deadline_and_never_of_nothing() public {
        uint256 id = issue(goodClaim());
        uint256 now_ = 2_600_000_000; // not block.timestamp, which the compiler reads again later
        vm.warp(now_);
        releaseOf(id, 0, 1, now_, abi.encodeWithSelector(RegistryTypes.Release_KgInvalid.selector, 0, 28_800));
        releaseOf(id, 1, 2, now_, "");
        vm.assertEq(registry.balanceOf(stranger, id), 1, "released");
        vm.warp(now_ + 1);
        releaseOf(id, 1, 3, now_, abi.encodeWithSelector(RegistryTypes.Claim_Expired.selector, now_, now_ + 1));
    }

    function releaseOf(uint256 id, uint64 kg, uint256 nonce, uint256 until, bytes memory refusal) private {
        bytes32 typeHash = keccak256("Release(uint256 id,uint64 kg,address to,uint256 nonce,uint64 deadline)");
        bytes32 inner = keccak256(abi.encode(typeHash, id, kg, stranger, nonce, until));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", registry.domainSeparator(), inner));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(VERIFIER_KEY, digest);
        if (refusal.length != 0) vm.expectRevert(refusal);
        vm.prank(guardian);
        desk.release(id, kg, stranger, verifier, nonce, uint64(until), abi.encodePacked(r, s, v));
    }

    // ---------------------------------------------------------------- court

    function test_the_registry_is_no_recipient_even_where_half_of_a_batch_is_buffer() public {
        Claim memory c = lockedClaim();
        c.bufferKg = c.grossKg / 2;
        uint256 id = issue(c);
        vm.assertEq(registry.balanceOf(address(registry), id), registry.balanceOf(seller, id), "halves");
        bytes memory wrong =
            abi.encodeWithSelector(ChallengeWindow.Challenge_RecipientWrong.selector, id, address(registry));
        vm.expectRevert(wrong);
        vm.prank(challenger);
        court.challenge(c.contentRoot, OTHER_ROOT, address(registry), "");
    }

    /// @dev Each by a call of its own: an expected revert of `new` ends the test that it stands in.
    function test_a_court_takes_only_terms_that_make_sense() public {
        makes(0, 14 days, 1, abi.encodeWithSelector(ChallengeWindow.Court_BondZero.selector));
        uint96 most = type(uint96).max >> 4;
        makes(most + 1, 14 days, 1, abi.encodeWithSelector(ChallengeWindow.Court_BondZero.selector));
        makes(BOND, 14 days, 0, abi.encodeWithSelector(ChallengeWindow.Court_PanelZero.selector));
        makes(BOND, 1 days - 1, 1, abi.encodeWithSelector(ChallengeWindow.Court_TimeInvalid.selector, 1 days - 1));
        makes(BOND, 90 days + 1, 1, abi.encodeWithSelector(ChallengeWindow.Court_TimeInvalid.selector, 90 days + 1));
        makes(most, 1 days, 1, "");
        makes(1, 90 days, 255, "");
    }

    function makes(uint96 bond, uint32 time, uint8 panel, bytes memory refusal) private {
        (bool made, bytes memory answer) = address(this).call(abi.encodeCall(this.make, (bond, time, panel)));
        vm.assertTrue(made == (refusal.length == 0), "made");
        if (!made) {
            vm.assertEq(keccak256(answer), keccak256(refusal), "refused for another reason");
            return;
        }
        ChallengeWindow other = ChallengeWindow(abi.decode(answer, (address)));
        vm.assertEq(other.bond(), bond, "bond");
        vm.assertEq(other.resolutionTime(), time, "time");
        vm.assertEq(other.panel(), panel, "panel");
    }

    function make(uint96 bond, uint32 time, uint8 panel) external returns (address) {
        ChallengeWindow other = new ChallengeWindow(ICourtRegistry(address(registry)), yen, bond, time, panel);
        return address(other);
    }

    // ---------------------------------------------------------------- move

    function test_a_successor_that_has_a_successor_opens_nothing_more() public {
        SuccessorDesk next = SuccessorDesk(address(new SuccessorRegistry(admin, IPredecessor(address(registry)))));
        bytes32[] memory none = new bytes32[](0);
        vm.startPrank(admin);
        desk.announceMigration(none, address(next));
        next.announceMigration(none, stranger);
        uint256 from = block.timestamp + 30 days;
        vm.warp(from);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_Final.selector, stranger, from));
        SuccessorRegistry(address(next)).registerProject(OTHER_PROJECT, METHOD, 0, 0, "");
        vm.stopPrank();
    }
}
