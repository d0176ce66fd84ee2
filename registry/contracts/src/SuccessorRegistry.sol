// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {IPredecessor} from "./interfaces/IPredecessor.sol";
import {AfterPredecessor} from "./registry/AfterPredecessor.sol";
import {RegistryFront} from "./registry/RegistryFront.sol";
import {SuccessorDesk} from "./registry/SuccessorDesk.sol";

/// @title A credit registry that follows another
/// @notice The same registry, with the accounts of the one before it: a project goes on with its cumulative figures,
/// deficit and buffer, a holder's credits keep their id, and plot days spent there are spent here.
contract SuccessorRegistry is RegistryFront, AfterPredecessor {
    constructor(address admin, IPredecessor predecessor_)
        ERC1155("")
        EIP712("SatoyamaCreditRegistry", "1")
        RegistryFront(admin, address(new SuccessorDesk(predecessor_)))
        AfterPredecessor(predecessor_)
    {}

    function spentUntil(bytes32 plotKey) public view override returns (uint256 day) {
        return predecessor.spentUntil(plotKey);
    }

    function contentRootUsed(bytes32 contentRoot) public view override returns (bool) {
        return super.contentRootUsed(contentRoot) || predecessor.contentRootUsed(contentRoot);
    }

    function reversalKnown(bytes32 projectId, bytes32 reasonDigest) public view override returns (bool) {
        return super.reversalKnown(projectId, reasonDigest) || predecessor.reversalKnown(projectId, reasonDigest);
    }

    /// @dev A project of the predecessor comes by `importProject`, with its account, and not anew; and none opens here
    /// while the predecessor could still open the same.
    function _checkRegistrable(bytes32 projectId) internal view override {
        super._checkRegistrable(projectId);
        predecessor.checkOpening(projectId);
    }

    /// @dev Spent in the predecessor's books (and by it in its predecessor's), so that neither registry credits what
    /// the other has, in whatever order.
    function _spend(bytes32 batchId, bytes32 contentRoot, bytes32[] memory keys, uint32 start, uint32 end)
        internal
        override
    {
        _checkUnused(batchId, contentRoot);
        predecessor.spendFor(Spending(batchId, contentRoot, keys, start, end));
    }
}
