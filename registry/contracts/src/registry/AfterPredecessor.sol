// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPredecessor} from "../interfaces/IPredecessor.sol";

/// @title Knows the registry before this one
abstract contract AfterPredecessor {
    IPredecessor public immutable predecessor;

    constructor(IPredecessor predecessor_) {
        predecessor = predecessor_;
    }
}
