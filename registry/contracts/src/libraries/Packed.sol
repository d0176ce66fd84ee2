// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice The figures of a project that claims are checked against.
struct Account {
    uint32 lastPeriodEnd; // day; the next period may not start before
    uint64 grossKg; // issued so far and not annulled, buffer included
    uint64 compensatedKg; // reversals that the buffer or a refill covered
    uint64 bufferIssuedKg; // put into the buffer, less what was released; never below compensatedKg
    uint16 minBufferBps;
    bool registered;
}

/// @notice What a batch was issued with.
struct Issued {
    uint64 grossKg;
    uint64 bufferKg;
    uint32 periodStart;
    uint32 periodEnd;
    uint40 lockedUntil; // unix seconds
    uint24 projectIndex;
}

/// @notice Both as one storage word, written at once: field by field costs a load and a store each.
library Packed {
    /// @dev lastPeriodEnd (32 bits) | grossKg (64) | compensatedKg (64) | bufferIssuedKg (64) | minBufferBps (16) |
    /// registered (1).
    function pack(Account memory a) internal pure returns (uint256 word) {
        word = a.lastPeriodEnd;
        word = (word << 64) | a.grossKg;
        word = (word << 64) | a.compensatedKg;
        word = (word << 64) | a.bufferIssuedKg;
        word = (word << 16) | a.minBufferBps;
        word = (word << 1) | (a.registered ? 1 : 0);
    }

    // The casts below cut a word into the fields it was packed from.
    // forge-lint: disable-start(unsafe-typecast)

    function unpackAccount(uint256 word) internal pure returns (Account memory) {
        return Account({
            lastPeriodEnd: uint32(word >> 209),
            grossKg: uint64(word >> 145),
            compensatedKg: uint64(word >> 81),
            bufferIssuedKg: uint64(word >> 17),
            minBufferBps: uint16(word >> 1),
            registered: word & 1 != 0
        });
    }

    /// @dev grossKg (64 bits) | bufferKg (64) | periodStart (32) | periodEnd (32) | lockedUntil (40) | projectIndex
    /// (24).
    function pack(Issued memory b) internal pure returns (uint256 word) {
        word = b.grossKg;
        word = (word << 64) | b.bufferKg;
        word = (word << 32) | b.periodStart;
        word = (word << 32) | b.periodEnd;
        word = (word << 40) | b.lockedUntil;
        word = (word << 24) | b.projectIndex;
    }

    function unpackIssued(uint256 word) internal pure returns (Issued memory) {
        return Issued({
            grossKg: uint64(word >> 192),
            bufferKg: uint64(word >> 128),
            periodStart: uint32(word >> 96),
            periodEnd: uint32(word >> 64),
            lockedUntil: uint40(word >> 24),
            projectIndex: uint24(word)
        });
    }

    /// @dev Only the lock, for transfers.
    function lockedUntil(uint256 issuedWord) internal pure returns (uint40) {
        return uint40(issuedWord >> 24);
    }

    /// @dev The same batch under another lock.
    function withLock(uint256 issuedWord, uint40 until) internal pure returns (uint256) {
        return (issuedWord & ~(uint256(type(uint40).max) << 24)) | (uint256(until) << 24);
    }

    // forge-lint: disable-end(unsafe-typecast)
}
