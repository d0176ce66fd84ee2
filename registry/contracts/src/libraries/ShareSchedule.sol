// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Which share table of a project is in force, and which one comes when. One slot.
/// @dev Tables are numbered from 1 in the order in which they were set; a cancelled number is not given out again.
struct ShareSchedule {
    uint24 inForce; // the table before `last`, in force until `lastFrom`; 0: none
    uint24 last; // the table set last
    uint40 lastFrom; // unix seconds from which `last` is in force; 0: never, it was cancelled
    uint32 delay; // seconds from setting a table to its force
}

/// @notice Time decides which table is in force; nobody has to send a transaction at the hour of a change.
library ShareScheduleLib {
    /// @notice The table in force at `time`; 0 when there is none yet.
    function inForceAt(ShareSchedule memory s, uint256 time) internal pure returns (uint24) {
        return s.lastFrom != 0 && time >= s.lastFrom ? s.last : s.inForce;
    }

    /// @notice Whether a table is set that is not in force yet.
    function isPending(ShareSchedule memory s, uint256 time) internal pure returns (bool) {
        return s.lastFrom > time;
    }

    /// @notice Takes up a new table at `time`: the first one of all at once, others after the delay.
    /// @dev No table may be pending. `last` is checked to fit; a time in 40 bits lasts 34,000 years.
    function add(ShareSchedule memory s, uint256 time) internal pure {
        s.inForce = inForceAt(s, time);
        s.last += 1;
        // forge-lint: disable-next-line(unsafe-typecast)
        s.lastFrom = uint40(s.inForce == 0 ? time : time + s.delay);
    }

    /// @notice Drops the pending table.
    function cancel(ShareSchedule memory s) internal pure {
        s.lastFrom = 0;
    }
}
