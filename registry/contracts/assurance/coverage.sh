#!/bin/sh
# Branch coverage of src/ by the unit and fuzz tests; fails when a branch is never taken. About a minute.
# forge counts the body of every `if`, both ways of an if-else and of try-catch; not the operands of && and ||, nor an
# `if` that is passed by: those are the mutation test's.
set -eu
cd "$(dirname "$0")/.."

forge=$(find node_modules/@foundry-rs/forge-*/bin -type f -name 'forge*' | head -n 1)
report=$(mktemp)
trap 'rm -f "$report"' EXIT
# --ir-minimum: without the IR pipeline the compiler runs out of stack. The invariants would only take time, and
# gas and artifacts are those of the optimised code.
if ! "$forge" coverage --ir-minimum --no-match-coverage '^(test|node_modules)/' --no-match-path 'test/{*Gas,Artifacts,*Invariants}.t.sol' \
    --report lcov --report-file "$report" >"$report.log" 2>&1; then
    cat "$report.log" >&2
    rm -f "$report.log"
    exit 1
fi
rm -f "$report.log"
node assurance/coverage.mjs "$report"
