// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What the sale needs to know of the split.
interface IRevenueSplit {
    /// @notice Pulls `amount` of `token` from the caller and credits it to the project's payees.
    function deposit(bytes32 projectId, address token, uint256 amount) external;
}
