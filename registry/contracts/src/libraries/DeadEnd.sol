// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1155} from "@openzeppelin/contracts/token/ERC1155/IERC1155.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

/// @notice Tells contracts apart out of which money could never come again: tokens, credit registries, and sales of a split.
/// @dev Knows what can be known: a contract is asked, within a bound of gas, and one that does not answer is let pass, as
/// wallets, Safes and timelocks are. What is deployed at an address later is not known.
library DeadEnd {
    uint256 private constant GAS = 30_000;

    /// @notice Whether `account` is an ERC-20 token, an ERC-1155 contract, or a contract whose `split()` is `split`.
    function isAt(address account, address split) internal view returns (bool) {
        if (account.code.length == 0) return false;
        (bool answered,) = _ask(account, abi.encodeWithSignature("totalSupply()"));
        if (answered) return true;
        uint256 answer;
        (answered, answer) = _ask(account, abi.encodeCall(IERC165.supportsInterface, (type(IERC1155).interfaceId)));
        if (answered && answer == 1) return true;
        (answered, answer) = _ask(account, abi.encodeWithSignature("split()"));
        return answered && answer == uint160(split);
    }

    /// @dev One word of the answer, and whether one came; never more is copied than a word.
    function _ask(address account, bytes memory question) private view returns (bool answered, uint256 answer) {
        assembly ("memory-safe") {
            answered := staticcall(GAS, account, add(question, 0x20), mload(question), 0x00, 0x20)
            answered := and(answered, eq(returndatasize(), 0x20))
            answer := mload(0x00)
        }
    }
}
