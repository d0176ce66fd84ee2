// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Claim} from "../../src/Claim.sol";
import {CreditRegistry} from "../../src/CreditRegistry.sol";
import {CreditSale} from "../../src/CreditSale.sol";
import {DevYen} from "../../src/DevYen.sol";
import {ICreditRegistry} from "../../src/interfaces/ICreditRegistry.sol";
import {RegistryTypes} from "../../src/registry/RegistryTypes.sol";
import {RevenueSplit} from "../../src/RevenueSplit.sol";
import {Vm} from "./Vm.sol";

/// @dev A deployed system with one project, its people, and a claim that would be accepted.
abstract contract Base {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    // keccak256, since sha256 would be a call at each use, and eat a prank.
    bytes32 internal constant PROJECT = keccak256("jp.satoyama.project-1");
    bytes32 internal constant OTHER_PROJECT = keccak256("jp.satoyama.project-2");
    bytes32 internal constant METHOD = keccak256("method");
    bytes32 internal constant REASON = keccak256("typhoon of 2025");
    uint16 internal constant MIN_BUFFER_BPS = 300;
    uint32 internal constant PERIOD_START = 19_814; // 2024-04-01
    uint32 internal constant PERIOD_END = 20_179; // 2025-04-01
    uint256 internal constant VERIFIER_KEY = uint256(keccak256("verifier"));
    uint256 internal constant BUYER_KEY = uint256(keccak256("buyer"));
    uint256 internal constant YEN = 1e6;

    address internal admin = vm.addr(uint256(keccak256("admin")));
    address internal issuer = vm.addr(uint256(keccak256("issuer")));
    address internal verifier = vm.addr(VERIFIER_KEY);
    address internal guardian = vm.addr(uint256(keccak256("guardian")));
    address internal seller = vm.addr(uint256(keccak256("seller")));
    address internal buyer = vm.addr(BUYER_KEY);
    address internal stranger = vm.addr(uint256(keccak256("stranger")));

    CreditRegistry internal registry;
    RevenueSplit internal split;
    CreditSale internal sale;
    DevYen internal yen;

    function setUp() public virtual {
        registry = new CreditRegistry(admin);
        split = new RevenueSplit(admin);
        sale = new CreditSale(admin, ICreditRegistry(address(registry)), split);
        yen = new DevYen(admin);
        vm.startPrank(admin);
        registry.grantRole(registry.ISSUER_ROLE(), issuer);
        registry.grantRole(registry.VERIFIER_ROLE(), verifier);
        registry.grantRole(registry.GUARDIAN_ROLE(), guardian);
        registry.registerProject(PROJECT, METHOD, MIN_BUFFER_BPS, 0, "https://example.org/p1");
        sale.grantRole(sale.SELLER_ROLE(), seller);
        sale.setTokenAllowed(address(yen), true);
        split.setTokenAllowed(address(yen), true);
        vm.stopPrank();
    }

    // ---------------------------------------------------------------- claims

    /// @dev 1,000 t grown, 40 t deducted, 28.8 t of the 960 t to the buffer.
    function goodClaim() internal view returns (Claim memory c) {
        c.projectId = PROJECT;
        c.batchId = sha256("batch-1");
        c.methodDigest = METHOD;
        c.planDigest = sha256("plan-1");
        c.contentRoot = sha256("content-1");
        c.evidenceRoot = sha256("evidence-1");
        c.periodStart = PERIOD_START;
        c.periodEnd = PERIOD_END;
        c.vintage = 2025;
        c.challengeWindow = 0;
        c.estimateKg = 1_000_000;
        c.standardErrorKg = 24_000;
        c.deductionKg = 40_000;
        c.grossKg = 960_000;
        c.bufferKg = 28_800;
        c.recipient = seller;
        c.plotKeys = plotKeys(1);
        c.deadline = uint64(block.timestamp + 1 days);
    }

    /// @dev The following year's claim, `growthKg` above what was issued before.
    function nextClaim(uint64 growthKg) internal view returns (Claim memory c) {
        RegistryTypes.ProjectInfo memory p = registry.projects(PROJECT);
        c = goodClaim();
        c.batchId = sha256(abi.encode("batch", p.lastPeriodEnd));
        c.contentRoot = sha256(abi.encode("content", p.lastPeriodEnd));
        c.periodStart = PERIOD_END;
        c.periodEnd = PERIOD_END + 365;
        c.vintage = 2026;
        c.priorGrossKg = p.grossKg;
        c.compensatedKg = p.compensatedKg;
        c.grossKg = growthKg;
        c.estimateKg = growthKg + c.deductionKg + c.priorGrossKg - c.compensatedKg;
        c.bufferKg = uint64((uint256(growthKg) * MIN_BUFFER_BPS + 9_999) / 10_000);
        c.nonce = 1;
    }

    function plotKeys(uint256 count) internal pure returns (bytes32[] memory keys) {
        keys = new bytes32[](count);
        uint256 step = type(uint256).max / (count + 1);
        for (uint256 i = 0; i < count; ++i) {
            keys[i] = bytes32((i + 1) * step - i);
        }
    }

    function signature(Claim memory c) internal view returns (bytes memory) {
        return signatureBy(VERIFIER_KEY, c);
    }

    function signatureBy(uint256 key, Claim memory c) internal view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, registry.claimDigest(c));
        return abi.encodePacked(r, s, v);
    }

    function issue(Claim memory c) internal returns (uint256 id) {
        bytes memory signed = signature(c);
        vm.prank(issuer);
        return registry.issue(c, verifier, signed);
    }

    /// @dev Expects that issuing `c`, duly signed, is refused with exactly this error.
    function refused(Claim memory c, bytes memory reason) internal {
        bytes memory signed = signature(c);
        vm.expectRevert(reason);
        vm.prank(issuer);
        registry.issue(c, verifier, signed);
    }

    function retirement() internal pure returns (RegistryTypes.Retirement memory) {
        return RegistryTypes.Retirement("Aoba Paper Co., Ltd.", "Scope 1 of fiscal 2025", "JP", 20_179, 20_544);
    }

    // ---------------------------------------------------------------- money

    /// @dev One payee with everything, another with a third and the like: ascending addresses, shares adding up.
    function setEqualShares(bytes32 projectId, uint160 count) internal returns (address[] memory payees) {
        payees = new address[](count);
        uint32[] memory shares = new uint32[](count);
        uint32 left = split.SHARES();
        for (uint160 i = 0; i < count; ++i) {
            payees[i] = address(0x10000 + i);
            shares[i] = uint32(split.SHARES() / count);
            left -= shares[i];
        }
        shares[0] += left;
        vm.prank(admin);
        split.setShares(projectId, payees, shares);
    }

    function fund(address who, uint256 amount, address spender) internal {
        vm.prank(admin);
        yen.mint(who, amount);
        vm.prank(who);
        yen.approve(spender, type(uint256).max);
    }

    function bound(uint256 x, uint256 least, uint256 most) internal pure returns (uint256) {
        return least + x % (most - least + 1);
    }
}
