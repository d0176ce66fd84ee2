// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISuccessor} from "../interfaces/ISuccessor.sol";
import {RegistryCourt} from "./RegistryCourt.sol";

/// @title How a registry ends: the move to a successor
/// @dev One successor for the registry, whatever number of projects goes over. A project closes on a day announced
/// `MIGRATION_DELAY` before; it is settled when every lock of its batches is over and no challenge is open, and then
/// its account never changes here again and the successor carries it on. Holders move when they like, or stay and
/// retire here. Plot days and content roots are spent in the oldest registry's books, for all.
abstract contract RegistryMigration is RegistryCourt {
    /// @notice Announces that projects go over to a successor; address 0, with all projects announced before, takes back
    /// what is not yet in effect.
    function announceMigration(bytes32[] calldata projectIds, address successor) external onlyRole(DEFAULT_ADMIN_ROLE) {
        Migration memory m = _migration;
        uint40 from = uint40(block.timestamp + MIGRATION_DELAY);
        if (successor != m.successor) {
            if (_inEffect(m)) revert Migration_Final(m.successor, m.from);
            (m.successor, m.from) = (successor, from);
        }
        for (uint256 i = 0; i < projectIds.length; ++i) {
            State storage state = _project(projectIds[i]).state;
            uint40 closesAt = state.closesAt;
            _checkOpen(projectIds[i], closesAt, 0);
            if (successor == address(0)) {
                if (closesAt != 0) --m.closing;
                closesAt = 0;
            } else {
                if (closesAt == 0) ++m.closing;
                closesAt = from;
            }
            state.closesAt = closesAt;
            emit MigrationAnnounced(projectIds[i], successor, closesAt);
        }
        // Else some would close and none take them.
        if (successor == address(0) && m.closing != 0) revert Migration_ProjectsClosing(m.closing);
        _migration = m;
    }

    /// @notice Moves the caller's credits: burned here, minted by the successor.
    function migrate(uint256 id, uint64 kg) external {
        Migration memory m = _migration;
        if (!_inEffect(m)) revert Migration_NotInEffect(m.successor, m.from);
        _end(msg.sender, id, kg, 0);
        emit Migrated(id, msg.sender, m.successor, kg);
        ISuccessor(m.successor).acceptMigrated(msg.sender, id, kg);
    }

    /// @notice The registry that follows this one (0: none announced), and from when on that is final.
    function migration() external view returns (address successor, uint40 from) {
        return (_migration.successor, _migration.from);
    }

    /// @notice When a project closes here (0: never), how many of its batches are frozen, and whether the successor may
    /// take it.
    function closing(bytes32 projectId) public view returns (uint40 closesAt, uint16 frozen, bool settled) {
        State memory s = _project(projectId).state;
        settled = s.closesAt != 0 && s.frozen == 0 && block.timestamp >= uint256(s.closesAt) + s.challengeWindow
            && _inEffect(_migration);
        return (s.closesAt, s.frozen, settled);
    }

    /// @notice Gives a settled batch's buffer to the successor, who calls and mints it again.
    function handOverBuffer(uint256 id) external returns (uint64 kg) {
        _checkSuccessor();
        Batch storage b = _batch(id);
        bytes32 projectId = _projectIdOf(b);
        (,, bool settled) = closing(projectId);
        if (!settled) revert Migration_Unsettled(projectId);
        kg = _bufferLeft(b);
        b.used.goneKg += kg;
        _takeBuffer(b, id, kg);
    }

    /// @notice The successor, who calls, issues a batch on these plots: refuses what was credited before here, and
    /// spends the plots' days for both.
    function spendFor(Spending calldata s) external {
        _checkSuccessor();
        _spend(s.batchId, s.contentRoot, s.plotKeys, s.periodStart, s.periodEnd);
    }

    /// @notice Refuses the successor, who calls, to open a project anew that has an account here or in a registry
    /// before.
    function checkOpening(bytes32 projectId) public view virtual {
        _checkSuccessor();
        if (projectTaken(projectId)) revert Project_Known(projectId);
    }

    /// @notice Whether a project is known here or in a registry before this one.
    function projectTaken(bytes32 projectId) public view virtual returns (bool) {
        return _projects[projectId].account != 0;
    }

    function _checkSuccessor() private view {
        Migration memory m = _migration;
        if (msg.sender != m.successor || !_inEffect(m)) revert Migration_NotSuccessor(msg.sender);
    }
}
