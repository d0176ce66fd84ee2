// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {CalendarYear} from "../libraries/CalendarYear.sol";
import {CreditId} from "../libraries/CreditId.sol";
import {Account, Packed} from "../libraries/Packed.sol";
import {RegistryTypes} from "./RegistryTypes.sol";

/// @title The registry's books: storage, and what both halves of its code do with it
/// @dev The buffer is held by this contract's own address. Its balance is read from the batch, not stored twice, and no
/// transfer moves it: it ends by reversal, annulment, a release on schedule, or the hand-over to a successor.
abstract contract RegistryLedger is RegistryTypes, ERC1155, AccessControl, EIP712 {
    mapping(bytes32 projectId => Project) internal _projects;
    mapping(uint96 projectKey => bytes32 projectId) internal _projectIdOfKey;
    mapping(uint144 batchKey => Batch) internal _batches;
    bytes32[] internal _projectIds;
    mapping(bytes32 plotKey => uint256 day) internal _spentUntil;
    /// @dev Low 112 bits of the verifier's address (112) | batch key (144): which batch, and who signed it.
    mapping(bytes32 contentRoot => uint256 word) internal _roots;
    uint256 internal _certificateCount;
    mapping(address verifier => mapping(uint256 word => uint256 bits)) internal _nonces;
    mapping(bytes32 projectId => mapping(bytes32 reasonDigest => bool)) internal _reversalKnown;
    Migration internal _migration;

    // ---------------------------------------------------------------- roles

    /// @dev Whoever verifies may not issue, and the reverse, at any one time.
    function _grantRole(bytes32 role, address account) internal override returns (bool) {
        if (role == ISSUER_ROLE && hasRole(VERIFIER_ROLE, account)) {
            revert Role_DutiesNotSeparated(account, role, VERIFIER_ROLE);
        }
        if (role == VERIFIER_ROLE && hasRole(ISSUER_ROLE, account)) {
            revert Role_DutiesNotSeparated(account, role, ISSUER_ROLE);
        }
        return super._grantRole(role, account);
    }

    /// @dev Holds for whoever signed `structHash` with this nonce, is a verifier, and is not the caller.
    function _checkSignature(address verifier, uint256 nonce, bytes32 structHash, bytes calldata signature)
        internal
        returns (bytes32 digest)
    {
        if (verifier == msg.sender) revert Claim_VerifierIsIssuer(verifier);
        if (!hasRole(VERIFIER_ROLE, verifier)) revert Claim_VerifierUnknown(verifier);
        digest = _hashTypedDataV4(structHash);
        if (!SignatureChecker.isValidSignatureNowCalldata(verifier, digest, signature)) {
            revert Claim_SignatureInvalid(verifier, digest);
        }
        _useNonce(verifier, nonce);
    }

    function _useNonce(address verifier, uint256 nonce) internal {
        uint256 bit = 1 << (nonce & 0xff);
        uint256 bits = _nonces[verifier][nonce >> 8];
        if (bits & bit != 0) revert Claim_NonceUsed(verifier, nonce);
        _nonces[verifier][nonce >> 8] = bits | bit;
    }

    // ---------------------------------------------------------------- transfers

    /// @dev Adds to a plain ERC-1155 movement: nothing leaves an account inside the challenge window or while a
    /// challenge is open; a paused project's credits can be burned but not moved.
    function _update(address from, address to, uint256[] memory ids, uint256[] memory values) internal override {
        if (from != address(0)) {
            for (uint256 i = 0; i < ids.length; ++i) {
                uint256 id = ids[i];
                // forge-lint: disable-next-line(unsafe-typecast)
                uint40 lockedUntil = Packed.lockedUntil(_batches[uint144(id)].issued);
                if (block.timestamp < lockedUntil) {
                    if (lockedUntil == FROZEN) revert Batch_Frozen(id);
                    revert Batch_Locked(id, lockedUntil);
                }
                if (to != address(0)) {
                    bytes32 projectId = _projectIdOfKey[uint96(id >> 160)];
                    if (_projects[projectId].state.paused) revert Project_Paused(projectId);
                }
            }
        }
        super._update(from, to, ids, values);
    }

    /// @dev Burns a holder's credits and takes their serials, the next of the batch. Counted as retired or, with
    /// certificate 0, as gone.
    function _end(address account, uint256 id, uint256 kg, uint256 certificateId) internal {
        _burn(account, id, kg);
        // The burn succeeded, so kg is no more than the batch's gross and fits.
        // forge-lint: disable-next-line(unsafe-typecast)
        (Used storage used, uint64 units) = (_batches[uint144(id)].used, uint64(kg));
        uint64 from = used.retiredKg + used.goneKg;
        if (certificateId != 0) used.retiredKg += units;
        else used.goneKg += units;
        emit SerialsEnded(certificateId, id, from, from + units);
    }

    /// @dev Takes `kg` out of a batch's buffer otherwise than by a reversal.
    function _takeBuffer(Batch storage b, uint256 id, uint64 kg) internal {
        b.used.bufferOutKg += kg;
        if (kg != 0) emit TransferSingle(msg.sender, address(this), address(0), id, kg);
    }

    // ---------------------------------------------------------------- projects

    function _addProject(
        bytes32 projectId,
        bytes32 methodDigest,
        Account memory account,
        uint32 challengeWindow,
        string memory projectUri
    ) internal returns (Project storage p) {
        uint96 key = CreditId.projectKey(projectId);
        if (_projectIdOfKey[key] != 0) revert Project_Known(_projectIdOfKey[key]);
        _projectIdOfKey[key] = projectId;
        account.registered = true;
        p = _projects[projectId];
        p.methodDigest = methodDigest;
        p.account = Packed.pack(account);
        p.state.challengeWindow = challengeWindow;
        p.state.index = SafeCast.toUint24(_projectIds.length);
        p.uri = projectUri;
        _projectIds.push(projectId);
        emit ProjectRegistered(projectId, methodDigest, account.minBufferBps, challengeWindow, projectUri);
    }

    // ---------------------------------------------------------------- what may be credited once only

    /// @dev Refuses what was credited before, and spends the plots' days.
    function _spend(bytes32 batchId, bytes32 contentRoot, bytes32[] memory keys, uint32 start, uint32 end)
        internal
        virtual
    {
        _checkUnused(batchId, contentRoot);
        uint256 count = keys.length;
        if (count == 0 || count > MAX_PLOT_KEYS) revert Plots_CountInvalid(count, MAX_PLOT_KEYS);
        bytes32 before;
        for (uint256 i = 0; i < count; ++i) {
            bytes32 key = keys[i];
            if (key <= before) revert Plots_NotAscending(before, key); // refuses the zero key too
            uint256 spent = _spentUntil[key];
            if (start < spent) revert Plot_AlreadySpent(key, spent, start);
            _spentUntil[key] = end;
            before = key;
        }
    }

    function _checkUnused(bytes32 batchId, bytes32 contentRoot) internal view {
        uint256 word = _roots[contentRoot];
        // forge-lint: disable-next-line(unsafe-typecast)
        if (word != 0) revert Claim_ContentRootUsed(contentRoot, _idOf(uint144(word)));
        if (_batches[CreditId.batchKey(batchId)].issued != 0) revert Claim_BatchKnown(batchId);
    }

    // ---------------------------------------------------------------- views

    /// @notice Credits an account holds. For this contract's own address: what the buffer holds of the batch.
    function balanceOf(address account, uint256 id) public view override returns (uint256) {
        if (account != address(this)) return super.balanceOf(account, id);
        return _isBatch(id) ? _bufferLeft(_at(id)) : 0;
    }

    function supportsInterface(bytes4 interfaceId) public view override(ERC1155, AccessControl) returns (bool) {
        return ERC1155.supportsInterface(interfaceId) || AccessControl.supportsInterface(interfaceId);
    }

    // ---------------------------------------------------------------- internal views

    function _project(bytes32 projectId) internal view returns (Project storage p) {
        p = _projects[projectId];
        if (p.account == 0) revert Project_Unknown(projectId);
    }

    /// @dev True only for an id that `issue` returned: batch, project and vintage must fit each other.
    function _isBatch(uint256 id) internal view returns (bool) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return _at(id).issued != 0 && _idOf(uint144(id)) == id;
    }

    /// @dev The token id of an issued batch.
    function _idOf(uint144 batchKey) internal view returns (uint256) {
        Batch storage b = _batches[batchKey];
        // The year was checked to fit the vintage's 16 bits at issue.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint16 vintage = uint16(CalendarYear.ofDay(Packed.unpackIssued(b.issued).periodEnd - 1));
        return CreditId.pack(_projectIdOf(b), vintage, bytes32(bytes18(batchKey)));
    }

    function _projectIdOf(Batch storage b) internal view returns (bytes32) {
        return _projectIds[Packed.unpackIssued(b.issued).projectIndex];
    }

    function _at(uint256 id) internal view returns (Batch storage) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return _batches[uint144(id)];
    }

    function _batch(uint256 id) internal view returns (Batch storage) {
        if (!_isBatch(id)) revert Batch_Unknown(id);
        return _at(id);
    }

    function _isFrozen(Batch storage b) internal view returns (bool) {
        return Packed.lockedUntil(b.issued) == FROZEN;
    }

    function _bufferLeft(Batch storage b) internal view returns (uint64) {
        return Packed.unpackIssued(b.issued).bufferKg - b.used.bufferBurnedKg - b.used.bufferOutKg;
    }

    function _supply(Batch storage b) internal view returns (uint64) {
        Used memory used = b.used;
        return Packed.unpackIssued(b.issued).grossKg - used.retiredKg - used.bufferBurnedKg - used.goneKg;
    }

    /// @dev Refuses from `grace` seconds after the project closed on.
    function _checkOpen(bytes32 projectId, uint40 closesAt, uint256 grace) internal view {
        if (closesAt != 0 && block.timestamp >= closesAt + grace) revert Project_Closed(projectId, closesAt + grace);
    }

    function _inEffect(Migration memory m) internal view returns (bool) {
        return m.successor != address(0) && block.timestamp >= m.from;
    }
}
