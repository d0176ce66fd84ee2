// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC1155Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Claim} from "../src/Claim.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {CreditId} from "../src/libraries/CreditId.sol";
import {Base} from "./support/Base.sol";
import {CallingReceiver, DeafContract, Wallet1271} from "./support/Mocks.sol";
import {Vm} from "./support/Vm.sol";

contract IssueTest is Base {
    function encoded(bytes4 selector, uint256 a, uint256 b) private pure returns (bytes memory) {
        return abi.encodeWithSelector(selector, a, b);
    }

    // ---------------------------------------------------------------- what an issue does

    function test_an_issue_mints_the_gross_less_the_buffer_to_the_recipient_and_the_buffer_to_the_registry() public {
        uint256 id = issue(goodClaim());
        vm.assertEq(registry.balanceOf(seller, id), 931_200, "recipient");
        vm.assertEq(registry.balanceOf(address(registry), id), 28_800, "buffer");
        vm.assertEq(registry.totalSupply(id), 960_000, "supply");
        vm.assertEq(id, CreditId.pack(PROJECT, 2025, goodClaim().batchId), "id");
    }

    function test_an_issue_can_be_read_back_by_batch_id_and_by_token_id() public {
        Claim memory c = goodClaim();
        uint256 id = issue(c);
        RegistryTypes.BatchInfo memory b = registry.batches(c.batchId);
        vm.assertEq(keccak256(abi.encode(b)), keccak256(abi.encode(registry.batchOf(id))), "both ways");
        vm.assertEq(b.id, id, "id");
        vm.assertEq(b.projectId, PROJECT, "project");
        vm.assertEq(b.vintage, 2025, "vintage");
        vm.assertEq(b.periodStart, c.periodStart, "start");
        vm.assertEq(b.periodEnd, c.periodEnd, "end");
        vm.assertEq(b.issuedAt, block.timestamp, "issued at");
        vm.assertEq(b.lockedUntil, block.timestamp, "locked until");
        vm.assertEq(b.grossKg, c.grossKg, "gross");
        vm.assertEq(b.bufferKg, c.bufferKg, "buffer");
        vm.assertEq(b.supplyKg, c.grossKg, "supply");
        vm.assertTrue(registry.batchKnown(c.batchId), "known");
        vm.assertTrue(registry.contentRootUsed(c.contentRoot), "root used");
        vm.assertEq(registry.idOfContentRoot(c.contentRoot), id, "root");
        vm.assertEq(registry.projectIdOf(id), PROJECT, "project of id");
        vm.assertEq(registry.spentUntil(c.plotKeys[0]), c.periodEnd, "spent");
        vm.assertTrue(registry.nonceUsed(verifier, c.nonce), "nonce");
        vm.assertEq(registry.uri(id), "https://example.org/p1", "uri");
    }

    function test_an_issue_enters_the_project_s_account() public {
        issue(goodClaim());
        RegistryTypes.ProjectInfo memory p = registry.projects(PROJECT);
        vm.assertEq(p.grossKg, 960_000, "gross");
        vm.assertEq(p.bufferIssuedKg, 28_800, "buffer");
        vm.assertEq(p.lastPeriodEnd, PERIOD_END, "end");
        vm.assertEq(p.compensatedKg, 0, "compensated");
    }

    function test_the_event_tells_the_whole_batch() public {
        Claim memory c = goodClaim();
        c.plotKeys = plotKeys(3);
        bytes memory signed = signature(c);
        vm.recordLogs();
        vm.prank(issuer);
        uint256 id = registry.issue(c, verifier, signed);
        Vm.Log memory log = vm.getRecordedLogs()[0];
        vm.assertEq(log.topics[0], RegistryTypes.BatchIssued.selector, "event");
        vm.assertEq(log.topics[1], c.batchId, "batch");
        vm.assertEq(log.topics[2], PROJECT, "project");
        vm.assertEq(uint256(log.topics[3]), id, "id");
        bytes memory figures = abi.encode(c.estimateKg, c.standardErrorKg, c.deductionKg, c.grossKg, c.bufferKg);
        bytes memory expected = bytes.concat(
            abi.encode(c.contentRoot, c.evidenceRoot, c.periodStart, c.periodEnd, c.vintage),
            figures,
            abi.encode(c.recipient, verifier, uint256(14 * 32), registry.claimDigest(c), c.plotKeys.length),
            abi.encodePacked(c.plotKeys)
        );
        vm.assertEq(keccak256(log.data), keccak256(expected), "data");
    }

    function test_anyone_watching_erc1155_events_sees_every_unit_that_exists() public {
        Claim memory c = goodClaim();
        bytes memory signed = signature(c);
        vm.recordLogs();
        vm.prank(issuer);
        registry.issue(c, verifier, signed);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 seen;
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] != keccak256("TransferSingle(address,address,address,uint256,uint256)")) continue;
            (, uint256 kg) = abi.decode(logs[i].data, (uint256, uint256));
            seen += kg;
        }
        vm.assertEq(seen, c.grossKg, "minted");
    }

    function test_the_next_period_is_issued_on_top_of_the_first() public {
        issue(goodClaim());
        uint256 id = issue(nextClaim(500_000));
        vm.assertEq(registry.totalSupply(id), 500_000, "supply");
        vm.assertEq(registry.projects(PROJECT).grossKg, 1_460_000, "gross");
    }

    function test_a_batch_of_256_plots_is_issued_and_spends_them_all() public {
        Claim memory c = goodClaim();
        c.plotKeys = plotKeys(256);
        issue(c);
        for (uint256 i = 0; i < 256; ++i) {
            vm.assertEq(registry.spentUntil(c.plotKeys[i]), c.periodEnd, "spent");
        }
    }

    // ---------------------------------------------------------------- who may

    function test_only_an_issuer_may_submit() public {
        Claim memory c = goodClaim();
        bytes memory signed = signature(c);
        bytes32 role = registry.ISSUER_ROLE();
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, stranger, role)
        );
        vm.prank(stranger);
        registry.issue(c, verifier, signed);
    }

    function test_only_a_verifier_s_signature_counts() public {
        Claim memory c = goodClaim();
        bytes memory signed = signatureBy(BUYER_KEY, c);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Claim_VerifierUnknown.selector, buyer));
        vm.prank(issuer);
        registry.issue(c, buyer, signed);
    }

    function test_an_issuer_cannot_verify_its_own_claim() public {
        Claim memory c = goodClaim();
        bytes memory signed = signature(c);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Claim_VerifierIsIssuer.selector, issuer));
        vm.prank(issuer);
        registry.issue(c, issuer, signed);
    }

    function test_a_signature_of_another_key_is_refused() public {
        Claim memory c = goodClaim();
        bytes memory signed = signatureBy(BUYER_KEY, c);
        bytes32 digest = registry.claimDigest(c);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Claim_SignatureInvalid.selector, verifier, digest));
        vm.prank(issuer);
        registry.issue(c, verifier, signed);
    }

    function test_a_verifier_whose_role_was_taken_away_counts_no_more() public {
        Claim memory c = goodClaim();
        bytes memory signed = signature(c);
        bytes32 role = registry.VERIFIER_ROLE();
        vm.prank(admin);
        registry.revokeRole(role, verifier);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Claim_VerifierUnknown.selector, verifier));
        vm.prank(issuer);
        registry.issue(c, verifier, signed);
    }

    function test_a_contract_account_may_verify() public {
        address wallet = address(new Wallet1271(vm.addr(BUYER_KEY)));
        bytes32 role = registry.VERIFIER_ROLE();
        vm.prank(admin);
        registry.grantRole(role, wallet);
        Claim memory c = goodClaim();
        bytes memory right = signatureBy(BUYER_KEY, c);
        bytes memory wrong = signature(c);
        vm.expectRevert(
            abi.encodeWithSelector(RegistryTypes.Claim_SignatureInvalid.selector, wallet, registry.claimDigest(c))
        );
        vm.prank(issuer);
        registry.issue(c, wallet, wrong);
        vm.prank(issuer);
        uint256 id = registry.issue(c, wallet, right);
        vm.assertEq(registry.totalSupply(id), c.grossKg, "supply");
    }

    // ---------------------------------------------------------------- what was signed

    function test_the_digest_is_that_of_eip_712() public view {
        Claim memory c = goodClaim();
        c.plotKeys = plotKeys(3);
        bytes memory first = abi.encode(
            keccak256(
                "Claim(bytes32 projectId,bytes32 batchId,bytes32 methodDigest,bytes32 planDigest,bytes32 contentRoot,bytes32 evidenceRoot,uint32 periodStart,uint32 periodEnd,uint16 vintage,uint32 challengeWindow,uint64 estimateKg,uint64 standardErrorKg,uint64 deductionKg,uint64 priorGrossKg,uint64 compensatedKg,uint64 grossKg,uint64 bufferKg,address recipient,bytes32[] plotKeys,uint256 nonce,uint64 deadline)"
            ),
            c.projectId,
            c.batchId,
            c.methodDigest,
            c.planDigest,
            c.contentRoot,
            c.evidenceRoot,
            c.periodStart,
            c.periodEnd,
            c.vintage,
            c.challengeWindow
        );
        bytes memory second = abi.encode(
            c.estimateKg,
            c.standardErrorKg,
            c.deductionKg,
            c.priorGrossKg,
            c.compensatedKg,
            c.grossKg,
            c.bufferKg,
            c.recipient,
            keccak256(abi.encodePacked(c.plotKeys[0], c.plotKeys[1], c.plotKeys[2])),
            c.nonce,
            c.deadline
        );
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("SatoyamaCreditRegistry"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        vm.assertEq(registry.domainSeparator(), domain, "domain");
        bytes32 expected = keccak256(abi.encodePacked("\x19\x01", domain, keccak256(bytes.concat(first, second))));
        vm.assertEq(registry.claimDigest(c), expected, "digest");
    }

    /// @dev Every one of the 21 words that were signed, and each element of the list, is bound by the signature.
    function test_no_word_of_a_signed_claim_can_be_changed(uint256 word, uint256 flip) public view {
        Claim memory c = goodClaim();
        c.plotKeys = plotKeys(2);
        bytes32 before = registry.claimDigest(c);
        word = bound(word, 0, 22);
        // A change of the lowest bit fits every type; flip the lowest few.
        flip = bound(flip, 1, 255);
        if (word == 18) {
            c.plotKeys = plotKeys(3);
        } else {
            bytes32[] memory keys = c.plotKeys;
            assembly ("memory-safe") {
                let place := add(c, mul(word, 0x20))
                if gt(word, 20) { place := add(keys, mul(sub(word, 20), 0x20)) }
                mstore(place, xor(mload(place), flip))
            }
        }
        vm.assertTrue(registry.claimDigest(c) != before, "digest is the same");
    }

    function test_a_signature_for_another_chain_is_refused() public {
        Claim memory c = goodClaim();
        bytes memory signed = signature(c);
        vm.chainId(block.chainid + 1);
        vm.expectPartialRevert(RegistryTypes.Claim_SignatureInvalid.selector);
        vm.prank(issuer);
        registry.issue(c, verifier, signed);
    }

    function test_a_signature_for_another_registry_is_refused() public {
        Claim memory c = goodClaim();
        bytes memory signed = signature(c);
        Base.setUp();
        vm.expectPartialRevert(RegistryTypes.Claim_SignatureInvalid.selector);
        vm.prank(issuer);
        registry.issue(c, verifier, signed);
    }

    function test_the_same_claim_cannot_be_issued_twice() public {
        Claim memory c = goodClaim();
        issue(c);
        refused(c, encoded(RegistryTypes.Claim_PeriodOverlaps.selector, PERIOD_START, PERIOD_END));
    }

    function test_a_nonce_serves_once() public {
        issue(goodClaim());
        Claim memory c = nextClaim(500_000);
        c.nonce = 0;
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_NonceUsed.selector, verifier, 0));
    }

    function test_nonces_may_be_any_numbers_in_any_order(uint256 first, uint256 second) public {
        vm.assume(first != second);
        Claim memory c = goodClaim();
        c.nonce = first;
        issue(c);
        c = nextClaim(500_000);
        c.nonce = second;
        issue(c);
        vm.assertTrue(registry.nonceUsed(verifier, first) && registry.nonceUsed(verifier, second), "used");
    }

    function test_a_verifier_can_kill_a_signature_it_gave() public {
        Claim memory c = goodClaim();
        c.nonce = 77;
        vm.prank(verifier);
        registry.revokeNonce(77);
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_NonceUsed.selector, verifier, 77));
    }

    function test_nobody_else_can_kill_a_verifier_s_signature() public {
        vm.prank(stranger);
        registry.revokeNonce(0);
        issue(goodClaim());
    }

    function test_a_signature_lives_up_to_its_deadline_and_not_beyond() public {
        Claim memory c = goodClaim();
        c.deadline = uint64(block.timestamp) - 1;
        refused(c, encoded(RegistryTypes.Claim_Expired.selector, c.deadline, block.timestamp));
        c.deadline = uint64(block.timestamp);
        issue(c);
    }

    // ---------------------------------------------------------------- project, method, window

    function test_an_unknown_project_is_refused() public {
        Claim memory c = goodClaim();
        c.projectId = OTHER_PROJECT;
        refused(c, abi.encodeWithSelector(RegistryTypes.Project_Unknown.selector, OTHER_PROJECT));
    }

    function test_a_project_id_that_differs_only_beyond_the_packed_bits_is_refused() public {
        Claim memory c = goodClaim();
        c.projectId = PROJECT ^ bytes32(uint256(1));
        refused(c, abi.encodeWithSelector(RegistryTypes.Project_Unknown.selector, c.projectId));
    }

    function test_a_paused_project_issues_nothing() public {
        vm.prank(guardian);
        registry.pause(PROJECT);
        refused(goodClaim(), abi.encodeWithSelector(RegistryTypes.Project_Paused.selector, PROJECT));
        vm.prank(guardian);
        registry.unpause(PROJECT);
        issue(goodClaim());
    }

    function test_another_method_than_the_project_s_is_refused() public {
        Claim memory c = goodClaim();
        c.methodDigest = keccak256("another");
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_MethodDiffers.selector, c.methodDigest, METHOD));
    }

    function test_another_challenge_window_than_the_project_s_is_refused() public {
        Claim memory c = goodClaim();
        c.challengeWindow = 1;
        refused(c, encoded(RegistryTypes.Claim_WindowDiffers.selector, 1, 0));
    }

    // ---------------------------------------------------------------- figures

    function test_a_claim_without_a_standard_error_is_refused() public {
        Claim memory c = goodClaim();
        c.standardErrorKg = 0;
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_UncertaintyAbsent.selector));
    }

    function test_a_claim_without_a_deduction_is_refused() public {
        Claim memory c = goodClaim();
        c.deductionKg = 0;
        c.grossKg = c.estimateKg;
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_UncertaintyAbsent.selector));
    }

    function test_gross_is_exactly_what_the_identity_gives(uint64 estimate, uint64 deduction, uint64 gross) public {
        Claim memory c = goodClaim();
        c.estimateKg = estimate;
        c.deductionKg = uint64(bound(deduction, 1, type(uint64).max));
        c.grossKg = uint64(bound(gross, 1, type(uint64).max));
        int256 expected = int256(uint256(c.estimateKg)) - int256(uint256(c.deductionKg));
        vm.assume(int256(uint256(c.grossKg)) != expected);
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_IdentityBroken.selector, c.grossKg, expected));
    }

    function test_a_change_below_its_own_deduction_gives_no_credits() public {
        Claim memory c = goodClaim();
        c.estimateKg = 39_999;
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_IdentityBroken.selector, 960_000, int256(-1)));
        c.grossKg = 0;
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_GrossZero.selector));
    }

    function test_what_was_issued_before_must_be_named_as_the_chain_knows_it() public {
        issue(goodClaim());
        Claim memory c = nextClaim(500_000);
        c.priorGrossKg -= 1;
        refused(c, encoded(RegistryTypes.Claim_PriorGrossDiffers.selector, 959_999, 960_000));
        c = nextClaim(500_000);
        c.compensatedKg = 1;
        refused(c, encoded(RegistryTypes.Claim_CompensatedDiffers.selector, 1, 0));
    }

    function test_the_buffer_minimum_is_rounded_up_to_the_next_kg(uint64 gross) public {
        gross = uint64(bound(gross, 2, 1e15));
        uint256 minimum = uint256(gross) * MIN_BUFFER_BPS / 10_000;
        if (minimum * 10_000 < uint256(gross) * MIN_BUFFER_BPS) ++minimum;
        Claim memory c = goodClaim();
        c.grossKg = gross;
        c.estimateKg = gross + c.deductionKg;
        c.bufferKg = uint64(minimum - 1);
        refused(c, encoded(RegistryTypes.Claim_BufferTooSmall.selector, minimum - 1, minimum));
        c.bufferKg = uint64(minimum);
        issue(c);
    }

    function test_one_kg_over_a_whole_share_asks_for_a_whole_kg_more() public {
        vm.prank(admin);
        registry.registerProject(OTHER_PROJECT, METHOD, 1, 0, "");
        Claim memory c = goodClaim();
        c.projectId = OTHER_PROJECT;
        c.grossKg = 10_001; // a ten-thousandth of it is 1.0001 kg
        c.estimateKg = c.grossKg + c.deductionKg;
        c.bufferKg = 1;
        refused(c, encoded(RegistryTypes.Claim_BufferTooSmall.selector, 1, 2));
        c.bufferKg = 2;
        issue(c);
    }

    function test_a_buffer_of_all_the_gross_is_refused() public {
        Claim memory c = goodClaim();
        c.bufferKg = c.grossKg;
        refused(c, encoded(RegistryTypes.Claim_BufferTooLarge.selector, c.grossKg, c.grossKg));
    }

    function test_credits_to_nobody_or_to_the_registry_are_refused() public {
        Claim memory c = goodClaim();
        c.recipient = address(0);
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_RecipientInvalid.selector, address(0)));
        c.recipient = address(registry);
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_RecipientInvalid.selector, address(registry)));
    }

    // ---------------------------------------------------------------- period and vintage

    function test_an_empty_or_backward_period_is_refused() public {
        Claim memory c = goodClaim();
        c.periodStart = c.periodEnd;
        refused(c, encoded(RegistryTypes.Claim_PeriodEmpty.selector, c.periodEnd, c.periodEnd));
        c.periodStart = c.periodEnd + 1;
        refused(c, encoded(RegistryTypes.Claim_PeriodEmpty.selector, c.periodEnd + 1, c.periodEnd));
    }

    function test_a_period_must_be_over_to_the_second() public {
        Claim memory c = goodClaim();
        uint256 over = uint256(c.periodEnd) * 1 days;
        vm.warp(over - 1);
        refused(c, encoded(RegistryTypes.Claim_PeriodInFuture.selector, c.periodEnd, over - 1));
        vm.warp(over);
        issue(c);
    }

    function test_a_period_may_begin_on_the_day_the_last_one_ended_and_not_before() public {
        issue(goodClaim());
        Claim memory c = nextClaim(500_000);
        c.plotKeys[0] = keccak256("another plot");
        c.periodStart = PERIOD_END - 1;
        refused(c, encoded(RegistryTypes.Claim_PeriodOverlaps.selector, PERIOD_END - 1, PERIOD_END));
        c.periodStart = PERIOD_END;
        issue(c);
    }

    function test_the_vintage_is_the_year_of_the_last_day_not_of_the_day_after() public {
        Claim memory c = goodClaim();
        c.periodEnd = 20_089; // 2025-01-01, so the last day is 2024-12-31
        c.vintage = 2025;
        refused(c, encoded(RegistryTypes.Claim_VintageDiffers.selector, 2025, 2024));
        c.vintage = 2024;
        issue(c);
    }

    // ---------------------------------------------------------------- plots

    function test_no_plot_may_be_credited_twice_for_a_day_even_by_another_project(uint32 overlap) public {
        issue(goodClaim());
        vm.prank(admin);
        registry.registerProject(OTHER_PROJECT, METHOD, MIN_BUFFER_BPS, 0, "");
        Claim memory c = nextClaim(500_000);
        c.projectId = OTHER_PROJECT;
        c.priorGrossKg = 0;
        c.estimateKg = c.grossKg + c.deductionKg;
        c.periodStart = PERIOD_END - uint32(bound(overlap, 1, PERIOD_END));
        refused(
            c,
            abi.encodeWithSelector(RegistryTypes.Plot_AlreadySpent.selector, c.plotKeys[0], PERIOD_END, c.periodStart)
        );
        c.periodStart = PERIOD_END;
        issue(c);
    }

    function test_one_spent_plot_among_many_refuses_the_claim() public {
        Claim memory c = goodClaim();
        bytes32 spent = plotKeys(3)[2];
        c.plotKeys = only(spent);
        issue(c);
        vm.prank(admin);
        registry.registerProject(OTHER_PROJECT, METHOD, MIN_BUFFER_BPS, 0, "");
        c = goodClaim();
        c.projectId = OTHER_PROJECT;
        c.batchId = keccak256("b2");
        c.contentRoot = keccak256("c2");
        c.nonce = 5;
        c.plotKeys = plotKeys(3);
        refused(c, abi.encodeWithSelector(RegistryTypes.Plot_AlreadySpent.selector, spent, PERIOD_END, PERIOD_START));
    }

    function only(bytes32 key) private pure returns (bytes32[] memory keys) {
        keys = new bytes32[](1);
        keys[0] = key;
    }

    function test_plot_keys_must_ascend_strictly(uint256 place, bool twice) public {
        Claim memory c = goodClaim();
        c.plotKeys = plotKeys(5);
        place = bound(place, 1, 4);
        (bytes32 before, bytes32 key) = (c.plotKeys[place - 1], c.plotKeys[place]);
        if (twice) c.plotKeys[place] = before;
        else (c.plotKeys[place - 1], c.plotKeys[place]) = (key, before);
        // Swapped, the first of the two may already be right: the complaint is about the second.
        bytes32 left = twice ? before : key;
        refused(c, abi.encodeWithSelector(RegistryTypes.Plots_NotAscending.selector, left, before));
    }

    function test_the_zero_plot_key_is_refused() public {
        Claim memory c = goodClaim();
        c.plotKeys[0] = 0;
        refused(c, abi.encodeWithSelector(RegistryTypes.Plots_NotAscending.selector, bytes32(0), bytes32(0)));
    }

    function test_no_plots_and_too_many_plots_are_refused() public {
        Claim memory c = goodClaim();
        c.plotKeys = plotKeys(0);
        refused(c, encoded(RegistryTypes.Plots_CountInvalid.selector, 0, 256));
        c.plotKeys = plotKeys(257);
        refused(c, encoded(RegistryTypes.Plots_CountInvalid.selector, 257, 256));
    }

    // ---------------------------------------------------------------- roots and batch ids

    function test_a_content_root_serves_once() public {
        uint256 id = issue(goodClaim());
        Claim memory c = nextClaim(500_000);
        c.contentRoot = goodClaim().contentRoot;
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_ContentRootUsed.selector, c.contentRoot, id));
    }

    function test_a_batch_id_serves_once() public {
        issue(goodClaim());
        Claim memory c = nextClaim(500_000);
        c.batchId = goodClaim().batchId;
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_BatchKnown.selector, c.batchId));
    }

    function test_roots_and_batch_id_must_be_given() public {
        Claim memory c = goodClaim();
        c.batchId = 0;
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_BatchIdZero.selector));
        c = goodClaim();
        c.contentRoot = 0;
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_RootZero.selector));
        c = goodClaim();
        c.evidenceRoot = 0;
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_RootZero.selector));
        c = goodClaim();
        c.planDigest = 0;
        refused(c, abi.encodeWithSelector(RegistryTypes.Claim_RootZero.selector));
    }

    // ---------------------------------------------------------------- receivers

    function test_a_contract_that_cannot_hold_credits_gets_none() public {
        Claim memory c = goodClaim();
        c.recipient = address(new DeafContract());
        refused(c, abi.encodeWithSelector(IERC1155Errors.ERC1155InvalidReceiver.selector, c.recipient));
    }

    function test_a_receiver_that_calls_back_cannot_mint_and_finds_the_books_closed() public {
        CallingReceiver receiver = new CallingReceiver();
        bytes32 role = registry.ISSUER_ROLE();
        vm.prank(admin);
        registry.grantRole(role, address(receiver));
        Claim memory first = goodClaim();
        first.recipient = address(receiver);
        bytes memory signed = signature(first);
        issue(goodClaim());
        Claim memory second = nextClaim(500_000);
        second.recipient = address(receiver);
        receiver.prepare(address(registry), abi.encodeCall(registry.issue, (first, verifier, signed)));
        uint256 id = issue(second);
        vm.assertTrue(receiver.called() && !receiver.succeeded(), "entered");
        vm.assertEq(bytes32(receiver.answer()), bytes32(bytes4(keccak256("ReentrancyGuardReentrantCall()"))), "reason");
        vm.assertEq(registry.totalSupply(id), 500_000, "supply");
    }

    function test_a_receiver_may_retire_at_once() public {
        CallingReceiver receiver = new CallingReceiver();
        Claim memory c = goodClaim();
        c.recipient = address(receiver);
        uint256 id = CreditId.pack(PROJECT, 2025, c.batchId);
        receiver.prepare(address(registry), abi.encodeCall(registry.retire, (id, 931_200, retirement())));
        issue(c);
        vm.assertTrue(receiver.succeeded(), "retired");
        vm.assertEq(registry.totalSupply(id), 28_800, "supply");
    }
}
