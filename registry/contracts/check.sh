#!/bin/sh
# Everything that must hold of the contracts: pinned packages, artifacts that come from these sources, formatting, tests,
# and gas figures no higher than those committed. Needs Node 20 or later and npm.
set -eu
cd "$(dirname "$0")"

npm ci --no-audit --no-fund --silent
if grep -q '"resolved"' package-lock.json; then
    echo "package-lock.json names a package host: remove its \"resolved\" fields" >&2
    exit 1
fi
node build.mjs --check
PATH="$PWD/node_modules/.bin:$PATH"
forge fmt --check
committed=$(cat snapshots/Gas.json)
forge test
if [ "$committed" != "$(cat snapshots/Gas.json)" ]; then
    echo "Gas figures differ from snapshots/Gas.json as committed; if that is meant, commit the file forge has written." >&2
    exit 1
fi
node gas.mjs
