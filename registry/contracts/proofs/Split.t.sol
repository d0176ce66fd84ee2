// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Entitlement} from "../src/libraries/Entitlement.sol";

/// @notice The split's arithmetic. D: deposits over all share tables, below 2^96. N_i: numerator of payee i; the N_i of a
/// table add to D * SHARES. E_i = floor(N_i / SHARES).
/// @dev Sums over payees are shown for any number of them by induction: `step` is one payee more, `end` draws the conclusion
/// from the sums alone; the empty sum is 0 = 0. Each is for all inputs of the widths that stand in its first line; within
/// them nothing here overflows, so the arithmetic is written unchecked, which solvers take better.
contract SplitProofs {
    uint256 private constant S = Entitlement.SHARES;
    uint256 private constant DEPOSITS = 1 << 96;
    uint256 private constant NUMERATORS = 1 << 116;
    uint256 private constant PAYEES = 1 << 32;

    // ---------------------------------------------------------------- the floor

    function check_the_floor_is_euclid_s(uint256 n) external pure {
        if (n >= NUMERATORS) return;
        unchecked {
            uint256 e = Entitlement.floor(n);
            assert(e * S <= n);
            assert(n < e * S + S);
        }
    }

    function check_the_floor_never_falls(uint256 n, uint256 more) external pure {
        if (n >= NUMERATORS || more >= NUMERATORS) return;
        unchecked {
            assert(Entitlement.floor(n) <= Entitlement.floor(n + more));
        }
    }

    // ---------------------------------------------------------------- sums over any number of payees

    /// @dev Of k payees: Q = sum of E_i, R = sum of what the floors leave, M = sum of N_i. Claim: S * Q + R = M and
    /// R <= k * (S - 1). One payee more keeps it so.
    function check_step_one_payee_more(uint256 k, uint256 q, uint256 r, uint256 m, uint256 n, uint256 left)
        external
        pure
    {
        if (k >= PAYEES || q >= NUMERATORS || m >= NUMERATORS || n >= NUMERATORS || left >= S) return;
        unchecked {
            uint256 e = Entitlement.floor(n);
            if (r > k * (S - 1) || S * q + r != m || S * e + left != n) return;
            assert(S * (q + e) + (r + left) == m + n);
            assert(r + left <= (k + 1) * (S - 1));
        }
    }

    /// @dev With all payees in: M = D * S. Then the floors are no more than the deposits, and the remainder is less than
    /// the number of payees.
    function check_end_the_floors_leave_less_than_a_unit_a_payee(uint256 k, uint256 q, uint256 r, uint256 d)
        external
        pure
    {
        if (k == 0 || k >= PAYEES || q >= NUMERATORS || d >= DEPOSITS) return;
        unchecked {
            if (r > k * (S - 1) || S * q + r != S * d) return;
            assert(q <= d);
            assert(d < q + k);
        }
    }

    // ---------------------------------------------------------------- deposits and tables

    /// @dev Numerators of all payees grow by deposit * SHARES in sum: with shares s of one payee and the rest of the others.
    function check_a_deposit_is_shared_whole(uint256 n, uint256 others, uint256 amount, uint256 s) external pure {
        if (n >= NUMERATORS || others >= NUMERATORS || amount >= DEPOSITS || s > S) return;
        unchecked {
            uint256 sum = Entitlement.add(n, amount, s) + Entitlement.add(others, amount, S - s);
            assert(sum == n + others + amount * S);
        }
    }

    /// @dev A numerator stays within its 116 bits and never overflows.
    function check_a_numerator_fits_its_word(uint256 n, uint256 before, uint256 amount, uint256 s) external pure {
        if (before >= DEPOSITS || amount >= DEPOSITS || s > S) return;
        unchecked {
            if (before + amount >= DEPOSITS || n > before * S) return;
            uint256 then_ = Entitlement.add(n, amount, s);
            assert(then_ >= n);
            assert(then_ <= (before + amount) * S);
            assert(then_ < NUMERATORS);
        }
    }

    /// @dev Closing a table moves its deposits from the open book into the numerator: nothing changes for the payee.
    function check_a_change_of_table_changes_no_entitlement(uint256 n, uint256 open, uint256 s, uint256 next)
        external
        pure
    {
        if (n >= NUMERATORS || open >= DEPOSITS || s > S || next > S) return;
        uint256 before = Entitlement.floor(Entitlement.add(n, open, s));
        uint256 closed = Entitlement.add(n, open, s);
        assert(Entitlement.floor(Entitlement.add(closed, 0, next)) == before);
    }

    /// @dev So `claimed`, which was an entitlement once, is never above the entitlement now.
    function check_a_deposit_lowers_no_entitlement(uint256 n, uint256 open, uint256 more, uint256 s) external pure {
        if (n >= NUMERATORS || open >= DEPOSITS || more >= DEPOSITS || s > S) return;
        unchecked {
            uint256 before = Entitlement.floor(Entitlement.add(n, open, s));
            assert(before <= Entitlement.floor(Entitlement.add(n, open + more, s)));
        }
    }

    /// @dev In which order closed tables are carried does not matter, nor in how many steps.
    function check_tables_carried_one_by_one_or_at_once_are_the_same(
        uint256 n,
        uint256 a,
        uint256 s,
        uint256 b,
        uint256 t
    ) external pure {
        if (n >= NUMERATORS || a >= DEPOSITS || b >= DEPOSITS || s > S || t > S) return;
        uint256 forth = Entitlement.add(Entitlement.add(n, a, s), b, t);
        assert(forth == Entitlement.add(Entitlement.add(n, b, t), a, s));
        assert(Entitlement.floor(forth) >= Entitlement.floor(n));
    }
}
