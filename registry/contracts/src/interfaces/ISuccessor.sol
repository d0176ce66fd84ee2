// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What a registry needs to know of the one that follows it.
interface ISuccessor {
    /// @notice Mints for `account` what the predecessor, who calls, has just burned of its credits, under the same id.
    function acceptMigrated(address account, uint256 id, uint64 kg) external;
}
