// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {RevenueSplit} from "../src/RevenueSplit.sol";
import {Base} from "./support/Base.sol";
import {OpenToken} from "./support/Mocks.sol";

contract DecimalToken is OpenToken("DEC") {
    uint8 private immutable places;

    constructor(uint8 places_) {
        places = places_;
    }

    function decimals() public view override returns (uint8) {
        return places;
    }
}

/// @dev Balances are parts of a whole that grows and shrinks.
contract RebasingToken is OpenToken("REB") {
    uint256 public percent = 100;

    function rebase(uint256 percent_) external {
        percent = percent_;
    }

    function balanceOf(address account) public view override returns (uint256) {
        return super.balanceOf(account) * percent / 100;
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount * 100 / percent);
    }
}

/// @dev Takes deposits, and says no by returning false when it should pay.
contract MeanToken is OpenToken("MEAN") {
    function transfer(address, uint256) public pure override returns (bool) {
        return false;
    }
}

/// @dev Keeps a fee of what is paid out, not of what comes in.
contract ExitFeeToken is OpenToken("EXIT") {
    function transfer(address to, uint256 amount) public override returns (bool) {
        _transfer(msg.sender, address(0xfee), amount / 100);
        return super.transfer(to, amount - amount / 100);
    }
}

/// @notice Tokens of every kind, from listing to payout.
contract TokensTest is Base {
    address private constant A = address(0xa1);
    address private constant B = address(0xb2);
    uint256 private id;

    function setUp() public override {
        super.setUp();
        id = issue(goodClaim());
        (address[] memory payees, uint32[] memory shares) = (new address[](2), new uint32[](2));
        (payees[0], payees[1], shares[0], shares[1]) = (A, B, 333_333, 666_667);
        vm.startPrank(admin);
        split.setShares(PROJECT, payees, shares);
        split.setShares(OTHER_PROJECT, payees, shares);
        vm.stopPrank();
        vm.prank(seller);
        registry.setApprovalForAll(address(sale), true);
    }

    function allow(OpenToken token) private {
        vm.startPrank(admin);
        split.setTokenAllowed(address(token), true);
        sale.setTokenAllowed(address(token), true);
        vm.stopPrank();
    }

    function put(OpenToken token, bytes32 projectId, uint256 amount) private {
        token.mint(stranger, amount);
        vm.startPrank(stranger);
        token.approve(address(split), amount);
        split.deposit(projectId, address(token), amount);
        vm.stopPrank();
    }

    /// @dev Sells `kg` at 12,345 yen a tonne in a token of so many places, pays both payees, and counts to the unit.
    function sellIn(uint8 places, uint64 kg, uint256 expectedCost) private {
        DecimalToken token = new DecimalToken(places);
        allow(token);
        uint96 price = uint96(12_345 * 10 ** places);
        vm.prank(seller);
        uint256 listing = sale.list(id, kg, address(token), price);
        uint256 cost = sale.quote(listing, kg);
        vm.assertEq(cost, expectedCost, "the quote");
        token.mint(buyer, cost);
        vm.prank(buyer);
        token.approve(address(sale), cost);
        vm.prank(buyer);
        vm.assertEq(sale.buy(listing, kg, cost, block.timestamp), cost, "as quoted");
        vm.assertEq(token.balanceOf(buyer), 0, "no unit more");
        uint256 paid;
        if (cost * 333_333 >= 1_000_000) paid += split.claimFor(PROJECT, address(token), A);
        if (cost * 666_667 >= 1_000_000) paid += split.claimFor(PROJECT, address(token), B);
        vm.assertEq(token.balanceOf(A), cost * 333_333 / 1_000_000, "A");
        vm.assertEq(token.balanceOf(B), cost * 666_667 / 1_000_000, "B");
        vm.assertEq(token.balanceOf(address(split)), cost - paid, "the remainder stays");
        vm.assertLt(cost - paid, 2, "less than the payees");
    }

    function test_a_kilogram_in_whole_yen_costs_the_next_yen() public {
        sellIn(0, 1, 13); // 12.345
        sellIn(0, 999, 12_333); // 12,332.655
        sellIn(0, 1_000, 12_345);
    }

    function test_a_kilogram_in_six_places_is_exact() public {
        sellIn(6, 1, 12_345_000);
        sellIn(6, 7, 86_415_000);
    }

    function test_a_kilogram_in_eighteen_places_is_exact() public {
        sellIn(18, 1, 12.345 ether);
        sellIn(18, 31_201, 385_176.345 ether);
    }

    function test_any_places_and_kilograms_add_up(uint8 places, uint64 kg) public {
        places = uint8(bound(places, 0, 18));
        kg = uint64(bound(kg, 1, 900_000));
        sellIn(places, kg, (uint256(kg) * 12_345 * 10 ** places + 999) / 1_000);
    }

    // ---------------------------------------------------------------- rebasing

    function test_a_rebasing_token_is_refused_by_not_being_on_the_list() public {
        RebasingToken token = new RebasingToken();
        token.mint(stranger, 1_000);
        vm.startPrank(stranger);
        token.approve(address(split), 1_000);
        vm.expectRevert(abi.encodeWithSelector(RevenueSplit.Token_NotAllowed.selector, address(token)));
        split.deposit(PROJECT, address(token), 1_000);
        vm.stopPrank();
    }

    function test_growth_of_a_rebasing_token_let_in_by_mistake_is_nobody_s() public {
        RebasingToken token = new RebasingToken();
        allow(token);
        put(token, PROJECT, 1_000);
        token.rebase(200);
        vm.assertEq(split.claimable(PROJECT, address(token), A), 333, "A as booked");
        split.claimFor(PROJECT, address(token), A);
        split.claimFor(PROJECT, address(token), B);
        vm.assertLe(1_000, token.balanceOf(address(split)), "the growth stays");
    }

    function test_shrinking_of_a_rebasing_token_let_in_by_mistake_harms_no_other_token() public {
        RebasingToken token = new RebasingToken();
        allow(token);
        fund(stranger, 1_000, address(split));
        vm.prank(stranger);
        split.deposit(PROJECT, address(yen), 1_000);
        put(token, PROJECT, 1_000);
        token.rebase(50);
        vm.expectRevert(); // the token's own refusal: 666 of 500
        split.claimFor(PROJECT, address(token), B);
        vm.assertEq(split.claimed(PROJECT, address(token), B), 0, "B's claim stands");
        vm.assertEq(split.claimFor(PROJECT, address(token), A), 333, "who can be paid is paid");
        token.rebase(100);
        vm.assertEq(split.claimFor(PROJECT, address(yen), B), 666, "yen are all there");
    }

    // ---------------------------------------------------------------- tokens that do not pay out

    function test_a_payout_that_a_token_denies_by_false_stays_due() public {
        MeanToken token = new MeanToken();
        allow(token);
        put(token, PROJECT, 1_000);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token)));
        split.claimFor(PROJECT, address(token), A);
        vm.assertEq(split.claimable(PROJECT, address(token), A), 333, "still due");
        vm.assertEq(split.claimed(PROJECT, address(token), A), 0, "not booked as paid");
    }

    function test_a_fee_on_the_way_out_is_the_payee_s_and_takes_from_nobody_else() public {
        ExitFeeToken token = new ExitFeeToken();
        allow(token);
        put(token, PROJECT, 1_000);
        vm.assertEq(split.claimFor(PROJECT, address(token), A), 333, "what left the split");
        vm.assertEq(token.balanceOf(A), 330, "what came");
        vm.assertEq(split.claimFor(PROJECT, address(token), B), 666, "B's is untouched");
        vm.assertEq(token.balanceOf(address(split)), 1, "the remainder");
    }

    function test_a_buyer_without_money_gets_nothing() public {
        OpenToken token = new OpenToken("POOR");
        allow(token);
        vm.prank(seller);
        uint256 listing = sale.list(id, 1_000, address(token), 5_000);
        vm.prank(buyer);
        token.approve(address(sale), 5_000);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, buyer, 0, 5_000));
        vm.prank(buyer);
        sale.buy(listing, 1_000, 5_000, block.timestamp);
        vm.assertEq(registry.balanceOf(buyer, id), 0, "credits");
    }
}
