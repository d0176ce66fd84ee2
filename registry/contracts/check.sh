#!/bin/sh
# Everything that must hold of the contracts: pinned packages, artifacts that come from these sources, formatting, tests with
# long invariant runs, gas figures that are those committed, every branch taken, nothing that slither finds unexplained.
# Needs Node 20 or later and npm. While you work: FOUNDRY_PROFILE=default ./check.sh, with short invariant runs and without
# coverage and slither.
# slither needs Python and a download: it is left out unless it is installed here (assurance/slither.sh) or all is wanted
# (SATOYAMA_REQUIRE_ALL, as in CI).
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
profile=${FOUNDRY_PROFILE:-ci}
coverage=
if [ "$profile" = ci ]; then
    # Minutes of one core, nearly all in the compiler: beside the tests.
    mkdir -p cache
    assurance/coverage.sh >cache/coverage.log 2>&1 &
    coverage=$!
    trap 'kill $coverage 2>/dev/null || true' EXIT
fi
committed=$(cat snapshots/Gas.json)
FOUNDRY_PROFILE=$profile "$forge" test
if [ "$committed" != "$(cat snapshots/Gas.json)" ]; then
    echo "Gas figures differ from snapshots/Gas.json as committed; if that is meant, commit the file forge has written." >&2
    exit 1
fi
node gas.mjs
[ -n "$coverage" ] || exit 0
if [ -n "${SATOYAMA_REQUIRE_ALL:-}" ] || [ -e ../../.ci-tools/slither/installed.txt ]; then
    assurance/slither.sh
else
    echo "slither: left out (assurance/slither.sh installs and runs it)"
fi
covered=0
wait "$coverage" || covered=$?
trap - EXIT
cat cache/coverage.log
exit "$covered"
