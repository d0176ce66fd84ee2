// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Account, Issued, Packed} from "../libraries/Packed.sol";
import {RegistryLedger} from "./RegistryLedger.sol";

/// @title What becomes of buffer and deficit: refill and release
/// @dev Of a project, buffer held = bufferIssued - compensated. A refill enters the buffer and is burned from it in one
/// step, so that compensatedKg stays "what was lost and is made good", and the next claim's identity with it.
abstract contract RegistryBuffer is RegistryLedger {
    bytes32 private constant RELEASE_TYPEHASH =
        keccak256("Release(uint256 id,uint64 kg,address to,uint256 nonce,uint64 deadline)");

    // ---------------------------------------------------------------- refill

    /// @notice Burns the caller's credits, of this or any project's batch, to make a project's deficit smaller.
    function refill(bytes32 projectId, uint256 id, uint64 kg) external {
        Project storage p = _project(projectId);
        State memory state = p.state;
        _checkOpen(projectId, state.closesAt, state.challengeWindow);
        if (kg == 0 || kg > state.deficitKg) revert Refill_KgInvalid(kg, state.deficitKg);
        Account memory account = Packed.unpackAccount(p.account);
        account.compensatedKg += kg;
        account.bufferIssuedKg += kg;
        p.account = Packed.pack(account);
        p.state.deficitKg = state.deficitKg - kg;
        emit DeficitRefilled(projectId, id, msg.sender, kg, state.deficitKg - kg);
        _end(msg.sender, id, kg, 0);
    }

    // ---------------------------------------------------------------- release

    /// @notice Gives buffer to `to` (the co-op's treasury) when its time of permanence is over. Needs a guardian, who
    /// calls, and a verifier, who signs `Release`; never with a deficit, never faster than the schedule.
    function release(
        uint256 id,
        uint64 kg,
        address to,
        address verifier,
        uint256 nonce,
        uint64 deadline,
        bytes calldata signature
    ) external onlyRole(GUARDIAN_ROLE) {
        if (block.timestamp > deadline) revert Claim_Expired(deadline, block.timestamp);
        uint64 most = releasable(id);
        if (kg == 0 || kg > most) revert Release_KgInvalid(kg, most);
        Batch storage b = _at(id);
        bytes32 projectId = _projectIdOf(b);
        Project storage p = _projects[projectId];
        State memory state = p.state;
        _checkOpen(projectId, state.closesAt, state.challengeWindow);
        if (state.deficitKg != 0) revert Release_Deficit(projectId, state.deficitKg);
        _checkSignature(
            verifier, nonce, keccak256(abi.encode(RELEASE_TYPEHASH, id, kg, to, nonce, deadline)), signature
        );
        Account memory account = Packed.unpackAccount(p.account);
        account.bufferIssuedKg -= kg;
        p.account = Packed.pack(account);
        _takeBuffer(b, id, kg);
        emit BufferReleased(projectId, id, to, kg, msg.sender, verifier);
        // Last, since the receiver is called.
        _mint(to, id, kg, "");
    }

    /// @notice What the schedule lets go of a batch's buffer now: none until `PERMANENCE` after the project's last
    /// credited day and the batch's lock, then in proportion over `RELEASE_TIME`, of what reversals have left.
    /// @dev A project that goes on being credited keeps all its buffers: credits of one stand answer for each other.
    function releasable(uint256 id) public view returns (uint64) {
        Batch storage b = _batch(id);
        Issued memory issued = Packed.unpackIssued(b.issued);
        uint256 start = uint256(Packed.unpackAccount(_projects[_projectIdOf(b)].account).lastPeriodEnd) * 1 days;
        if (start < issued.lockedUntil) start = issued.lockedUntil;
        start += PERMANENCE;
        if (block.timestamp <= start) return 0;
        uint256 share = block.timestamp - start;
        if (share > RELEASE_TIME) share = RELEASE_TIME;
        uint256 due = (uint256(issued.bufferKg) - b.used.bufferBurnedKg) * share / RELEASE_TIME;
        // No more than 64 bits of buffer.
        // forge-lint: disable-next-line(unsafe-typecast)
        return due > b.used.bufferOutKg ? uint64(due - b.used.bufferOutKg) : 0;
    }
}
