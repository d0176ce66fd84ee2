// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What the registry stores, tells and refuses
/// @dev Records, constants, events and errors of `CreditRegistry`, without any code. All kg are kg CO2e; days are days
/// since 1970-01-01 (UTC); periods and serial ranges are half-open.
abstract contract RegistryTypes {
    // ---------------------------------------------------------------- records

    /// @dev One slot.
    struct State {
        uint32 challengeWindow; // seconds
        uint24 index; // place in _projectIds
        bool paused;
        uint64 deficitKg; // reversed beyond the buffer and not yet made good
        uint64 reversedKg; // all reversals reported
        uint40 closesAt; // unix seconds from which nothing is issued here any more; 0: never
        uint16 frozen; // batches under challenge now
    }

    struct Project {
        bytes32 methodDigest;
        uint256 account; // a packed Account; nonzero from registration on
        State state;
        string uri;
    }

    /// @dev One slot, written when credits end.
    struct Used {
        uint64 retiredKg;
        uint64 bufferBurnedKg;
        uint64 bufferOutKg; // buffer that left otherwise than by a reversal: released, annulled, handed to a successor
        uint64 goneKg; // credits that ended otherwise: refilled into a deficit, annulled, moved to a successor
    }

    /// @dev One slot, written only by a challenge, a move, or an issue that ends a deficit.
    struct Mark {
        uint40 issuedAt; // unix seconds; 0 where the lock tells it
        bool annulled;
        uint64 madeGoodKg; // the deficit that this batch's issue ended; stands again when the batch is annulled
    }

    struct Batch {
        uint256 issued; // a packed Issued; only its lock changes later. 0 for a batch that does not exist
        Used used;
        Mark mark;
    }

    /// @dev One slot.
    struct Migration {
        address successor; // 0: none announced
        uint40 from; // unix seconds from which it is in effect and final
        uint24 closing; // projects that close, or have
    }

    /// @notice A project as views give it.
    struct ProjectInfo {
        bytes32 projectId;
        bytes32 methodDigest;
        uint32 lastPeriodEnd; // day; the next period may not start before
        uint32 challengeWindow; // seconds
        uint64 grossKg; // issued so far and not annulled, buffer included
        uint64 compensatedKg; // reversals that the buffer or a refill covered
        uint64 bufferIssuedKg; // put into the buffer (by issue or refill), less what was released
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
        uint64 lockedUntil; // 2^40 - 1 while the batch is frozen
        uint64 grossKg;
        uint64 bufferIssuedKg;
        uint64 bufferKg; // what the buffer still holds of this batch
        uint64 bufferBurnedKg;
        uint64 retiredKg;
        uint64 supplyKg; // grossKg - retiredKg - bufferBurnedKg - goneKg
    }

    /// @notice What became of a batch beyond `BatchInfo`. Serial numbers of a batch run from 0 to its gross: holders'
    /// credits end from below, reversed buffer from above, so [0, serialNext) has ended, [serialNext, serialEnd) lives
    /// and [serialEnd, gross) is reversed.
    struct BatchState {
        bool frozen;
        bool annulled;
        uint64 bufferOutKg;
        uint64 goneKg;
        uint64 serialNext;
        uint64 serialEnd;
    }

    /// @notice What a successor credits, for its predecessor to refuse or to spend.
    struct Spending {
        bytes32 batchId;
        bytes32 contentRoot;
        bytes32[] plotKeys;
        uint32 periodStart;
        uint32 periodEnd;
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
    /// @notice Of a contract that tries challenges: see `ChallengeWindow`.
    bytes32 public constant COURT_ROLE = keccak256("COURT_ROLE");
    uint256 public constant MAX_PLOT_KEYS = 256;
    uint32 public constant MAX_CHALLENGE_WINDOW = 365 days;
    /// @notice For so long after a project's last credited day, and after a batch's lock, its buffer stays whole: the
    /// ten years for which permanence is reported after crediting.
    uint32 public constant PERMANENCE = 3653 days;
    /// @notice Over so long after that the buffer may be released, in proportion to the time gone by.
    uint32 public constant RELEASE_TIME = 1826 days;
    /// @notice Between the announcement of a move and its effect.
    uint32 public constant MIGRATION_DELAY = 30 days;
    uint256 internal constant BPS = 10_000;
    /// @dev The lock of a batch under challenge. No issue can write it: time will not come so far.
    uint40 internal constant FROZEN = type(uint40).max;

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
    /// @notice Credits of a holder ended: the serial range [from, to) of the batch, on the certificate of that number
    /// (0 for a refill or a move to a successor). No serial is ever told twice.
    event SerialsEnded(uint256 indexed certificateId, uint256 indexed id, uint64 from, uint64 to);
    /// @notice `bufferBurnedKg` exceeds `kg` where buffer was burned into a deficit that stood before.
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
    /// @notice Somebody gave credits of batch `id` to make a deficit smaller.
    event DeficitRefilled(
        bytes32 indexed projectId, uint256 indexed id, address indexed account, uint64 kg, uint64 deficitKg
    );
    event BufferReleased(
        bytes32 indexed projectId, uint256 indexed id, address indexed to, uint64 kg, address guardian, address verifier
    );
    event BatchFrozen(uint256 indexed id, address indexed court);
    event BatchThawed(uint256 indexed id, address indexed court, uint40 lockedUntil);
    event BatchAnnulled(
        uint256 indexed id,
        bytes32 indexed projectId,
        address indexed court,
        uint64 grossKg,
        uint64 bufferBurnedKg,
        uint64 deficitKg
    );
    event MigrationAnnounced(bytes32 indexed projectId, address indexed successor, uint40 closesAt);
    /// @notice Credits were burned here and minted by the successor, under the same id.
    event Migrated(uint256 indexed id, address indexed account, address indexed successor, uint64 kg);
    /// @notice A successor carries a project's account on.
    event ProjectImported(
        bytes32 indexed projectId, uint32 lastPeriodEnd, uint64 grossKg, uint64 compensatedKg, uint64 deficitKg
    );
    /// @notice A successor knows a batch from now on, and holds what buffer it had.
    event BatchImported(uint256 indexed id, bytes32 indexed projectId, uint64 bufferKg);
    event NonceRevoked(address indexed verifier, uint256 nonce);

    // ---------------------------------------------------------------- errors

    error Role_DutiesNotSeparated(address account, bytes32 wanted, bytes32 held);
    error Role_NotSuspendable(bytes32 role);
    error Project_Unknown(bytes32 projectId);
    error Project_Known(bytes32 projectId);
    error Project_Paused(bytes32 projectId);
    error Project_NotPaused(bytes32 projectId);
    error Project_Closed(bytes32 projectId, uint256 closedAt);
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
    error Batch_Frozen(uint256 id);
    error Batch_NotFrozen(uint256 id);
    error Batch_LockOver(uint256 id, uint40 lockedUntil);
    error Batch_LockTooShort(uint256 id, uint40 lockedUntil, uint256 least);
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
    error Refill_KgInvalid(uint64 kg, uint64 deficitKg);
    error Release_KgInvalid(uint64 kg, uint64 releasableKg);
    error Release_Deficit(bytes32 projectId, uint64 deficitKg);
    error Migration_Final(address successor, uint40 from);
    error Migration_ProjectsClosing(uint24 count);
    error Migration_NotInEffect(address successor, uint40 from);
    error Migration_NotSuccessor(address caller);
    error Migration_Unsettled(bytes32 projectId);
    error Migration_NotPredecessor(address caller);
    error Migration_BatchKnown(uint256 id);
}
