// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Claim, ClaimHash} from "../Claim.sol";
import {CalendarYear} from "../libraries/CalendarYear.sol";
import {CreditId} from "../libraries/CreditId.sol";
import {Account, Issued, Packed} from "../libraries/Packed.sol";
import {RegistryViews} from "./RegistryViews.sol";

/// @title How credits begin: projects and issue
abstract contract RegistryIssuance is RegistryViews, ReentrancyGuardTransient {
    // ---------------------------------------------------------------- projects

    /// @notice Opens a project. Method, minimum buffer and challenge window stay as they are for its life.
    function registerProject(
        bytes32 projectId,
        bytes32 methodDigest,
        uint16 minBufferBps,
        uint32 challengeWindow,
        string calldata projectUri
    ) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _checkRegistrable(projectId);
        if (projectId == 0) revert Project_IdZero();
        if (methodDigest == 0) revert Project_MethodZero();
        if (minBufferBps >= BPS) revert Project_BufferTooHigh(minBufferBps);
        if (challengeWindow > MAX_CHALLENGE_WINDOW) {
            revert Project_WindowTooLong(challengeWindow, MAX_CHALLENGE_WINDOW);
        }
        Account memory account;
        account.minBufferBps = minBufferBps;
        _addProject(projectId, methodDigest, account, challengeWindow, projectUri);
    }

    /// @dev Once a successor is in effect, new projects are its own.
    function _checkRegistrable(bytes32) internal view virtual {
        Migration memory m = _migration;
        if (_inEffect(m)) revert Migration_Final(m.successor, m.from);
    }

    // ---------------------------------------------------------------- issue

    /// @notice Mints a batch from a claim that `verifier` signed.
    /// @return id The batch's token id.
    function issue(Claim memory c, address verifier, bytes calldata signature)
        external
        onlyRole(ISSUER_ROLE)
        nonReentrant
        returns (uint256 id)
    {
        Project storage p = _project(c.projectId);
        Account memory account = Packed.unpackAccount(p.account);
        State memory state = p.state;
        if (state.paused) revert Project_Paused(c.projectId);
        _checkOpen(c.projectId, state.closesAt, 0);
        if (c.methodDigest != p.methodDigest) revert Claim_MethodDiffers(c.methodDigest, p.methodDigest);
        if (c.challengeWindow != state.challengeWindow) {
            revert Claim_WindowDiffers(c.challengeWindow, state.challengeWindow);
        }
        _checkPeriod(c, account.lastPeriodEnd);
        _checkFigures(c, account);
        bytes32 digest = _checkSignature(verifier, c.nonce, ClaimHash.hash(c), signature);
        id = _recordBatch(c, verifier, state.index);
        _updateProject(c, p, account, state.deficitKg);

        emit BatchIssued(
            c.batchId,
            c.projectId,
            id,
            c.contentRoot,
            c.evidenceRoot,
            c.periodStart,
            c.periodEnd,
            c.vintage,
            c.estimateKg,
            c.standardErrorKg,
            c.deductionKg,
            c.grossKg,
            c.bufferKg,
            c.recipient,
            verifier,
            c.plotKeys,
            digest
        );
        if (c.bufferKg != 0) emit TransferSingle(msg.sender, address(0), address(this), id, c.bufferKg);
        // Last, since the receiver is called.
        _mint(c.recipient, id, c.grossKg - c.bufferKg, "");
    }

    /// @notice Kills a signature of the caller's that has not been used yet.
    function revokeNonce(uint256 nonce) external {
        _useNonce(msg.sender, nonce);
        emit NonceRevoked(msg.sender, nonce);
    }

    /// @notice The EIP-712 digest that a verifier signs.
    function claimDigest(Claim calldata c) external view returns (bytes32) {
        return _hashTypedDataV4(ClaimHash.hash(c));
    }

    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    function _checkPeriod(Claim memory c, uint32 lastPeriodEnd) private view {
        if (block.timestamp > c.deadline) revert Claim_Expired(c.deadline, block.timestamp);
        if (c.periodStart >= c.periodEnd) revert Claim_PeriodEmpty(c.periodStart, c.periodEnd);
        if (uint256(c.periodEnd) * 1 days > block.timestamp) {
            revert Claim_PeriodInFuture(c.periodEnd, block.timestamp);
        }
        if (c.periodStart < lastPeriodEnd) revert Claim_PeriodOverlaps(c.periodStart, lastPeriodEnd);
        uint256 year = CalendarYear.ofDay(c.periodEnd - 1);
        if (c.vintage != year) revert Claim_VintageDiffers(c.vintage, year);
    }

    function _checkFigures(Claim memory c, Account memory a) private view {
        if (c.standardErrorKg == 0 || c.deductionKg == 0) revert Claim_UncertaintyAbsent();
        if (c.priorGrossKg != a.grossKg) revert Claim_PriorGrossDiffers(c.priorGrossKg, a.grossKg);
        if (c.compensatedKg != a.compensatedKg) revert Claim_CompensatedDiffers(c.compensatedKg, a.compensatedKg);
        if (c.grossKg == 0) revert Claim_GrossZero();
        unchecked {
            int256 expected = int256(uint256(c.estimateKg)) - int256(uint256(c.deductionKg))
                - int256(uint256(c.priorGrossKg)) + int256(uint256(c.compensatedKg));
            if (int256(uint256(c.grossKg)) != expected) revert Claim_IdentityBroken(c.grossKg, expected);
            uint256 minimum = (uint256(c.grossKg) * a.minBufferBps + BPS - 1) / BPS;
            if (c.bufferKg < minimum) revert Claim_BufferTooSmall(c.bufferKg, minimum);
        }
        if (c.bufferKg >= c.grossKg) revert Claim_BufferTooLarge(c.bufferKg, c.grossKg);
        if (c.recipient == address(0) || c.recipient == address(this)) revert Claim_RecipientInvalid(c.recipient);
    }

    function _recordBatch(Claim memory c, address verifier, uint24 projectIndex) private returns (uint256 id) {
        if (c.batchId == 0) revert Claim_BatchIdZero();
        if (c.contentRoot == 0 || c.evidenceRoot == 0 || c.planDigest == 0) revert Claim_RootZero();
        _spend(c.batchId, c.contentRoot, c.plotKeys, c.periodStart, c.periodEnd);
        id = CreditId.pack(c.projectId, c.vintage, c.batchId);
        // Of the address the low 112 bits: those that fit beside the batch key.
        _roots[c.contentRoot] = (uint256(uint160(verifier)) << 144) | CreditId.batchKey(c.batchId);
        _batches[CreditId.batchKey(c.batchId)].issued = Packed.pack(
            Issued({
                grossKg: c.grossKg,
                bufferKg: c.bufferKg,
                periodStart: c.periodStart,
                periodEnd: c.periodEnd,
                lockedUntil: SafeCast.toUint40(block.timestamp + c.challengeWindow),
                projectIndex: projectIndex
            })
        );
    }

    function _updateProject(Claim memory c, Project storage p, Account memory a, uint64 deficitKg) private {
        a.lastPeriodEnd = c.periodEnd;
        a.grossKg += c.grossKg;
        a.bufferIssuedKg += c.bufferKg;
        p.account = Packed.pack(a);
        // gross > 0 says: lower bound of the change > all credits issued and not compensated. Nothing is owed any more.
        if (deficitKg != 0) {
            p.state.deficitKg = 0;
            _batches[CreditId.batchKey(c.batchId)].mark.madeGoodKg = deficitKg;
            emit DeficitMadeGood(c.projectId, deficitKg);
        }
    }
}
