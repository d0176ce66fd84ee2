// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChallengeWindow} from "../src/ChallengeWindow.sol";
import {CreditSale} from "../src/CreditSale.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {RevenueSplit} from "../src/RevenueSplit.sol";
import {Court} from "./support/Court.sol";

/// @dev Of court, sale and split every event, every field of it.
contract MoneyEventsTest is Court {
    function told(address by) private {
        vm.expectEmit(true, true, true, true, by);
    }

    // ---------------------------------------------------------------- court

    function test_a_challenge_and_its_freeze_are_told() public {
        uint256 id = issue(lockedClaim());
        bytes32 root = lockedClaim().contentRoot;
        uint40 deadline = uint40(block.timestamp + 14 days);
        told(address(registry));
        emit RegistryTypes.BatchFrozen(id, address(court));
        told(address(court));
        emit ChallengeWindow.Challenged(1, id, challenger, root, OTHER_ROOT, seller, BOND, deadline, "ipfs://bundle");
        challenge(root);
    }

    function test_votes_and_a_dismissal_are_told() public {
        uint256 id = issue(lockedClaim());
        uint40 lockEnd = uint40(block.timestamp + WINDOW);
        uint256 n = challenge(lockedClaim().contentRoot);
        told(address(court));
        emit ChallengeWindow.Voted(n, jury[0], false);
        vm.prank(jury[0]);
        court.vote(n, false);
        told(address(court));
        emit ChallengeWindow.Voted(n, jury[1], false);
        told(address(court));
        emit ChallengeWindow.Resolved(n, id, jury[1], ChallengeWindow.Status.Dismissed, seller, BOND);
        told(address(registry));
        emit RegistryTypes.BatchThawed(id, address(court), lockEnd);
        vm.prank(jury[1]);
        court.vote(n, false);
        vm.assertEq(court.challenges(n).votesToDismiss, 2, "votes to dismiss");
        vm.assertEq(court.challenges(n).votesToUphold, 0, "votes to uphold");
    }

    function test_a_fund_a_reward_and_an_annulment_are_told() public {
        uint256 id = issue(lockedClaim());
        fund(buyer, 10, address(court));
        told(address(court));
        emit ChallengeWindow.RewardFunded(buyer, 10);
        vm.prank(buyer);
        court.fundRewards(10);
        uint256 n = challenge(lockedClaim().contentRoot);
        told(address(court));
        emit ChallengeWindow.Resolved(n, id, guardian, ChallengeWindow.Status.Upheld, challenger, BOND + 10);
        told(address(registry));
        emit RegistryTypes.BatchAnnulled(id, LOCKED, address(court), 960_000, 0, 0);
        vm.prank(guardian);
        court.resolve(n, true);
    }

    function test_silence_is_told() public {
        uint256 id = issue(lockedClaim());
        uint256 n = challenge(lockedClaim().contentRoot);
        vm.warp(court.challenges(n).deadline);
        told(address(court));
        emit ChallengeWindow.Resolved(n, id, stranger, ChallengeWindow.Status.Expired, challenger, BOND);
        vm.prank(stranger);
        court.expire(n);
    }

    // ---------------------------------------------------------------- sale and split

    function test_a_listing_a_sale_the_deposit_and_a_cancellation_are_told() public {
        uint256 id = issue(goodClaim());
        setEqualShares(PROJECT, 2);
        fund(buyer, 100 * YEN, address(sale));
        vm.startPrank(seller);
        registry.setApprovalForAll(address(sale), true);
        told(address(sale));
        emit CreditSale.Listed(1, id, seller, 2_500, address(yen), uint96(3 * YEN), PROJECT);
        uint256 listing = sale.list(id, 2_500, address(yen), uint96(3 * YEN));
        vm.stopPrank();
        told(address(sale));
        emit CreditSale.Sold(listing, id, buyer, 1_000, address(yen), 3 * YEN, PROJECT);
        told(address(split));
        emit RevenueSplit.Deposited(PROJECT, address(yen), address(sale), 1, 3 * YEN);
        vm.prank(buyer);
        sale.buy(listing, 1_000, 3 * YEN, block.timestamp);
        told(address(sale));
        emit CreditSale.Cancelled(listing, 1_500);
        vm.prank(seller);
        sale.cancel(listing);
    }

    function test_a_payment_is_told() public {
        address[] memory payees = setEqualShares(PROJECT, 2);
        fund(buyer, 7, address(split));
        vm.prank(buyer);
        split.deposit(PROJECT, address(yen), 7);
        told(address(split));
        emit RevenueSplit.Claimed(PROJECT, address(yen), payees[0], 3);
        split.claimFor(PROJECT, address(yen), payees[0]);
    }

    function test_a_table_and_its_hour_are_told() public {
        address[] memory payees = new address[](2);
        uint32[] memory shares = new uint32[](2);
        (payees[0], payees[1]) = (address(0x10000), address(0x10001));
        (shares[0], shares[1]) = (1, split.SHARES() - 1);
        told(address(split));
        emit RevenueSplit.SharesSet(PROJECT, 1, payees, shares);
        told(address(split));
        emit RevenueSplit.SharesScheduled(PROJECT, 1, uint40(block.timestamp));
        vm.prank(admin);
        split.setShares(PROJECT, payees, shares);
    }
}
