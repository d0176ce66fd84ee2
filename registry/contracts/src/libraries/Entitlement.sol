// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice The arithmetic of a split: what a payee of parts of a million may have of what came in.
/// @dev A numerator is the sum over share tables of deposits * shares; the floor is taken once, of the whole. proofs/ shows
/// that floors never exceed the deposits, leave less than one unit for each payee, and never fall.
library Entitlement {
    uint32 internal constant SHARES = 1_000_000;

    /// @notice A numerator with the deposits of one more share table.
    /// @dev Cannot overflow: deposits below 2^96 and shares of at most SHARES, so that numerators stay below 2^116.
    function add(uint256 numerator, uint256 amount, uint256 shares) internal pure returns (uint256) {
        unchecked {
            return numerator + amount * shares;
        }
    }

    /// @notice Whole base units.
    function floor(uint256 numerator) internal pure returns (uint256) {
        return numerator / SHARES;
    }
}
