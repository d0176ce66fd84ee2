// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ChallengeWindow} from "../src/ChallengeWindow.sol";
import {Claim} from "../src/Claim.sol";
import {CreditSale} from "../src/CreditSale.sol";
import {ICourtRegistry} from "../src/interfaces/ICourtRegistry.sol";
import {ICreditRegistry} from "../src/interfaces/ICreditRegistry.sol";
import {IPredecessor} from "../src/interfaces/IPredecessor.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {SuccessorDesk} from "../src/registry/SuccessorDesk.sol";
import {SuccessorRegistry} from "../src/SuccessorRegistry.sol";
import {Court} from "./support/Court.sol";
import {CallingReceiver, HookToken} from "./support/Mocks.sol";

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
        vm.assertTrue(desk.projectTaken(PROJECT) && !desk.projectTaken(OTHER_PROJECT), "taken");
        vm.warp(now_ + 1);
        releaseOf(id, 1, 3, now_, abi.encodeWithSelector(RegistryTypes.Claim_Expired.selector, now_, now_ + 1));
    }

    function releaseOf(uint256 id, uint64 kg, uint256 nonce, uint256 until, bytes memory refusal) private {
        bytes32 typeHash = keccak256("Release(uint256 id,uint64 kg,address to,uint256 nonce,uint64 deadline)");
        bytes32 inner = keccak256(abi.encode(typeHash, id, kg, stranger, nonce, until));
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", registry.domainSeparator(), inner));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(VERIFIER_KEY, digest);
        if (refusal.length != 0) {
            vm.expectRevert(refusal);
        } else {
            vm.expectEmit(true, true, true, true, address(registry));
            emit RegistryTypes.BufferReleased(PROJECT, id, stranger, kg, guardian, verifier);
        }
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

    function test_a_successor_announced_but_not_in_effect_spends_nothing_here() public {
        SuccessorDesk next = SuccessorDesk(address(new SuccessorRegistry(admin, IPredecessor(address(registry)))));
        bytes32[] memory none = new bytes32[](0);
        vm.prank(admin);
        desk.announceMigration(none, address(next));
        uint256 from = block.timestamp + 30 days;
        RegistryTypes.Spending memory days_ =
            RegistryTypes.Spending(keccak256("batch"), keccak256("root"), plotKeys(1), PERIOD_START, PERIOD_END);
        bytes memory early = abi.encodeWithSelector(RegistryTypes.Migration_NotSuccessor.selector, address(next));
        vm.warp(from - 1);
        vm.expectRevert(early);
        vm.prank(address(next));
        desk.spendFor(days_);
        vm.warp(from);
        vm.prank(address(next));
        desk.spendFor(days_);
        vm.assertEq(registry.spentUntil(days_.plotKeys[0]), PERIOD_END, "spent");
    }

    function test_nothing_is_settled_before_its_successor_is_in_effect() public {
        uint256 start = 1_790_000_000;
        SuccessorDesk next = SuccessorDesk(address(new SuccessorRegistry(admin, IPredecessor(address(registry)))));
        bytes32[] memory list = new bytes32[](1);
        list[0] = PROJECT;
        vm.startPrank(admin);
        desk.announceMigration(list, stranger);
        vm.warp(start + 29 days);
        desk.announceMigration(new bytes32[](0), address(next)); // the project closes a day later all the same
        vm.stopPrank();
        vm.warp(start + 58 days);
        (uint40 closesAt,, bool settled) = desk.closing(PROJECT);
        vm.assertEq(closesAt, start + 30 days, "closes");
        vm.assertTrue(!settled, "closed, but nobody to take it yet");
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Migration_Unsettled.selector, PROJECT));
        next.importProject(PROJECT);
        vm.warp(start + 59 days);
        (,, settled) = desk.closing(PROJECT);
        vm.assertTrue(settled, "in effect");
        next.importProject(PROJECT);
    }

    function test_a_root_and_a_batch_id_serve_once_in_a_successor_too() public {
        SuccessorRegistry next = new SuccessorRegistry(admin, IPredecessor(address(registry)));
        bytes32[] memory none = new bytes32[](0);
        vm.startPrank(admin);
        desk.announceMigration(none, address(next));
        next.grantRole(registry.ISSUER_ROLE(), issuer);
        next.grantRole(registry.VERIFIER_ROLE(), verifier);
        vm.warp(block.timestamp + 30 days);
        next.registerProject(OTHER_PROJECT, METHOD, MIN_BUFFER_BPS, 0, "");
        vm.stopPrank();
        Claim memory c = goodClaim();
        c.projectId = OTHER_PROJECT;
        c.deadline = type(uint64).max;
        uint256 id = issueIn(next, c, "");
        Claim memory d = goodClaim();
        (d.projectId, d.deadline, d.nonce) = (OTHER_PROJECT, type(uint64).max, 1);
        (d.periodStart, d.periodEnd, d.vintage) = (PERIOD_END, PERIOD_END + 365, 2026);
        (d.priorGrossKg, d.estimateKg) = (c.grossKg, c.grossKg + c.estimateKg);
        issueIn(next, d, abi.encodeWithSelector(RegistryTypes.Claim_ContentRootUsed.selector, c.contentRoot, id));
        d.contentRoot = keccak256("another root");
        issueIn(next, d, abi.encodeWithSelector(RegistryTypes.Claim_BatchKnown.selector, c.batchId));
        d.batchId = keccak256("another batch");
        issueIn(next, d, "");
        vm.assertTrue(next.contentRootUsed(c.contentRoot) && !registry.contentRootUsed(c.contentRoot), "used there");
        vm.startPrank(admin);
        next.grantRole(registry.GUARDIAN_ROLE(), guardian);
        vm.stopPrank();
        vm.startPrank(guardian);
        next.reverse(OTHER_PROJECT, one(id), 1, REASON);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Reversal_Known.selector, OTHER_PROJECT, REASON));
        next.reverse(OTHER_PROJECT, one(id), 1, REASON);
        vm.stopPrank();
    }

    function test_credits_that_move_are_gone_here_and_not_retired() public {
        uint256 id = issue(goodClaim());
        SuccessorDesk next = SuccessorDesk(address(new SuccessorRegistry(admin, IPredecessor(address(registry)))));
        bytes32[] memory list = new bytes32[](1);
        list[0] = PROJECT;
        vm.prank(admin);
        desk.announceMigration(list, address(next));
        vm.warp(block.timestamp + 30 days);
        next.importProject(PROJECT);
        vm.expectEmit(true, true, true, true, address(registry));
        emit RegistryTypes.SerialsEnded(0, id, 0, 700);
        vm.prank(seller);
        desk.migrate(id, 700);
        vm.assertEq(registry.batchOf(id).retiredKg, 0, "retired");
        vm.assertEq(desk.batchState(id).goneKg, 700 + 28_800, "gone, the buffer too");
    }

    // ---------------------------------------------------------------- re-entry

    function test_a_purchase_by_permit_is_not_entered_again() public {
        uint256 id = issue(goodClaim());
        setEqualShares(PROJECT, 1);
        vm.startPrank(seller);
        registry.setApprovalForAll(address(sale), true);
        uint256 listing = sale.list(id, 3_000, address(yen), uint96(YEN));
        vm.stopPrank();
        CallingReceiver receiver = new CallingReceiver();
        fund(address(receiver), 10 * YEN, address(sale));
        bytes memory again = abi.encodeCall(CreditSale.buy, (listing, 500, type(uint256).max, block.timestamp));
        receiver.prepare(address(sale), again);
        // A contract signs no permit; the allowance it gave before is what counts.
        bytes memory purchase =
            abi.encodeCall(CreditSale.buyWithPermit, (listing, 1_000, 10 * YEN, block.timestamp, 27, 0, 0));
        receiver.call(address(sale), purchase);
        vm.assertTrue(receiver.called() && !receiver.succeeded(), "entered");
        vm.assertEq(registry.balanceOf(address(receiver), id), 1_000, "bought once");
    }

    function test_no_purchase_with_retirement_is_entered_again() public {
        uint256 id = issue(goodClaim());
        setEqualShares(PROJECT, 1);
        HookToken token = new HookToken();
        vm.startPrank(admin);
        sale.setTokenAllowed(address(token), true);
        split.setTokenAllowed(address(token), true);
        vm.stopPrank();
        vm.startPrank(seller);
        registry.setApprovalForAll(address(sale), true);
        uint256 listing = sale.list(id, 9_000, address(token), 1_000);
        vm.stopPrank();
        // The token buys, too: it has itself, and needs to receive no credits.
        address[2] memory buyers = [buyer, address(token)];
        for (uint256 i = 0; i < 2; ++i) {
            token.mint(buyers[i], 100_000);
            vm.prank(buyers[i]);
            token.approve(address(sale), 100_000);
        }
        ICreditRegistry.Retirement memory whom = ICreditRegistry.Retirement("Aoba Paper", "", "JP", 0, 0);
        bytes memory plain = abi.encodeCall(CreditSale.buyAndRetire, (listing, 10, 10, block.timestamp, whom));
        bytes memory permitted = abi.encodeCall(
            CreditSale.buyAndRetireWithPermit, (listing, 10, 10, block.timestamp, 27, bytes32(0), bytes32(0), whom)
        );
        bytes[2] memory purchases = [plain, permitted];
        for (uint256 i = 0; i < 2; ++i) {
            token.prepare(address(sale), plain);
            vm.prank(buyer);
            (bool ok,) = address(sale).call(purchases[i]);
            vm.assertTrue(ok && !token.succeeded(), "entered");
            token.prepare(address(0), "");
            vm.prank(address(token));
            (ok,) = address(sale).call(purchases[i]);
            vm.assertTrue(ok, "alone it may");
        }
        vm.assertEq(registry.batchOf(id).retiredKg, 40, "retired");
    }

    function test_a_payment_of_the_court_is_not_entered_again() public {
        issue(lockedClaim());
        HookToken token = new HookToken();
        ICourtRegistry r = ICourtRegistry(address(registry));
        ChallengeWindow other = new ChallengeWindow(r, IERC20(address(token)), BOND, 14 days, 1);
        bytes32 role = desk.COURT_ROLE();
        vm.prank(admin);
        registry.grantRole(role, address(other));
        token.mint(challenger, BOND);
        vm.startPrank(challenger);
        token.approve(address(other), BOND);
        uint256 n = other.challenge(lockedClaim().contentRoot, OTHER_ROOT, seller, "");
        vm.stopPrank();
        vm.prank(guardian);
        other.resolve(n, true);
        token.prepare(address(other), abi.encodeCall(other.fundRewards, (0)));
        vm.prank(challenger);
        other.withdraw(stranger);
        vm.assertTrue(!token.succeeded(), "entered");
        vm.assertEq(token.balanceOf(stranger), BOND, "paid");
    }

    function issueIn(SuccessorRegistry r, Claim memory c, bytes memory refusal) private returns (uint256) {
        (uint8 v, bytes32 a, bytes32 b) = vm.sign(VERIFIER_KEY, r.claimDigest(c));
        if (refusal.length != 0) vm.expectRevert(refusal);
        vm.prank(issuer);
        return r.issue(c, verifier, abi.encodePacked(a, b, v));
    }

    // ---------------------------------------------------------------- figures

    function test_a_batch_whose_last_day_is_new_year_s_eve_is_found_again() public {
        Claim memory c = goodClaim();
        (c.periodEnd, c.vintage) = (20_089, 2024); // 2025-01-01 is the first day after
        uint256 id = issue(c);
        vm.assertEq(registry.batchOf(id).id, id, "by its id");
        vm.assertEq(registry.batches(c.batchId).id, id, "by its batch id");
        vm.assertEq(registry.idOfContentRoot(c.contentRoot), id, "by its root");
        vm.assertEq(registry.totalSupply(id), 960_000, "supply");
        vm.assertEq(registry.batchOf(id).vintage, 2024, "vintage");
    }

    function test_a_reversal_burns_nothing_of_an_empty_buffer_and_says_nothing_of_it() public {
        uint256 first = issue(goodClaim());
        uint256 second = issue(nextClaim(100_000));
        vm.prank(guardian);
        registry.reverse(PROJECT, one(first), 28_800, REASON);
        uint256[] memory both = new uint256[](2);
        (both[0], both[1]) = (first, second);
        vm.recordLogs();
        vm.prank(guardian);
        registry.reverse(PROJECT, both, 10, keccak256("another loss"));
        vm.assertEq(vm.getRecordedLogs().length, 2, "one burn and the reversal");
    }

    function test_nobody_signed_an_unknown_root_nor_did_nobody_sign_a_known_one() public {
        vm.assertTrue(!registry.signedBy(keccak256("unknown"), address(0)), "no root");
        issue(goodClaim());
        vm.assertTrue(!registry.signedBy(goodClaim().contentRoot, address(0)), "no address");
        vm.assertTrue(registry.signedBy(goodClaim().contentRoot, verifier), "the verifier");
    }

    function test_a_country_is_two_capital_letters() public {
        uint256 id = issue(goodClaim());
        bytes2[6] memory none = [bytes2("1P"), "J1", "jP", "Jp", "[P", "J@"];
        for (uint256 i = 0; i < none.length; ++i) {
            RegistryTypes.Retirement memory r = retirement();
            r.country = none[i];
            vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Retirement_CountryInvalid.selector, none[i]));
            vm.prank(seller);
            registry.retire(id, 1, r);
        }
        bytes2[3] memory some = [bytes2("AZ"), "ZA", 0x0000];
        for (uint256 i = 0; i < some.length; ++i) {
            RegistryTypes.Retirement memory r = retirement();
            r.country = some[i];
            vm.prank(seller);
            registry.retire(id, 1, r);
        }
    }

    /// @dev As numbers, since a test that asks the contract for its own limit agrees with any.
    function test_the_limits_are_those_documented() public {
        vm.assertEq(registry.MAX_PLOT_KEYS(), 256, "plot keys");
        vm.assertEq(registry.MAX_CHALLENGE_WINDOW(), 31_536_000, "a year");
        vm.assertEq(desk.PERMANENCE(), 315_619_200, "ten years");
        vm.assertEq(desk.RELEASE_TIME(), 157_766_400, "five years");
        vm.assertEq(desk.MIGRATION_DELAY(), 2_592_000, "thirty days");
        vm.assertEq(sale.KG_PER_TONNE(), 1_000, "kg");
        vm.assertEq(split.SHARES(), 1_000_000, "shares");
        vm.assertEq(split.MAX_DELAY(), 15_552_000, "180 days");
        vm.assertEq(split.MAX_PAYEES(), 500, "payees");
        vm.assertEq(court.MAX_DOUBLINGS(), 4, "doublings");
        vm.prank(admin);
        registry.registerProject(OTHER_PROJECT, METHOD, 9_999, 31_536_000, "");
        vm.assertEq(registry.projects(OTHER_PROJECT).challengeWindow, 31_536_000, "the longest window is taken");
    }

    function test_carrying_a_payee_forward_makes_the_claim_cheaper() public {
        setEqualShares(PROJECT, 2);
        address payee = address(0x10000);
        fund(buyer, 100, address(split));
        for (uint256 i = 0; i < 20; ++i) {
            setEqualShares(PROJECT, 2);
            vm.prank(buyer);
            split.deposit(PROJECT, address(yen), 2);
        }
        split.settle(PROJECT, address(yen), payee, 20);
        split.settle(PROJECT, address(yen), address(0x10001), 2); // his ledger, too, is begun
        split.claimFor(PROJECT, address(yen), payee);
        uint256 carried = vm.lastCallGas().gasTotalUsed;
        split.claimFor(PROJECT, address(yen), address(0x10001));
        vm.assertLt(carried + 18 * 500, vm.lastCallGas().gasTotalUsed, "a look at each epoch is saved");
    }
}
