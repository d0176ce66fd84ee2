// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ChallengeWindow} from "../src/ChallengeWindow.sol";
import {Claim} from "../src/Claim.sol";
import {CreditRegistry} from "../src/CreditRegistry.sol";
import {IPredecessor} from "../src/interfaces/IPredecessor.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {SuccessorDesk} from "../src/registry/SuccessorDesk.sol";
import {SuccessorRegistry} from "../src/SuccessorRegistry.sol";
import {Court} from "./support/Court.sol";

/// @dev Lives the registry's later life, in two registries at once: challenges, annulments, refills, a move, and what one
/// role may try alone. Keeps its own count of every unit.
contract Life is Court {
    SuccessorRegistry private next;
    SuccessorDesk private nextDesk;
    uint256[] private ids;
    bytes32[] private roots;
    uint256[] private cases;
    bytes32[2] private projectIds = [PROJECT, LOCKED];
    address[3] private holders = [seller, buyer, stranger];
    uint256 private nonce = 1_000;
    uint32 private day = PERIOD_START;
    address private immutable owner = msg.sender;
    uint256 public moves;

    mapping(uint256 id => uint256) private minted;
    mapping(uint256 id => uint256) private ended; // retired, refilled, reversed, annulled, in both registries
    mapping(bytes32 key => uint256) private lastEnd; // of the days credited for a plot, in both registries
    mapping(bytes32 projectId => uint256) private gross;

    constructor() {
        super.setUp();
        next = new SuccessorRegistry(admin, IPredecessor(address(registry)));
        nextDesk = SuccessorDesk(address(next));
        vm.startPrank(admin);
        next.grantRole(next.ISSUER_ROLE(), issuer);
        next.grantRole(next.VERIFIER_ROLE(), verifier);
        next.grantRole(next.GUARDIAN_ROLE(), guardian);
        vm.stopPrank();
        fund(challenger, 1e24, address(court));
        fund(buyer, 1e24, address(court));
    }

    function setUp() public override {}

    // ---------------------------------------------------------------- helpers

    function home(bytes32 projectId) private view returns (CreditRegistry r) {
        return CreditRegistry(next.projectKnown(projectId) ? address(next) : address(registry));
    }

    function open(bytes32 projectId) private view returns (bool) {
        (uint40 closesAt,,) = desk.closing(projectId);
        return closesAt == 0 || block.timestamp < closesAt || next.projectKnown(projectId);
    }

    function free(uint256 id) private view returns (bool) {
        return block.timestamp >= registry.batchOf(id).lockedUntil;
    }

    function pick(uint256 which) private view returns (uint256) {
        return ids[which % ids.length];
    }

    function there(uint256 id) private view returns (bool) {
        return next.batchKnown(bytes32(bytes18(uint144(id))));
    }

    // ---------------------------------------------------------------- issue

    function issueBatch(uint256 which, uint64 kg, uint32 length, uint256 plot, uint32 back) external {
        bytes32 projectId = projectIds[which % 2];
        length = uint32(bound(length, 1, 20));
        if (ids.length >= 16 || !open(projectId) || uint256(day + length) * 1 days > block.timestamp) return;
        CreditRegistry r = home(projectId);
        RegistryTypes.ProjectInfo memory p = r.projects(projectId);
        Claim memory c = goodClaim();
        c.projectId = projectId;
        c.challengeWindow = p.challengeWindow;
        c.batchId = keccak256(abi.encode(projectId, day));
        c.contentRoot = keccak256(abi.encode("root", projectId, day));
        // Sometimes back into days that another project or registry may have credited on the same plot.
        c.periodStart = day - uint32(bound(back, 0, 30));
        day += length;
        c.periodEnd = day;
        c.vintage = day - 1 < 20_089 ? 2024 : day - 1 < 20_454 ? 2025 : day - 1 < 20_819 ? 2026 : 2027;
        c.grossKg = uint64(bound(kg, 1_000, 1e9));
        c.priorGrossKg = p.grossKg;
        c.compensatedKg = p.compensatedKg;
        c.estimateKg = c.grossKg + c.deductionKg + p.grossKg - p.compensatedKg;
        c.bufferKg = c.grossKg / 10;
        c.plotKeys[0] = keccak256(abi.encode(plot % 3)); // the same three for both projects
        c.nonce = nonce++;
        c.deadline = type(uint64).max;
        (uint8 v, bytes32 a, bytes32 b) = vm.sign(VERIFIER_KEY, r.claimDigest(c));
        bytes memory signed = abi.encodePacked(a, b, v);
        vm.prank(issuer);
        try r.issue(c, verifier, signed) returns (uint256 id) {
            require(c.periodStart >= lastEnd[c.plotKeys[0]], "a plot's day was credited twice");
            lastEnd[c.plotKeys[0]] = c.periodEnd;
            minted[id] = c.grossKg;
            gross[projectId] += c.grossKg;
            // Those issued by the successor have no life in the first: kept apart from what may move.
            if (address(r) == address(registry)) {
                ids.push(id);
                roots.push(c.contentRoot);
            }
            ++moves;
        } catch (bytes memory reason) {
            bytes4 kind = bytes4(reason);
            require(
                kind == RegistryTypes.Plot_AlreadySpent.selector || kind == RegistryTypes.Claim_PeriodOverlaps.selector,
                "refused for another reason"
            );
        }
    }

    // ---------------------------------------------------------------- holders

    function transfer(uint256 which, uint256 from, uint256 to, uint256 kg) external {
        if (ids.length == 0) return;
        uint256 id = pick(which);
        (address a, address b) = (holders[from % 3], holders[to % 3]);
        kg = bound(kg, 0, registry.balanceOf(a, id));
        bool may = free(id);
        vm.prank(a);
        try registry.safeTransferFrom(a, b, id, kg, "") {
            require(may, "a locked batch moved");
            ++moves;
        } catch {
            require(!may, "a free batch did not move");
        }
    }

    function retire(uint256 which, uint256 who, uint256 kg, bool afterMove) external {
        if (ids.length == 0) return;
        uint256 id = pick(which);
        CreditRegistry r = CreditRegistry(afterMove ? address(next) : address(registry));
        address a = holders[who % 3];
        uint256 held = r.balanceOf(a, id);
        if (held == 0) return;
        kg = bound(kg, 1, held);
        bool may = free(id);
        vm.prank(a);
        try r.retire(id, kg, retirement()) {
            require(may, "a locked batch was retired");
            ended[id] += kg;
            ++moves;
        } catch {
            require(!may, "a free batch was not retired");
        }
    }

    // ---------------------------------------------------------------- losses

    function reverse(uint256 which, uint64 kg) external {
        bytes32 projectId = projectIds[which % 2];
        (uint40 closesAt,,) = desk.closing(projectId);
        CreditRegistry r = home(projectId);
        RegistryTypes.ProjectInfo memory p = r.projects(projectId);
        if (address(r) == address(registry) && closesAt != 0 && block.timestamp >= closesAt + p.challengeWindow) {
            return;
        }
        uint64 outstanding = p.grossKg - p.compensatedKg - p.deficitKg;
        if (outstanding == 0) return;
        uint256 n;
        uint256[] memory own = new uint256[](ids.length);
        uint64 held;
        for (uint256 i = 0; i < ids.length; ++i) {
            if (registry.projectIdOf(ids[i]) != projectId) continue;
            if (address(r) == address(next) && !there(ids[i])) nextDesk.importBatch(ids[i]);
            own[n++] = ids[i];
            held += r.batchOf(ids[i]).bufferKg;
        }
        // What the successor issued itself is left out: only while that buffer is not needed.
        kg = uint64(bound(kg, 1, outstanding));
        if (address(r) == address(next)) kg = kg > held ? held : kg;
        if (kg == 0 || (address(r) == address(next) && p.deficitKg + kg > held)) return;
        assembly ("memory-safe") {
            mstore(own, n)
        }
        uint64[] memory before = new uint64[](n);
        for (uint256 i = 0; i < n; ++i) {
            before[i] = r.batchOf(own[i]).bufferBurnedKg;
        }
        vm.prank(guardian);
        r.reverse(projectId, own, kg, keccak256(abi.encode(nonce++)));
        for (uint256 i = 0; i < n; ++i) {
            ended[own[i]] += r.batchOf(own[i]).bufferBurnedKg - before[i];
        }
        ++moves;
    }

    function refill(uint256 which, uint256 batch, uint256 who, uint64 kg) external {
        bytes32 projectId = projectIds[which % 2];
        (uint40 closesAt,,) = desk.closing(projectId);
        if (ids.length == 0 || closesAt != 0) return;
        uint256 id = pick(batch);
        address a = holders[who % 3];
        uint64 deficit = registry.projects(projectId).deficitKg;
        uint256 most = registry.balanceOf(a, id);
        if (most > deficit) most = deficit;
        if (most == 0 || !free(id)) return;
        kg = uint64(bound(kg, 1, most));
        vm.prank(a);
        desk.refill(projectId, id, kg);
        ended[id] += kg;
        ++moves;
    }

    // ---------------------------------------------------------------- court

    function challengeBatch(uint256 which, uint256 salt, bool unbonded) external {
        if (ids.length == 0) return;
        uint256 i = which % ids.length;
        RegistryTypes.BatchInfo memory b = registry.batchOf(ids[i]);
        (uint40 closesAt,,) = desk.closing(b.projectId);
        if (free(ids[i]) || court.openOf(ids[i]) != 0 || court.dismissals(ids[i]) > 6) return;
        if (closesAt != 0 && block.timestamp >= closesAt + WINDOW) return;
        vm.prank(unbonded ? guardian : challenger);
        cases.push(court.challenge(roots[i], keccak256(abi.encode(salt, nonce++)), seller, ""));
        ++moves;
    }

    function decide(uint256 which, bool uphold) external {
        if (cases.length == 0) return;
        uint256 n = cases[which % cases.length];
        ChallengeWindow.Challenge memory c = court.challenges(n);
        if (c.status != ChallengeWindow.Status.Open) return;
        uint256 supply = registry.totalSupply(c.id);
        if (block.timestamp >= c.deadline) {
            court.expire(n);
            uphold = true;
        } else if (c.challenger == guardian) {
            for (uint256 i = 0; i < 2; ++i) {
                vm.prank(jury[i]);
                court.vote(n, uphold);
            }
        } else {
            vm.prank(guardian);
            court.resolve(n, uphold);
        }
        if (uphold) {
            ended[c.id] += supply;
            gross[registry.projectIdOf(c.id)] -= minted[c.id];
            require(registry.totalSupply(c.id) == 0, "an annulled batch has credits");
        } else {
            require(registry.totalSupply(c.id) == supply, "a dismissed challenge took credits");
        }
        ++moves;
    }

    function withdraw(uint256 who, uint96 gift) external {
        address a = who % 2 == 0 ? seller : challenger;
        if (court.owed(a) != 0) {
            vm.prank(a);
            court.withdraw(stranger);
        }
        vm.prank(buyer);
        court.fundRewards(gift % 1e12);
        ++moves;
    }

    // ---------------------------------------------------------------- move

    function announce(uint256 which) external {
        bytes32 projectId = projectIds[which % 2];
        (uint40 closesAt,,) = desk.closing(projectId);
        if (closesAt != 0 || moves < 8) return;
        bytes32[] memory list = new bytes32[](1);
        list[0] = projectId;
        vm.prank(admin);
        desk.announceMigration(list, address(next));
        ++moves;
    }

    function importProject(uint256 which) external {
        bytes32 projectId = projectIds[which % 2];
        (,, bool settled) = desk.closing(projectId);
        if (next.projectKnown(projectId)) return;
        try nextDesk.importProject(projectId) {
            require(settled, "imported before it was settled");
            ++moves;
        } catch {
            require(!settled, "not imported though settled");
        }
    }

    function migrate(uint256 which, uint256 who, uint64 kg) external {
        for (uint256 i = 0; i < ids.length; ++i) {
            uint256 id = pick(which % ids.length + i);
            if (!free(id) || !next.projectKnown(registry.projectIdOf(id))) continue;
            for (uint256 j = 0; j < 3; ++j) {
                address a = holders[(who % 3 + j) % 3];
                uint256 held = registry.balanceOf(a, id);
                if (held == 0) continue;
                vm.prank(a);
                desk.migrate(id, uint64(bound(kg, 1, held)));
                ++moves;
                return;
            }
        }
    }

    /// @dev How every life ends, whatever happened in it: what is open is decided, both projects close, and all that anybody
    /// holds moves. Nothing can be left that cannot leave.
    function everybodyLeaves() external {
        if (msg.sender != owner) return; // no step of a life, but its end
        for (uint256 i = 0; i < cases.length; ++i) {
            this.decide(i, false);
        }
        bytes32[] memory list = new bytes32[](1);
        for (uint256 k = 0; k < 2; ++k) {
            (uint40 closesAt,,) = desk.closing(projectIds[k]);
            if (closesAt != 0) continue;
            list[0] = projectIds[k];
            vm.prank(admin);
            desk.announceMigration(list, address(next));
        }
        vm.warp(block.timestamp + 400 days);
        for (uint256 k = 0; k < 2; ++k) {
            if (!next.projectKnown(projectIds[k])) nextDesk.importProject(projectIds[k]);
        }
        for (uint256 i = 0; i < ids.length; ++i) {
            for (uint256 j = 0; j < 3; ++j) {
                uint256 held = registry.balanceOf(holders[j], ids[i]);
                if (held == 0) continue;
                vm.prank(holders[j]);
                desk.migrate(ids[i], uint64(held));
            }
            if (!there(ids[i])) nextDesk.importBatch(ids[i]);
            require(registry.totalSupply(ids[i]) == 0, "something stayed behind");
        }
    }

    /// @dev Days, or more where a project has closed and waits to be settled.
    function wait_(uint256 time) external {
        bool waiting;
        for (uint256 k = 0; k < 2; ++k) {
            (uint40 closesAt,, bool settled) = desk.closing(projectIds[k]);
            if (closesAt != 0 && !settled) waiting = true;
        }
        vm.warp(block.timestamp + bound(time, waiting ? 10 days : 1 hours, waiting ? 40 days : 6 days));
    }

    // ---------------------------------------------------------------- one role alone

    /// @dev What each role could try to make credits with, by itself: all of it is refused.
    function tryAlone(uint256 who, uint256 how, uint64 kg) external {
        address[7] memory people = [admin, issuer, verifier, guardian, seller, address(court), stranger];
        address a = people[who % 7];
        uint256 id = ids.length == 0 ? 1 : pick(how);
        Claim memory c = goodClaim();
        c.periodStart = uint32(block.timestamp / 1 days) - 1;
        c.periodEnd = c.periodStart + 1;
        bytes memory signed = new bytes(65);
        bytes[5] memory calls = [
            abi.encodeCall(registry.issue, (c, a, signed)),
            abi.encodeCall(registry.issue, (c, verifier, signed)),
            abi.encodeCall(desk.release, (id, kg, a, verifier, nonce, type(uint64).max, signed)),
            abi.encodeCall(nextDesk.acceptMigrated, (a, id, kg)),
            abi.encodeCall(desk.handOverBuffer, (id))
        ];
        address target = how % 2 == 0 ? address(registry) : address(next);
        vm.prank(a);
        (bool ok,) = target.call(calls[how % 5]);
        require(!ok, "one role alone made credits");
    }

    // ---------------------------------------------------------------- what must hold

    function checkUnits() external view {
        for (uint256 i = 0; i < ids.length; ++i) {
            uint256 id = ids[i];
            uint256 supply = checkBooks(registry, id);
            if (there(id)) supply += checkBooks(CreditRegistry(address(next)), id);
            vm.assertEq(supply, minted[id] - ended[id], "what was minted lives in one of the two or has ended");
        }
    }

    function checkBooks(CreditRegistry r, uint256 id) private view returns (uint256 supply) {
        RegistryTypes.BatchInfo memory b = r.batchOf(id);
        RegistryTypes.BatchState memory s = SuccessorDesk(address(r)).batchState(id);
        uint256 held = r.balanceOf(address(r), id);
        vm.assertEq(held, b.bufferKg, "buffer");
        for (uint256 j = 0; j < 3; ++j) {
            held += r.balanceOf(holders[j], id);
        }
        supply = r.totalSupply(id);
        vm.assertEq(held, supply, "balances add to the supply");
        vm.assertEq(supply + b.retiredKg + b.bufferBurnedKg + s.goneKg, b.grossKg, "every unit is accounted for");
        vm.assertEq(uint256(s.serialEnd) - s.serialNext, supply, "every unit that lives has a serial");
        vm.assertEq(b.bufferKg + b.bufferBurnedKg + s.bufferOutKg, b.bufferIssuedKg, "every unit of buffer");
    }

    function checkProjects() external view {
        for (uint256 k = 0; k < 2; ++k) {
            bytes32 projectId = projectIds[k];
            RegistryTypes.ProjectInfo memory p = home(projectId).projects(projectId);
            vm.assertEq(p.grossKg, gross[projectId], "gross is what was issued and not annulled");
            vm.assertLe(p.compensatedKg + p.deficitKg, p.grossKg, "no more is lost than was credited");
            vm.assertLe(p.compensatedKg, p.bufferIssuedKg, "buffer is never below zero");
            uint256 frozen;
            for (uint256 i = 0; i < ids.length; ++i) {
                if (registry.projectIdOf(ids[i]) == projectId && desk.batchState(ids[i]).frozen) ++frozen;
            }
            (, uint16 told,) = desk.closing(projectId);
            vm.assertEq(told, frozen, "frozen batches are counted");
            if (next.projectKnown(projectId)) continue; // what the successor issues is not in `ids`
            uint256 left;
            for (uint256 i = 0; i < ids.length; ++i) {
                if (registry.projectIdOf(ids[i]) == projectId) left += registry.batchOf(ids[i]).bufferKg;
            }
            vm.assertEq(uint256(p.bufferIssuedKg) - p.compensatedKg, left, "the buffer is the sum of the batches'");
        }
    }

    function checkCourt() external view {
        uint256 due = court.rewardFund() + court.owed(seller) + court.owed(challenger) + court.owed(guardian);
        for (uint256 i = 0; i < cases.length; ++i) {
            ChallengeWindow.Challenge memory c = court.challenges(cases[i]);
            bool open_ = c.status == ChallengeWindow.Status.Open;
            if (open_) due += c.bond;
            vm.assertTrue(open_ == (court.openOf(c.id) == cases[i]), "one open challenge a batch");
            if (open_) vm.assertTrue(desk.batchState(c.id).frozen, "an open challenge freezes");
        }
        vm.assertEq(yen.balanceOf(address(court)), due, "the court holds what it owes");
    }
}

/// @dev Long runs, since a move takes a month to come into effect.
/// forge-config: default.invariant.runs = 16
/// forge-config: default.invariant.depth = 320
contract LifeInvariantsTest {
    Life private life;

    function setUp() public {
        life = new Life();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(life);
    }

    function afterInvariant() public {
        require(life.moves() >= 20, "hardly anything happened in this run");
        life.everybodyLeaves();
        life.checkUnits();
        life.checkProjects();
        life.checkCourt();
    }

    function invariant_every_unit_lives_in_one_registry_or_has_ended() public view {
        life.checkUnits();
    }

    function invariant_accounts_hold_through_annulments_refills_and_moves() public view {
        life.checkProjects();
    }

    function invariant_the_court_owes_what_it_holds_and_freezes_what_is_open() public view {
        life.checkCourt();
    }
}
