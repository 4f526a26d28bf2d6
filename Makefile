# `make demo` and `make test` set up all they need: PYTHON must be 3.11 or later.
PYTHON ?= python3
VENV ?= .venv
DEMO ?= runs/demo

bin := $(VENV)/bin
stamp := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format types unit docs compat fuzz chaos bench bench-gpu profile results build clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(stamp) ## Make the environment (.venv); does nothing while pyproject.toml is as it was.

# The stamp is newer than pyproject.toml only after an installation that went through.
$(stamp): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed, $(PYTHON) is older: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(bin)/python -m pip install --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(stamp) ## Teachers, a plain student and an ODKD student on synthetic people; writes DEMO (runs/demo).
	$(bin)/kdkit-pose demo --out $(DEMO)

test: lint types unit ## Everything that must pass: lint, types, tests; one of these builds the site.

lint: $(stamp) ## Check style and formatting.
	$(bin)/ruff check
	$(bin)/ruff format --check

format: $(stamp) ## Mend formatting, and what style checks can mend.
	$(bin)/ruff check --fix
	$(bin)/ruff format

types: $(stamp) ## Check types (mypy --strict).
	$(bin)/mypy

# A worker a core, each with one thread: tiny tensors are faster without more. A file's tests share their fixtures.
unit: $(stamp) ## Run the tests on all cores; a warning is an error.
	OMP_NUM_THREADS=1 $(bin)/python -m pytest -n logical --maxprocesses 8 --dist loadfile -p no:benchmark

docs: $(stamp) ## Build the site into site/; a warning is an error.
	NO_MKDOCS_2_WARNING=1 $(bin)/mkdocs build --strict

JOB ?= lowest

compat: ## The tests in another environment: JOB=lowest, newest, wheel, or an interpreter such as python3.13.
	PYTHON=$(PYTHON) .ci/compatibility $(JOB)

# Files spoilt by chance, with results in benchmarks/results/; then, where it is installed, atheris for a minute.
fuzz: $(stamp) ## Spoil 10,000 annotation files and 10,000 checkpoints and caches; each is read or refused.
	$(bin)/python benchmarks/fuzz.py --count 10000
	$(bin)/python benchmarks/fuzz_atheris.py --seconds 60

# Trainings that are killed in the middle of anything, with results in benchmarks/results/.
chaos: $(stamp) ## Kill a distillation 25 times, go on each time, and compare the students bit by bit.
	$(bin)/python benchmarks/chaos.py --kills 25

suites := $(bin)/python -m pytest -c benchmarks/suites/pytest.ini benchmarks/suites
pages := $(bin)/python benchmarks/page.py && $(bin)/python benchmarks/coco_cost.py --page

# What is missed is a figure in the table, and no failure.
bench: $(stamp) ## Measure on the CPU; a table, benchmarks/results/ and docs/performance/benchmarks.md.
	$(suites) -m 'not gpu'
	$(pages)

bench-gpu: $(stamp) ## The same on a CUDA device.
	$(suites) -m gpu
	$(pages)

profile: $(stamp) ## Where a step's time goes, here; benchmarks/results/ and docs/performance/profile.md.
	$(bin)/python benchmarks/profile_step.py
	$(bin)/python benchmarks/profile_page.py

results: $(stamp) ## Does it help: docs/performance/ablation.md and its figures, from benchmarks/results/ablation/.
	$(bin)/python benchmarks/ablation_page.py

build: $(stamp) ## Build wheel and sdist into dist/.
	$(bin)/python -m build

clean: ## Remove what was built and cached; .venv and runs/ stay.
	rm -rf build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
