// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ShareSchedule, ShareScheduleLib} from "../src/libraries/ShareSchedule.sol";

/// @notice Which share table is in force when. For every state that can come about, and all times.
contract ScheduleProofs {
    using ShareScheduleLib for ShareSchedule;

    /// @dev States the split can reach: no table at all, or the one in force is an earlier one than the last.
    function sound(ShareSchedule memory s) private pure returns (bool) {
        return s.inForce < s.last || (s.last == 0 && s.inForce == 0 && s.lastFrom == 0);
    }

    function copy(ShareSchedule memory s) private pure returns (ShareSchedule memory) {
        return ShareSchedule(s.inForce, s.last, s.lastFrom, s.delay);
    }

    function check_tables_never_go_back(ShareSchedule memory s, uint64 earlier, uint64 later) external pure {
        if (!sound(s) || earlier > later) return;
        assert(s.inForceAt(earlier) <= s.inForceAt(later));
    }

    function check_a_pending_table_is_not_in_force_and_any_other_last_one_is(ShareSchedule memory s, uint64 time)
        external
        pure
    {
        if (!sound(s) || s.last == 0) return;
        if (s.isPending(time)) assert(s.inForceAt(time) == s.inForce && s.inForce != s.last);
        else assert(s.inForceAt(time) == (s.lastFrom == 0 ? s.inForce : s.last));
    }

    /// @dev For every project that has a table: nothing moves before the delay is over, and all of it then.
    function check_a_change_takes_effect_when_its_delay_is_over_and_not_before(
        ShareSchedule memory s,
        uint32 now_,
        uint64 time
    ) external pure {
        if (!sound(s) || s.isPending(now_) || s.last == type(uint24).max || time < now_) return;
        ShareSchedule memory before = copy(s);
        uint24 old = before.inForceAt(now_);
        s.add(now_);
        assert(s.last == before.last + 1 && s.delay == before.delay && sound(s));
        if (old == 0) assert(s.inForceAt(time) == (now_ == 0 ? 0 : s.last)); // the first table of all
        else assert(s.inForceAt(time) == (time >= uint256(now_) + s.delay && s.lastFrom != 0 ? s.last : old));
    }

    function check_a_cancelled_table_is_never_in_force_and_changes_nothing(
        ShareSchedule memory s,
        uint64 now_,
        uint64 time
    ) external pure {
        if (!sound(s) || !s.isPending(now_) || time < now_) return;
        uint24 old = s.inForceAt(now_);
        uint24 last = s.last;
        s.cancel();
        assert(s.inForceAt(time) == old && s.last == last && sound(s) && !s.isPending(time));
    }
}
