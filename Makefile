# Two commands do all the set-up: `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV   ?= .venv
BIN     = $(VENV)/bin
STAMP   = $(VENV)/.installed
OUT    ?= out/demo
ARGS   ?=

.PHONY: help demo test lint types imports contracts bench gas lock wheel clean

help:            ## say what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

$(STAMP): requirements/all.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed / Python 3.11 以上が必要です: $$($(PYTHON) -V)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/all.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP)   ## a simulated survey becomes a credit, a sale, and money at the co-op
	$(BIN)/python -m apps.demo --out $(OUT) $(ARGS)

test: $(STAMP)   ## the tests; parts that are not installed are skipped with the reason
	$(BIN)/python -m pytest $(ARGS)

lint: $(STAMP)   ## style of the Python code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## strict types of models, mrv and registry
	$(BIN)/mypy

imports: $(STAMP) ## the one-way import contract
	$(BIN)/lint-imports

contracts:       ## rebuild the contracts, compare with the committed artifacts, run the forge tests (needs Node)
	bash registry/contracts/check.sh

$(VENV)/.bench: $(STAMP) requirements/bench.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/bench.txt
	@touch $@

BENCHMARKS = $(filter-out turns coverage_% faults_%,$(basename $(notdir $(wildcard benchmarks/*.py))))
bench: $(VENV)/.bench ## every benchmark, as a ratio to its peer (ARGS=--quick: each within 50 s)
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py $(ARGS) || exit 1; done

gas: $(STAMP)    ## gas of every act on the chain, beside its peers
	$(BIN)/python benchmarks/gas.py $(ARGS)

lock:            ## write the lock files anew (needs uv)
	uv pip compile -q pyproject.toml --all-extras --group dev --universal --generate-hashes --no-emit-index-url --no-header -o requirements/all.txt
	uv pip compile -q pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header -o requirements/base.txt
	uv pip compile -q --group bench -c requirements/all.txt --universal --generate-hashes --no-emit-index-url --no-header -o requirements/bench.txt

wheel: $(STAMP)  ## the wheel that a buyer verifies with
	$(BIN)/python -m hatchling build -t wheel -d dist

clean:           ## remove what was made here
	rm -rf $(VENV) out dist build .pytest_cache .mypy_cache .ruff_cache
