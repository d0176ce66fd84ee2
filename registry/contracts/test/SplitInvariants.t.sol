// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./support/Base.sol";
import {OpenToken} from "./support/Mocks.sol";

/// @dev Announces, cancels, waits, deposits and pays in any order, and keeps books of its own beside the contract's: the
/// tables with the hours from which they hold, and exact numerators.
contract Treasury is Base {
    uint256 public constant PAYEES = 6;

    struct Table {
        uint32[6] shares;
        uint256 from;
        bool cancelled;
    }

    OpenToken[2] public tokens;
    Table[] private tables;
    uint256 public delay;
    uint256 public moved; // how often something happened at all
    mapping(uint256 token => mapping(uint256 payee => uint256)) public numerators;
    mapping(uint256 token => mapping(uint256 payee => uint256)) public paid;
    mapping(uint256 token => uint256) public total;

    constructor() {
        super.setUp();
        tokens = [new OpenToken("WON"), new OpenToken("SEN")];
        for (uint256 i = 0; i < 2; ++i) {
            vm.prank(admin);
            split.setTokenAllowed(address(tokens[i]), true);
            tokens[i].mint(stranger, 1e27);
            vm.prank(stranger);
            tokens[i].approve(address(split), 1e27);
        }
        announce(1);
    }

    function setUp() public override {}

    function payee(uint256 i) public pure returns (address) {
        return address(uint160(0x30000 + i));
    }

    /// @dev The table in force by this contract's own books: the last one whose hour has come.
    function inForce() public view returns (uint256 number) {
        for (uint256 i = tables.length; i > 0; --i) {
            if (!tables[i - 1].cancelled && tables[i - 1].from <= block.timestamp) return i;
        }
    }

    function isPending() public view returns (bool) {
        Table storage last = tables[tables.length - 1];
        return !last.cancelled && last.from > block.timestamp;
    }

    // ---------------------------------------------------------------- moves

    function announce(uint256 seed) public {
        if (tables.length != 0 && isPending()) return;
        uint256 from = seed % PAYEES;
        uint256 n = 1 + (seed >> 8) % (PAYEES - from);
        (address[] memory payees, uint32[] memory shares) = (new address[](n), new uint32[](n));
        Table memory table;
        uint32 left = 1_000_000;
        for (uint256 i = 0; i < n; ++i) {
            payees[i] = payee(from + i);
            uint256 most = left - (n - i - 1);
            shares[i] = i == n - 1 ? left : uint32(bound(uint256(keccak256(abi.encode(seed, i))), 1, most));
            left -= shares[i];
            table.shares[from + i] = shares[i];
        }
        table.from = tables.length == 0 ? block.timestamp : block.timestamp + delay;
        tables.push(table);
        vm.prank(admin);
        split.setShares(PROJECT, payees, shares);
        ++moved;
    }

    function cancel() external {
        if (!isPending()) return;
        tables[tables.length - 1].cancelled = true;
        vm.prank(admin);
        split.cancelShares(PROJECT);
        ++moved;
    }

    function raiseDelay(uint256 by) external {
        if (delay > 10 days) return;
        delay += bound(by, 0, 3 days);
        vm.prank(admin);
        split.setDelay(PROJECT, uint32(delay));
    }

    function wait(uint256 time) external {
        vm.warp(block.timestamp + bound(time, 1, 5 days));
        ++moved;
    }

    function deposit(uint256 which, uint256 amount) external {
        which %= 2;
        amount = bound(amount, 1, which == 0 ? 9 : 1e18); // whole won that no one can split, and fine sen
        vm.prank(stranger);
        split.deposit(PROJECT, address(tokens[which]), amount);
        Table storage table = tables[inForce() - 1];
        for (uint256 i = 0; i < PAYEES; ++i) {
            numerators[which][i] += amount * table.shares[i];
        }
        total[which] += amount;
        ++moved;
    }

    function payOut(uint256 which, uint256 who) external {
        (which, who) = (which % 2, who % PAYEES);
        if (split.claimable(PROJECT, address(tokens[which]), payee(who)) == 0) return;
        paid[which][who] += split.claimFor(PROJECT, address(tokens[which]), payee(who));
        ++moved;
    }

    function settle(uint256 which, uint256 who, uint24 epoch) external {
        split.settle(PROJECT, address(tokens[which % 2]), payee(who % PAYEES), epoch);
    }

    // ---------------------------------------------------------------- what must hold

    function checkTables() external view {
        vm.assertEq(split.currentEpoch(PROJECT), inForce(), "the table in force");
        vm.assertEq(split.lastEpoch(PROJECT), tables.length, "the last table");
        (uint24 epoch, uint40 from) = split.pendingShares(PROJECT);
        vm.assertEq(epoch, isPending() ? tables.length : 0, "pending");
        vm.assertEq(from, isPending() ? tables[tables.length - 1].from : 0, "from when");
    }

    function checkMoney() external view {
        address[] memory everyone = new address[](PAYEES);
        for (uint256 i = 0; i < PAYEES; ++i) {
            everyone[i] = payee(i);
        }
        for (uint256 t = 0; t < 2; ++t) {
            address token = address(tokens[t]);
            (uint256 claimable, uint256 claimed) = (0, 0);
            for (uint256 i = 0; i < PAYEES; ++i) {
                uint256 entitled = numerators[t][i] / 1_000_000;
                vm.assertEq(split.entitled(PROJECT, token, everyone[i]), entitled, "entitled");
                vm.assertEq(split.claimed(PROJECT, token, everyone[i]), paid[t][i], "claimed");
                vm.assertEq(tokens[t].balanceOf(everyone[i]), paid[t][i], "what came");
                claimable += split.claimable(PROJECT, token, everyone[i]);
                claimed += paid[t][i];
            }
            uint256 remainder = split.remainder(PROJECT, token, everyone);
            vm.assertEq(claimed + claimable + remainder, total[t], "to the unit");
            vm.assertEq(split.deposited(PROJECT, token), total[t], "deposited");
            vm.assertLt(remainder, PAYEES, "remainder");
            vm.assertEq(tokens[t].balanceOf(address(split)), claimable + remainder, "the split holds what it owes");
        }
    }
}

contract SplitInvariantsTest {
    Treasury private treasury;

    function setUp() public {
        treasury = new Treasury();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(treasury);
    }

    /// @dev A run in which hardly anything happened would prove nothing.
    function afterInvariant() public view {
        require(treasury.moved() >= 10, "hardly anything happened in this run");
    }

    function invariant_the_hour_decides_on_the_table_and_nothing_else() public view {
        treasury.checkTables();
    }

    function invariant_claims_claimable_and_remainder_are_the_deposits() public view {
        treasury.checkMoney();
    }
}
