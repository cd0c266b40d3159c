# The first `make` target that needs it builds .venv; later calls find it up to date.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# To build .venv with: the first of these that is 3.11 or newer.
PYTHONS := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python)
ARGS ?=

.PHONY: help install serve test test-browser lint check-deploy bench lock clean

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Make .venv with everything to run, test and lint

$(INSTALLED): requirements.lock pyproject.toml
	@set -e; \
	if [ ! -x $(BIN)/python ]; then \
	  for candidate in $(PYTHONS); do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	    then python=$$candidate; break; fi; \
	  done; \
	  if [ -z "$${python:-}" ]; then \
	    echo "Python 3.11 or newer is needed; found none among: $(PYTHONS)." >&2; \
	    echo "Install it, or name it: make install PYTHON=/path/to/python3.11" >&2; \
	    exit 1; \
	  fi; \
	  "$$python" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

serve: install ## Start the server on http://127.0.0.1:7777 (ARGS="--port 8080")
	$(BIN)/nodetool serve $(ARGS)

test: install ## Run all tests but the browser's (ARGS="-k name")
	$(BIN)/python -m tests.services $(BIN)/python -m pytest -n 2 --dist loadgroup -m "not browser" $(ARGS)

test-browser: install ## Drive the page in a real browser
	$(BIN)/python -m tests.services $(BIN)/python -m tests.services.browser \
	  $(BIN)/python -m pytest tests/browser -m browser $(ARGS)

lint: install ## Check format, lint, types, import rules, migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run --settings tests.settings

check-deploy: install ## Check the settings as production would have them
	$(BIN)/python -m tests.services $(BIN)/python -m tests.services.production \
	  $(BIN)/python manage.py check --deploy --fail-level WARNING

bench: install ## Measure both modes and write docs/performance.md (SCENARIOS=S1,S4 REPEATS=1 QUICK=1)
	$(BIN)/python -m tests.services $(BIN)/python -m tests.bench \
	  $(if $(SCENARIOS),--scenarios $(SCENARIOS)) $(if $(MODES),--modes $(MODES)) \
	  $(if $(REPEATS),--repeats $(REPEATS)) $(if $(QUICK),--quick) $(ARGS)

lock: install ## Renew requirements.lock from pyproject.toml
	CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --generate-hashes --allow-unsafe --strip-extras \
	  --extra test --extra dev --output-file requirements.lock \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options pyproject.toml

clean: ## Remove .venv and caches
	rm -rf $(VENV) build dist *.egg-info tests/end_to_end/node_client/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
