#!/bin/sh
# Branch coverage of src/ by the unit and fuzz tests; fails when a branch is never taken. Some four minutes, nearly all of
# them the compiler's, since each test then embeds the contracts.
# forge counts the body of every `if`, both ways of an if-else and of try-catch; not the operands of && and ||, nor an
# `if` that is passed by: those are the mutation test's.
set -eu
cd "$(dirname "$0")/.."

forge=$(find node_modules/@foundry-rs/forge-*/bin -type f -name 'forge*' | head -n 1)
report=cache/coverage.info
mkdir -p cache
# --ir-minimum: without the IR pipeline the compiler runs out of stack. The invariants would only take time, and
# gas and artifacts are those of the optimised code.
export FOUNDRY_OUT=cache/coverage-out FOUNDRY_CACHE_PATH=cache/coverage-cache FOUNDRY_FUZZ_RUNS=16
if ! output=$("$forge" coverage --ir-minimum --no-match-coverage '^(test|node_modules)/' \
    --no-match-path 'test/{*Gas,Artifacts,*Invariants}.t.sol' --report lcov --report-file "$report" 2>&1); then
    echo "$output" >&2
    exit 1
fi
node assurance/coverage.mjs "$report"
