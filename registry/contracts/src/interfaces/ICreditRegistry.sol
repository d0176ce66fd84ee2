// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC1155} from "@openzeppelin/contracts/token/ERC1155/IERC1155.sol";

/// @notice What the sale needs to know of the registry.
interface ICreditRegistry is IERC1155 {
    /// @notice Who a retirement is for; the registry's own struct, field by field.
    struct Retirement {
        string beneficiary;
        string purpose;
        bytes2 country;
        uint32 consumptionStart;
        uint32 consumptionEnd;
    }

    /// @notice The project whose credits these are. Reverts on an id that was never issued.
    function projectIdOf(uint256 id) external view returns (bytes32);

    /// @notice Burns the caller's own credits and gives a certificate.
    function retire(uint256 id, uint256 kg, Retirement calldata r) external returns (uint256 certificateId);
}
