// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CreditRegistry} from "../src/CreditRegistry.sol";
import {CreditSale} from "../src/CreditSale.sol";
import {DevYen} from "../src/DevYen.sol";
import {RevenueSplit} from "../src/RevenueSplit.sol";
import {Base} from "./support/Base.sol";

contract ArtifactsTest is Base {
    function test_the_code_under_test_is_the_committed_code() public view {
        sameCode("CreditRegistry", type(CreditRegistry).creationCode);
        sameCode("CreditSale", type(CreditSale).creationCode);
        sameCode("RevenueSplit", type(RevenueSplit).creationCode);
        sameCode("DevYen", type(DevYen).creationCode);
    }

    function sameCode(string memory name, bytes memory built) private view {
        string memory json = vm.readFile(string.concat("../artifacts/", name, ".json"));
        vm.assertEq(keccak256(vm.parseJsonBytes(json, ".bytecode")), keccak256(built), name);
    }
}
