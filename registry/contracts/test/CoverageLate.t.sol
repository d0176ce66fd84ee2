// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ChallengeWindow} from "../src/ChallengeWindow.sol";
import {Claim} from "../src/Claim.sol";
import {CreditSale} from "../src/CreditSale.sol";
import {ICourtRegistry} from "../src/interfaces/ICourtRegistry.sol";
import {IPredecessor} from "../src/interfaces/IPredecessor.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {SuccessorDesk} from "../src/registry/SuccessorDesk.sol";
import {SuccessorRegistry} from "../src/SuccessorRegistry.sol";
import {Court} from "./support/Court.sol";
import {CallingReceiver, HookToken} from "./support/Mocks.sol";
import {Vm} from "./support/Vm.sol";

/// @dev What the mutation test found untested: events that nobody expected, guards against re-entry, values carried along.
contract CoverageLateTest is Court {
    event TransferSingle(address indexed operator, address indexed from, address indexed to, uint256 id, uint256 value);

    function singles(Vm.Log[] memory logs) private pure returns (uint256 count) {
        for (uint256 i = 0; i < logs.length; ++i) {
            if (logs[i].topics[0] == TransferSingle.selector) ++count;
        }
    }

    // ---------------------------------------------------------------- issue

    function test_a_buffer_is_announced_when_there_is_one_and_only_then() public {
        vm.prank(admin);
        registry.registerProject(OTHER_PROJECT, METHOD, 0, 0, "");
        Claim memory c = goodClaim();
        c.projectId = OTHER_PROJECT;
        c.bufferKg = 0;
        vm.recordLogs();
        issue(c);
        vm.assertEq(singles(vm.getRecordedLogs()), 1, "to the recipient");
        Claim memory d = following(OTHER_PROJECT, 1_000);
        d.bufferKg = 1;
        vm.recordLogs();
        issue(d);
        vm.assertEq(singles(vm.getRecordedLogs()), 2, "to the recipient and to the buffer");
    }

    // ---------------------------------------------------------------- court

    function test_a_payment_of_the_court_is_told() public {
        issue(lockedClaim());
        uint256 challengeId = challenge(lockedClaim().contentRoot);
        vm.prank(guardian);
        court.resolve(challengeId, true);
        vm.expectEmit(true, true, true, true, address(court));
        emit ChallengeWindow.Withdrawn(challenger, stranger, BOND);
        vm.prank(challenger);
        court.withdraw(stranger);
        vm.assertEq(yen.balanceOf(stranger), BOND, "paid to another address");
    }

    function test_a_token_in_office_decides_nothing_while_it_moves_money() public {
        issue(lockedClaim());
        HookToken token = new HookToken();
        ICourtRegistry r = ICourtRegistry(address(registry));
        ChallengeWindow other = new ChallengeWindow(r, IERC20(address(token)), BOND, 14 days, 1);
        vm.startPrank(admin);
        registry.grantRole(desk.COURT_ROLE(), address(other));
        registry.grantRole(registry.GUARDIAN_ROLE(), address(token));
        registry.grantRole(registry.VERIFIER_ROLE(), address(token));
        vm.stopPrank();
        token.mint(challenger, BOND);
        vm.startPrank(challenger);
        token.approve(address(other), BOND);
        uint256 challengeId = other.challenge(lockedClaim().contentRoot, OTHER_ROOT, seller, "");
        vm.stopPrank();
        enters(token, other, abi.encodeCall(other.resolve, (challengeId, true)));
        enters(token, other, abi.encodeCall(other.vote, (challengeId, true)));
        vm.warp(block.timestamp + 14 days);
        enters(token, other, abi.encodeCall(other.expire, (challengeId)));
        vm.assertEq(uint256(other.challenges(challengeId).status), uint256(ChallengeWindow.Status.Open), "open");
        other.expire(challengeId);
    }

    function enters(HookToken token, ChallengeWindow other, bytes memory data) private {
        token.prepare(address(other), data);
        other.fundRewards(0);
        vm.assertTrue(!token.succeeded(), "entered");
    }

    // ---------------------------------------------------------------- sale

    function test_nothing_is_listed_or_cancelled_within_a_purchase() public {
        uint256 id = issue(goodClaim());
        setEqualShares(PROJECT, 1);
        vm.startPrank(seller);
        registry.setApprovalForAll(address(sale), true);
        uint256 listing = sale.list(id, 3_000, address(yen), uint96(YEN));
        vm.stopPrank();
        CallingReceiver receiver = new CallingReceiver();
        fund(address(receiver), 10 * YEN, address(sale));
        vm.startPrank(admin);
        sale.grantRole(sale.SELLER_ROLE(), address(receiver));
        vm.stopPrank();
        receiver.call(address(registry), abi.encodeCall(registry.setApprovalForAll, (address(sale), true)));
        bytes memory purchase = abi.encodeCall(CreditSale.buy, (listing, 1_000, type(uint256).max, block.timestamp));
        bytes memory own = abi.encodeCall(CreditSale.list, (id, 500, address(yen), uint96(YEN)));
        receiver.prepare(address(sale), own);
        receiver.call(address(sale), purchase);
        vm.assertTrue(receiver.called() && !receiver.succeeded(), "listed");
        receiver.prepare(address(0), "");
        receiver.call(address(sale), own);
        receiver.prepare(address(sale), abi.encodeCall(CreditSale.cancel, (listing + 1)));
        receiver.call(address(sale), purchase);
        vm.assertTrue(!receiver.succeeded(), "cancelled");
    }

    // ---------------------------------------------------------------- move

    function successor(bytes32 projectId) private returns (SuccessorDesk next) {
        next = SuccessorDesk(address(new SuccessorRegistry(admin, IPredecessor(address(registry)))));
        bytes32[] memory list = new bytes32[](1);
        list[0] = projectId;
        vm.prank(admin);
        desk.announceMigration(list, address(next));
        vm.warp(block.timestamp + 500 days);
        next.importProject(projectId);
    }

    function test_a_batch_s_move_is_told_with_its_buffer() public {
        uint256 id = issue(goodClaim());
        SuccessorDesk next = successor(PROJECT);
        vm.expectEmit(true, true, true, true, address(next));
        emit RegistryTypes.BatchImported(id, PROJECT, 28_800);
        vm.expectEmit(true, true, true, true, address(next));
        emit TransferSingle(address(this), address(0), address(next), id, 28_800);
        next.importBatch(id);
    }

    function test_a_batch_without_buffer_left_brings_none() public {
        uint256 id = issue(goodClaim());
        vm.prank(guardian);
        registry.reverse(PROJECT, one(id), 28_800, REASON);
        SuccessorDesk next = successor(PROJECT);
        vm.recordLogs();
        next.importBatch(id);
        vm.assertEq(singles(vm.getRecordedLogs()), 0, "nothing is made");
    }

    function test_the_day_of_issue_is_carried_along_whatever_became_of_the_lock() public {
        uint256 id = issue(lockedClaim());
        uint256 issuedAt = registry.batchOf(id).issuedAt; // not block.timestamp, which the compiler reads again later
        uint256 challengeId = challenge(lockedClaim().contentRoot);
        vm.warp(block.timestamp + 3 days);
        vm.prank(guardian);
        court.resolve(challengeId, false);
        SuccessorDesk next = successor(LOCKED);
        next.importBatch(id);
        vm.assertEq(SuccessorRegistry(address(next)).batchOf(id).issuedAt, issuedAt, "day of issue");
        vm.assertTrue(issuedAt != 0, "known");
    }
}
