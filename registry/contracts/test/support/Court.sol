// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChallengeWindow} from "../../src/ChallengeWindow.sol";
import {Claim} from "../../src/Claim.sol";
import {ICourtRegistry} from "../../src/interfaces/ICourtRegistry.sol";
import {RegistryDesk} from "../../src/registry/RegistryDesk.sol";
import {RegistryTypes} from "../../src/registry/RegistryTypes.sol";
import {Base} from "./Base.sol";

/// @dev The system with a court and a second project, whose batches are locked for thirty days.
abstract contract Court is Base {
    bytes32 internal constant LOCKED = keccak256("jp.satoyama.locked");
    uint32 internal constant WINDOW = 30 days;
    uint96 internal constant BOND = uint96(50_000 * YEN);
    bytes32 internal constant OTHER_ROOT = keccak256("what the challenger gets");

    ChallengeWindow internal court;
    RegistryDesk internal desk; // the registry, by the ABI of its second half
    address internal challenger = vm.addr(uint256(keccak256("challenger")));
    address[2] internal jury = [vm.addr(uint256(keccak256("juror 1"))), vm.addr(uint256(keccak256("juror 2")))];

    function setUp() public virtual override {
        super.setUp();
        desk = RegistryDesk(address(registry));
        court = new ChallengeWindow(ICourtRegistry(address(registry)), yen, BOND, 14 days, 2);
        vm.startPrank(admin);
        registry.grantRole(desk.COURT_ROLE(), address(court));
        registry.grantRole(registry.VERIFIER_ROLE(), jury[0]);
        registry.grantRole(registry.VERIFIER_ROLE(), jury[1]);
        registry.registerProject(LOCKED, METHOD, MIN_BUFFER_BPS, WINDOW, "https://example.org/p2");
        vm.stopPrank();
        fund(challenger, 100 * BOND, address(court));
    }

    function lockedClaim() internal view returns (Claim memory c) {
        c = goodClaim();
        c.projectId = LOCKED;
        c.batchId = sha256("locked batch");
        c.contentRoot = sha256("locked content");
        c.plotKeys[0] = keccak256("locked plot");
        c.challengeWindow = WINDOW;
        c.nonce = 77;
    }

    /// @dev The claim that follows in a project, `growthKg` above what counts as issued now.
    function following(bytes32 projectId, uint64 growthKg) internal view returns (Claim memory c) {
        RegistryTypes.ProjectInfo memory p = registry.projects(projectId);
        c = goodClaim();
        c.projectId = projectId;
        c.challengeWindow = p.challengeWindow;
        c.batchId = sha256(abi.encode("following", projectId, p.lastPeriodEnd));
        c.contentRoot = sha256(abi.encode("following content", projectId, p.lastPeriodEnd));
        c.periodStart = PERIOD_END;
        c.periodEnd = PERIOD_END + 365;
        c.vintage = 2026;
        c.priorGrossKg = p.grossKg;
        c.compensatedKg = p.compensatedKg;
        c.grossKg = growthKg;
        c.estimateKg = growthKg + c.deductionKg + c.priorGrossKg - c.compensatedKg;
        c.bufferKg = uint64((uint256(growthKg) * MIN_BUFFER_BPS + 9_999) / 10_000);
        c.plotKeys[0] = keccak256(abi.encode("plot of", projectId));
        c.nonce = uint256(keccak256(abi.encode(projectId, p.lastPeriodEnd)));
    }

    function challenge(bytes32 contentRoot) internal returns (uint256 challengeId) {
        vm.prank(challenger);
        return court.challenge(contentRoot, OTHER_ROOT, seller, "ipfs://bundle");
    }

    function one(uint256 id) internal pure returns (uint256[] memory list) {
        list = new uint256[](1);
        list[0] = id;
    }

    function unauthorized(address account, bytes32 role) internal pure returns (bytes memory) {
        return abi.encodeWithSignature("AccessControlUnauthorizedAccount(address,bytes32)", account, role);
    }
}
