# make run [NOTES=folder] [BACKEND=cpu|cuda|metal|vulkan]   make the environment, open the app
# make test                                                 make the environment, run every check
PYTHON  ?= python3
VENV    ?= .venv
BACKEND ?= $(if $(filter Darwin,$(shell uname -s)),metal,cpu)
NOTES   ?=
REBUILD ?=
# More arguments for pip, such as an index of CPU-only torch builds.
PIP_ARGS ?=

BIN   := $(VENV)/bin
PIP   := $(BIN)/python -m pip --disable-pip-version-check
FILES := pyproject.toml constraints.txt Makefile models/build.py
# A build for one backend does not count as one for another.
APP   := $(VENV)/.installed-$(BACKEND)
TESTS := $(VENV)/.installed-tests

.PHONY: run test install check bench screenshots clean
.DEFAULT_GOAL := run

run: $(APP)
	@$(BIN)/alcove "$(or $(NOTES),app/sample_notes)"

install: $(APP)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Alcove needs Python 3.11 or newer; name one with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(APP): $(BIN)/python $(FILES) $(if $(REBUILD),rebuild)
	$(PIP) install --quiet -c constraints.txt $(PIP_ARGS) pip
	$(PIP) install --quiet -c constraints.txt $(PIP_ARGS) torch
	$(BIN)/python -m models.build --backend $(BACKEND) $(if $(REBUILD),--rebuild)
	$(PIP) install --quiet -c constraints.txt $(PIP_ARGS) -e .
	$(BIN)/python -m models.selftest || \
	  { $(BIN)/python -m models.build --backend $(BACKEND) --rebuild && $(BIN)/python -m models.selftest; }
	@rm -f $(VENV)/.installed-*
	@touch $@

.PHONY: rebuild
rebuild:

$(TESTS): $(APP)
	$(PIP) install --quiet -c constraints.txt $(PIP_ARGS) -e '.[test]'
	@touch $@

check: $(TESTS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/python -m pytest

bench: $(TESTS)
	$(BIN)/python -m pytest tests/benchmarks -o norecursedirs='.*' -s

screenshots: $(TESTS)
	$(BIN)/python -m docs.make_screenshots

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find app retrieval models tests -name __pycache__ -type d -prune -exec rm -rf {} +
