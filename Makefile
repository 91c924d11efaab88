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
CONSOLE := $(shell find console -path console/node_modules -prune -o -type f ! -name '*.md' ! -name '*.test.ts*' -print 2>/dev/null)

.PHONY: help setup console demo dev test check fix core stories screenshots sim bench openapi generate wheel clean

help: ## list the commands
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: .venv/.ready chromium ## make the Python environment with pinned dependencies, and see to a browser for the tests

.PHONY: chromium
chromium:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	  || { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium; } \
	  || echo "There is no Chromium: the tests of the console will fail until one is installed (Debian: apt-get install chromium)"

.venv/.ready: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or later is needed: install it (Debian: apt-get install python3 python3-venv)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed; $(PYTHON) is $$($(PYTHON) --version). Say PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv module is missing (Debian: apt-get install python3-venv)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

console: console/node_modules/.ready src/callmatrix/static/index.html ## build the web console into src/callmatrix/static

.PHONY: without-node
without-node:
	@echo "There is no Node 20.19 or later here: the console is not built, the rest runs"

console/node_modules/.ready: console/package-lock.json console/.npmrc
	@command -v npm >/dev/null || { echo "Node 20.19 or later with npm is needed for the console: install it from https://nodejs.org, or your system's packages"; exit 1; }
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' || { echo "Node 20.19 or later is needed for the console; this is $$(node --version)"; exit 1; }
	cd console && npm ci --silent --no-progress --no-audit --no-fund
	@touch $@

src/callmatrix/static/index.html: $(CONSOLE) | console/node_modules/.ready
	cd console && npm run --silent build -- --logLevel warn
	@touch $@

demo: .venv/.ready $(if $(shell command -v npm),console,without-node) ## run the whole product on http://localhost:8000, with simulated callers and buyers
	$(CALLMATRIX) demo

dev: .venv/.ready ## run the server alone, on your own configuration
	$(CALLMATRIX) serve

test: setup check console ## every check and every test
	$(PYTEST) -n 2 --dist loadgroup

check: setup console/node_modules/.ready ## lint, formatting, types, layers, of the server and of the console
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd console && npm run --silent check

fix: setup ## mend what can be mended by a tool
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

core: setup ## the tests of the core alone, in seconds
	$(PYTEST) tests/core tests/stories

screenshots: setup console ## every page of the console, light and dark, wide and narrow, into screenshots/
	mkdir -p screenshots
	CALLMATRIX_SCREENSHOTS=screenshots $(PYTEST) tests/browser/test_pages.py -k no_barrier -q

stories: setup ## rewrite the expected parts of the stories, then look at the diff
	$(PYTEST) tests/stories --rewrite-stories

sim: setup ## a million simulated calls over many seeds, every promise checked
	$(CALLMATRIX) sim --million --json

bench: setup ## every benchmark, one JSON line each
	$(CALLMATRIX) bench decide --json
	$(CALLMATRIX) bench reserve --json
	$(CALLMATRIX) bench calls --json
	$(CALLMATRIX) bench storm --json
	$(CALLMATRIX) bench auction --json

openapi: setup ## print the OpenAPI document
	$(CALLMATRIX) openapi

generate: setup console/node_modules/.ready ## write the console's types anew from the server's OpenAPI document
	cd console && npm run --silent generate

wheel: setup console ## build the wheel, with the console in it, into dist/
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove what was set up (not your data in var)
	rm -rf .venv console/node_modules src/callmatrix/static dist build .mypy_cache .ruff_cache .import_linter_cache .hypothesis
