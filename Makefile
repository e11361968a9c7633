# Both start from nothing on a machine with Python 3.11 and make, and cost nothing again.
PROFILE ?= quick
VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(shell command -v python3.11 || command -v python3)

.PHONY: help setup reproduce test lint search clean

help:
	@echo "make reproduce [PROFILE=quick]  run the study: results/, figures/, verdicts"
	@echo "make test                       set up and pass the tests"
	@echo "make setup                      build .venv from requirements.lock"
	@echo "make search                     the search for the settings of each arm"
	@echo "make clean                      remove .venv and caches (results stay)"

# The stamp comes last: an interrupted installation is taken up again.
$(VENV)/.stamp: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "Python 3.11 is needed, found: $$($(PYTHON) --version 2>&1)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -r requirements.lock
	$(BIN)/pip install --quiet --no-deps -e .
	touch $@

setup: $(VENV)/.stamp

reproduce: setup
	$(BIN)/python -m xbmlib.study $(PROFILE)

search: setup
	$(BIN)/python -m xbmlib.study.search

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check xbmlib tests tools
	$(BIN)/mypy

test: lint
	$(BIN)/pytest

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache *.egg-info
