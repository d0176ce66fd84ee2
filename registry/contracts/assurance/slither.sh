#!/bin/sh
# Static analysis by slither, in a virtual environment of its own. Fails on a finding that slither-allowed.json does not
# explain, and on an explanation that nothing needs any more. Needs Python 3.11 or later; about a minute and a half.
# To renew the lock: echo slither-analyzer==VERSION | uv pip compile - --universal --generate-hashes --no-emit-index-url \
#   --no-header --python-version 3.11 -o assurance/slither-requirements.txt
set -eu
cd "$(dirname "$0")/.."

venv=${SLITHER_VENV:-../../.ci-tools/slither}
lock=assurance/slither-requirements.txt
if ! cmp -s "$lock" "$venv/installed.txt"; then
    "${PYTHON:-python3}" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$lock"
    cp "$lock" "$venv/installed.txt"
fi
venv=$(cd "$venv" && pwd)
forge=$(find node_modules/@foundry-rs/forge-*/bin -type f -name 'forge*' | head -n 1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# forge compiles, with our compiler; slither reads what forge wrote. The rewriting of tests would put files into the build
# that do not exist.
export FOUNDRY_DYNAMIC_TEST_LINKING=false FOUNDRY_LINT_LINT_ON_BUILD=false
export FOUNDRY_OUT="$work/out" FOUNDRY_CACHE_PATH="$work/cache"
"$forge" build --build-info src >"$work/build.log" || { cat "$work/build.log" >&2; exit 1; }
# slither asks `forge config`; its exit status counts findings, which the next line judges.
PATH="$PWD/$(dirname "$forge"):$PATH" "$venv/bin/slither" . --foundry-ignore-compile --foundry-out-directory "$work/out" \
    --filter-paths node_modules --json "$work/findings.json" >"$work/slither.log" 2>&1 || true
[ -s "$work/findings.json" ] || { cat "$work/slither.log" >&2; exit 1; }
node assurance/slither.mjs "$work/findings.json"
