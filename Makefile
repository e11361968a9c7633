# `make reproduce` and `make test` start from nothing on a machine with Python and make, and cost
# nothing again.
PROFILE ?= full
CORES ?= all
VENV := .venv
BIN := $(VENV)/bin
# The first Python that can build the environment; or `make PYTHON=/path/to/python3.11`. 3.11 comes
# first: the committed results were made on it.
SUITS := import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON = $(shell for python in python3.11 python3.12 python3.13 python3; do \
  $$python -c '$(SUITS)' 2>/dev/null && { command -v $$python; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help setup reproduce sweep report test lint pytest search verify bench storm clean

help:
	@echo "make reproduce [PROFILE=full]   run the study: results/, figures/, verdicts"
	@echo "make reproduce PROFILE=paper DATA=/folder  the same on SOP, In-shop and VehicleID (GPU)"
	@echo "make sweep [CORES=all]          the same by Snakemake: killed, it goes on where it stopped"
	@echo "make report [PROFILE=full]      the study as a site that opens from disk: build/report"
	@echo "make test                       set up, lint, check the types, pass the tests"
	@echo "make lint                       set up, lint and check the types"
	@echo "make pytest                     set up and pass the tests"
	@echo "make setup                      build .venv from requirements.lock"
	@echo "make search                     the search for the settings of each arm"
	@echo "make verify                     train some stored runs anew and compare: 5 minutes"
	@echo "make bench                      measure results/benchmarks*.csv, cost, input, scaling, waiting: 25 minutes"
	@echo "make storm                      kill, fill up and damage it at random: results/storm.csv, 20 minutes"
	@echo "make clean                      remove .venv and caches (results stay)"

# The stamp is the lock that .venv was built from, and comes last. Where there is none, or another,
# .venv is cleared: pip takes what an interrupted installation left behind for installed, and keeps
# what a new lock no longer names. ipykernel brings the kernel `python3` along.
$(VENV)/.stamp: requirements.lock pyproject.toml
	@cmp -s requirements.lock $@ || "$(or $(PYTHON),false)" -c '$(SUITS)' 2>/dev/null || { \
	  echo "Python 3.11, 3.12 or 3.13 with venv is needed (Debian, Ubuntu: python3.11-venv);" \
	    "none of python3.11, python3.12, python3.13, python3 is one. Elsewhere:" \
	    "make PYTHON=/path/to/it" >&2; \
	  exit 1; }
	@if ! cmp -s requirements.lock $@; then \
	  echo "Building $(VENV) from requirements.lock: several GB, some minutes" && \
	  "$(PYTHON)" -m venv --clear $(VENV) && \
	  $(BIN)/python -m pip install --quiet -r requirements.lock; \
	fi
	$(BIN)/python -m pip install --quiet --no-deps -e .
	@cp requirements.lock $@

setup: $(VENV)/.stamp

reproduce: setup
	$(BIN)/python -m xbmlib.study $(PROFILE) $(if $(DATA),--data "$(DATA)")

# On a cluster of several machines: workflow/profiles/slurm.
sweep: setup
	$(if $(DATA),XBM_DATA="$(DATA)") $(BIN)/snakemake --cores $(CORES) --snakefile workflow/Snakefile --config profile=$(PROFILE)

report: reproduce
	$(BIN)/python -m xbmlib.report $(PROFILE)

search: setup
	$(BIN)/python -m xbmlib.study.search

# Each figure is a ratio within this one run: leave the machine to it.
bench: setup
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.cost
	$(BIN)/python -m benchmarks.input
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.waiting

verify: setup
	$(BIN)/python -m xbmlib.study.verify

# Faults of every kind from one seed; `python -m tools.storm --help` for a part of them.
storm: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m tools.storm

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check xbmlib tests tools benchmarks
	$(BIN)/mypy

# Beside each other: the type checker keeps one core busy for a while, the tests take what is left.
test: setup
	@$(MAKE) --no-print-directory --jobs=2 lint pytest

# The tests of a file share what they train, and stay together; files run side by side, in the order
# of tests/conftest.py.
pytest: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
