// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CreditId} from "../libraries/CreditId.sol";
import {Account, Issued, Packed} from "../libraries/Packed.sol";
import {RegistryLedger} from "./RegistryLedger.sol";

/// @title What anybody may read of the registry
abstract contract RegistryViews is RegistryLedger {
    /// @notice Credits of a batch that exist: all holders and the buffer.
    function totalSupply(uint256 id) external view returns (uint256) {
        return _isBatch(id) ? _supply(_at(id)) : 0;
    }

    function projects(bytes32 projectId) external view returns (ProjectInfo memory) {
        Project storage p = _project(projectId);
        Account memory a = Packed.unpackAccount(p.account);
        State memory s = p.state;
        return ProjectInfo({
            projectId: projectId,
            methodDigest: p.methodDigest,
            lastPeriodEnd: a.lastPeriodEnd,
            challengeWindow: s.challengeWindow,
            grossKg: a.grossKg,
            compensatedKg: a.compensatedKg,
            bufferIssuedKg: a.bufferIssuedKg,
            minBufferBps: a.minBufferBps,
            paused: s.paused,
            index: s.index,
            deficitKg: s.deficitKg,
            reversedKg: s.reversedKg,
            uri: p.uri
        });
    }

    function projectKnown(bytes32 projectId) public view returns (bool) {
        return _projects[projectId].account != 0;
    }

    function projectCount() external view returns (uint256) {
        return _projectIds.length;
    }

    function projectAt(uint256 index) external view returns (bytes32) {
        return _projectIds[index];
    }

    /// @notice A batch by its batch id. Reverts when it was never issued; ask `batchKnown` first.
    function batches(bytes32 batchId) external view returns (BatchInfo memory) {
        if (!batchKnown(batchId)) revert Batch_Unknown(uint256(batchId));
        return _info(_idOf(CreditId.batchKey(batchId)));
    }

    /// @notice A batch by its token id.
    function batchOf(uint256 id) external view returns (BatchInfo memory) {
        _batch(id);
        return _info(id);
    }

    function batchKnown(bytes32 batchId) public view returns (bool) {
        return _batches[CreditId.batchKey(batchId)].issued != 0;
    }

    function projectIdOf(uint256 id) external view returns (bytes32) {
        return _projectIdOf(_batch(id));
    }

    /// @notice The day until which (not including) a plot key has been credited, in whichever project.
    function spentUntil(bytes32 plotKey) public view virtual returns (uint256 day) {
        return _spentUntil[plotKey];
    }

    /// @notice The token id that was issued on a content root; 0 when none was.
    function idOfContentRoot(bytes32 contentRoot) public view returns (uint256 id) {
        uint256 word = _roots[contentRoot];
        // forge-lint: disable-next-line(unsafe-typecast)
        return word == 0 ? 0 : _idOf(uint144(word));
    }

    function contentRootUsed(bytes32 contentRoot) public view virtual returns (bool) {
        return _roots[contentRoot] != 0;
    }

    /// @notice Whether the claim behind a content root was signed by this verifier.
    /// @dev Compares the low 112 bits of the address, which is what the root's word has room for.
    function signedBy(bytes32 contentRoot, address verifier) external view returns (bool) {
        uint256 word = _roots[contentRoot];
        // forge-lint: disable-next-line(unsafe-typecast)
        return word != 0 && word >> 144 == uint112(uint160(verifier));
    }

    function nonceUsed(address verifier, uint256 nonce) external view returns (bool) {
        return _nonces[verifier][nonce >> 8] & (1 << (nonce & 0xff)) != 0;
    }

    function reversalKnown(bytes32 projectId, bytes32 reasonDigest) public view virtual returns (bool) {
        return _reversalKnown[projectId][reasonDigest];
    }

    /// @notice Retirement certificates given out so far; the last one's number.
    function certificateCount() external view returns (uint256) {
        return _certificateCount;
    }

    /// @notice The project's page; the same for all its batches.
    function uri(uint256 id) public view override returns (string memory) {
        return _projects[_projectIdOfKey[uint96(id >> 160)]].uri;
    }

    function _info(uint256 id) private view returns (BatchInfo memory info) {
        Batch storage b = _at(id);
        Issued memory issued = Packed.unpackIssued(b.issued);
        (, info.vintage,) = CreditId.unpack(id);
        info.id = id;
        info.projectId = _projectIds[issued.projectIndex];
        info.periodStart = issued.periodStart;
        info.periodEnd = issued.periodEnd;
        info.lockedUntil = issued.lockedUntil;
        info.issuedAt = b.mark.issuedAt;
        if (info.issuedAt == 0) info.issuedAt = issued.lockedUntil - _projects[info.projectId].state.challengeWindow;
        info.grossKg = issued.grossKg;
        info.bufferIssuedKg = issued.bufferKg;
        info.bufferBurnedKg = b.used.bufferBurnedKg;
        info.bufferKg = _bufferLeft(b);
        info.retiredKg = b.used.retiredKg;
        info.supplyKg = _supply(b);
    }
}
