// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {RevenueSplit} from "../../src/RevenueSplit.sol";

/// @dev A contract account whose signatures one key makes.
contract Wallet1271 {
    address private immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        return ECDSA.recoverCalldata(digest, signature) == owner ? this.isValidSignature.selector : bytes4(0);
    }
}

/// @dev Takes ERC-1155 tokens, and on receiving them makes one prepared call, whose outcome it keeps.
contract CallingReceiver {
    address private target;
    bytes private data;
    bool public called;
    bool public succeeded;
    bytes public answer;

    function prepare(address target_, bytes calldata data_) external {
        target = target_;
        data = data_;
    }

    function onERC1155Received(address, address, uint256, uint256, bytes calldata) external returns (bytes4) {
        if (target != address(0)) {
            called = true;
            (succeeded, answer) = target.call(data);
        }
        return this.onERC1155Received.selector;
    }

    function call(address to, bytes calldata what) external returns (bytes memory) {
        (bool ok, bytes memory out) = to.call(what);
        if (!ok) {
            assembly ("memory-safe") {
                revert(add(out, 0x20), mload(out))
            }
        }
        return out;
    }
}

/// @dev A contract that knows nothing of ERC-1155.
contract DeafContract {}

contract OpenToken is ERC20 {
    constructor(string memory name) ERC20(name, name) {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @dev Keeps one part in a hundred of every transfer.
contract FeeToken is OpenToken("FEE") {
    function _update(address from, address to, uint256 amount) internal override {
        if (from == address(0)) return super._update(from, to, amount);
        super._update(from, to, amount - amount / 100);
        super._update(from, address(0xfee), amount / 100);
    }
}

/// @dev Refuses transfers to and from whom it does not like.
contract BlockingToken is OpenToken("BLK") {
    mapping(address => bool) public blocked;

    function setBlocked(address account, bool yes) external {
        blocked[account] = yes;
    }

    function _update(address from, address to, uint256 amount) internal override {
        require(!blocked[from] && !blocked[to], "blocked");
        super._update(from, to, amount);
    }
}

/// @dev Returns nothing from transfers, as some old stablecoins do.
contract SilentToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @dev Says no by returning false.
contract FalseToken is OpenToken("NO") {
    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return false;
    }
}

/// @dev Calls back before it moves the money of a deposit.
contract HookToken is OpenToken("HOOK") {
    address private target;
    bytes private data;
    bool public succeeded;

    /// @dev For the next movement only.
    function prepare(address target_, bytes calldata data_) external {
        target = target_;
        data = data_;
        succeeded = false;
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        _hook();
        return super.transferFrom(from, to, amount);
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        _hook();
        return super.transfer(to, amount);
    }

    function _hook() private {
        address once = target;
        if (once == address(0)) return;
        target = address(0);
        (succeeded,) = once.call(data);
    }
}
