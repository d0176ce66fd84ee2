// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Claim, ClaimHash} from "./Claim.sol";
import {CalendarYear} from "./libraries/CalendarYear.sol";
import {CreditId} from "./libraries/CreditId.sol";

/// @title Registry of verified forest-carbon credits
/// @notice One ERC-1155 token id per batch, one unit per kg CO2e. A batch is minted once, from a claim that a
/// verifier signed and an issuer, who is another account, submits. No proxy, no bridge, no way to mint otherwise.
/// @dev The buffer is held by this contract's own address. Its balance is read from the batch, not stored twice, and
/// no function sends it anywhere: only `reverse` burns it.
contract CreditRegistry is ERC1155, AccessControl, EIP712, ReentrancyGuardTransient {
    // ---------------------------------------------------------------- types

    /// @dev Slots: projectId | methodDigest | figures | state | uri.
    struct Project {
        bytes32 projectId;
        bytes32 methodDigest;
        uint32 lastPeriodEnd; // day; the next period may not start before
        uint32 challengeWindow; // seconds
        uint64 grossKg; // issued so far, buffer included
        uint64 compensatedKg; // reversals that the buffer covered = buffer burned so far
        uint64 bufferIssuedKg;
        uint16 minBufferBps;
        bool paused;
        uint24 index; // place in _projectIds
        uint64 deficitKg; // reversed beyond the buffer and not yet made good
        uint64 reversedKg; // all reversals reported
        string uri;
    }

    /// @dev The first slot is written at issue and never again; the second by retirement and reversal.
    struct Batch {
        uint64 grossKg;
        uint64 bufferKg; // at issue
        uint32 periodStart;
        uint32 periodEnd;
        uint40 lockedUntil; // unix seconds
        uint24 projectIndex;
        uint64 retiredKg;
        uint64 bufferBurnedKg;
    }

    /// @notice A batch as views give it.
    struct BatchInfo {
        uint256 id;
        bytes32 projectId;
        uint16 vintage;
        uint32 periodStart;
        uint32 periodEnd;
        uint64 issuedAt;
        uint64 lockedUntil;
        uint64 grossKg;
        uint64 bufferIssuedKg;
        uint64 bufferKg; // what the buffer still holds of this batch
        uint64 bufferBurnedKg;
        uint64 retiredKg;
        uint64 supplyKg; // grossKg - retiredKg - bufferBurnedKg
    }

    /// @notice Who a retirement is for. Days as in a claim, half-open; 0 and 0 when not stated.
    struct Retirement {
        string beneficiary;
        string purpose;
        bytes2 country; // ISO 3166-1 alpha-2, or zero when not stated
        uint32 consumptionStart;
        uint32 consumptionEnd;
    }

    // ---------------------------------------------------------------- constants

    bytes32 public constant ISSUER_ROLE = keccak256("ISSUER_ROLE");
    bytes32 public constant VERIFIER_ROLE = keccak256("VERIFIER_ROLE");
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");
    uint256 public constant MAX_PLOT_KEYS = 256;
    uint32 public constant MAX_CHALLENGE_WINDOW = 365 days;
    uint256 private constant BPS = 10_000;

    // ---------------------------------------------------------------- storage

    mapping(uint96 projectKey => Project) private _projects;
    mapping(uint144 batchKey => Batch) private _batches;
    bytes32[] private _projectIds;

    /// @notice The day until which (not including) a plot key has been credited, in whichever project.
    mapping(bytes32 plotKey => uint32 day) public spentUntil;
    /// @notice The token id that was issued on a content root; 0 when none was.
    mapping(bytes32 contentRoot => uint256 id) public idOfContentRoot;
    /// @notice Retirement certificates given out so far; the last one's number.
    uint256 public certificateCount;

    mapping(address verifier => mapping(uint256 word => uint256 bits)) private _nonces;
    mapping(bytes32 projectId => mapping(bytes32 reasonDigest => bool)) private _reversalKnown;

    // ---------------------------------------------------------------- events

    event ProjectRegistered(
        bytes32 indexed projectId, bytes32 methodDigest, uint16 minBufferBps, uint32 challengeWindow, string uri
    );
    event ProjectPaused(bytes32 indexed projectId, address indexed by);
    event ProjectUnpaused(bytes32 indexed projectId, address indexed by);
    event BatchIssued(
        bytes32 indexed batchId,
        bytes32 indexed projectId,
        uint256 indexed id,
        bytes32 contentRoot,
        bytes32 evidenceRoot,
        uint32 periodStart,
        uint32 periodEnd,
        uint16 vintage,
        uint64 estimateKg,
        uint64 standardErrorKg,
        uint64 deductionKg,
        uint64 grossKg,
        uint64 bufferKg,
        address recipient,
        address verifier,
        bytes32[] plotKeys,
        bytes32 claimDigest
    );
    event Retired(
        uint256 indexed certificateId,
        uint256 indexed id,
        address indexed account,
        uint256 kg,
        string beneficiary,
        string purpose,
        bytes2 country,
        uint32 consumptionStart,
        uint32 consumptionEnd
    );
    event Reversed(
        bytes32 indexed projectId,
        bytes32 indexed reasonDigest,
        address indexed by,
        uint64 kg,
        uint64 bufferBurnedKg,
        uint64 deficitAddedKg,
        uint64 deficitKg
    );
    /// @notice An issue shows that the stand stores again all that was ever credited: the deficit is gone.
    event DeficitMadeGood(bytes32 indexed projectId, uint64 kg);
    event NonceRevoked(address indexed verifier, uint256 nonce);

    // ---------------------------------------------------------------- errors

    error Role_DutiesNotSeparated(address account, bytes32 wanted, bytes32 held);
    error Project_Unknown(bytes32 projectId);
    error Project_Known(bytes32 projectId);
    error Project_Paused(bytes32 projectId);
    error Project_NotPaused(bytes32 projectId);
    error Project_IdZero();
    error Project_MethodZero();
    error Project_BufferTooHigh(uint16 minBufferBps);
    error Project_WindowTooLong(uint32 challengeWindow, uint32 maximum);
    error Claim_VerifierIsIssuer(address verifier);
    error Claim_VerifierUnknown(address verifier);
    error Claim_SignatureInvalid(address verifier, bytes32 digest);
    error Claim_Expired(uint64 deadline, uint256 blockTime);
    error Claim_NonceUsed(address verifier, uint256 nonce);
    error Claim_MethodDiffers(bytes32 claimed, bytes32 expected);
    error Claim_WindowDiffers(uint32 claimed, uint32 expected);
    error Claim_UncertaintyAbsent();
    error Claim_PriorGrossDiffers(uint64 claimed, uint64 expected);
    error Claim_CompensatedDiffers(uint64 claimed, uint64 expected);
    error Claim_IdentityBroken(uint64 grossKg, int256 expected);
    error Claim_GrossZero();
    error Claim_BufferTooSmall(uint64 bufferKg, uint256 minimum);
    error Claim_BufferTooLarge(uint64 bufferKg, uint64 grossKg);
    error Claim_PeriodEmpty(uint32 periodStart, uint32 periodEnd);
    error Claim_PeriodInFuture(uint32 periodEnd, uint256 blockTime);
    error Claim_PeriodOverlaps(uint32 periodStart, uint32 lastPeriodEnd);
    error Claim_VintageDiffers(uint16 claimed, uint256 expected);
    error Claim_RecipientInvalid(address recipient);
    error Claim_RootZero();
    error Claim_ContentRootUsed(bytes32 contentRoot, uint256 id);
    error Claim_BatchKnown(bytes32 batchId);
    error Claim_BatchIdZero();
    error Plots_CountInvalid(uint256 count, uint256 maximum);
    error Plots_NotAscending(bytes32 before, bytes32 plotKey);
    error Plot_AlreadySpent(bytes32 plotKey, uint32 spentUntilDay, uint32 periodStart);
    error Batch_Unknown(uint256 id);
    error Batch_Locked(uint256 id, uint40 lockedUntil);
    error Batch_NotOfProject(uint256 id, bytes32 projectId);
    error Retirement_KgZero();
    error Retirement_BeneficiaryEmpty();
    error Retirement_CountryInvalid(bytes2 country);
    error Retirement_PeriodEmpty(uint32 consumptionStart, uint32 consumptionEnd);
    error Reversal_KgZero();
    error Reversal_ReasonZero();
    error Reversal_Known(bytes32 projectId, bytes32 reasonDigest);
    error Reversal_ExceedsIssued(uint64 kg, uint64 outstandingKg);
    error Reversal_BufferLeft(uint64 bufferKg, uint64 uncoveredKg);

    // ---------------------------------------------------------------- construction and roles

    constructor(address admin) ERC1155("") EIP712("SatoyamaCreditRegistry", "1") {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

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

    // ---------------------------------------------------------------- projects

    /// @notice Opens a project. Method, minimum buffer and challenge window stay as they are for its life.
    function registerProject(
        bytes32 projectId,
        bytes32 methodDigest,
        uint16 minBufferBps,
        uint32 challengeWindow,
        string calldata projectUri
    ) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (projectId == 0) revert Project_IdZero();
        if (methodDigest == 0) revert Project_MethodZero();
        if (minBufferBps >= BPS) revert Project_BufferTooHigh(minBufferBps);
        if (challengeWindow > MAX_CHALLENGE_WINDOW) {
            revert Project_WindowTooLong(challengeWindow, MAX_CHALLENGE_WINDOW);
        }
        Project storage p = _projects[CreditId.projectKey(projectId)];
        if (p.projectId != 0) revert Project_Known(p.projectId);
        p.projectId = projectId;
        p.methodDigest = methodDigest;
        p.challengeWindow = challengeWindow;
        p.minBufferBps = minBufferBps;
        p.index = uint24(_projectIds.length);
        p.uri = projectUri;
        _projectIds.push(projectId);
        emit ProjectRegistered(projectId, methodDigest, minBufferBps, challengeWindow, projectUri);
    }

    /// @notice Stops issues and transfers of a project. Retiring what one owns is never stopped.
    function pause(bytes32 projectId) external onlyRole(GUARDIAN_ROLE) {
        Project storage p = _project(projectId);
        if (p.paused) revert Project_Paused(projectId);
        p.paused = true;
        emit ProjectPaused(projectId, msg.sender);
    }

    function unpause(bytes32 projectId) external onlyRole(GUARDIAN_ROLE) {
        Project storage p = _project(projectId);
        if (!p.paused) revert Project_NotPaused(projectId);
        p.paused = false;
        emit ProjectUnpaused(projectId, msg.sender);
    }

    // ---------------------------------------------------------------- issue

    /// @notice Mints a batch from a claim that `verifier` signed.
    /// @return id The batch's token id.
    function issue(Claim calldata c, address verifier, bytes calldata signature)
        external
        onlyRole(ISSUER_ROLE)
        nonReentrant
        returns (uint256 id)
    {
        Project storage p = _project(c.projectId);
        if (p.paused) revert Project_Paused(c.projectId);
        _checkPeriod(c, p);
        _checkFigures(c, p);
        bytes32 digest = _checkSignature(c, verifier, signature);
        id = _recordBatch(c, p);
        _spendPlots(c);

        bytes32[] memory plotKeys = c.plotKeys; // one stack slot where calldata takes two
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
            plotKeys,
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

    function _checkPeriod(Claim calldata c, Project storage p) private view {
        if (block.timestamp > c.deadline) revert Claim_Expired(c.deadline, block.timestamp);
        if (c.periodStart >= c.periodEnd) revert Claim_PeriodEmpty(c.periodStart, c.periodEnd);
        if (uint256(c.periodEnd) * 1 days > block.timestamp) {
            revert Claim_PeriodInFuture(c.periodEnd, block.timestamp);
        }
        if (c.periodStart < p.lastPeriodEnd) revert Claim_PeriodOverlaps(c.periodStart, p.lastPeriodEnd);
        uint256 year = CalendarYear.ofDay(c.periodEnd - 1);
        if (c.vintage != year) revert Claim_VintageDiffers(c.vintage, year);
        if (c.challengeWindow != p.challengeWindow) {
            revert Claim_WindowDiffers(c.challengeWindow, p.challengeWindow);
        }
        if (c.methodDigest != p.methodDigest) revert Claim_MethodDiffers(c.methodDigest, p.methodDigest);
    }

    function _checkFigures(Claim calldata c, Project storage p) private view {
        if (c.standardErrorKg == 0 || c.deductionKg == 0) revert Claim_UncertaintyAbsent();
        if (c.priorGrossKg != p.grossKg) revert Claim_PriorGrossDiffers(c.priorGrossKg, p.grossKg);
        if (c.compensatedKg != p.compensatedKg) revert Claim_CompensatedDiffers(c.compensatedKg, p.compensatedKg);
        if (c.grossKg == 0) revert Claim_GrossZero();
        unchecked {
            int256 expected = int256(uint256(c.estimateKg)) - int256(uint256(c.deductionKg))
                - int256(uint256(c.priorGrossKg)) + int256(uint256(c.compensatedKg));
            if (int256(uint256(c.grossKg)) != expected) revert Claim_IdentityBroken(c.grossKg, expected);
            uint256 minimum = (uint256(c.grossKg) * p.minBufferBps + BPS - 1) / BPS;
            if (c.bufferKg < minimum) revert Claim_BufferTooSmall(c.bufferKg, minimum);
        }
        if (c.bufferKg >= c.grossKg) revert Claim_BufferTooLarge(c.bufferKg, c.grossKg);
        if (c.recipient == address(0) || c.recipient == address(this)) revert Claim_RecipientInvalid(c.recipient);
    }

    function _checkSignature(Claim calldata c, address verifier, bytes calldata signature)
        private
        returns (bytes32 digest)
    {
        if (verifier == msg.sender) revert Claim_VerifierIsIssuer(verifier);
        if (!hasRole(VERIFIER_ROLE, verifier)) revert Claim_VerifierUnknown(verifier);
        digest = claimDigest(c);
        if (!SignatureChecker.isValidSignatureNowCalldata(verifier, digest, signature)) {
            revert Claim_SignatureInvalid(verifier, digest);
        }
        _useNonce(verifier, c.nonce);
    }

    function _useNonce(address verifier, uint256 nonce) private {
        uint256 bit = 1 << (nonce & 0xff);
        uint256 bits = _nonces[verifier][nonce >> 8];
        if (bits & bit != 0) revert Claim_NonceUsed(verifier, nonce);
        _nonces[verifier][nonce >> 8] = bits | bit;
    }

    function _recordBatch(Claim calldata c, Project storage p) private returns (uint256 id) {
        if (c.batchId == 0) revert Claim_BatchIdZero();
        if (c.contentRoot == 0 || c.evidenceRoot == 0 || c.planDigest == 0) revert Claim_RootZero();
        if (idOfContentRoot[c.contentRoot] != 0) {
            revert Claim_ContentRootUsed(c.contentRoot, idOfContentRoot[c.contentRoot]);
        }
        Batch storage b = _batches[CreditId.batchKey(c.batchId)];
        if (b.grossKg != 0) revert Claim_BatchKnown(c.batchId);

        id = CreditId.pack(c.projectId, c.vintage, c.batchId);
        idOfContentRoot[c.contentRoot] = id;
        b.grossKg = c.grossKg;
        b.bufferKg = c.bufferKg;
        b.periodStart = c.periodStart;
        b.periodEnd = c.periodEnd;
        b.lockedUntil = uint40(block.timestamp + c.challengeWindow);
        b.projectIndex = p.index;

        p.lastPeriodEnd = c.periodEnd;
        p.grossKg += c.grossKg;
        p.bufferIssuedKg += c.bufferKg;
        // gross > 0 says: lower bound of the change > all credits issued and not compensated. Nothing is owed any more.
        if (p.deficitKg != 0) {
            emit DeficitMadeGood(c.projectId, p.deficitKg);
            p.deficitKg = 0;
        }
    }

    function _spendPlots(Claim calldata c) private {
        bytes32[] calldata keys = c.plotKeys;
        uint32 start = c.periodStart;
        uint32 end = c.periodEnd;
        uint256 count = keys.length;
        if (count == 0 || count > MAX_PLOT_KEYS) revert Plots_CountInvalid(count, MAX_PLOT_KEYS);
        bytes32 before;
        for (uint256 i = 0; i < count; ++i) {
            bytes32 key = keys[i];
            if (key <= before) revert Plots_NotAscending(before, key); // refuses the zero key too
            uint32 spent = spentUntil[key];
            if (start < spent) revert Plot_AlreadySpent(key, spent, start);
            spentUntil[key] = end;
            before = key;
        }
    }

    // ---------------------------------------------------------------- retire

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
        _burn(account, id, kg);
        // The burn succeeded, so kg is no more than the batch's gross and fits.
        // forge-lint: disable-next-line(unsafe-typecast)
        _batches[uint144(id)].retiredKg += uint64(kg);
        certificateId = ++certificateCount;
        emit Retired(
            certificateId,
            id,
            account,
            kg,
            r.beneficiary,
            r.purpose,
            r.country,
            r.consumptionStart,
            r.consumptionEnd
        );
    }

    function _isCapital(bytes1 letter) private pure returns (bool) {
        return letter >= "A" && letter <= "Z";
    }

    // ---------------------------------------------------------------- reversal

    /// @notice Records that `kg` credited to a project are lost. Burns the buffer of the named batches in the order
    /// given; what the whole buffer of the project cannot cover is published as its deficit.
    /// @dev Naming too few batches is refused: no deficit while buffer is left. One reason digest counts once, so a
    /// retried transaction cannot burn twice.
    function reverse(bytes32 projectId, uint256[] calldata ids, uint64 kg, bytes32 reasonDigest) external {
        if (!hasRole(GUARDIAN_ROLE, msg.sender)) _checkRole(VERIFIER_ROLE, msg.sender);
        if (kg == 0) revert Reversal_KgZero();
        if (reasonDigest == 0) revert Reversal_ReasonZero();
        Project storage p = _project(projectId);
        if (_reversalKnown[projectId][reasonDigest]) revert Reversal_Known(projectId, reasonDigest);
        _reversalKnown[projectId][reasonDigest] = true;
        uint64 outstanding = p.grossKg - p.compensatedKg - p.deficitKg;
        if (kg > outstanding) revert Reversal_ExceedsIssued(kg, outstanding);

        uint64 uncovered = kg;
        for (uint256 i = 0; i < ids.length && uncovered != 0; ++i) {
            uncovered -= _burnBuffer(ids[i], p, uncovered);
        }
        p.compensatedKg += kg - uncovered;
        if (uncovered != 0 && p.bufferIssuedKg != p.compensatedKg) {
            revert Reversal_BufferLeft(p.bufferIssuedKg - p.compensatedKg, uncovered);
        }
        p.deficitKg += uncovered;
        p.reversedKg += kg;
        emit Reversed(projectId, reasonDigest, msg.sender, kg, kg - uncovered, uncovered, p.deficitKg);
    }

    function _burnBuffer(uint256 id, Project storage p, uint64 wanted) private returns (uint64 burned) {
        Batch storage b = _batch(id);
        if (b.projectIndex != p.index) revert Batch_NotOfProject(id, p.projectId);
        uint64 held = b.bufferKg - b.bufferBurnedKg;
        burned = held < wanted ? held : wanted;
        if (burned != 0) {
            b.bufferBurnedKg += burned;
            emit TransferSingle(msg.sender, address(this), address(0), id, burned);
        }
    }

    // ---------------------------------------------------------------- transfers

    /// @dev Adds to a plain ERC-1155 movement: nothing leaves an account inside the challenge window; a paused
    /// project's credits can be burned but not moved.
    function _update(address from, address to, uint256[] memory ids, uint256[] memory values) internal override {
        if (from != address(0)) {
            for (uint256 i = 0; i < ids.length; ++i) {
                uint256 id = ids[i];
                // forge-lint: disable-next-line(unsafe-typecast)
                uint40 lockedUntil = _batches[uint144(id)].lockedUntil;
                if (block.timestamp < lockedUntil) revert Batch_Locked(id, lockedUntil);
                if (to != address(0)) {
                    // forge-lint: disable-next-line(unsafe-typecast)
                    Project storage p = _projects[uint96(id >> 160)];
                    if (p.paused) revert Project_Paused(p.projectId);
                }
            }
        }
        super._update(from, to, ids, values);
    }

    // ---------------------------------------------------------------- views

    /// @notice Credits an account holds. For this contract's own address: what the buffer holds of the batch.
    function balanceOf(address account, uint256 id) public view override returns (uint256) {
        if (account != address(this)) return super.balanceOf(account, id);
        if (!_isBatch(id)) return 0;
        // forge-lint: disable-next-line(unsafe-typecast)
        Batch storage b = _batches[uint144(id)];
        return b.bufferKg - b.bufferBurnedKg;
    }

    /// @notice Credits of a batch that exist: all holders and the buffer.
    function totalSupply(uint256 id) external view returns (uint256) {
        if (!_isBatch(id)) return 0;
        // forge-lint: disable-next-line(unsafe-typecast)
        Batch storage b = _batches[uint144(id)];
        return b.grossKg - b.retiredKg - b.bufferBurnedKg;
    }

    /// @notice The EIP-712 digest that a verifier signs.
    function claimDigest(Claim calldata c) public view returns (bytes32) {
        return _hashTypedDataV4(ClaimHash.hash(c));
    }

    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    function projects(bytes32 projectId) external view returns (Project memory) {
        return _project(projectId);
    }

    function projectKnown(bytes32 projectId) external view returns (bool) {
        return projectId != 0 && _projects[CreditId.projectKey(projectId)].projectId == projectId;
    }

    function projectCount() external view returns (uint256) {
        return _projectIds.length;
    }

    function projectAt(uint256 index) external view returns (bytes32) {
        return _projectIds[index];
    }

    /// @notice A batch by its batch id. Reverts when it was never issued; ask `batchKnown` first.
    function batches(bytes32 batchId) external view returns (BatchInfo memory) {
        Batch storage b = _batches[CreditId.batchKey(batchId)];
        if (b.grossKg == 0) revert Batch_Unknown(uint256(batchId));
        // The year was checked to fit the vintage's 16 bits at issue.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint16 vintage = uint16(CalendarYear.ofDay(b.periodEnd - 1));
        return _info(CreditId.pack(_projectIds[b.projectIndex], vintage, batchId), b);
    }

    /// @notice A batch by its token id.
    function batchOf(uint256 id) external view returns (BatchInfo memory) {
        return _info(id, _batch(id));
    }

    function batchKnown(bytes32 batchId) external view returns (bool) {
        return _batches[CreditId.batchKey(batchId)].grossKg != 0;
    }

    function projectIdOf(uint256 id) external view returns (bytes32) {
        return _projectIds[_batch(id).projectIndex];
    }

    function contentRootUsed(bytes32 contentRoot) external view returns (bool) {
        return idOfContentRoot[contentRoot] != 0;
    }

    function nonceUsed(address verifier, uint256 nonce) external view returns (bool) {
        return _nonces[verifier][nonce >> 8] & (1 << (nonce & 0xff)) != 0;
    }

    function reversalKnown(bytes32 projectId, bytes32 reasonDigest) external view returns (bool) {
        return _reversalKnown[projectId][reasonDigest];
    }

    /// @notice The project's page; the same for all its batches.
    function uri(uint256 id) public view override returns (string memory) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return _projects[uint96(id >> 160)].uri;
    }

    function supportsInterface(bytes4 interfaceId) public view override(ERC1155, AccessControl) returns (bool) {
        return ERC1155.supportsInterface(interfaceId) || AccessControl.supportsInterface(interfaceId);
    }

    // ---------------------------------------------------------------- private views

    function _project(bytes32 projectId) private view returns (Project storage p) {
        p = _projects[CreditId.projectKey(projectId)];
        if (projectId == 0 || p.projectId != projectId) revert Project_Unknown(projectId);
    }

    /// @dev True only for an id that `issue` returned: batch, project and vintage must fit each other.
    function _isBatch(uint256 id) private view returns (bool) {
        (uint96 projectKey, uint16 vintage, uint144 batchKey) = CreditId.unpack(id);
        Batch storage b = _batches[batchKey];
        if (b.grossKg == 0) return false;
        return CreditId.projectKey(_projectIds[b.projectIndex]) == projectKey
            && CalendarYear.ofDay(b.periodEnd - 1) == vintage;
    }

    function _batch(uint256 id) private view returns (Batch storage) {
        if (!_isBatch(id)) revert Batch_Unknown(id);
        // forge-lint: disable-next-line(unsafe-typecast)
        return _batches[uint144(id)];
    }

    function _info(uint256 id, Batch storage b) private view returns (BatchInfo memory info) {
        bytes32 projectId = _projectIds[b.projectIndex];
        (, info.vintage,) = CreditId.unpack(id);
        info.id = id;
        info.projectId = projectId;
        info.periodStart = b.periodStart;
        info.periodEnd = b.periodEnd;
        info.lockedUntil = b.lockedUntil;
        info.issuedAt = b.lockedUntil - _projects[CreditId.projectKey(projectId)].challengeWindow;
        info.grossKg = b.grossKg;
        info.bufferIssuedKg = b.bufferKg;
        info.bufferBurnedKg = b.bufferBurnedKg;
        info.bufferKg = b.bufferKg - b.bufferBurnedKg;
        info.retiredKg = b.retiredKg;
        info.supplyKg = b.grossKg - b.retiredKg - b.bufferBurnedKg;
    }
}
