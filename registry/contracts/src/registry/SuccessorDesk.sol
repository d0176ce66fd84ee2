// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IPredecessor} from "../interfaces/IPredecessor.sol";
import {ISuccessor} from "../interfaces/ISuccessor.sol";
import {Account, Issued, Packed} from "../libraries/Packed.sol";
import {AfterPredecessor} from "./AfterPredecessor.sol";
import {RegistryDesk} from "./RegistryDesk.sol";

/// @title The second half of a successor's code: also takes over from the predecessor
contract SuccessorDesk is RegistryDesk, AfterPredecessor, ISuccessor {
    constructor(IPredecessor predecessor_) AfterPredecessor(predecessor_) {}

    /// @notice Carries on the account of a project that is settled in the predecessor. Anybody may call.
    function importProject(bytes32 projectId) external {
        (address successor,) = predecessor.migration();
        (,, bool settled) = predecessor.closing(projectId);
        if (successor != address(this) || !settled) revert Migration_Unsettled(projectId);
        ProjectInfo memory info = predecessor.projects(projectId);
        Account memory account = Account({
            lastPeriodEnd: info.lastPeriodEnd,
            grossKg: info.grossKg,
            compensatedKg: info.compensatedKg,
            bufferIssuedKg: info.bufferIssuedKg,
            minBufferBps: info.minBufferBps,
            registered: true
        });
        Project storage p = _addProject(projectId, info.methodDigest, account, info.challengeWindow, info.uri);
        p.state.paused = info.paused;
        p.state.deficitKg = info.deficitKg;
        p.state.reversedKg = info.reversedKg;
        emit ProjectImported(projectId, info.lastPeriodEnd, info.grossKg, info.compensatedKg, info.deficitKg);
    }

    /// @notice Takes over a batch's buffer from the predecessor. Anybody may call; the first holder who moves does.
    /// @dev Here the batch begins with its buffer, and grows by what holders move. What was burned or released before
    /// is carried along, so that the release schedule goes on where it was. No lock is: what may still be locked there
    /// cannot be moved yet, and a court here could not annul what holders have there.
    function importBatch(uint256 id) public {
        if (_at(id).issued != 0) revert Migration_BatchKnown(id);
        BatchInfo memory info = predecessor.batchOf(id);
        uint24 index = _project(info.projectId).state.index;
        uint64 kg = predecessor.handOverBuffer(id);
        Batch storage b = _at(id);
        b.issued = Packed.pack(
            Issued({
                grossKg: info.bufferBurnedKg + kg,
                bufferKg: info.bufferIssuedKg,
                periodStart: info.periodStart,
                periodEnd: info.periodEnd,
                lockedUntil: uint40(info.lockedUntil < block.timestamp ? info.lockedUntil : block.timestamp),
                projectIndex: index
            })
        );
        b.used.bufferBurnedKg = info.bufferBurnedKg;
        b.used.bufferOutKg = info.bufferIssuedKg - info.bufferBurnedKg - kg;
        b.mark.issuedAt = uint40(info.issuedAt);
        emit BatchImported(id, info.projectId, kg);
        if (kg != 0) emit TransferSingle(msg.sender, address(0), address(this), id, kg);
    }

    /// @inheritdoc ISuccessor
    function acceptMigrated(address account, uint256 id, uint64 kg) external {
        if (msg.sender != address(predecessor)) revert Migration_NotPredecessor(msg.sender);
        if (!_isBatch(id)) importBatch(id);
        Batch storage b = _at(id);
        Issued memory issued = Packed.unpackIssued(b.issued);
        issued.grossKg += kg;
        b.issued = Packed.pack(issued);
        // Last, since the receiver is called.
        _mint(account, id, kg, "");
    }

    function projectTaken(bytes32 projectId) public view override returns (bool) {
        return super.projectTaken(projectId) || predecessor.projectTaken(projectId);
    }

    /// @dev Nor in a registry before it, while that one could still open the same.
    function checkOpening(bytes32 projectId) public view override {
        super.checkOpening(projectId);
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
