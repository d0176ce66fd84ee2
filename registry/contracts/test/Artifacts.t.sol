// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChallengeWindow} from "../src/ChallengeWindow.sol";
import {CreditRegistry} from "../src/CreditRegistry.sol";
import {CreditSale} from "../src/CreditSale.sol";
import {DevYen} from "../src/DevYen.sol";
import {IPredecessor} from "../src/interfaces/IPredecessor.sol";
import {RevenueSplit} from "../src/RevenueSplit.sol";
import {RegistryDesk} from "../src/registry/RegistryDesk.sol";
import {SuccessorDesk} from "../src/registry/SuccessorDesk.sol";
import {SuccessorRegistry} from "../src/SuccessorRegistry.sol";
import {Base} from "./support/Base.sol";

contract ArtifactsTest is Base {
    function test_the_code_under_test_is_the_committed_code() public view {
        sameCode("CreditRegistry", type(CreditRegistry).creationCode);
        sameCode("CreditSale", type(CreditSale).creationCode);
        sameCode("RevenueSplit", type(RevenueSplit).creationCode);
        sameCode("DevYen", type(DevYen).creationCode);
        sameCode("ChallengeWindow", type(ChallengeWindow).creationCode);
        sameCode("SuccessorRegistry", type(SuccessorRegistry).creationCode);
        sameCode("RegistryDesk", type(RegistryDesk).creationCode);
        sameCode("SuccessorDesk", type(SuccessorDesk).creationCode);
    }

    /// @dev EIP-170 and EIP-3860; a registry deploys its second half in its own creation.
    function test_a_registry_s_code_fits_what_a_chain_allows() public {
        vm.assertLe(type(CreditRegistry).creationCode.length, 49_152, "creation");
        vm.assertLe(type(SuccessorRegistry).creationCode.length, 49_152, "creation of a successor");
        vm.assertLe(address(registry).code.length, 24_576, "first half");
        vm.assertLe(registry.desk().code.length, 24_576, "second half");
        SuccessorRegistry next = new SuccessorRegistry(admin, IPredecessor(address(registry)));
        vm.assertLe(address(next).code.length, 24_576, "first half of a successor");
        vm.assertLe(next.desk().code.length, 24_576, "second half of a successor");
    }

    function sameCode(string memory name, bytes memory built) private view {
        string memory json = vm.readFile(string.concat("../artifacts/", name, ".json"));
        vm.assertEq(keccak256(vm.parseJsonBytes(json, ".bytecode")), keccak256(built), name);
    }
}
