// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC20Errors, IERC1155Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC1155Receiver} from "@openzeppelin/contracts/token/ERC1155/IERC1155Receiver.sol";
import {RegistryTypes} from "../src/registry/RegistryTypes.sol";
import {CreditSale} from "../src/CreditSale.sol";
import {RevenueSplit} from "../src/RevenueSplit.sol";
import {Base} from "./support/Base.sol";
import {CallingReceiver, FeeToken, SilentToken} from "./support/Mocks.sol";

contract SaleTest is Base {
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

    function buy(uint64 kg) private returns (uint256) {
        vm.prank(buyer);
        return sale.buy(listing, kg, type(uint256).max, block.timestamp);
    }

    // ---------------------------------------------------------------- selling

    function test_a_listing_takes_the_credits_into_escrow() public view {
        vm.assertEq(registry.balanceOf(address(sale), id), 900_000, "escrow");
        vm.assertEq(registry.balanceOf(seller, id), 31_200, "seller");
        CreditSale.Listing memory l = sale.listing(listing);
        vm.assertEq(l.seller, seller, "seller");
        vm.assertEq(l.kg, 900_000, "kg");
        vm.assertEq(l.pricePerTonne, PRICE, "price");
    }

    function test_a_purchase_moves_credits_and_money_at_once() public {
        uint256 funds = yen.balanceOf(buyer);
        vm.expectEmit(true, true, true, true, address(sale));
        emit CreditSale.Sold(listing, id, buyer, 2_500, address(yen), 30_000 * YEN, PROJECT);
        vm.assertEq(buy(2_500), 30_000 * YEN, "cost");
        vm.assertEq(registry.balanceOf(buyer, id), 2_500, "credits");
        vm.assertEq(funds - yen.balanceOf(buyer), 30_000 * YEN, "paid");
        vm.assertEq(yen.balanceOf(address(split)), 30_000 * YEN, "split");
        vm.assertEq(yen.balanceOf(address(sale)), 0, "sale keeps nothing");
        vm.assertEq(split.deposited(PROJECT, address(yen)), 30_000 * YEN, "deposited");
        vm.assertEq(sale.listing(listing).kg, 897_500, "left");
    }

    function test_the_price_is_rounded_up_to_the_next_unit(uint64 kg, uint96 price) public {
        kg = uint64(bound(kg, 1, 31_200));
        price = uint96(bound(price, 1, 1e15));
        vm.prank(seller);
        uint256 other = sale.list(id, 31_200, address(yen), price);
        uint256 cost = sale.quote(other, kg);
        vm.assertLe(uint256(kg) * price, cost * 1_000, "too little");
        vm.assertLt(cost * 1_000, uint256(kg) * price + 1_000, "too much");
        vm.assertTrue(cost > 0, "for nothing");
        fund(buyer, cost, address(sale));
        vm.prank(buyer);
        vm.assertEq(sale.buy(other, kg, cost, block.timestamp), cost, "as quoted");
    }

    function test_buying_in_parts_never_costs_less_than_at_once(uint64 a, uint64 b) public view {
        (a, b) = (uint64(bound(a, 1, 450_000)), uint64(bound(b, 1, 450_000)));
        vm.assertLe(sale.quote(listing, a + b), sale.quote(listing, a) + sale.quote(listing, b), "cheaper");
    }

    function test_only_sellers_list_since_the_money_goes_to_the_project() public {
        bytes32 role = sale.SELLER_ROLE();
        vm.expectRevert(abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, buyer, role));
        vm.prank(buyer);
        sale.list(id, 1, address(yen), PRICE);
    }

    function test_a_listing_needs_kg_a_price_an_allowed_token_and_a_batch() public {
        vm.startPrank(seller);
        vm.expectRevert(CreditSale.Listing_KgZero.selector);
        sale.list(id, 0, address(yen), PRICE);
        vm.expectRevert(CreditSale.Listing_PriceZero.selector);
        sale.list(id, 1, address(yen), 0);
        vm.expectRevert(abi.encodeWithSelector(CreditSale.Token_NotAllowed.selector, address(1)));
        sale.list(id, 1, address(1), PRICE);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Batch_Unknown.selector, 1));
        sale.list(1, 1, address(yen), PRICE);
        vm.expectRevert(
            abi.encodeWithSelector(IERC1155Errors.ERC1155InsufficientBalance.selector, seller, 31_200, 31_201, id)
        );
        sale.list(id, 31_201, address(yen), PRICE);
        vm.stopPrank();
    }

    function test_a_cancelled_listing_gives_the_rest_back_once() public {
        buy(100_000);
        vm.prank(seller);
        sale.cancel(listing);
        vm.assertEq(registry.balanceOf(seller, id), 831_200, "seller");
        vm.expectRevert(CreditSale.Listing_KgZero.selector);
        vm.prank(seller);
        sale.cancel(listing);
        vm.expectRevert(abi.encodeWithSelector(CreditSale.Purchase_KgTooMany.selector, 1, 0));
        buy(1);
    }

    function test_nobody_else_cancels_a_listing() public {
        vm.expectRevert(abi.encodeWithSelector(CreditSale.Listing_NotSeller.selector, listing, admin));
        vm.prank(admin);
        sale.cancel(listing);
        vm.expectRevert(abi.encodeWithSelector(CreditSale.Listing_Unknown.selector, 99));
        vm.prank(seller);
        sale.cancel(99);
    }

    // ---------------------------------------------------------------- buying

    function test_a_buyer_never_pays_more_than_it_agreed_to() public {
        vm.expectRevert(
            abi.encodeWithSelector(CreditSale.Purchase_CostAboveMaximum.selector, 12_000 * YEN, 12_000 * YEN - 1)
        );
        vm.prank(buyer);
        sale.buy(listing, 1_000, 12_000 * YEN - 1, block.timestamp);
    }

    function test_a_purchase_must_come_in_time() public {
        vm.expectRevert(
            abi.encodeWithSelector(CreditSale.Purchase_Expired.selector, block.timestamp - 1, block.timestamp)
        );
        vm.prank(buyer);
        sale.buy(listing, 1_000, type(uint256).max, block.timestamp - 1);
    }

    function test_nothing_and_more_than_there_is_cannot_be_bought() public {
        vm.expectRevert(CreditSale.Purchase_KgZero.selector);
        buy(0);
        vm.expectRevert(abi.encodeWithSelector(CreditSale.Purchase_KgTooMany.selector, 900_001, 900_000));
        buy(900_001);
        vm.expectRevert(abi.encodeWithSelector(CreditSale.Purchase_KgTooMany.selector, 900_001, 900_000));
        sale.quote(listing, 900_001);
        vm.expectRevert(abi.encodeWithSelector(CreditSale.Listing_Unknown.selector, 99));
        sale.quote(99, 1);
    }

    function test_a_pause_stops_a_purchase_and_the_money_stays() public {
        vm.prank(guardian);
        registry.pause(PROJECT);
        uint256 funds = yen.balanceOf(buyer);
        vm.expectRevert(abi.encodeWithSelector(RegistryTypes.Project_Paused.selector, PROJECT));
        buy(1);
        vm.assertEq(yen.balanceOf(buyer), funds, "money");
    }

    function test_credits_of_a_project_without_payees_cannot_be_sold() public {
        setUpWithoutShares();
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Deposit_NoShares.selector, PROJECT));
        buy(1);
    }

    function setUpWithoutShares() private {
        super.setUp();
        id = issue(goodClaim());
        vm.startPrank(seller);
        registry.setApprovalForAll(address(sale), true);
        listing = sale.list(id, 900_000, address(yen), PRICE);
        vm.stopPrank();
        fund(buyer, 100_000_000 * YEN, address(sale));
    }

    function test_a_permit_for_a_token_no_more_allowed_is_not_even_tried() public {
        vm.prank(admin);
        sale.setTokenAllowed(address(yen), false);
        (uint8 v, bytes32 r, bytes32 s) = permitFor(12_000 * YEN);
        vm.expectRevert(abi.encodeWithSelector(CreditSale.Token_NotAllowed.selector, address(yen)));
        vm.prank(buyer);
        sale.buyWithPermit(listing, 1_000, 12_000 * YEN, block.timestamp, v, r, s);
    }

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

    function test_a_permit_buys_without_an_allowance_before() public {
        vm.prank(buyer);
        yen.approve(address(sale), 0);
        (uint8 v, bytes32 r, bytes32 s) = permitFor(12_000 * YEN);
        vm.prank(buyer);
        sale.buyWithPermit(listing, 1_000, 12_000 * YEN, block.timestamp, v, r, s);
        vm.assertEq(registry.balanceOf(buyer, id), 1_000, "credits");
    }

    function test_a_permit_sent_ahead_by_somebody_else_does_no_harm() public {
        vm.prank(buyer);
        yen.approve(address(sale), 0);
        (uint8 v, bytes32 r, bytes32 s) = permitFor(12_000 * YEN);
        vm.prank(stranger);
        yen.permit(buyer, address(sale), 12_000 * YEN, block.timestamp, v, r, s);
        vm.prank(buyer);
        sale.buyWithPermit(listing, 1_000, 12_000 * YEN, block.timestamp, v, r, s);
        vm.assertEq(registry.balanceOf(buyer, id), 1_000, "credits");
    }

    function test_a_bad_permit_pays_nothing() public {
        vm.prank(buyer);
        yen.approve(address(sale), 0);
        (uint8 v, bytes32 r, bytes32 s) = permitFor(11_999 * YEN);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(sale), 0, 12_000 * YEN)
        );
        vm.prank(buyer);
        sale.buyWithPermit(listing, 1_000, 12_000 * YEN, block.timestamp, v, r, s);
    }

    // ---------------------------------------------------------------- tokens and escrow

    function test_only_the_admin_allows_tokens_and_a_token_no_more_allowed_sells_nothing() public {
        vm.expectRevert(
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, seller, bytes32(0))
        );
        vm.prank(seller);
        sale.setTokenAllowed(address(yen), false);
        vm.startPrank(admin);
        vm.expectRevert(CreditSale.Token_Zero.selector);
        sale.setTokenAllowed(address(0), true);
        sale.setTokenAllowed(address(yen), false);
        vm.stopPrank();
        vm.assertEq(yen.allowance(address(sale), address(split)), 0, "allowance");
        vm.expectRevert(abi.encodeWithSelector(CreditSale.Token_NotAllowed.selector, address(yen)));
        buy(1);
    }

    function allow(address token) private {
        vm.startPrank(admin);
        sale.setTokenAllowed(token, true);
        split.setTokenAllowed(token, true);
        vm.stopPrank();
    }

    function test_a_token_that_the_split_does_not_allow_sells_nothing() public {
        SilentToken silent = new SilentToken();
        vm.prank(admin);
        sale.setTokenAllowed(address(silent), true);
        vm.prank(seller);
        uint256 other = sale.list(id, 1_000, address(silent), 100);
        silent.mint(buyer, 100);
        vm.prank(buyer);
        silent.approve(address(sale), 100);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Token_NotAllowed.selector, address(silent)));
        vm.prank(buyer);
        sale.buy(other, 1_000, 100, block.timestamp);
    }

    function test_a_token_that_returns_nothing_sells_as_well() public {
        SilentToken silent = new SilentToken();
        allow(address(silent));
        vm.prank(seller);
        uint256 other = sale.list(id, 1_000, address(silent), 100);
        silent.mint(buyer, 100);
        vm.prank(buyer);
        silent.approve(address(sale), 100);
        vm.prank(buyer);
        sale.buy(other, 1_000, 100, block.timestamp);
        vm.assertEq(split.deposited(PROJECT, address(silent)), 100, "deposited");
    }

    function test_a_token_that_keeps_a_fee_sells_nothing() public {
        FeeToken fee = new FeeToken();
        allow(address(fee));
        vm.prank(seller);
        uint256 other = sale.list(id, 1_000, address(fee), 10_000);
        fee.mint(buyer, 10_000);
        fee.mint(address(sale), 10_000); // strays in the sale do not hide the fee
        vm.prank(buyer);
        fee.approve(address(sale), 10_000);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Deposit_AmountDiffers.selector, 10_000, 9_900));
        vm.prank(buyer);
        sale.buy(other, 1_000, 10_000, block.timestamp);
    }

    function test_credits_sent_to_the_sale_past_a_listing_are_refused() public {
        vm.expectRevert(CreditSale.Escrow_OnlyByListing.selector);
        vm.prank(seller);
        registry.safeTransferFrom(seller, address(sale), id, 1, "");
        uint256[] memory one = new uint256[](1);
        uint256[] memory batch = new uint256[](1);
        (one[0], batch[0]) = (1, id);
        vm.expectRevert(CreditSale.Escrow_OnlyByListing.selector);
        vm.prank(seller);
        registry.safeBatchTransferFrom(seller, address(sale), batch, one, "");
        vm.assertTrue(sale.supportsInterface(type(IERC1155Receiver).interfaceId), "receiver");
    }

    function test_a_buyer_that_calls_back_cannot_buy_within_a_purchase() public {
        CallingReceiver receiver = new CallingReceiver();
        fund(address(receiver), 24_000 * YEN, address(sale));
        bytes memory purchase = abi.encodeCall(sale.buy, (listing, 1_000, type(uint256).max, block.timestamp));
        receiver.prepare(address(sale), purchase);
        receiver.call(address(sale), purchase);
        vm.assertTrue(receiver.called() && !receiver.succeeded(), "entered");
        vm.assertEq(registry.balanceOf(address(receiver), id), 1_000, "credits");
        vm.assertEq(yen.balanceOf(address(receiver)), 12_000 * YEN, "money");
    }
}
