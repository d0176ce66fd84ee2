// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice The token id of a batch: top 96 bits of the project id, vintage (16), top 144 bits of the batch id.
library CreditId {
    function pack(bytes32 projectId, uint16 vintage, bytes32 batchId) internal pure returns (uint256) {
        return (uint256(projectKey(projectId)) << 160) | (uint256(vintage) << 144) | batchKey(batchId);
    }

    function unpack(uint256 id) internal pure returns (uint96 project, uint16 vintage, uint144 batch) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return (uint96(id >> 160), uint16(id >> 144), uint144(id));
    }

    function projectKey(bytes32 projectId) internal pure returns (uint96) {
        return uint96(bytes12(projectId));
    }

    function batchKey(bytes32 batchId) internal pure returns (uint144) {
        return uint144(bytes18(batchId));
    }
}
