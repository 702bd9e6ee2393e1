# `make demo` and `make test` set up everything they need on a fresh machine and then do their job.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCE := $(if $(DATA),--source $(DATA))
# Where the store, iterations and bundles are kept; tests use folders of their own.
export QUAESTOR_DATA ?= data
# Nothing of the stack reports to anyone.
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export STREAMLIT_BROWSER_GATHER_USAGE_STATS := false

.PHONY: install demo test check lint types fast console serve simulate screenshots bench lock clean

install: $(STAMP)

$(STAMP): pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable ".[all]"
	$(BIN)/python -m pip check
	touch $@

demo: install
	$(BIN)/quaestor demo $(SOURCE)

# One thread a process: the tests' tensors are too small to share out. Of three processes, one mostly waits for servers.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --dist loadgroup

test: install lint types
	$(PYTEST) -n 3

check: install lint types fast

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

fast: install
	$(PYTEST) -n 2 -m "not slow"

console: install
	$(BIN)/streamlit run app/console.py

serve: install
	$(BIN)/python -m flows serve

# The whole loop with faults, SEEDS runs of it; new failing seeds are kept for ever.
SEEDS ?= 1000
simulate: install
	OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 $(BIN)/python -m tests.simulation --seeds $(SEEDS)

# Every screen of the console, light and dark, on a desk and on a phone.
screenshots: install
	$(BIN)/python -m tests.app.screenshots --out screenshots $(if $(DATA),--data $(DATA))

bench: install
	for name in $$(ls benchmarks/*.py | xargs -n1 basename | sed 's/\.py$$//' | grep -v '^__'); do \
		$(BIN)/python -m benchmarks.$$name --quick || exit 1; done

# The versions that were tried together, for pip to read as constraints.
lock: install
	$(BIN)/python -m pip freeze --exclude-editable | sed "s/+cpu$$//" > requirements.lock

clean:
	rm -rf $(VENV)
