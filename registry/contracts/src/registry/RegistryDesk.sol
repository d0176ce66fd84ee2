// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {Issued, Packed} from "../libraries/Packed.sol";
import {RegistryMigration} from "./RegistryMigration.sol";

/// @title The second half of the registry's code
/// @notice Does nothing by itself: its functions are called at the registry's address, on the registry's storage.
/// @dev A contract's code has an upper size, and the registry's is cut in two there. The registry creates this half in
/// its constructor and keeps the address as an immutable, so that neither half is ever changed. Here is what is seldom
/// called: suspension, challenges, refill, release, migration. Called directly it finds empty books, where nobody has a
/// role.
contract RegistryDesk is RegistryMigration {
    constructor() ERC1155("") EIP712("SatoyamaCreditRegistry", "1") {}

    /// @notice Challenge, annulment and serial numbers of a batch.
    function batchState(uint256 id) external view returns (BatchState memory state) {
        Batch storage b = _batch(id);
        Used memory used = b.used;
        state.frozen = _isFrozen(b);
        state.annulled = b.mark.annulled;
        state.bufferOutKg = used.bufferOutKg;
        state.goneKg = used.goneKg;
        state.serialNext = used.retiredKg + used.goneKg;
        state.serialEnd = Packed.unpackIssued(b.issued).grossKg - used.bufferBurnedKg;
    }
}
