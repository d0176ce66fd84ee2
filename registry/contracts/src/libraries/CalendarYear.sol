// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice Gregorian calendar years on the count of days since 1970-01-01.
library CalendarYear {
    uint256 private constant DAYS_IN_400_YEARS = 146_097;

    /// @notice The calendar year in which a day lies.
    function ofDay(uint32 day) internal pure returns (uint256 year) {
        unchecked {
            // The mean year gives the year or a neighbour of it: at most two days of leap drift either way.
            year = 1970 + uint256(day) * 400 / DAYS_IN_400_YEARS;
            if (day < firstDay(year)) --year;
            else if (day >= firstDay(year + 1)) ++year;
        }
    }

    /// @notice First of January of a year >= 1970, in days since 1970-01-01.
    function firstDay(uint256 year) internal pure returns (uint256) {
        unchecked {
            // Leap days in the years before `year`, counted from 1970: every 4th, not every 100th, but every 400th.
            return (year - 1970) * 365 + (year - 1969) / 4 - (year - 1901) / 100 + (year - 1601) / 400;
        }
    }
}
