// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Base} from "./support/Base.sol";

/// @dev What coverage and the mutation test found untested.
contract CoverageTest is Base {
    function test_only_issue_and_verification_are_kept_apart() public {
        bytes32 guardians = registry.GUARDIAN_ROLE();
        vm.startPrank(admin);
        registry.grantRole(guardians, verifier);
        registry.grantRole(guardians, issuer);
        registry.grantRole(registry.VERIFIER_ROLE(), guardian);
        vm.stopPrank();
        vm.assertTrue(registry.hasRole(guardians, verifier), "a verifier may stand guard");
        vm.assertTrue(registry.hasRole(guardians, issuer), "an issuer may stand guard");
        vm.assertTrue(registry.hasRole(registry.VERIFIER_ROLE(), guardian), "a guardian may verify");
    }

    function test_play_money_has_six_places_and_only_its_owner_makes_it() public {
        vm.assertEq(yen.decimals(), 6, "places");
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, stranger));
        yen.mint(stranger, 1);
        vm.prank(admin);
        yen.mint(stranger, 1);
        vm.assertEq(yen.balanceOf(stranger), 1, "made");
    }
}
