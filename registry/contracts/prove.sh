#!/bin/sh
# Proves the properties in proofs/ by symbolic execution (halmos) and SMT solvers: yices for packing and schedule, cvc5
# for the split's arithmetic. Needs what check.sh needs, and Python 3.11 or later; makes a virtual environment of its own
# (HALMOS_VENV, by default cache/halmos-venv) with the pinned packages of proofs/requirements.txt.
#   ./prove.sh              all proofs, a minute or two
#   ./prove.sh NAME         those of one contract, e.g. SplitProofs
set -eu
cd "$(dirname "$0")"

venv=${HALMOS_VENV:-$PWD/cache/halmos-venv}
if [ ! -x "$venv/bin/halmos" ]; then
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --require-hashes -r proofs/requirements.txt
fi
forge=$(find "$PWD"/node_modules/@foundry-rs/forge-*/bin -type f -name 'forge*' | head -n 1)
[ -n "$forge" ] || { echo "no forge for this platform among the npm packages: run npm ci" >&2; exit 1; }
PATH=$(dirname "$forge"):$venv/bin:$PATH
export PATH FOUNDRY_TEST=proofs FOUNDRY_OUT=cache/proofs FOUNDRY_CACHE_PATH=cache/proofs-cache
export FOUNDRY_DYNAMIC_TEST_LINKING=false # halmos has no deployCode

# A solver that does not answer in time is no proof: halmos then ends with a status other than 0, and so does this.
prove() {
    halmos --forge-build-out cache/proofs --no-status --solver-timeout-branching 1000ms --solver-timeout-assertion 60s "$@"
}
case ${1:-all} in
    all)
        prove --match-contract '^(Packing|Schedule)Proofs$'
        prove --match-contract '^Split.*Proofs$' --solver-command "$venv/bin/python $PWD/proofs/cvc5_solver.py"
        ;;
    Split*) prove --contract "$1" --solver-command "$venv/bin/python $PWD/proofs/cvc5_solver.py" ;;
    *) prove --contract "$1" ;;
esac
