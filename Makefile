# Everything a developer or a visitor runs. Each target prints a summary and fails loudly.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
OCPP   ?= 2.0.1
ONCE   ?=
JSON   ?=
STAMP  := $(VENV)/.installed
DEV    := $(VENV)/.installed-dev

.PHONY: run test check format lint types architecture cover bench fuzz evaluate soak powercut updaters can clean

## run: install, and show one charging session on the simulated board (ONCE=1, OCPP=1.6|2.0.1)
run: $(STAMP)
	@$(BIN)/pilotwire demo --ocpp $(OCPP) $(if $(ONCE),--once)

## test: install, and run the test suite
test: $(DEV)
	$(BIN)/pytest -q -n auto

## check: everything a commit must pass
check: $(DEV) lint types architecture cover
	@echo "check: format, lint, types, architecture, tests and coverage are fine"

format: $(DEV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(DEV)
	$(BIN)/mypy

architecture: $(DEV)
	$(BIN)/lint-imports

cover: $(DEV)
	$(BIN)/pytest -q -n auto --cov --cov-report=
	$(BIN)/python -m tests.support.gates

## bench: ratios against named peers, measured in the same run (JSON=file writes them)
bench: $(DEV)
	$(BIN)/python -m tests.benchmarks $(if $(JSON),--json $(JSON))

## fuzz: new random frames in every state, many of them (EXAMPLES per state: tests/conftest.py)
fuzz: $(DEV)
	$(BIN)/pytest -q -n auto --hypothesis-profile=fuzz tests/fuzz

## powercut: kill the real process in real sessions (ROUNDS=50), cut every scenario (CUTS=400)
powercut: $(DEV)
	$(BIN)/python -m tests.powercut --rounds $(or $(ROUNDS),50) --cuts $(or $(CUTS),400)

## updaters: RAUC, SWUpdate, and the agent in its unit, in a systemd container (needs root; else says so)
updaters: $(DEV)
	$(BIN)/python -m tests.updaters

## can: CAN lines and power modules on the kernel's SocketCAN, in a small machine if need be (root)
can: $(DEV)
	$(BIN)/python -m tests.can

## evaluate: random sets of profiles against a second, slow evaluator (SETS=20000)
evaluate: $(DEV)
	$(BIN)/python -m tests.core.smart_charging.test_evaluators --sets $(or $(SETS),20000)

## soak: virtual days of random vehicles, tokens, outages and faults (DAYS=30, SITE_DAYS=30)
soak: $(DEV)
	$(BIN)/python -m tests.simulation --days $(or $(DAYS),30) --site-days $(or $(SITE_DAYS),30)

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache var

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml | $(VENV)/bin/python
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(DEV): pyproject.toml | $(VENV)/bin/python
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@ $(STAMP)
