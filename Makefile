# One place for every command of the project; CI calls the same targets. `make help` lists them.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?=
SOURCES := gaia gaia_core gaia_worker gaia_client
DECIDES := tests/unit/workflow tests/unit/scheduling tests/unit/machine
export PYTHONPATH := $(CURDIR)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help venv dev demo check test lint types layers format protos protos-check unit coverage hunt chaos services flood wheel bench lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-14s %s\n", $$1, $$2 }'

# ---- what users type ----

demo: venv ## Set up in this folder and run the weather example
	@$(BIN)/gaia demo

test: dev lint types layers protos-check unit coverage services ## Everything: static checks and tests, on real Kafka, MinIO and Docker

check: dev lint types layers unit ## The fast part: no services

BENCH ?=

bench: dev ## All benchmarks, into docs/performance.md; BENCH='--quick' takes a look, BENCH='--only NAME …' some
	@$(BIN)/python -m tests.support.engine start
	@$(BIN)/python -m benchmarks $(BENCH); code=$$?; $(BIN)/python -m tests.support.engine stop; exit $$code

# ---- environments: made once, made again when the lock changes ----

$(VENV)/bin/python:
	@deploy/make-venv $(VENV) $(PYTHON)

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing Gaia and its libraries into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/runtime.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.runtime
	@echo "Installing the tools for tests and checks into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.lock
	@touch $@

venv: $(VENV)/.runtime ## Install what users need into .venv

dev: $(VENV)/.dev ## Install what developers need into .venv

lock: $(VENV)/.dev ## Resolve the libraries anew and pin them
	@$(BIN)/python -m uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--python-version 3.11 --extra all pyproject.toml requirements/build.in -o requirements/runtime.lock
	@$(BIN)/python -m uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
		--python-version 3.11 --extra all --group dev pyproject.toml requirements/build.in -o requirements/dev.lock

# ---- static checks ----

lint: dev ## ruff, buf lint
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@cd protos && ../$(BIN)/buf lint

types: dev ## mypy --strict
	@$(BIN)/mypy

layers: dev ## import-linter
	@$(BIN)/lint-imports --no-cache

format: dev ## Format the code
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

protos: dev ## Generate code from protos/
	@$(BIN)/python -m tests.support.protos .

protos-check: dev ## Fail when the generated code is not what protos/ gives
	@$(BIN)/python -m tests.support.protos --check .

# ---- tests ----

unit: dev ## Tests that need no services
	@$(BIN)/python -m pytest -q tests/unit tests/guard tests/property tests/scenarios tests/golden tests/chaos

coverage: dev ## Fail unless tests take every branch of the part that decides
	@$(BIN)/python -m coverage run -m pytest -q $(DECIDES)
	@$(BIN)/python -m coverage report

hunt: dev ## The machine against its oracle, 10,000 examples: an hour and more
	@HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -q tests/property

MINUTES ?= 30

chaos: dev ## Simulated schedules with fresh seeds for MINUTES (30), then real processes and containers in trouble as long
	@$(BIN)/python -m tests.chaos.simulate --minutes $(MINUTES)
	@$(BIN)/python -m tests.support.engine start
	@$(BIN)/python -m tests.support.images
	@CHAOS_S=$$(($(MINUTES) * 60)) CHAOS_EXECUTOR=docker $(BIN)/python -m pytest -q -s tests/integration/test_chaos.py; code=$$?; \
		$(BIN)/python -m tests.support.engine stop; exit $$code

services: dev ## Tests on real Kafka, MinIO and Docker, which are started and stopped here
	@$(BIN)/python -m tests.support.engine start
	@$(BIN)/python -m tests.support.images
	@$(BIN)/python -m pytest -q tests/contract tests/integration; code=$$?; \
		$(BIN)/python -m tests.support.engine stop; exit $$code

FLOOD_MB ?= 10240

flood: dev ## FLOOD_MB (10 GiB) of a program's words through each executor, without growing
	@FLOOD_MB=$(FLOOD_MB) $(BIN)/python -m pytest -q tests/contract/test_executors_limits.py -k flood

wheel: dev ## Build the wheel into dist/
	@rm -rf dist && $(BIN)/python -m build --wheel --no-isolation --outdir dist . > /dev/null && ls dist

clean: ## Remove what was built here; images stay
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
