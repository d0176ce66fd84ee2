// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ICourtRegistry} from "./interfaces/ICourtRegistry.sol";
import {RegistryTypes} from "./registry/RegistryTypes.sol";

/// @title The court: whoever recomputed a batch otherwise may say so before a credit of it moves
/// @notice Within a batch's lock anybody posts, with a bond, the content root that he gets from the same inputs. The
/// batch is frozen until a guardian, or a panel of verifiers none of whom signed it, decides. Upheld: the batch is
/// annulled, the bond comes back with a reward from the fund as far as it reaches. Dismissed: of the bond, as much as a
/// first bond goes to the batch's recipient (the co-op), for the time it lost, and the rest to the fund. Undecided by the
/// deadline: the batch is annulled and the bond comes back.
/// @dev Why silence annuls: an annulled tonne that was true is credited by the next claim (cumulative rule), a false
/// tonne once sold is not recalled. Nobody gains by it: who challenges in bad faith and is heard loses the bond. Why the
/// recipient gets no more than a first bond: else a co-op's accomplice could double the bond that others must post, by
/// sham challenges whose bonds come home. Why
/// the bond is an ERC-20 and not ETH: it is the yen token that credits are priced in. A buyer abroad has it in order to
/// buy, a co-op can book it at its face in yen, and neither is left with a bond whose worth has moved meanwhile. The
/// registry grants this contract COURT_ROLE; all it can do there is to freeze, thaw and annul locked batches.
contract ChallengeWindow is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    // ---------------------------------------------------------------- types

    enum Status {
        None,
        Open,
        Upheld,
        Dismissed,
        Expired // annulled because nobody decided
    }

    struct Challenge {
        uint256 id; // token id of the batch
        bytes32 contentRoot; // on which it was issued
        bytes32 otherRoot; // that the challenger gets
        address challenger;
        uint40 deadline; // unix seconds from which it counts as undecided
        uint32 lockLeft; // seconds of the lock that were left
        Status status;
        uint8 votesToUphold; // cast, whatever has become of the juror
        uint8 votesToDismiss;
        address recipient; // holder of the batch
        uint96 bond;
    }

    // ---------------------------------------------------------------- constants

    bytes32 public constant ISSUER_ROLE = keccak256("ISSUER_ROLE");
    bytes32 public constant VERIFIER_ROLE = keccak256("VERIFIER_ROLE");
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");
    /// @notice The bond of a batch doubles with each challenge dismissed, no more often than this.
    uint256 public constant MAX_DOUBLINGS = 4;
    uint32 public constant MIN_RESOLUTION_TIME = 1 days;
    uint32 public constant MAX_RESOLUTION_TIME = 90 days;

    ICourtRegistry public immutable registry;
    IERC20 public immutable token;
    /// @notice Bond of a batch's first challenge, in base units of the token.
    uint96 public immutable bond;
    /// @notice Seconds in which a challenge is to be decided.
    uint32 public immutable resolutionTime;
    /// @notice Verifiers who decide where they agree.
    uint8 public immutable panel;

    // ---------------------------------------------------------------- storage

    uint256 public challengeCount;
    mapping(uint256 challengeId => Challenge) private _challenges;
    mapping(uint256 challengeId => mapping(address verifier => bool)) public voted;
    mapping(uint256 challengeId => mapping(bool uphold => address[])) private _jurors;
    /// @notice The challenge of a batch that is open; 0 when none is.
    mapping(uint256 id => uint256 challengeId) public openOf;
    /// @notice Bonded challenges of a batch that were dismissed.
    mapping(uint256 id => uint256) public dismissals;
    /// @notice Whether a root was posted against a batch before.
    mapping(uint256 id => mapping(bytes32 otherRoot => bool)) public posted;
    /// @notice What an account may withdraw, in base units of the token.
    mapping(address account => uint256) public owed;
    /// @notice What was given for rewards, or lost by challengers beyond a first bond, and not yet promised to anybody.
    uint256 public rewardFund;

    // ---------------------------------------------------------------- events

    event Challenged(
        uint256 indexed challengeId,
        uint256 indexed id,
        address indexed challenger,
        bytes32 contentRoot,
        bytes32 otherRoot,
        address recipient,
        uint96 bond,
        uint40 deadline,
        string evidenceUri
    );
    event Voted(uint256 indexed challengeId, address indexed verifier, bool uphold);
    /// @notice `by` is the guardian, the last of the panel, or whoever told that the deadline is over.
    event Resolved(
        uint256 indexed challengeId,
        uint256 indexed id,
        address indexed by,
        Status status,
        address paidTo,
        uint256 amount
    );
    event RewardFunded(address indexed from, uint256 amount);
    event Withdrawn(address indexed account, address indexed to, uint256 amount);

    // ---------------------------------------------------------------- errors

    error Court_PanelZero();
    error Court_BondZero();
    error Court_TimeInvalid(uint32 resolutionTime);
    error Challenge_RootUnknown(bytes32 contentRoot);
    error Challenge_RootSame(bytes32 otherRoot);
    error Challenge_RootPosted(uint256 id, bytes32 otherRoot);
    error Challenge_RecipientWrong(uint256 id, address recipient);
    error Challenge_NotOpen(uint256 challengeId);
    error Challenge_DeadlineOver(uint256 challengeId, uint40 deadline);
    error Challenge_DeadlineAhead(uint256 challengeId, uint40 deadline);
    error Challenge_NotGuardian(address caller);
    error Challenge_NotVerifier(address caller);
    error Challenge_OwnCause(uint256 challengeId, address caller);
    error Challenge_Voted(uint256 challengeId, address caller);
    error Payment_AmountDiffers(uint256 received, uint256 expected);
    error Payment_NothingDue(address account);

    // ---------------------------------------------------------------- construction

    /// @param registry_ Which must grant this contract COURT_ROLE.
    /// @param token_ The yen token; one that moves exactly what it is asked to.
    /// @param bond_ Large enough to pay a co-op for weeks of delay, small beside a batch.
    /// @param panel_ How many verifiers must agree; with one verifier only, guardians decide and this is unreachable.
    constructor(ICourtRegistry registry_, IERC20 token_, uint96 bond_, uint32 resolutionTime_, uint8 panel_) {
        if (panel_ == 0) revert Court_PanelZero();
        if (bond_ == 0 || bond_ > type(uint96).max >> MAX_DOUBLINGS) revert Court_BondZero();
        if (resolutionTime_ < MIN_RESOLUTION_TIME || resolutionTime_ > MAX_RESOLUTION_TIME) {
            revert Court_TimeInvalid(resolutionTime_);
        }
        registry = registry_;
        token = token_;
        bond = bond_;
        resolutionTime = resolutionTime_;
        panel = panel_;
    }

    // ---------------------------------------------------------------- challenge

    /// @notice Challenges the batch issued on `contentRoot`: the same inputs give `otherRoot`, a content root (or,
    /// where another has posted that one, the evidence root of one's own bundle). Needs an allowance of the token over
    /// `bondOf(id)`; a guardian needs no bond.
    /// @param recipient Who holds the batch: the claim's recipient.
    /// @param evidenceUri Where the challenger's own bundle lies.
    function challenge(bytes32 contentRoot, bytes32 otherRoot, address recipient, string calldata evidenceUri)
        external
        nonReentrant
        returns (uint256 challengeId)
    {
        uint256 id = registry.idOfContentRoot(contentRoot);
        if (id == 0) revert Challenge_RootUnknown(contentRoot);
        if (otherRoot == contentRoot || otherRoot == 0) revert Challenge_RootSame(otherRoot);
        if (posted[id][otherRoot]) revert Challenge_RootPosted(id, otherRoot);
        posted[id][otherRoot] = true;
        // Refuses a batch that is frozen or whose lock is over. While it stands nothing has left the first holder.
        uint256 lockLeft = registry.freeze(id) - block.timestamp;
        RegistryTypes.BatchInfo memory batch = registry.batchOf(id);
        if (registry.balanceOf(recipient, id) != batch.grossKg - batch.bufferIssuedKg || recipient == address(registry))
        {
            revert Challenge_RecipientWrong(id, recipient);
        }
        uint96 bonded = registry.hasRole(GUARDIAN_ROLE, msg.sender) ? 0 : bondOf(id);
        challengeId = ++challengeCount;
        openOf[id] = challengeId;
        uint40 deadline = uint40(block.timestamp + resolutionTime);
        Challenge storage c = _challenges[challengeId];
        c.id = id;
        c.contentRoot = contentRoot;
        c.otherRoot = otherRoot;
        c.challenger = msg.sender;
        c.deadline = deadline;
        // A lock is no longer than the registry's maximum of a year.
        // forge-lint: disable-next-line(unsafe-typecast)
        c.lockLeft = uint32(lockLeft);
        c.status = Status.Open;
        c.recipient = recipient;
        c.bond = bonded;
        emit Challenged(challengeId, id, msg.sender, contentRoot, otherRoot, recipient, bonded, deadline, evidenceUri);
        if (bonded != 0) _pull(bonded);
    }

    // ---------------------------------------------------------------- decision

    /// @notice A guardian decides. Not in a cause of his own: challenger, recipient or signer of the batch, or an issuer.
    function resolve(uint256 challengeId, bool uphold) external nonReentrant {
        if (!registry.hasRole(GUARDIAN_ROLE, msg.sender)) revert Challenge_NotGuardian(msg.sender);
        // A verifier, who votes, is no issuer: the registry sees to that.
        if (registry.hasRole(ISSUER_ROLE, msg.sender)) revert Challenge_OwnCause(challengeId, msg.sender);
        Challenge storage c = _undecided(challengeId);
        _close(challengeId, c, uphold ? Status.Upheld : Status.Dismissed);
    }

    /// @notice A verifier votes, once and in no cause of his own; as soon as `panel` of them, who all are verifiers still,
    /// agree it is decided.
    function vote(uint256 challengeId, bool uphold) external nonReentrant {
        if (!registry.hasRole(VERIFIER_ROLE, msg.sender)) revert Challenge_NotVerifier(msg.sender);
        Challenge storage c = _undecided(challengeId);
        if (voted[challengeId][msg.sender]) revert Challenge_Voted(challengeId, msg.sender);
        voted[challengeId][msg.sender] = true;
        emit Voted(challengeId, msg.sender, uphold);
        if (uphold) ++c.votesToUphold;
        else ++c.votesToDismiss;
        address[] storage jurors = _jurors[challengeId][uphold];
        jurors.push(msg.sender);
        // Whoever has been suspended since he voted, as when his key is lost, does not count.
        uint256 count = 0;
        for (uint256 i = 0; i < jurors.length; ++i) {
            if (registry.hasRole(VERIFIER_ROLE, jurors[i])) ++count;
        }
        if (count >= panel) _close(challengeId, c, uphold ? Status.Upheld : Status.Dismissed);
    }

    /// @notice Nobody has decided in time: the batch is annulled. Anybody may call.
    function expire(uint256 challengeId) external nonReentrant {
        Challenge storage c = _open(challengeId);
        if (block.timestamp < c.deadline) revert Challenge_DeadlineAhead(challengeId, c.deadline);
        _close(challengeId, c, Status.Expired);
    }

    function _open(uint256 challengeId) private view returns (Challenge storage c) {
        c = _challenges[challengeId];
        if (c.status != Status.Open) revert Challenge_NotOpen(challengeId);
    }

    /// @dev Open, in time, and the caller has no part in it.
    function _undecided(uint256 challengeId) private view returns (Challenge storage c) {
        c = _open(challengeId);
        if (block.timestamp >= c.deadline) revert Challenge_DeadlineOver(challengeId, c.deadline);
        if (msg.sender == c.challenger || msg.sender == c.recipient || registry.signedBy(c.contentRoot, msg.sender)) {
            revert Challenge_OwnCause(challengeId, msg.sender);
        }
    }

    /// @dev Moves no token, so that nobody's account can stand in the way of a decision.
    function _close(uint256 challengeId, Challenge storage c, Status status) private {
        uint256 id = c.id;
        uint256 amount = c.bond;
        address payee = status == Status.Dismissed ? c.recipient : c.challenger;
        c.status = status;
        delete openOf[id];
        if (status != Status.Expired) {
            // Of the first bond, however often it has doubled, for recipient and challenger alike.
            uint256 once = amount < bond ? amount : bond;
            if (status == Status.Upheld) {
                if (once > rewardFund) once = rewardFund;
                rewardFund -= once;
                amount += once;
            } else {
                if (amount != 0) ++dismissals[id];
                rewardFund += amount - once;
                amount = once;
            }
        }
        owed[payee] += amount;
        emit Resolved(challengeId, id, msg.sender, status, payee, amount);
        if (status == Status.Dismissed) {
            // The lock's clock stood still meanwhile: others have the time to challenge that they had.
            registry.thaw(id, uint40(block.timestamp + c.lockLeft));
        } else {
            registry.annul(id, c.recipient);
        }
    }

    // ---------------------------------------------------------------- money

    /// @notice Gives to the fund from which challengers who were right are rewarded, each with up to a first bond.
    function fundRewards(uint256 amount) external nonReentrant {
        rewardFund += amount;
        emit RewardFunded(msg.sender, amount);
        _pull(amount);
    }

    /// @notice Pays the caller all that is due to him, to an address that can receive it.
    function withdraw(address to) external nonReentrant returns (uint256 amount) {
        amount = owed[msg.sender];
        if (amount == 0) revert Payment_NothingDue(msg.sender);
        owed[msg.sender] = 0;
        emit Withdrawn(msg.sender, to, amount);
        token.safeTransfer(to, amount);
    }

    function _pull(uint256 amount) private {
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert Payment_AmountDiffers(received, amount);
    }

    // ---------------------------------------------------------------- views

    /// @notice Bond of a batch's next challenge: doubles with each that was dismissed, so that delay gets dear.
    function bondOf(uint256 id) public view returns (uint96) {
        uint256 doublings = dismissals[id];
        // The constructor bounds the bond so that no bit is lost.
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint96(uint256(bond) << (doublings < MAX_DOUBLINGS ? doublings : MAX_DOUBLINGS));
    }

    /// @notice A challenge; all zero for one that does not exist.
    function challenges(uint256 challengeId) external view returns (Challenge memory) {
        return _challenges[challengeId];
    }
}
