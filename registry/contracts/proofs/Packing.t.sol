// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {CreditId} from "../src/libraries/CreditId.sol";
import {Account, Issued, Packed} from "../src/libraries/Packed.sol";
import {PayeeLedger, PayeeLedgerLib} from "../src/libraries/PayeeLedger.sol";

/// @notice What is packed into a word comes out of it again. No bounds: for all inputs.
contract PackingProofs {
    // ---------------------------------------------------------------- token ids

    function check_an_id_gives_back_project_vintage_and_batch(bytes32 project, uint16 vintage, bytes32 batch)
        external
        pure
    {
        (uint96 p, uint16 v, uint144 b) = CreditId.unpack(CreditId.pack(project, vintage, batch));
        assert(p == CreditId.projectKey(project));
        assert(v == vintage);
        assert(b == CreditId.batchKey(batch));
        assert(p == uint256(project) >> 160 && b == uint256(batch) >> 112);
    }

    function check_every_word_is_the_id_of_its_parts(uint256 id) external pure {
        (uint96 p, uint16 v, uint144 b) = CreditId.unpack(id);
        assert(CreditId.pack(bytes32(uint256(p) << 160), v, bytes32(uint256(b) << 112)) == id);
    }

    function check_ids_are_the_same_only_if_all_parts_are(
        bytes32 project,
        uint16 vintage,
        bytes32 batch,
        bytes32 otherProject,
        uint16 otherVintage,
        bytes32 otherBatch
    ) external pure {
        bool same = CreditId.pack(project, vintage, batch) == CreditId.pack(otherProject, otherVintage, otherBatch);
        bool parts = CreditId.projectKey(project) == CreditId.projectKey(otherProject) && vintage == otherVintage
            && CreditId.batchKey(batch) == CreditId.batchKey(otherBatch);
        assert(same == parts);
    }

    // ---------------------------------------------------------------- the registry's words

    function check_an_account_comes_out_as_it_went_in(Account memory a) external pure {
        Account memory b = Packed.unpackAccount(Packed.pack(a));
        assert(keccak256(abi.encode(a)) == keccak256(abi.encode(b)));
    }

    function check_an_issue_comes_out_as_it_went_in(Issued memory a) external pure {
        uint256 word = Packed.pack(a);
        assert(keccak256(abi.encode(a)) == keccak256(abi.encode(Packed.unpackIssued(word))));
        assert(Packed.lockedUntil(word) == a.lockedUntil);
    }

    function check_every_word_is_the_issue_it_says(uint256 word) external pure {
        assert(Packed.pack(Packed.unpackIssued(word)) == word);
    }

    // ---------------------------------------------------------------- the split's words

    function check_a_ledger_comes_out_as_it_went_in(uint256 numerator, uint256 claimed, uint256 shares, uint256 epoch)
        external
        pure
    {
        if (numerator >= 1 << 116 || claimed >= 1 << 96 || shares >= 1 << 20 || epoch >= 1 << 24) return;
        (uint256 n, uint256 c, uint256 s, uint256 e) =
            PayeeLedgerLib.unpack(PayeeLedgerLib.pack(numerator, claimed, shares, epoch));
        assert(n == numerator && c == claimed && s == shares && e == epoch);
    }

    function check_every_word_is_the_ledger_it_says(uint256 word) external pure {
        (uint256 n, uint256 c, uint256 s, uint256 e) = PayeeLedger.wrap(word).unpack();
        assert(n < 1 << 116 && c < 1 << 96 && s < 1 << 20 && e < 1 << 24);
        assert(PayeeLedger.unwrap(PayeeLedgerLib.pack(n, c, s, e)) == word);
    }

    /// @dev The books' slot is packed by the compiler; its parts are what they were bounded to.
    function check_a_share_key_names_one_epoch_and_payee(uint24 epoch, address payee, uint24 epoch2, address payee2)
        external
        pure
    {
        uint256 key = (uint256(epoch) << 160) | uint160(payee);
        uint256 key2 = (uint256(epoch2) << 160) | uint160(payee2);
        assert((key == key2) == (epoch == epoch2 && payee == payee2));
    }
}
