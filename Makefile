# Every target sets up what it needs. `make help` lists them; docs/contributing.md says when to use which.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev services demo serve check format test test-unit test-postgres \
	test-client test-page test-acceptance test-e2e test-faults faults bench bench-peers bench-search clean

PYTHON ?= python3
RUN := .venv/bin/python
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{ printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## everything a server and the demo need, in .venv
	@$(call require_python)
	@$(PYTHON) -m tools.setup

setup-dev: ## and what checks and tests need
	@$(call require_python)
	@$(PYTHON) -m tools.setup --dev

services: setup-dev ## Chromium, PostgreSQL and Redis for the tests, where they are missing
	@$(RUN) -m tools.services

demo: setup ## a server, a real computation being logged, and the address of its plot
	@$(RUN) manage.py demo $(ARGS)

serve: setup ## a server; make serve ARGS="--port 8080"
	@$(RUN) manage.py serve $(ARGS)

check: setup-dev ## format, lint, arrows, types, migrations, also of the page
	@$(RUN) -m tools.suite check

format: setup-dev ## let ruff format and fix what it can
	@ruff format . && ruff check --fix .

test: services ## the whole suite, stops at the first part that fails
	@$(RUN) -m tools.suite

test-unit: setup-dev ## server tests on SQLite
	@$(RUN) -m tools.suite test-unit

test-postgres: services ## the same tests on PostgreSQL
	@$(RUN) -m tools.suite test-postgres

test-client: setup-dev ## the client's tests
	@$(RUN) -m tools.suite test-client

test-page: setup-dev ## the page's tests in Node
	@$(RUN) -m tools.suite test-page

test-acceptance: services ## real server, real client, both databases
	@$(RUN) -m tools.suite test-acceptance

test-e2e: services ## real server, Chromium
	@$(RUN) -m tools.suite test-e2e

test-faults: services ## faults injected on purpose, a few of each
	@$(RUN) -m tools.suite test-faults

faults: services ## the same at full size, half an hour
	@$(RUN) -m tools.suite faults

bench-search: setup-dev ## searches among 100,000 runs; make bench-search ARGS="--runs 1000000"
	@$(RUN) -m benchmarks.search $(ARGS)

bench: setup-dev ## figures beside the machine's limits; make bench ARGS=--json
	@$(RUN) -m benchmarks.run $(ARGS)

bench-peers: setup-dev ## other products on the same work; installs them outside of here, takes an hour
	@$(RUN) -m benchmarks.peers.run $(ARGS)

clean: ## remove what set-up and tests made; data/ stays
	rm -rf .venv frontend/node_modules frontend/dist plotting/static/plotting/bundle \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

define require_python
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "Streamvis needs Python 3.11 or newer; \`$(PYTHON)\` is older or missing." \
	"Install one and name it: make PYTHON=python3.12 $@" >&2; exit 1; }
endef
