// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim} from "../src/Claim.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {CreditId} from "../src/libraries/CreditId.sol";
import {Base} from "./support/Base.sol";

/// @dev Plays all the people of the system in any order with any amounts that may succeed.
contract Village is Base {
    uint256 public constant PAYEES = 7;
    address[3] public holders;
    bytes32[2] public projects;
    uint256[] public ids;
    uint256[] public listings;
    uint256 public moved; // how often something happened at all
    uint256 public paid;
    mapping(bytes32 project => uint256) public paidOf;
    mapping(uint256 id => uint256) public retiredOf;
    uint256 private nonce;
    uint32 private day = PERIOD_START;

    constructor() {
        super.setUp();
        vm.prank(admin);
        registry.registerProject(OTHER_PROJECT, METHOD, 1_000, 0, "");
        projects = [PROJECT, OTHER_PROJECT];
        holders = [seller, buyer, stranger];
        vm.prank(seller);
        registry.setApprovalForAll(address(sale), true);
        fund(buyer, 1e26, address(sale));
        newShares(0, 1);
        newShares(1, 2);
    }

    function setUp() public override {}

    function payee(uint256 i) public pure returns (address) {
        return address(uint160(0x20000 + i));
    }

    // ---------------------------------------------------------------- moves

    function issueBatch(uint256 which, uint64 kg, uint32 length, uint256 extraBuffer) external {
        length = uint32(bound(length, 1, 20));
        if (uint256(day + length) * 1 days > block.timestamp) return;
        bytes32 projectId = projects[which % 2];
        RegistryTypes.ProjectInfo memory p = registry.projects(projectId);
        Claim memory c = goodClaim();
        c.projectId = projectId;
        c.batchId = keccak256(abi.encode(projectId, day));
        c.contentRoot = keccak256(abi.encode("root", projectId, day));
        c.periodStart = day;
        day += length;
        c.periodEnd = day;
        c.vintage = day - 1 < 20_089 ? 2024 : day - 1 < 20_454 ? 2025 : 2026;
        c.grossKg = uint64(bound(kg, 1_000, 1e12));
        c.priorGrossKg = p.grossKg;
        c.compensatedKg = p.compensatedKg;
        c.estimateKg = c.grossKg + c.deductionKg + p.grossKg - p.compensatedKg;
        uint256 minimum = (uint256(c.grossKg) * p.minBufferBps + 9_999) / 10_000;
        c.bufferKg = uint64(bound(extraBuffer, minimum, c.grossKg - 1));
        c.plotKeys = plotKeys(3);
        c.nonce = nonce++;
        c.deadline = type(uint64).max;
        ids.push(issue(c));
        ++moved;
    }

    function transfer(uint256 which, uint256 from, uint256 to, uint256 kg) external {
        if (ids.length == 0) return;
        uint256 id = ids[which % ids.length];
        (address a, address b) = (holders[from % 3], holders[to % 3]);
        kg = bound(kg, 0, registry.balanceOf(a, id));
        vm.prank(a);
        registry.safeTransferFrom(a, b, id, kg, "");
        ++moved;
    }

    function retire(uint256 which, uint256 from, uint256 kg) external {
        if (ids.length == 0) return;
        uint256 id = ids[which % ids.length];
        address a = holders[from % 3];
        uint256 held = registry.balanceOf(a, id);
        if (held == 0) return;
        kg = bound(kg, 1, held);
        vm.prank(a);
        registry.retire(id, kg, retirement());
        retiredOf[id] += kg;
        ++moved;
    }

    function reverse(uint256 which, uint64 kg) external {
        bytes32 projectId = projects[which % 2];
        RegistryTypes.ProjectInfo memory p = registry.projects(projectId);
        uint64 outstanding = p.grossKg - p.compensatedKg - p.deficitKg;
        if (outstanding == 0) return;
        uint256 n;
        uint256[] memory own = new uint256[](ids.length);
        for (uint256 i = 0; i < ids.length; ++i) {
            if (registry.projectIdOf(ids[i]) == projectId) own[n++] = ids[i];
        }
        assembly ("memory-safe") {
            mstore(own, n)
        }
        vm.prank(guardian);
        registry.reverse(projectId, own, uint64(bound(kg, 1, outstanding)), keccak256(abi.encode(nonce++)));
        ++moved;
    }

    function list(uint256 which, uint64 kg, uint96 price) external {
        if (ids.length == 0) return;
        uint256 id = ids[which % ids.length];
        uint256 held = registry.balanceOf(seller, id);
        if (held == 0) return;
        vm.prank(seller);
        listings.push(sale.list(id, uint64(bound(kg, 1, held)), address(yen), uint96(bound(price, 1, 1e9))));
        ++moved;
    }

    function buy(uint256 which, uint64 kg) external {
        if (listings.length == 0) return;
        uint256 listing = listings[which % listings.length];
        uint64 left = sale.listing(listing).kg;
        if (left == 0) return;
        vm.prank(buyer);
        paid += sale.buy(listing, uint64(bound(kg, 1, left)), type(uint256).max, block.timestamp);
        ++moved;
    }

    function cancel(uint256 which) external {
        if (listings.length == 0) return;
        uint256 listing = listings[which % listings.length];
        if (sale.listing(listing).kg == 0) return;
        vm.prank(seller);
        sale.cancel(listing);
        ++moved;
    }

    function newShares(uint256 which, uint256 seed) public {
        uint256 from = seed % PAYEES;
        uint256 n = 1 + (seed >> 8) % (PAYEES - from);
        (address[] memory payees, uint32[] memory shares) = (new address[](n), new uint32[](n));
        uint32 left = 1_000_000;
        for (uint256 i = 0; i < n; ++i) {
            payees[i] = payee(from + i);
            uint256 most = left - (n - i - 1);
            shares[i] = i == n - 1 ? left : uint32(bound(uint256(keccak256(abi.encode(seed, i))), 1, most));
            left -= shares[i];
        }
        vm.prank(admin);
        split.setShares(projects[which % 2], payees, shares);
        ++moved;
    }

    function payOut(uint256 which, uint256 who) external {
        bytes32 projectId = projects[which % 2];
        address to = payee(who % PAYEES);
        if (split.claimable(projectId, address(yen), to) == 0) return;
        paidOf[projectId] += split.claimFor(projectId, address(yen), to);
        ++moved;
    }

    function settle(uint256 which, uint256 who, uint24 epoch) external {
        split.settle(projects[which % 2], address(yen), payee(who % PAYEES), epoch);
        ++moved;
    }

    // ---------------------------------------------------------------- what must hold

    function checkUnits() external view {
        for (uint256 i = 0; i < ids.length; ++i) {
            uint256 id = ids[i];
            RegistryTypes.BatchInfo memory b = registry.batchOf(id);
            uint256 held = registry.balanceOf(address(registry), id) + registry.balanceOf(address(sale), id);
            for (uint256 j = 0; j < 3; ++j) {
                held += registry.balanceOf(holders[j], id);
            }
            vm.assertEq(held, registry.totalSupply(id), "balances add to the supply");
            vm.assertEq(b.supplyKg + b.retiredKg + b.bufferBurnedKg, b.grossKg, "every unit is accounted for");
            vm.assertEq(b.retiredKg, retiredOf[id], "retired");
            vm.assertLe(b.bufferBurnedKg, b.bufferIssuedKg, "buffer");
        }
    }

    function checkEscrow() external view {
        for (uint256 i = 0; i < ids.length; ++i) {
            uint256 listed;
            for (uint256 j = 0; j < listings.length; ++j) {
                if (sale.listing(listings[j]).id == ids[i]) listed += sale.listing(listings[j]).kg;
            }
            vm.assertEq(registry.balanceOf(address(sale), ids[i]), listed, "escrow is what is for sale");
        }
        vm.assertEq(yen.balanceOf(address(sale)), 0, "the sale holds no money");
    }

    function checkProjects() external view {
        for (uint256 k = 0; k < 2; ++k) {
            RegistryTypes.ProjectInfo memory p = registry.projects(projects[k]);
            (uint256 gross, uint256 bufferIssued, uint256 burned, uint256 left) = (0, 0, 0, 0);
            for (uint256 i = 0; i < ids.length; ++i) {
                if (registry.projectIdOf(ids[i]) != projects[k]) continue;
                RegistryTypes.BatchInfo memory b = registry.batchOf(ids[i]);
                gross += b.grossKg;
                bufferIssued += b.bufferIssuedKg;
                burned += b.bufferBurnedKg;
                left += b.bufferKg;
            }
            vm.assertEq(p.grossKg, gross, "gross");
            vm.assertEq(p.bufferIssuedKg, bufferIssued, "buffer");
            vm.assertEq(p.compensatedKg, burned, "compensated is buffer burned");
            vm.assertTrue(p.deficitKg == 0 || left == 0, "no deficit while buffer is left");
            vm.assertLe(p.deficitKg + p.compensatedKg, p.reversedKg, "no deficit without a reversal");
        }
    }

    function checkMoney() external view {
        address[] memory everyone = new address[](PAYEES);
        for (uint256 i = 0; i < PAYEES; ++i) {
            everyone[i] = payee(i);
        }
        uint256 owed;
        uint256 depositedInAll;
        for (uint256 k = 0; k < 2; ++k) {
            uint256 total = split.deposited(projects[k], address(yen));
            uint256 remainder = split.remainder(projects[k], address(yen), everyone);
            uint256 claimable;
            uint256 claimed;
            for (uint256 i = 0; i < PAYEES; ++i) {
                claimable += split.claimable(projects[k], address(yen), everyone[i]);
                claimed += split.claimed(projects[k], address(yen), everyone[i]);
            }
            vm.assertEq(claimed + claimable + remainder, total, "to the unit");
            vm.assertLt(remainder, PAYEES, "remainder");
            vm.assertEq(claimed, paidOf[projects[k]], "claimed is what was paid");
            owed += claimable + remainder;
            depositedInAll += total;
        }
        vm.assertEq(depositedInAll, paid, "what buyers paid is what projects got");
        vm.assertEq(yen.balanceOf(address(split)), owed, "the split holds what it owes");
    }
}

contract InvariantsTest {
    Village private village;

    function setUp() public {
        village = new Village();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(village);
    }

    /// @dev A run in which hardly anything happened would prove nothing.
    function afterInvariant() public view {
        require(village.moved() >= 15, "hardly anything happened in this run");
    }

    function invariant_every_unit_is_held_retired_or_burned() public view {
        village.checkUnits();
    }

    function invariant_the_escrow_holds_what_is_for_sale_and_no_money() public view {
        village.checkEscrow();
    }

    function invariant_a_project_s_account_is_the_sum_of_its_batches() public view {
        village.checkProjects();
    }

    function invariant_paid_and_owed_and_remainder_are_the_deposits() public view {
        village.checkMoney();
    }
}
