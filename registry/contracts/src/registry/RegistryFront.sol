// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {RegistryReversal} from "./RegistryReversal.sol";

/// @title The first half of the registry's code: what is called often
/// @dev From its base up: RegistryTypes (records, events, errors), RegistryLedger (storage, transfers), RegistryViews,
/// RegistryIssuance (projects, issue), RegistryReversal (pause, reversal), and here retirement and the way to the other
/// half.
abstract contract RegistryFront is RegistryReversal {
    /// @notice The other half of the code; see `RegistryDesk`.
    address public immutable desk;

    constructor(address admin, address desk_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        desk = desk_;
    }

    /// @dev What is not found here is done by the other half, on this storage.
    fallback() external {
        address half = desk;
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, 0, calldatasize())
            let done := delegatecall(gas(), half, free, calldatasize(), 0, 0)
            returndatacopy(free, 0, returndatasize())
            if iszero(done) { revert(free, returndatasize()) }
            return(free, returndatasize())
        }
    }

    /// @notice Burns the caller's own credits and gives a certificate.
    function retire(uint256 id, uint256 kg, Retirement calldata r) external returns (uint256 certificateId) {
        return _retire(msg.sender, id, kg, r);
    }

    /// @notice Burns an account's credits; the caller needs its ERC-1155 approval.
    function retireFor(address account, uint256 id, uint256 kg, Retirement calldata r)
        external
        returns (uint256 certificateId)
    {
        _checkAuthorized(msg.sender, account);
        return _retire(account, id, kg, r);
    }

    function _retire(address account, uint256 id, uint256 kg, Retirement calldata r)
        private
        returns (uint256 certificateId)
    {
        if (kg == 0) revert Retirement_KgZero();
        if (bytes(r.beneficiary).length == 0) revert Retirement_BeneficiaryEmpty();
        if (r.country != 0 && !(_isCapital(r.country[0]) && _isCapital(r.country[1]))) {
            revert Retirement_CountryInvalid(r.country);
        }
        if (r.consumptionStart >= r.consumptionEnd && (r.consumptionStart | r.consumptionEnd) != 0) {
            revert Retirement_PeriodEmpty(r.consumptionStart, r.consumptionEnd);
        }
        certificateId = ++_certificateCount;
        _end(account, id, kg, certificateId);
        emit Retired(
            certificateId, id, account, kg, r.beneficiary, r.purpose, r.country, r.consumptionStart, r.consumptionEnd
        );
    }

    function _isCapital(bytes1 letter) private pure returns (bool) {
        return letter >= "A" && letter <= "Z";
    }
}
