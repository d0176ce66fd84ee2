// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CalendarYear} from "../src/libraries/CalendarYear.sol";
import {CreditId} from "../src/libraries/CreditId.sol";
import {Account, Issued, Packed} from "../src/libraries/Packed.sol";
import {PayeeLedgerLib} from "../src/libraries/PayeeLedger.sol";
import {Vm} from "./support/Vm.sol";

contract LibrariesTest {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    // ---------------------------------------------------------------- CalendarYear

    /// @dev The year by the civil-from-days algorithm (H. Hinnant, "chrono-compatible low-level date algorithms"), which
    /// counts in 400-year eras from the first of March: nothing in common with the code under test.
    function civilYear(uint256 day) private pure returns (uint256) {
        uint256 z = day + 719_468;
        uint256 era = z / 146_097;
        uint256 dayOfEra = z % 146_097;
        uint256 yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365;
        uint256 dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
        uint256 marchMonth = (5 * dayOfYear + 2) / 153;
        return yearOfEra + era * 400 + (marchMonth >= 10 ? 1 : 0);
    }

    function test_the_year_is_that_of_the_civil_algorithm(uint32 day) public pure {
        vm.assertEq(CalendarYear.ofDay(day), civilYear(day), "year");
    }

    function test_the_year_turns_on_the_first_of_january_of_every_year_for_ten_eras() public pure {
        uint256 newYearsDay = 0;
        for (uint256 year = 1970; year < 5970; ++year) {
            vm.assertEq(CalendarYear.firstDay(year), newYearsDay, "first day");
            vm.assertEq(CalendarYear.ofDay(uint32(newYearsDay)), year, "on the day");
            if (year > 1970) vm.assertEq(CalendarYear.ofDay(uint32(newYearsDay - 1)), year - 1, "the day before");
            bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            newYearsDay += leap ? 366 : 365;
        }
    }

    function test_known_days_have_their_known_years() public pure {
        vm.assertEq(CalendarYear.ofDay(0), 1970, "1970-01-01");
        vm.assertEq(CalendarYear.ofDay(11_016), 2000, "2000-02-29"); // date -d 2000-02-29 +%s / 86400
        vm.assertEq(CalendarYear.ofDay(20_088), 2024, "2024-12-31");
        vm.assertEq(CalendarYear.ofDay(20_089), 2025, "2025-01-01");
        vm.assertEq(CalendarYear.ofDay(47_481), 2099, "2099-12-31");
        vm.assertEq(CalendarYear.ofDay(47_482), 2100, "2100-01-01");
    }

    // ---------------------------------------------------------------- CreditId

    function test_an_id_gives_back_what_was_packed(bytes32 projectId, uint16 vintage, bytes32 batchId) public pure {
        (uint96 project, uint16 year, uint144 batch) = CreditId.unpack(CreditId.pack(projectId, vintage, batchId));
        vm.assertEq(bytes32(bytes12(project)), projectId & bytes32(bytes12(type(uint96).max)), "project");
        vm.assertEq(year, vintage, "vintage");
        vm.assertEq(bytes32(bytes18(batch)), batchId & bytes32(bytes18(type(uint144).max)), "batch");
    }

    function test_an_id_reads_from_left_to_right_as_project_vintage_batch() public pure {
        bytes32 project = 0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20;
        bytes32 batch = 0xa1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0;
        uint256 id = CreditId.pack(project, 2025, batch);
        uint256 expected = 0x0102030405060708090a0b0c_07e9_a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2;
        vm.assertEq(id, expected, "id");
    }

    // ---------------------------------------------------------------- packed words

    function test_an_account_gives_back_what_was_packed(Account memory a) public pure {
        Account memory b = Packed.unpackAccount(Packed.pack(a));
        vm.assertEq(keccak256(abi.encode(b)), keccak256(abi.encode(a)), "account");
    }

    function test_a_registered_account_is_never_zero(Account memory a) public pure {
        a.registered = true;
        vm.assertTrue(Packed.pack(a) != 0, "zero");
    }

    function test_an_issue_gives_back_what_was_packed(Issued memory a) public pure {
        Issued memory b = Packed.unpackIssued(Packed.pack(a));
        vm.assertEq(keccak256(abi.encode(b)), keccak256(abi.encode(a)), "issued");
        vm.assertEq(Packed.lockedUntil(Packed.pack(a)), a.lockedUntil, "lock");
    }

    function test_a_ledger_gives_back_what_was_packed(uint256 numerator, uint96 claimed, uint256 shares, uint24 epoch)
        public
        pure
    {
        numerator >>= 140;
        shares %= 1_000_001;
        (uint256 n, uint256 c, uint256 s, uint256 e) = PayeeLedgerLib.pack(numerator, claimed, shares, epoch).unpack();
        vm.assertEq(n, numerator, "numerator");
        vm.assertEq(c, claimed, "claimed");
        vm.assertEq(s, shares, "shares");
        vm.assertEq(e, epoch, "epoch");
    }

    function test_the_largest_numerator_fits_its_bits() public pure {
        vm.assertLt(uint256(type(uint96).max) * 1_000_000, 1 << 116, "numerator");
    }
}
