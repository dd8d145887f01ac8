# Everything a developer or operator does by hand. `make help` lists it.
PYTHON ?= python3
VENV := .venv
# Test processes: most integration tests wait for servers, so there may be more than processors.
TEST_PROCESSES ?= 3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test soak check format bench lock schemas clean

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Make .venv with fenghuo and the developers' tools, exactly as locked

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: install ## Replay the 2009 influenza pandemic in Taiwan through the whole system
	$(BIN)/fenghuo demo

# Compiled once for all the processes that tests start, also where the environment forbids it.
test soak: export PYTHONDONTWRITEBYTECODE :=

test: install ## Run all tests
	$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

soak: install ## Kill and freeze workers at length, under 200,000 records (about ten minutes)
	FENGHUO_TEST_SOAK=1 $(BIN)/python -m pytest --numprocesses 0 tests/integration/test_crashes.py

check: install ## Lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Format, and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## Measure throughput beside Faust, Quix Streams and the raw limits
	$(BIN)/python -m benchmarks.throughput

# No host of a registry stands in the locks, so that they work behind any mirror.
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

lock: ## Pin all dependencies again (needs uv)
	$(COMPILE) --all-extras --output-file requirements.lock pyproject.toml
	$(COMPILE) --constraint requirements.lock --output-file requirements-run.lock pyproject.toml
	$(PYTHON) -c "import tomllib; \
		print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'], sep='\n')" \
		| $(COMPILE) --constraint requirements.lock --output-file requirements-build.lock -

schemas: install ## Write the JSON Schemas and the AsyncAPI document again
	$(BIN)/fenghuo schema export

clean: ## Remove what was made, but not .venv
	rm -rf build dist demo-output test-artefacts .pytest_cache .mypy_cache .ruff_cache .hypothesis
