# CallMatrix. `make` lists the commands.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
CALLMATRIX := $(BIN)/callmatrix
PYTEST := $(BIN)/python -m pytest
SEED ?= 1
DAYS ?= 3

.PHONY: help setup demo dev test check fix core stories sim bench openapi wheel clean

help: ## list the commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: .venv/.ready ## make the Python environment with pinned dependencies

.venv/.ready: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or later is needed: install it (Debian: apt-get install python3 python3-venv)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version). Say PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv module is missing (Debian: apt-get install python3-venv)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: setup ## run the whole product on http://localhost:8000, with simulated callers and buyers
	$(CALLMATRIX) demo

dev: setup ## run the server alone, on your own configuration
	$(CALLMATRIX) serve

test: setup check ## every check and every test
	$(PYTEST) -n 2 --dist loadgroup

check: setup ## lint, formatting, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: setup ## mend what can be mended by a tool
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

core: setup ## the tests of the core alone, in seconds
	$(PYTEST) tests/core tests/stories

stories: setup ## rewrite the expected parts of the stories, then look at the diff
	$(PYTEST) tests/stories --rewrite-stories

sim: setup ## a million simulated calls over many seeds, every promise checked
	$(CALLMATRIX) sim --million --json

bench: setup ## every benchmark, one JSON line each
	$(CALLMATRIX) bench decide --json
	$(CALLMATRIX) bench reserve --json
	$(CALLMATRIX) bench calls --json

openapi: setup ## print the OpenAPI document
	$(CALLMATRIX) openapi

wheel: setup ## build the wheel into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove what was set up (not your data in var)
	rm -rf .venv dist build .mypy_cache .ruff_cache .import_linter_cache .hypothesis
