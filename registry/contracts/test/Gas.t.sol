// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim} from "../src/Claim.sol";
import {ICreditRegistry} from "../src/interfaces/ICreditRegistry.sol";
import {Base} from "./support/Base.sol";

/// @notice Whole transactions: 21,000, calldata and cold storage included (isolate), refunds not taken off. The figures are
/// written to snapshots/Gas.json, and each is held under its budget of shared/reference/onchain.md.
/// forge-config: default.isolate = true
contract GasTest is Base {
    function measured(string memory name, uint256 budget) private {
        uint256 used = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue("Gas", name, used);
        vm.assertLe(used, budget, name);
    }

    // ---------------------------------------------------------------- issue

    function issueWith(uint256 keys, string memory name) private {
        Claim memory c = goodClaim();
        c.plotKeys = plotKeys(keys);
        c.nonce = uint256(keccak256("a nonce drawn by chance")); // costs a fresh storage word and full calldata
        issue(c);
        measured(name, 190_000 + 23_500 * (keys - 1));
    }

    function test_issue_of_the_first_batch_of_all() public {
        issueWith(1, "issue: 1 plot key, first batch of the project");
    }

    function test_issue_with_2_plot_keys() public {
        issueWith(2, "issue: 2 plot keys, first batch of the project");
    }

    function test_issue_with_16_plot_keys() public {
        issueWith(16, "issue: 16 plot keys, first batch of the project");
    }

    function test_issue_with_256_plot_keys() public {
        issueWith(256, "issue: 256 plot keys, first batch of the project");
    }

    function test_issue_of_the_next_batch() public {
        issue(goodClaim());
        issue(nextClaim(500_000));
        measured("issue: 1 plot key, next batch", 190_000);
    }

    // ---------------------------------------------------------------- retire, reverse

    function test_retire() public {
        uint256 id = issue(goodClaim());
        vm.prank(seller);
        registry.retire(id, 1_000, retirement());
        measured("retire: first of all", 100_000);
        vm.prank(seller);
        registry.retire(id, 2_000, retirement());
        measured("retire: next", 100_000);
    }

    function test_reverse() public {
        uint256[] memory ids = new uint256[](1);
        ids[0] = issue(goodClaim());
        vm.prank(guardian);
        registry.reverse(PROJECT, ids, 50_000, REASON);
        measured("reverse: 1 batch, with deficit", 130_000);
    }

    // ---------------------------------------------------------------- split

    function depositTo(uint160 payees, string memory name) private {
        setEqualShares(PROJECT, payees);
        fund(stranger, 1_000 * YEN, address(split));
        vm.prank(stranger);
        split.deposit(PROJECT, address(yen), 300 * YEN);
        vm.prank(stranger);
        split.deposit(PROJECT, address(yen), 300 * YEN);
        measured(name, 60_000);
    }

    function test_deposit_for_1_payee() public {
        depositTo(1, "deposit: 1 payee");
    }

    function test_deposit_for_10_payees() public {
        depositTo(10, "deposit: 10 payees");
    }

    function test_deposit_for_500_payees() public {
        depositTo(500, "deposit: 500 payees");
    }

    function test_setting_500_shares_fits_a_block() public {
        setEqualShares(PROJECT, 500);
        measured("setShares: 500 payees", 16_000_000); // a transaction's cap since Osaka is 2^24
    }

    function test_a_deposit_after_an_announced_change_costs_the_same() public {
        setEqualShares(PROJECT, 4);
        vm.prank(admin);
        split.setDelay(PROJECT, 14 days);
        setEqualShares(PROJECT, 500);
        fund(stranger, 2_000 * YEN, address(split));
        vm.prank(stranger);
        split.deposit(PROJECT, address(yen), 300 * YEN);
        vm.prank(stranger);
        split.deposit(PROJECT, address(yen), 300 * YEN);
        measured("deposit: 4 payees, 500 announced", 60_000);
        vm.warp(block.timestamp + 14 days);
        vm.prank(stranger);
        split.deposit(PROJECT, address(yen), 300 * YEN);
        vm.prank(stranger);
        split.deposit(PROJECT, address(yen), 300 * YEN);
        measured("deposit: 500 payees, announced before", 60_000);
    }

    function test_the_first_deposit_of_a_project_in_a_token() public {
        setEqualShares(PROJECT, 4);
        setEqualShares(OTHER_PROJECT, 4);
        fund(stranger, 1_000 * YEN, address(split));
        vm.prank(stranger);
        split.deposit(PROJECT, address(yen), 300 * YEN);
        measured("deposit: first of all (also the split's first yen)", 100_000);
        vm.prank(stranger);
        split.deposit(OTHER_PROJECT, address(yen), 300 * YEN);
        measured("deposit: first of a project", 80_000);
        setEqualShares(OTHER_PROJECT, 4);
        vm.prank(stranger);
        split.deposit(OTHER_PROJECT, address(yen), 300 * YEN);
        measured("deposit: first of an epoch", 90_000);
    }

    function test_claim() public {
        address[] memory payees = setEqualShares(PROJECT, 10);
        fund(stranger, 1_000 * YEN, address(split));
        vm.prank(stranger);
        split.deposit(PROJECT, address(yen), 300 * YEN);
        vm.prank(payees[1]);
        split.claim(PROJECT, address(yen));
        measured("claim: cold (payee's first yen)", 85_000);
        vm.prank(stranger);
        split.deposit(PROJECT, address(yen), 300 * YEN);
        vm.prank(payees[1]);
        split.claim(PROJECT, address(yen));
        measured("claim: warm", 50_000);
        vm.prank(stranger);
        split.deposit(PROJECT, address(yen), 300 * YEN);
        vm.prank(stranger);
        split.claimFor(PROJECT, address(yen), payees[1]);
        measured("claimFor: warm", 51_000);
    }

    // ---------------------------------------------------------------- sale

    function test_list_and_buy() public {
        uint256 id = issue(goodClaim());
        setEqualShares(PROJECT, 10);
        vm.prank(seller);
        registry.setApprovalForAll(address(sale), true);
        vm.prank(seller);
        uint256 listing = sale.list(id, 900_000, address(yen), uint96(12_000 * YEN));
        measured("list", 210_000);
        fund(buyer, 1_000_000 * YEN, address(sale));
        vm.prank(buyer);
        sale.buy(listing, 1_000, type(uint256).max, block.timestamp);
        measured("buy: first of all", 190_000);
        vm.prank(buyer);
        sale.buy(listing, 1_000, type(uint256).max, block.timestamp);
        measured("buy: next", 120_000);
        ICreditRegistry.Retirement memory r =
            ICreditRegistry.Retirement("Aoba Paper Co., Ltd.", "Scope 1 of fiscal 2025", "JP", 20_179, 20_544);
        vm.prank(buyer);
        sale.buyAndRetire(listing, 1_000, type(uint256).max, block.timestamp, r);
        measured("buyAndRetire: first certificate of all", 200_000);
        vm.prank(buyer);
        sale.buyAndRetire(listing, 1_000, type(uint256).max, block.timestamp, r);
        measured("buyAndRetire: next", 170_000);
    }
}
