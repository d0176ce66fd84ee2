// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RegistryTypes} from "../registry/RegistryTypes.sol";

/// @notice What a court needs of the registry.
interface ICourtRegistry {
    function hasRole(bytes32 role, address account) external view returns (bool);
    function balanceOf(address account, uint256 id) external view returns (uint256);
    function batchOf(uint256 id) external view returns (RegistryTypes.BatchInfo memory);
    function idOfContentRoot(bytes32 contentRoot) external view returns (uint256 id);
    function signedBy(bytes32 contentRoot, address verifier) external view returns (bool);
    /// @notice Stops a batch that is still locked; gives back the lock that stood.
    function freeze(uint256 id) external returns (uint40 lockedUntil);
    /// @notice Ends a freeze; the batch stays locked until `lockedUntil`.
    function thaw(uint256 id, uint40 lockedUntil) external;
    /// @notice Undoes the issue of a frozen batch, all of whose credits `holder` and the buffer hold.
    function annul(uint256 id, address holder) external;
}
