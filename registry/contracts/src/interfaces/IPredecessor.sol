// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RegistryTypes} from "../registry/RegistryTypes.sol";

/// @notice What a successor reads of the registry before it, and asks of it.
interface IPredecessor {
    function projects(bytes32 projectId) external view returns (RegistryTypes.ProjectInfo memory);
    function projectTaken(bytes32 projectId) external view returns (bool);
    /// @notice Refuses the successor, who calls, to open a project anew that has an account there.
    function checkOpening(bytes32 projectId) external view;
    function batchOf(uint256 id) external view returns (RegistryTypes.BatchInfo memory);
    function spentUntil(bytes32 plotKey) external view returns (uint256 day);
    function contentRootUsed(bytes32 contentRoot) external view returns (bool);
    function reversalKnown(bytes32 projectId, bytes32 reasonDigest) external view returns (bool);
    function migration() external view returns (address successor, uint40 from);
    function closing(bytes32 projectId) external view returns (uint40 closesAt, uint16 frozen, bool settled);
    /// @notice Gives a settled batch's buffer to the successor, who calls and mints it again.
    function handOverBuffer(uint256 id) external returns (uint64 kg);
    /// @notice Refuses what was credited before, and spends the plots' days for both registries.
    function spendFor(RegistryTypes.Spending calldata s) external;
}
