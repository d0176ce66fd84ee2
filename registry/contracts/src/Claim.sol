// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What a verifier signs (EIP-712) and an issuer submits. Field order is final.
/// @dev Days are days since 1970-01-01 (UTC), periods are half-open. All kg are kg CO2e.
struct Claim {
    bytes32 projectId; // sha2-256 of the canonical project id text
    bytes32 batchId; // sha2-256, the same on every chain (hash of project, method, period)
    bytes32 methodDigest; // methodology id + version + parameters
    bytes32 planDigest; // monitoring plan, fixed before the second date was read
    bytes32 contentRoot; // Merkle root of inputs, outputs, claim
    bytes32 evidenceRoot; // Merkle root of contentRoot and run metadata
    uint32 periodStart; // first day
    uint32 periodEnd; // first day after
    uint16 vintage; // calendar year of the period's last day
    uint32 challengeWindow; // seconds a batch is locked; must equal the project's
    uint64 estimateKg; // net change since project start (mean)
    uint64 standardErrorKg; // of that change
    uint64 deductionKg; // estimateKg - lower confidence bound
    uint64 priorGrossKg; // gross issued before in this project
    uint64 compensatedKg; // reversals already compensated in this project
    uint64 grossKg; // = estimateKg - deductionKg - priorGrossKg + compensatedKg
    uint64 bufferKg; // part of grossKg that goes to the buffer
    address recipient; // gets grossKg - bufferKg
    bytes32[] plotKeys; // strictly ascending, 1..256
    uint256 nonce; // per verifier, any unused
    uint64 deadline; // unix seconds after which the signature is dead
}

/// @notice The EIP-712 struct hash of a claim.
library ClaimHash {
    bytes32 internal constant TYPEHASH = keccak256(
        "Claim(bytes32 projectId,bytes32 batchId,bytes32 methodDigest,bytes32 planDigest,bytes32 contentRoot,"
        "bytes32 evidenceRoot,uint32 periodStart,uint32 periodEnd,uint16 vintage,uint32 challengeWindow,"
        "uint64 estimateKg,uint64 standardErrorKg,uint64 deductionKg,uint64 priorGrossKg,uint64 compensatedKg,"
        "uint64 grossKg,uint64 bufferKg,address recipient,bytes32[] plotKeys,uint256 nonce,uint64 deadline)"
    );

    /// @dev In memory a claim is 21 words, each already as EIP-712 wants it but for `plotKeys` (the 19th), which is a
    /// pointer. Narrow fields were checked when the claim was decoded.
    function hash(Claim memory c) internal pure returns (bytes32 result) {
        bytes32 typeHash = TYPEHASH;
        bytes32[] memory plotKeys = c.plotKeys;
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, typeHash)
            mcopy(add(free, 0x20), c, 0x2a0)
            mstore(add(free, 0x260), keccak256(add(plotKeys, 0x20), shl(5, mload(plotKeys))))
            result := keccak256(free, 0x2c0)
        }
    }
}
