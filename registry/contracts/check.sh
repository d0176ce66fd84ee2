#!/bin/sh
# Everything that must hold of the contracts: pinned packages, artifacts that come from these sources, formatting, tests,
# and gas figures that are those committed. Needs Node 20 or later and npm.
set -eu
cd "$(dirname "$0")"

npm ci --no-audit --no-fund --loglevel=error
if grep -q '"resolved"' package-lock.json; then
    echo "package-lock.json names a package host: remove its \"resolved\" fields" >&2
    exit 1
fi
node build.mjs --check
# The binary itself: the launcher in node_modules/.bin exits 0 whatever forge says.
forge=$(find node_modules/@foundry-rs/forge-*/bin -type f -name 'forge*' | head -n 1)
[ -n "$forge" ] || { echo "no forge for this platform among the npm packages" >&2; exit 1; }
"$forge" fmt --check
committed=$(cat snapshots/Gas.json)
"$forge" test
if [ "$committed" != "$(cat snapshots/Gas.json)" ]; then
    echo "Gas figures differ from snapshots/Gas.json as committed; if that is meant, commit the file forge has written." >&2
    exit 1
fi
node gas.mjs
