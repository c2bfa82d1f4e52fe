# `make help` lists the targets. PYTHON is used once, to make the virtual environment.
PYTHON ?= python3
VENV ?= .venv
JOBS ?= 2
# one more than processors: some tests wait, for time or for processes of theirs
WORKERS := $(shell expr $(JOBS) + 1)
# An index that torch is installed from, such as that of its CPU build. Empty: pip's own.
TORCH_INDEX ?=
CRF ?= 28
SECONDS ?= 60
BIN := $(VENV)/bin
PROGRAM := $(VENV)/.program
INSTALLED := $(VENV)/.installed
KERNELS := $(VENV)/.kernels

# modules that were compiled once are there for every process that the tests start
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
# docs/commands.md is made by a program
PAGES = $(filter-out docs/commands.md,$(wildcard *.md docs/*.md docs/design/*.md tools/*.md \
	weights/*.md tests/*/*.md tests/*/*/*.md))

# where tests are asked for too, their kernels are compiled beside the checks, and once for all
# workers the modules that they load
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
BESIDE := $(if $(filter test test-all,$(MAKECMDGOALS)),$(KERNELS) modules)

.PHONY: help venv install kernels demo compare test test-all fuzz test-versions check format docs
.PHONY: site train dist clean style types pages modules

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "vqcodec needs Python 3.11 or later, and $(PYTHON) is" \
	"$$($(PYTHON) -V 2>/dev/null || echo not there):" \
	"name another, as in  make $(or $(MAKECMDGOALS),install) PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

venv: $(BIN)/python ## Make the virtual environment in .venv.

# modules are compiled when they are imported, not all that pip brings
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-compile -c constraints.txt

$(PROGRAM): pyproject.toml constraints.txt | $(BIN)/python
ifneq ($(TORCH_INDEX),)
	$(PIP) torch --index-url $(TORCH_INDEX)
else ifeq ($(shell uname -s),Linux)
	@echo "torch comes from pip's own index; where that is PyPI, it is the CUDA build, which takes" \
	"gigabytes more than the CPU build: README.md, Installing, says how to have that"
endif
	$(PIP) -e .
	@touch $@

# the program itself stays as it is while it compiles its kernels
$(INSTALLED): $(PROGRAM)
	$(PIP) -q 'vqcodec[test]'
	@touch $@

install: $(INSTALLED) ## Install the program and the test tools into .venv.

$(KERNELS): $(PROGRAM)
	$(BIN)/vqcodec kernels
	@touch $@

kernels: $(KERNELS) ## Compile the kernels; their cache makes every later start quick.

# the tools of `make test` are installed while the kernels are compiled: then both work offline
demo: ## Encode and decode a clip, show the figures: IN=your.mp4 CRF=28.
	+@$(MAKE) --no-print-directory --jobs=2 $(KERNELS) $(INSTALLED)
	$(BIN)/python tools/demo.py --crf $(CRF) $(if $(IN),"$(IN)")

compare: $(INSTALLED) $(KERNELS) ## Show a frame beside x264 at the same size: IN=your.mp4 CRF=32.
	$(BIN)/python tools/compare.py $(if $(filter-out file default,$(origin CRF)),--crf $(CRF)) \
	$(if $(IN),"$(IN)")

test: $(INSTALLED) $(KERNELS) ## Run the tests but the slow ones.
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal

test-all: $(INSTALLED) $(KERNELS) ## Run all tests.
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m ""

test-versions: ## Run the fast tests with the lowest and the newest versions of all dependencies.
	TORCH_INDEX=$(TORCH_INDEX) $(PYTHON) tools/versions.py --venv $(VENV) --jobs $(JOBS)

fuzz: $(INSTALLED) $(KERNELS) ## Try changed files on all that reads them: SECONDS=600.
	FUZZ_SECONDS=$(SECONDS) $(BIN)/python -m pytest -q -s -o timeout=0 tests/fuzzing/fuzz.py

check: $(INSTALLED) ## Check format, lint, types and pages.
	+@$(MAKE) --no-print-directory --jobs=$(JOBS) $(SYNC) style $(BESIDE) types pages

style: $(INSTALLED)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports --no-cache

types: $(INSTALLED)
	$(BIN)/mypy

pages: $(INSTALLED)
	$(BIN)/mdformat --check $(PAGES)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q --strict

modules: $(INSTALLED)
	@$(BIN)/python -m pytest -q --collect-only -p no:xdist >/dev/null

format: $(INSTALLED) ## Format the code and sort its imports.
	$(BIN)/ruff check --select I --fix
	$(BIN)/ruff format
	$(BIN)/mdformat $(PAGES)

docs: $(INSTALLED) ## Write docs/commands.md from the program.
	$(BIN)/python tools/commands.py

train: $(INSTALLED) ## Train a model: CONFIG=file.
	@test -n "$(CONFIG)" || { echo "usage: make train CONFIG=file" >&2; exit 2; }
	$(BIN)/vqcodec train "$(CONFIG)"

site: $(INSTALLED) ## Write the documentation as a site into site/, its links checked.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q --strict

dist: $(INSTALLED) ## Build the wheel and the source archive into dist/.
	$(PIP) -q build
	rm -rf dist
	$(BIN)/python -m build

clean: ## Remove everything that was made, but not .venv.
	rm -rf build dist demo site .pytest_cache .mypy_cache .ruff_cache *.egg-info
	find vqcodec tests tools examples -name __pycache__ -prune -exec rm -rf {} +
	rm -f $(KERNELS)
