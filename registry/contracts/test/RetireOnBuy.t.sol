// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {CreditSale} from "../src/CreditSale.sol";
import {ICreditRegistry} from "../src/interfaces/ICreditRegistry.sol";
import {Base} from "./support/Base.sol";
import {CallingReceiver, DeafContract} from "./support/Mocks.sol";

contract RetireOnBuyTest is Base {
    uint96 private constant PRICE = 12_000_000_000; // 12,000 yen a tonne

    uint256 private id;
    uint256 private listing;

    function setUp() public override {
        super.setUp();
        id = issue(goodClaim());
        setEqualShares(PROJECT, 3);
        vm.startPrank(seller);
        registry.setApprovalForAll(address(sale), true);
        listing = sale.list(id, 900_000, address(yen), PRICE);
        vm.stopPrank();
        fund(buyer, 100_000_000 * YEN, address(sale));
    }

    function forWhom() private pure returns (ICreditRegistry.Retirement memory) {
        return ICreditRegistry.Retirement("Aoba Paper Co., Ltd.", "Scope 1 of fiscal 2025", "JP", 20_179, 20_544);
    }

    function buyAndRetire(uint64 kg) private returns (uint256 cost, uint256 certificateId) {
        vm.prank(buyer);
        return sale.buyAndRetire(listing, kg, type(uint256).max, block.timestamp, forWhom());
    }

    function test_credits_are_paid_and_retired_in_one_transaction() public {
        uint256 funds = yen.balanceOf(buyer);
        uint256 supply = registry.totalSupply(id);
        vm.expectEmit(true, true, true, true, address(sale));
        emit CreditSale.Sold(listing, id, buyer, 2_500, address(yen), 30_000 * YEN, PROJECT);
        vm.expectEmit(true, true, true, true, address(registry));
        emit RegistryTypes.Retired(
            1, id, address(sale), 2_500, "Aoba Paper Co., Ltd.", "Scope 1 of fiscal 2025", "JP", 20_179, 20_544
        );
        vm.expectEmit(true, true, true, true, address(sale));
        emit CreditSale.RetiredForBuyer(listing, 1, buyer, id, 2_500);
        (uint256 cost, uint256 certificateId) = buyAndRetire(2_500);
        vm.assertEq(cost, 30_000 * YEN, "cost");
        vm.assertEq(certificateId, 1, "certificate");
        vm.assertEq(registry.balanceOf(buyer, id), 0, "the buyer holds nothing");
        vm.assertEq(registry.totalSupply(id), supply - 2_500, "gone for ever");
        vm.assertEq(registry.batchOf(id).retiredKg, 2_500, "retired");
        vm.assertEq(registry.balanceOf(address(sale), id), 897_500, "escrow");
        vm.assertEq(sale.listing(listing).kg, 897_500, "left");
        vm.assertEq(funds - yen.balanceOf(buyer), 30_000 * YEN, "paid");
        vm.assertEq(split.deposited(PROJECT, address(yen)), 30_000 * YEN, "to the payees");
    }

    function test_it_costs_what_a_purchase_costs(uint64 kg) public {
        kg = uint64(bound(kg, 1, 900_000));
        uint256 quoted = sale.quote(listing, kg);
        (uint256 cost,) = buyAndRetire(kg);
        vm.assertEq(cost, quoted, "as quoted");
    }

    function test_a_purchase_with_retirement_has_the_same_guards() public {
        vm.startPrank(buyer);
        vm.expectRevert(CreditSale.Purchase_KgZero.selector);
        sale.buyAndRetire(listing, 0, type(uint256).max, block.timestamp, forWhom());
        vm.expectRevert(abi.encodeWithSelector(CreditSale.Purchase_KgTooMany.selector, 900_001, 900_000));
        sale.buyAndRetire(listing, 900_001, type(uint256).max, block.timestamp, forWhom());
        vm.expectRevert(
            abi.encodeWithSelector(CreditSale.Purchase_CostAboveMaximum.selector, 12_000 * YEN, 12_000 * YEN - 1)
        );
        sale.buyAndRetire(listing, 1_000, 12_000 * YEN - 1, block.timestamp, forWhom());
        vm.expectRevert(
            abi.encodeWithSelector(CreditSale.Purchase_Expired.selector, block.timestamp - 1, block.timestamp)
        );
        sale.buyAndRetire(listing, 1_000, type(uint256).max, block.timestamp - 1, forWhom());
        vm.expectRevert(abi.encodeWithSelector(CreditSale.Listing_Unknown.selector, 99));
        sale.buyAndRetire(99, 1_000, type(uint256).max, block.timestamp, forWhom());
        vm.stopPrank();
    }

    function test_a_retirement_for_nobody_is_refused_and_the_money_stays() public {
        uint256 funds = yen.balanceOf(buyer);
        ICreditRegistry.Retirement memory nobody = forWhom();
        nobody.beneficiary = "";
        vm.expectRevert(RegistryTypes.Retirement_BeneficiaryEmpty.selector);
        vm.prank(buyer);
        sale.buyAndRetire(listing, 1_000, type(uint256).max, block.timestamp, nobody);
        vm.assertEq(yen.balanceOf(buyer), funds, "money");
        vm.assertEq(sale.listing(listing).kg, 900_000, "left");
    }

    function test_a_pause_stops_a_purchase_with_retirement_too() public {
        vm.prank(guardian);
        registry.pause(PROJECT);
        uint256 funds = yen.balanceOf(buyer);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Paused.selector, PROJECT));
        buyAndRetire(1);
        vm.assertEq(yen.balanceOf(buyer), funds, "money");
    }

    function test_what_is_bought_and_retired_cannot_be_cancelled_back() public {
        buyAndRetire(100_000);
        vm.prank(seller);
        sale.cancel(listing);
        vm.assertEq(registry.balanceOf(seller, id), 831_200, "seller");
        vm.assertEq(registry.balanceOf(address(sale), id), 0, "escrow");
    }

    function test_a_buyer_that_cannot_hold_credits_retires_them_all_the_same() public {
        address deaf = address(new DeafContract());
        fund(deaf, 12_000 * YEN, address(sale));
        vm.prank(deaf);
        sale.buyAndRetire(listing, 1_000, type(uint256).max, block.timestamp, forWhom());
        vm.assertEq(registry.batchOf(id).retiredKg, 1_000, "retired");
    }

    function test_the_buyer_is_not_called_within_a_retirement() public {
        CallingReceiver receiver = new CallingReceiver();
        fund(address(receiver), 12_000 * YEN, address(sale));
        receiver.prepare(address(sale), abi.encodeCall(sale.quote, (listing, 1)));
        receiver.call(
            address(sale),
            abi.encodeCall(sale.buyAndRetire, (listing, 1_000, type(uint256).max, block.timestamp, forWhom()))
        );
        vm.assertTrue(!receiver.called(), "called");
    }

    function test_nobody_moves_credits_into_the_escrow_by_the_transfer_of_nothing() public {
        vm.expectRevert(CreditSale.Escrow_OnlyByListing.selector);
        vm.prank(stranger);
        registry.safeTransferFrom(stranger, address(sale), id, 0, "");
    }

    // ---------------------------------------------------------------- with a permit

    function permitFor(uint256 value) private view returns (uint8 v, bytes32 r, bytes32 s) {
        bytes32 permit = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                buyer,
                address(sale),
                value,
                yen.nonces(buyer),
                block.timestamp
            )
        );
        return vm.sign(BUYER_KEY, keccak256(abi.encodePacked("\x19\x01", yen.DOMAIN_SEPARATOR(), permit)));
    }

    function test_a_permit_pays_for_a_retirement() public {
        vm.prank(buyer);
        yen.approve(address(sale), 0);
        (uint8 v, bytes32 r, bytes32 s) = permitFor(12_000 * YEN);
        vm.prank(buyer);
        (uint256 cost, uint256 certificateId) =
            sale.buyAndRetireWithPermit(listing, 1_000, 12_000 * YEN, block.timestamp, v, r, s, forWhom());
        vm.assertEq(cost, 12_000 * YEN, "cost");
        vm.assertEq(certificateId, 1, "certificate");
        vm.assertEq(yen.allowance(buyer, address(sale)), 0, "nothing is left allowed");
    }

    function test_a_bad_permit_retires_nothing() public {
        vm.prank(buyer);
        yen.approve(address(sale), 0);
        (uint8 v, bytes32 r, bytes32 s) = permitFor(11_999 * YEN);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(sale), 0, 12_000 * YEN)
        );
        vm.prank(buyer);
        sale.buyAndRetireWithPermit(listing, 1_000, 12_000 * YEN, block.timestamp, v, r, s, forWhom());
    }

    function test_a_permit_with_retirement_wants_an_allowed_token() public {
        vm.prank(admin);
        sale.setTokenAllowed(address(yen), false);
        (uint8 v, bytes32 r, bytes32 s) = permitFor(12_000 * YEN);
        vm.expectRevert(abi.encodeWithSelector(CreditSale.Token_NotAllowed.selector, address(yen)));
        vm.prank(buyer);
        sale.buyAndRetireWithPermit(listing, 1_000, 12_000 * YEN, block.timestamp, v, r, s, forWhom());
    }
}
