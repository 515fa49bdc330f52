# Everything from a fresh clone: `make demo`, `make test`, `make docs`.
# Override the interpreter with PYTHON=/path/to/python3.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install demo test lint docs clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.docs-installed

# The first interpreter that is recent enough and can make environments.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; \
	done)

# Two workers with one thread each: the threads of torch and of linear algebra would otherwise compete for the cores.
PYTEST_ARGS ?= -n 2
TEST_ENV := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

install: $(STAMP) ## Create .venv and install the package with the tested versions

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or later that can make environments (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "econllm needs Python 3.11 or later, this is " + sys.version)'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt hatchling editables
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## Estimate and compare models on the wage panel; writes output/comparison.tex, .html, .png
	$(BIN)/python vignettes/comparison_table.py

test: $(STAMP) ## Run the default tests; PYTEST_ARGS="..." replaces the options
	$(TEST_ENV) $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(STAMP) ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-build-isolation --editable '.[docs]'
	@touch $@

# Pages of the reference are written anew, so that none stays of a name that is gone. Vignettes are run again when they
# change: `make clean` first to run all of them.
docs: $(DOCS_STAMP) ## Build the site into docs/_build/html, vignettes included; SPHINX_ARGS="-D plot_gallery=0" leaves them out
	rm -rf docs/generated
	$(BIN)/python -m sphinx -b html -n -W --keep-going $(SPHINX_ARGS) docs docs/_build/html

clean: ## Remove the environment, the outputs and all caches
	rm -rf $(VENV) output build dist vignettes/output docs/_build docs/gallery docs/generated .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
