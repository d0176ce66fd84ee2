// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Life} from "./LifeInvariants.t.sol";

/// @dev The registry's later life again, all properties after every call, in as many runs as the profile wants: the
/// configuration written beside LifeInvariantsTest goes before the profile's.
/// forge-config: default.invariant.runs = 1
/// forge-config: default.invariant.depth = 320
/// forge-config: ci.invariant.runs = 256
/// forge-config: ci.invariant.depth = 320
/// forge-config: long.invariant.runs = 1024
/// forge-config: long.invariant.depth = 320
contract LongLifeInvariantsTest {
    Life private life;

    function setUp() public {
        life = new Life();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(life);
    }

    function afterInvariant() public {
        require(life.moves() >= 20, "hardly anything happened in this run");
        life.everybodyLeaves();
        life.checkUnits();
        life.checkProjects();
        life.checkCourt();
    }

    function invariant_units_accounts_and_court_hold_through_challenges_annulments_and_moves() public view {
        life.checkUnits();
        life.checkProjects();
        life.checkCourt();
    }
}
