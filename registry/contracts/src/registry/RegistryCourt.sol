// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Account, Issued, Packed} from "../libraries/Packed.sol";
import {RegistryBuffer} from "./RegistryBuffer.sol";

/// @title How wrong is stopped: suspension, freeze and annulment
/// @dev Who may challenge, with what bond, and who decides is the court's (`ChallengeWindow`). What a court can do to a
/// batch is bounded here: only inside its lock, and never a gain to anybody.
abstract contract RegistryCourt is RegistryBuffer {
    /// @notice Takes an issuer's or verifier's role at once, when its key is feared lost. Only the administration,
    /// which may have to wait, gives it back.
    function suspend(bytes32 role, address account) external onlyRole(GUARDIAN_ROLE) {
        if (role != ISSUER_ROLE && role != VERIFIER_ROLE) revert Role_NotSuspendable(role);
        _revokeRole(role, account);
    }

    /// @notice Stops a batch that is still locked, for as long as a challenge is open.
    /// @return lockedUntil The lock that stood.
    function freeze(uint256 id) external onlyRole(COURT_ROLE) returns (uint40 lockedUntil) {
        Batch storage b = _batch(id);
        bytes32 projectId = _projectIdOf(b);
        State storage state = _projects[projectId].state;
        lockedUntil = Packed.lockedUntil(b.issued);
        if (lockedUntil == FROZEN) revert Batch_Frozen(id);
        if (block.timestamp >= lockedUntil) revert Batch_LockOver(id, lockedUntil);
        _checkOpen(projectId, state.closesAt, state.challengeWindow);
        if (b.mark.issuedAt == 0) b.mark.issuedAt = lockedUntil - state.challengeWindow;
        ++state.frozen;
        b.issued = Packed.withLock(b.issued, FROZEN);
        emit BatchFrozen(id, msg.sender);
    }

    /// @notice Ends a freeze; the batch stays locked until `lockedUntil`, which is no earlier than its first lock's
    /// end.
    /// @dev A project that closed meanwhile is settled no earlier: what is locked can be challenged.
    function thaw(uint256 id, uint40 lockedUntil) external onlyRole(COURT_ROLE) {
        (Batch storage b, bytes32 projectId) = _unfreeze(id, lockedUntil);
        State storage state = _projects[projectId].state;
        uint32 window = state.challengeWindow;
        uint256 least = uint256(b.mark.issuedAt) + window;
        if (lockedUntil < least || lockedUntil == FROZEN) revert Batch_LockTooShort(id, lockedUntil, least);
        uint40 closes = lockedUntil - window;
        // Never into the future: what is closed stays closed.
        if (closes > block.timestamp) closes = uint40(block.timestamp);
        if (state.closesAt != 0 && closes > state.closesAt) state.closesAt = closes;
        emit BatchThawed(id, msg.sender, lockedUntil);
    }

    /// @notice Undoes an issue: burns what `holder` and the buffer hold of a frozen batch, which is all of it, and
    /// takes it out of the project's account. Plot keys and period stay spent: the next claim counts from the project's
    /// start and credits, by the cumulative rule, whatever of it was true.
    /// @dev Losses that this batch's buffer had covered are uncovered again, and a deficit that its issue had ended stands
    /// again, up to what is still credited.
    function annul(uint256 id, address holder) external onlyRole(COURT_ROLE) {
        // A lock that ends now, so that the burn below is not refused.
        (Batch storage b, bytes32 projectId) = _unfreeze(id, uint40(block.timestamp));
        Project storage p = _projects[projectId];
        Issued memory issued = Packed.unpackIssued(b.issued);
        uint64 burned = b.used.bufferBurnedKg;
        uint64 held = issued.grossKg - issued.bufferKg;
        Account memory a = Packed.unpackAccount(p.account);
        a.grossKg -= issued.grossKg;
        a.compensatedKg -= burned;
        a.bufferIssuedKg -= issued.bufferKg;
        if (a.compensatedKg > a.grossKg) {
            // Refills made good a loss that is now none: they give no right to new credits.
            a.bufferIssuedKg -= a.compensatedKg - a.grossKg;
            a.compensatedKg = a.grossKg;
        }
        p.account = Packed.pack(a);
        uint64 deficit = p.state.deficitKg + burned + b.mark.madeGoodKg;
        if (deficit > a.grossKg - a.compensatedKg) deficit = a.grossKg - a.compensatedKg;
        p.state.deficitKg = deficit;
        b.mark.annulled = true;
        b.used.goneKg = issued.grossKg - burned;
        _takeBuffer(b, id, issued.bufferKg - burned);
        emit BatchAnnulled(id, projectId, msg.sender, issued.grossKg, burned, deficit);
        // Within the lock nothing could leave the first holder, so that nobody else holds so much.
        _burn(holder, id, held);
    }

    function _unfreeze(uint256 id, uint40 lockedUntil) private returns (Batch storage b, bytes32 projectId) {
        b = _batch(id);
        if (!_isFrozen(b)) revert Batch_NotFrozen(id);
        projectId = _projectIdOf(b);
        --_projects[projectId].state.frozen;
        b.issued = Packed.withLock(b.issued, lockedUntil);
    }
}
