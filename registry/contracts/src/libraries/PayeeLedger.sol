// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A payee's ledger in one project and token, packed into a word so that a payout reads and writes one slot:
/// numerator (116 bits) | claimed (96) | shares (20) | epoch (24).
type PayeeLedger is uint256;

using PayeeLedgerLib for PayeeLedger global;

/// @dev `numerator`: sum of D_e * s_e over the epochs before `epoch`; deposits below 2^96 times shares of at most a
/// million (< 2^20) fit. `shares`: the payee's shares in `epoch`, kept here so that a later payout need not read them.
/// `epoch` 0: nothing was ever written.
library PayeeLedgerLib {
    function unpack(PayeeLedger ledger)
        internal
        pure
        returns (uint256 numerator, uint256 claimed, uint256 shares, uint256 epoch)
    {
        uint256 word = PayeeLedger.unwrap(ledger);
        numerator = word >> 140;
        claimed = (word >> 44) & type(uint96).max;
        shares = (word >> 24) & 0xfffff;
        epoch = word & type(uint24).max;
    }

    /// @dev The caller answers for the widths; `RevenueSplit` bounds deposits, shares and epochs where they enter.
    function pack(uint256 numerator, uint256 claimed, uint256 shares, uint256 epoch)
        internal
        pure
        returns (PayeeLedger)
    {
        return PayeeLedger.wrap((numerator << 140) | (claimed << 44) | (shares << 24) | epoch);
    }
}
