// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {RegistryDesk} from "./registry/RegistryDesk.sol";
import {RegistryFront} from "./registry/RegistryFront.sol";

/// @title Registry of verified forest-carbon credits
/// @notice One ERC-1155 token id per batch, one unit per kg CO2e. A batch is minted once, from a claim that a verifier
/// signed and an issuer, who is another account, submits. No bridge, no way to mint otherwise, and no code that anybody
/// could change: a new version is a new contract, to which holders may move.
/// @dev The code has two halves on one storage, since one contract has no room for both: `RegistryFront`, and the
/// `RegistryDesk` that the constructor creates and that is called for whatever the first half does not know. Its
/// address is an immutable (the registry's first creation), so this is no upgradeable proxy.
contract CreditRegistry is RegistryFront {
    constructor(address admin)
        ERC1155("")
        EIP712("SatoyamaCreditRegistry", "1")
        RegistryFront(admin, address(new RegistryDesk()))
    {}
}
