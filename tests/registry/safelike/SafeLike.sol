// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What matters of a Safe to whoever pays it: an account that is code, with owners, a threshold, a nonce, and EIP-712
/// signatures in ascending order of their owners. For tests only; SafeLike.json is built from it by build.mjs beside it.
contract SafeLike {
    bytes32 private constant DOMAIN_TYPE = keccak256("EIP712Domain(uint256 chainId,address verifyingContract)");
    bytes32 private constant CALL_TYPE = keccak256("SafeCall(address to,bytes data,uint256 nonce)");

    mapping(address account => bool) public isOwner;
    uint256 public immutable THRESHOLD;
    uint256 public nonce;

    error Safe_TooFewSignatures(uint256 count, uint256 needed);
    error Safe_NotOwnerInOrder(address signer);
    error Safe_CallFailed(bytes reason);

    constructor(address[] memory owners, uint256 threshold) {
        for (uint256 i = 0; i < owners.length; ++i) {
            isOwner[owners[i]] = true;
        }
        THRESHOLD = threshold;
    }

    function callHash(address to, bytes memory data, uint256 nonce_) public view returns (bytes32) {
        bytes32 domain = keccak256(abi.encode(DOMAIN_TYPE, block.chainid, address(this)));
        bytes32 content = keccak256(abi.encode(CALL_TYPE, to, keccak256(data), nonce_));
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }

    function execute(address to, bytes calldata data, bytes calldata signatures) external {
        bytes32 digest = callHash(to, data, nonce++);
        uint256 count = signatures.length / 65;
        if (count < THRESHOLD) revert Safe_TooFewSignatures(count, THRESHOLD);
        address last;
        for (uint256 i = 0; i < count; ++i) {
            bytes calldata one = signatures[i * 65:i * 65 + 65];
            address signer = ecrecover(digest, uint8(one[64]), bytes32(one[0:32]), bytes32(one[32:64]));
            if (signer <= last || !isOwner[signer]) revert Safe_NotOwnerInOrder(signer);
            last = signer;
        }
        (bool done, bytes memory reason) = to.call(data);
        if (!done) revert Safe_CallFailed(reason);
    }
}
