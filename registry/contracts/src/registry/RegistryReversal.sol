// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Account, Packed} from "../libraries/Packed.sol";
import {RegistryIssuance} from "./RegistryIssuance.sol";

/// @title What is reported against a project: pause and reversal
/// @dev Of a project, buffer held = bufferIssued - compensated.
abstract contract RegistryReversal is RegistryIssuance {
    /// @notice Stops issues and transfers of a project. Retiring what one owns is never stopped.
    function pause(bytes32 projectId) external onlyRole(GUARDIAN_ROLE) {
        State storage state = _project(projectId).state;
        if (state.paused) revert Project_Paused(projectId);
        state.paused = true;
        emit ProjectPaused(projectId, msg.sender);
    }

    function unpause(bytes32 projectId) external onlyRole(GUARDIAN_ROLE) {
        State storage state = _project(projectId).state;
        if (!state.paused) revert Project_NotPaused(projectId);
        state.paused = false;
        emit ProjectUnpaused(projectId, msg.sender);
    }

    // ---------------------------------------------------------------- reversal

    /// @notice Records that `kg` credited to a project are lost. Burns the buffer of the named batches in the order
    /// given; what the whole buffer of the project cannot cover is published as its deficit.
    /// @dev Naming too few batches is refused: no deficit while buffer is left. One reason digest counts once, so a
    /// retried transaction cannot burn twice. A deficit that stands (buffer can stand beside it only after an
    /// annulment) is covered with it, and alone when kg is 0. Buffers under a challenge are burned too: that gives
    /// nobody anything.
    function reverse(bytes32 projectId, uint256[] calldata ids, uint64 kg, bytes32 reasonDigest) external {
        if (!hasRole(GUARDIAN_ROLE, msg.sender)) _checkRole(VERIFIER_ROLE, msg.sender);
        if (reasonDigest == 0) revert Reversal_ReasonZero();
        Project storage p = _project(projectId);
        if (reversalKnown(projectId, reasonDigest)) revert Reversal_Known(projectId, reasonDigest);
        _reversalKnown[projectId][reasonDigest] = true;
        Account memory account = Packed.unpackAccount(p.account);
        State memory state = p.state;
        _checkOpen(projectId, state.closesAt, state.challengeWindow);
        if (kg == 0 && state.deficitKg == 0) revert Reversal_KgZero();
        uint64 outstanding = account.grossKg - account.compensatedKg - state.deficitKg;
        if (kg > outstanding) revert Reversal_ExceedsIssued(kg, outstanding);

        uint64 due = state.deficitKg + kg;
        uint64 uncovered = due;
        for (uint256 i = 0; i < ids.length && uncovered != 0; ++i) {
            uncovered -= _burnBuffer(projectId, state.index, ids[i], uncovered);
        }
        account.compensatedKg += due - uncovered;
        p.account = Packed.pack(account);
        uint64 bufferLeft = account.bufferIssuedKg - account.compensatedKg;
        if (uncovered != 0 && bufferLeft != 0) revert Reversal_BufferLeft(bufferLeft, uncovered);
        uint64 added = uncovered > state.deficitKg ? uncovered - state.deficitKg : 0;
        p.state.deficitKg = uncovered;
        p.state.reversedKg += kg;
        emit Reversed(projectId, reasonDigest, msg.sender, kg, due - uncovered, added, uncovered);
    }

    function _burnBuffer(bytes32 projectId, uint24 projectIndex, uint256 id, uint64 wanted)
        private
        returns (uint64 burned)
    {
        Batch storage b = _batch(id);
        if (Packed.unpackIssued(b.issued).projectIndex != projectIndex) revert Batch_NotOfProject(id, projectId);
        uint64 held = _bufferLeft(b);
        burned = held < wanted ? held : wanted;
        if (burned != 0) {
            b.used.bufferBurnedKg += burned;
            emit TransferSingle(msg.sender, address(this), address(0), id, burned);
        }
    }
}
