// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ChallengeWindow} from "../src/ChallengeWindow.sol";
import {Claim} from "../src/Claim.sol";
import {ICourtRegistry} from "../src/interfaces/ICourtRegistry.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {Court} from "./support/Court.sol";
import {BlockingToken, FeeToken, HookToken} from "./support/Mocks.sol";

/// @dev Who decides a challenge, what silence does, and where the money goes. What a challenge is: Challenge.t.sol.
contract JudgementTest is Court {
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

    // ---------------------------------------------------------------- who decides

    function test_a_panel_of_verifiers_decides_when_enough_agree() public {
        uint256 n = challenge(root);
        vm.prank(jury[0]);
        court.vote(n, true);
        vm.assertEq(status(n), uint256(ChallengeWindow.Status.Open), "one is not enough");
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_Voted.selector, n, jury[0]));
        vm.prank(jury[0]);
        court.vote(n, true);
        vm.prank(jury[1]);
        court.vote(n, true);
        vm.assertEq(status(n), uint256(ChallengeWindow.Status.Upheld), "two are");
    }

    function test_the_vote_of_a_juror_suspended_since_does_not_count() public {
        uint256 n = challenge(root);
        vm.prank(jury[0]);
        court.vote(n, true);
        vm.prank(jury[1]);
        court.vote(n, false);
        bytes32 role = registry.VERIFIER_ROLE();
        vm.prank(guardian);
        desk.suspend(role, jury[0]);
        vm.prank(admin);
        registry.grantRole(role, buyer);
        vm.prank(buyer);
        court.vote(n, true);
        vm.assertEq(status(n), uint256(ChallengeWindow.Status.Open), "two votes, but one of a lost key");
        vm.assertEq(court.challenges(n).votesToUphold, 2, "cast");
        vm.startPrank(admin);
        registry.grantRole(role, stranger);
        registry.grantRole(role, jury[0]); // cleared after all
        vm.stopPrank();
        vm.prank(stranger);
        court.vote(n, true);
        vm.assertEq(status(n), uint256(ChallengeWindow.Status.Upheld), "three verifiers");
    }

    function test_a_panel_that_does_not_agree_decides_nothing() public {
        uint256 n = challenge(root);
        vm.prank(jury[0]);
        court.vote(n, true);
        vm.prank(jury[1]);
        court.vote(n, false);
        vm.assertEq(status(n), uint256(ChallengeWindow.Status.Open), "open");
        decided(n, false);
    }

    function test_nobody_judges_his_own_cause() public {
        uint256 n = challenge(root);
        bytes memory own = abi.encodeWithSelector(ChallengeWindow.Challenge_OwnCause.selector, n, verifier);
        vm.expectRevert(own);
        vm.prank(verifier); // who signed the batch
        court.vote(n, false);
        vm.startPrank(admin);
        registry.grantRole(registry.GUARDIAN_ROLE(), verifier);
        registry.grantRole(registry.GUARDIAN_ROLE(), seller);
        registry.grantRole(registry.VERIFIER_ROLE(), challenger);
        vm.stopPrank();
        vm.expectRevert(own);
        vm.prank(verifier);
        court.resolve(n, false);
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_OwnCause.selector, n, seller));
        vm.prank(seller); // who holds it
        court.resolve(n, false);
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_OwnCause.selector, n, challenger));
        vm.prank(challenger);
        court.vote(n, true);
    }

    function test_only_guardians_resolve_and_only_verifiers_vote() public {
        uint256 n = challenge(root);
        address[3] memory people = [admin, issuer, stranger];
        for (uint256 i = 0; i < people.length; ++i) {
            vm.startPrank(people[i]);
            vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_NotGuardian.selector, people[i]));
            court.resolve(n, true);
            vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_NotVerifier.selector, people[i]));
            court.vote(n, true);
            vm.stopPrank();
        }
    }

    function test_what_is_decided_is_decided() public {
        uint256 n = challenge(root);
        decided(n, false);
        bytes memory closed = abi.encodeWithSelector(ChallengeWindow.Challenge_NotOpen.selector, n);
        vm.expectRevert(closed);
        decided(n, true);
        vm.expectRevert(closed);
        vm.prank(jury[0]);
        court.vote(n, true);
        vm.expectRevert(closed);
        court.expire(n);
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_NotOpen.selector, 99));
        decided(99, true);
    }

    // ---------------------------------------------------------------- nobody decides

    function test_silence_annuls_and_gives_the_bond_back_without_reward() public {
        fund(buyer, BOND, address(court));
        vm.prank(buyer);
        court.fundRewards(BOND);
        uint256 n = challenge(root);
        uint256 deadline = block.timestamp + 14 days;
        vm.warp(deadline - 1);
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_DeadlineAhead.selector, n, deadline));
        court.expire(n);
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Challenge_DeadlineOver.selector, n, deadline));
        decided(n, false);
        vm.prank(stranger);
        court.expire(n);
        vm.assertEq(status(n), uint256(ChallengeWindow.Status.Expired), "status");
        vm.assertTrue(desk.batchState(id).annulled, "annulled");
        vm.assertEq(court.owed(challenger), BOND, "bond");
        vm.assertEq(court.rewardFund(), BOND, "no reward");
    }

    // ---------------------------------------------------------------- money

    function test_a_blocked_receiver_stands_in_nobody_s_way() public {
        BlockingToken token = new BlockingToken();
        ChallengeWindow other =
            new ChallengeWindow(ICourtRegistry(address(registry)), IERC20(address(token)), BOND, 14 days, 2);
        vm.startPrank(admin);
        registry.grantRole(desk.COURT_ROLE(), address(other));
        vm.stopPrank();
        token.mint(challenger, BOND);
        vm.startPrank(challenger);
        token.approve(address(other), BOND);
        uint256 n = other.challenge(root, OTHER_ROOT, seller, "");
        vm.stopPrank();
        token.setBlocked(seller, true);
        vm.prank(guardian);
        other.resolve(n, false);
        vm.startPrank(seller);
        vm.expectRevert();
        other.withdraw(seller);
        other.withdraw(stranger); // elsewhere
        vm.stopPrank();
        vm.assertEq(token.balanceOf(stranger), BOND, "paid");
    }

    function test_a_token_that_keeps_a_fee_is_refused() public {
        FeeToken token = new FeeToken();
        ChallengeWindow other =
            new ChallengeWindow(ICourtRegistry(address(registry)), IERC20(address(token)), BOND, 14 days, 2);
        vm.startPrank(admin);
        registry.grantRole(desk.COURT_ROLE(), address(other));
        vm.stopPrank();
        token.mint(challenger, BOND);
        vm.startPrank(challenger);
        token.approve(address(other), BOND);
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Payment_AmountDiffers.selector, BOND - BOND / 100, BOND));
        other.challenge(root, OTHER_ROOT, seller, "");
        vm.stopPrank();
    }

    function test_a_token_that_calls_back_gains_nothing() public {
        HookToken token = new HookToken();
        ChallengeWindow other =
            new ChallengeWindow(ICourtRegistry(address(registry)), IERC20(address(token)), BOND, 14 days, 2);
        vm.startPrank(admin);
        registry.grantRole(desk.COURT_ROLE(), address(other));
        vm.stopPrank();
        token.mint(challenger, BOND);
        token.prepare(address(other), abi.encodeCall(other.fundRewards, (0)));
        vm.startPrank(challenger);
        token.approve(address(other), BOND);
        other.challenge(root, OTHER_ROOT, seller, "");
        vm.stopPrank();
        vm.assertTrue(!token.succeeded(), "re-entry");
    }

    function test_nothing_due_is_not_paid_and_nothing_is_paid_twice() public {
        decided(challenge(root), true);
        vm.startPrank(challenger);
        court.withdraw(challenger);
        vm.expectRevert(abi.encodeWithSelector(ChallengeWindow.Payment_NothingDue.selector, challenger));
        court.withdraw(challenger);
        vm.stopPrank();
    }

    // ---------------------------------------------------------------- keys lost and changed

    function test_a_lost_verifier_key_is_suspended_at_once_its_batches_challenged_and_another_key_goes_on() public {
        // The thief signs one more claim with the stolen key, and the batch is issued before anybody knows.
        uint256 stolen = issue(following(LOCKED, 700_000));
        bytes32 stolenRoot = registry.batchOf(stolen).supplyKg == 700_000
            ? sha256(abi.encode("following content", LOCKED, PERIOD_END))
            : bytes32(0);
        bytes32 role = registry.VERIFIER_ROLE();
        vm.prank(guardian);
        desk.suspend(role, verifier);
        vm.assertTrue(!registry.hasRole(role, verifier), "suspended");
        Claim memory c = goodClaim();
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_VerifierUnknown.selector, verifier));
        vm.expectRevert(unauthorized(verifier, role));
        vm.prank(verifier);
        registry.reverse(LOCKED, one(id), 1, REASON);
        // A guardian freezes what it signed in its window; the other verifiers judge; what was true stays.
        vm.prank(guardian);
        uint256 n = court.challenge(stolenRoot, OTHER_ROOT, seller, "the key was stolen");
        vm.assertTrue(registry.signedBy(stolenRoot, verifier), "signer is known");
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(jury[i]);
            court.vote(n, true);
        }
        vm.assertEq(registry.totalSupply(stolen), 0, "stolen batch");
        vm.assertEq(registry.totalSupply(id), 960_000, "honest batch");
        // A new key, granted by the administration, signs what comes next.
        uint256 newKey = uint256(keccak256("new verifier key"));
        vm.prank(admin);
        registry.grantRole(role, vm.addr(newKey));
        bytes memory signed = signatureBy(newKey, c);
        vm.prank(issuer);
        registry.issue(c, vm.addr(newKey), signed);
        vm.assertTrue(registry.signedBy(c.contentRoot, vm.addr(newKey)), "signed by the new key");
        vm.assertTrue(!registry.signedBy(c.contentRoot, verifier), "and not by the old");
    }

    function test_a_guardian_suspends_issuers_and_verifiers_and_nobody_else_and_gives_nothing() public {
        bytes32 issuers = registry.ISSUER_ROLE();
        vm.prank(guardian);
        desk.suspend(issuers, issuer);
        vm.assertTrue(!registry.hasRole(issuers, issuer), "issuer");
        bytes32[3] memory others = [bytes32(0), registry.GUARDIAN_ROLE(), desk.COURT_ROLE()];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Role_NotSuspendable.selector, others[i]));
            vm.prank(guardian);
            desk.suspend(others[i], admin);
        }
        bytes32 role = registry.GUARDIAN_ROLE();
        vm.expectRevert(unauthorized(verifier, role));
        vm.prank(verifier);
        desk.suspend(issuers, issuer);
        vm.expectRevert(unauthorized(guardian, 0));
        vm.prank(guardian);
        registry.grantRole(issuers, issuer);
    }
}
