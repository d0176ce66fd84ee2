// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC1155} from "@openzeppelin/contracts/token/ERC1155/ERC1155.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Claim, ClaimHash} from "./Claim.sol";
import {CalendarYear} from "./libraries/CalendarYear.sol";
import {CreditId} from "./libraries/CreditId.sol";
import {Account, Issued, Packed} from "./libraries/Packed.sol";

/// @title Registry of verified forest-carbon credits
/// @notice One ERC-1155 token id per batch, one unit per kg CO2e. A batch is minted once, from a claim that a
/// verifier signed and an issuer, who is another account, submits. No proxy, no bridge, no way to mint otherwise.
/// @dev The buffer is held by this contract's own address. Its balance is read from the batch, not stored twice, and
/// no function sends it anywhere: only `reverse` burns it.
contract CreditRegistry is ERC1155, AccessControl, EIP712, ReentrancyGuardTransient {
    // ---------------------------------------------------------------- types

    /// @dev One slot.
    struct State {
        uint32 challengeWindow; // seconds
        uint24 index; // place in _projectIds
        bool paused;
        uint64 deficitKg; // reversed beyond the buffer and not yet made good
        uint64 reversedKg; // all reversals reported
    }

    struct Project {
        bytes32 methodDigest;
        uint256 account; // a packed Account; nonzero from registration on
        State state;
        string uri;
    }

    /// @dev One slot, written by retirement and reversal.
    struct Used {
        uint64 retiredKg;
        uint64 bufferBurnedKg;
    }

    struct Batch {
        uint256 issued; // a packed Issued, written at issue and never again; 0 for a batch that does not exist
        Used used;
    }

    /// @notice A project as views give it.
    struct ProjectInfo {
        bytes32 projectId;
        bytes32 methodDigest;
        uint32 lastPeriodEnd; // day; the next period may not start before
        uint32 challengeWindow; // seconds
        uint64 grossKg; // issued so far, buffer included
        uint64 compensatedKg; // reversals that the buffer covered = buffer burned so far
        uint64 bufferIssuedKg;
        uint16 minBufferBps;
        bool paused;
        uint24 index; // see `projectAt`
        uint64 deficitKg; // reversed beyond the buffer and not yet made good
        uint64 reversedKg; // all reversals reported
        string uri;
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

    mapping(bytes32 projectId => Project) private _projects;
    mapping(uint96 projectKey => bytes32 projectId) private _projectIdOfKey;
    mapping(uint144 batchKey => Batch) private _batches;
    bytes32[] private _projectIds;

    /// @notice The day until which (not including) a plot key has been credited, in whichever project.
    mapping(bytes32 plotKey => uint256 day) public spentUntil;
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
    error Plot_AlreadySpent(bytes32 plotKey, uint256 spentUntilDay, uint32 periodStart);
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
        uint96 key = CreditId.projectKey(projectId);
        if (_projectIdOfKey[key] != 0) revert Project_Known(_projectIdOfKey[key]);
        _projectIdOfKey[key] = projectId;
        Project storage p = _projects[projectId];
        p.methodDigest = methodDigest;
        p.account = Packed.pack(
            Account({
                lastPeriodEnd: 0,
                grossKg: 0,
                compensatedKg: 0,
                bufferIssuedKg: 0,
                minBufferBps: minBufferBps,
                registered: true
            })
        );
        p.state.challengeWindow = challengeWindow;
        p.state.index = SafeCast.toUint24(_projectIds.length);
        p.uri = projectUri;
        _projectIds.push(projectId);
        emit ProjectRegistered(projectId, methodDigest, minBufferBps, challengeWindow, projectUri);
    }

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
        if (c.methodDigest != p.methodDigest) revert Claim_MethodDiffers(c.methodDigest, p.methodDigest);
        if (c.challengeWindow != state.challengeWindow) {
            revert Claim_WindowDiffers(c.challengeWindow, state.challengeWindow);
        }
        _checkPeriod(c, account.lastPeriodEnd);
        _checkFigures(c, account);
        bytes32 digest = _checkSignature(c, verifier, signature);
        id = _recordBatch(c, state.index);
        _updateProject(c, p, account, state.deficitKg);
        _spendPlots(c);

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

    function _checkSignature(Claim memory c, address verifier, bytes calldata signature)
        private
        returns (bytes32 digest)
    {
        if (verifier == msg.sender) revert Claim_VerifierIsIssuer(verifier);
        if (!hasRole(VERIFIER_ROLE, verifier)) revert Claim_VerifierUnknown(verifier);
        digest = _hashTypedDataV4(ClaimHash.hash(c));
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

    function _recordBatch(Claim memory c, uint24 projectIndex) private returns (uint256 id) {
        if (c.batchId == 0) revert Claim_BatchIdZero();
        if (c.contentRoot == 0 || c.evidenceRoot == 0 || c.planDigest == 0) revert Claim_RootZero();
        if (idOfContentRoot[c.contentRoot] != 0) {
            revert Claim_ContentRootUsed(c.contentRoot, idOfContentRoot[c.contentRoot]);
        }
        Batch storage b = _batches[CreditId.batchKey(c.batchId)];
        if (b.issued != 0) revert Claim_BatchKnown(c.batchId);

        id = CreditId.pack(c.projectId, c.vintage, c.batchId);
        idOfContentRoot[c.contentRoot] = id;
        b.issued = Packed.pack(
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
            emit DeficitMadeGood(c.projectId, deficitKg);
        }
    }

    function _spendPlots(Claim memory c) private {
        bytes32[] memory keys = c.plotKeys;
        uint32 start = c.periodStart;
        uint32 end = c.periodEnd;
        uint256 count = keys.length;
        if (count == 0 || count > MAX_PLOT_KEYS) revert Plots_CountInvalid(count, MAX_PLOT_KEYS);
        bytes32 before;
        for (uint256 i = 0; i < count; ++i) {
            bytes32 key = keys[i];
            if (key <= before) revert Plots_NotAscending(before, key); // refuses the zero key too
            uint256 spent = spentUntil[key];
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
        _batches[uint144(id)].used.retiredKg += uint64(kg);
        certificateId = ++certificateCount;
        emit Retired(
            certificateId, id, account, kg, r.beneficiary, r.purpose, r.country, r.consumptionStart, r.consumptionEnd
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
        Account memory account = Packed.unpackAccount(p.account);
        State storage state = p.state;
        uint64 outstanding = account.grossKg - account.compensatedKg - state.deficitKg;
        if (kg > outstanding) revert Reversal_ExceedsIssued(kg, outstanding);

        uint64 uncovered = kg;
        for (uint256 i = 0; i < ids.length && uncovered != 0; ++i) {
            uncovered -= _burnBuffer(projectId, state.index, ids[i], uncovered);
        }
        account.compensatedKg += kg - uncovered;
        p.account = Packed.pack(account);
        uint64 bufferLeft = account.bufferIssuedKg - account.compensatedKg;
        if (uncovered != 0 && bufferLeft != 0) revert Reversal_BufferLeft(bufferLeft, uncovered);
        state.deficitKg += uncovered;
        state.reversedKg += kg;
        emit Reversed(projectId, reasonDigest, msg.sender, kg, kg - uncovered, uncovered, state.deficitKg);
    }

    function _burnBuffer(bytes32 projectId, uint24 projectIndex, uint256 id, uint64 wanted)
        private
        returns (uint64 burned)
    {
        Batch storage b = _batch(id);
        Issued memory issued = Packed.unpackIssued(b.issued);
        if (issued.projectIndex != projectIndex) revert Batch_NotOfProject(id, projectId);
        uint64 held = issued.bufferKg - b.used.bufferBurnedKg;
        burned = held < wanted ? held : wanted;
        if (burned != 0) {
            b.used.bufferBurnedKg += burned;
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
                uint40 lockedUntil = Packed.lockedUntil(_batches[uint144(id)].issued);
                if (block.timestamp < lockedUntil) revert Batch_Locked(id, lockedUntil);
                if (to != address(0)) {
                    bytes32 projectId = _projectIdOfKey[uint96(id >> 160)];
                    if (_projects[projectId].state.paused) revert Project_Paused(projectId);
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
        return Packed.unpackIssued(b.issued).bufferKg - b.used.bufferBurnedKg;
    }

    /// @notice Credits of a batch that exist: all holders and the buffer.
    function totalSupply(uint256 id) external view returns (uint256) {
        if (!_isBatch(id)) return 0;
        // forge-lint: disable-next-line(unsafe-typecast)
        Batch storage b = _batches[uint144(id)];
        return Packed.unpackIssued(b.issued).grossKg - b.used.retiredKg - b.used.bufferBurnedKg;
    }

    /// @notice The EIP-712 digest that a verifier signs.
    function claimDigest(Claim calldata c) public view returns (bytes32) {
        return _hashTypedDataV4(ClaimHash.hash(c));
    }

    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
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

    function projectKnown(bytes32 projectId) external view returns (bool) {
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
        Batch storage b = _batches[CreditId.batchKey(batchId)];
        if (b.issued == 0) revert Batch_Unknown(uint256(batchId));
        // The year was checked to fit the vintage's 16 bits at issue.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint16 vintage = uint16(CalendarYear.ofDay(Packed.unpackIssued(b.issued).periodEnd - 1));
        return _info(CreditId.pack(_projectIdOf(b), vintage, batchId), b);
    }

    /// @notice A batch by its token id.
    function batchOf(uint256 id) external view returns (BatchInfo memory) {
        return _info(id, _batch(id));
    }

    function batchKnown(bytes32 batchId) external view returns (bool) {
        return _batches[CreditId.batchKey(batchId)].issued != 0;
    }

    function projectIdOf(uint256 id) external view returns (bytes32) {
        return _projectIdOf(_batch(id));
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
        return _projects[_projectIdOfKey[uint96(id >> 160)]].uri;
    }

    function supportsInterface(bytes4 interfaceId) public view override(ERC1155, AccessControl) returns (bool) {
        return ERC1155.supportsInterface(interfaceId) || AccessControl.supportsInterface(interfaceId);
    }

    // ---------------------------------------------------------------- private views

    function _project(bytes32 projectId) private view returns (Project storage p) {
        p = _projects[projectId];
        if (p.account == 0) revert Project_Unknown(projectId);
    }

    /// @dev True only for an id that `issue` returned: batch, project and vintage must fit each other.
    function _isBatch(uint256 id) private view returns (bool) {
        (uint96 projectKey, uint16 vintage, uint144 batchKey) = CreditId.unpack(id);
        Batch storage b = _batches[batchKey];
        if (b.issued == 0) return false;
        return CreditId.projectKey(_projectIdOf(b)) == projectKey
            && CalendarYear.ofDay(Packed.unpackIssued(b.issued).periodEnd - 1) == vintage;
    }

    function _projectIdOf(Batch storage b) private view returns (bytes32) {
        return _projectIds[Packed.unpackIssued(b.issued).projectIndex];
    }

    function _batch(uint256 id) private view returns (Batch storage) {
        if (!_isBatch(id)) revert Batch_Unknown(id);
        // forge-lint: disable-next-line(unsafe-typecast)
        return _batches[uint144(id)];
    }

    function _info(uint256 id, Batch storage b) private view returns (BatchInfo memory info) {
        Issued memory issued = Packed.unpackIssued(b.issued);
        Used memory used = b.used;
        (, info.vintage,) = CreditId.unpack(id);
        info.id = id;
        info.projectId = _projectIds[issued.projectIndex];
        info.periodStart = issued.periodStart;
        info.periodEnd = issued.periodEnd;
        info.lockedUntil = issued.lockedUntil;
        info.issuedAt = issued.lockedUntil - _projects[info.projectId].state.challengeWindow;
        info.grossKg = issued.grossKg;
        info.bufferIssuedKg = issued.bufferKg;
        info.bufferBurnedKg = used.bufferBurnedKg;
        info.bufferKg = issued.bufferKg - used.bufferBurnedKg;
        info.retiredKg = used.retiredKg;
        info.supplyKg = issued.grossKg - used.retiredKg - used.bufferBurnedKg;
    }
}
