# Everything runs in .venv, which the first command makes from the pinned requirements.
PYTHON ?= python3
BIN    := .venv/bin
READY  := .venv/.ready

# Every command and worker is a process of its own: without bytecode each compiles Prefect anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test quick compat check format docs clean setup sandbox drills

help:            ## Show the commands
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/'

setup: $(READY)  ## Make the virtual environment and install the pinned dependencies

$(READY): requirements.txt requirements-nodeps.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python .venv --requirement requirements.txt
	$(BIN)/uv pip install --quiet --python .venv --no-deps --requirement requirements-nodeps.txt
	$(BIN)/uv pip install --quiet --python .venv --no-deps --editable .
	touch $@

sandbox: ## Make sure that Docker answers or bubblewrap is there
	@sh scripts/ensure-sandbox.sh

demo: setup sandbox  ## Run the whole grind on the bundled tasks, offline
	$(BIN)/grindstone grind --work-dir evolution_workdir/demo --max-workers 2 --max-cycles 3

# The tests of a file stay on one process: they share the servers and runs its fixtures make.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

# Of a catalogue a part is run, drawn by a seed: see tests/support/share.py.
GRINDSTONE_DRILL_SHARE ?= 0.1
GRINDSTONE_SEED ?= 27
test: setup sandbox  ## Run the tests: all that stand alone, and of each catalogue a part
	GRINDSTONE_DRILL_SHARE=$(GRINDSTONE_DRILL_SHARE) GRINDSTONE_SEED=$(GRINDSTONE_SEED) \
		$(BIN)/pytest $(PARALLEL) $(ARGS)

quick: setup    ## Run the tests that need no server, sandbox, browser or process
	PYTEST_XDIST_AUTO_NUM_WORKERS=$$(($$(nproc) * 3 / 2)) $(BIN)/pytest -n auto --dist worksteal -m \
		"not (docker or bubblewrap or kubernetes or sandbox or browser or server or slow or drill or commands)"

DRILL_MINUTES ?= 10
drills: setup sandbox  ## Run the long drills, and all of every catalogue
	GRINDSTONE_DRILL_MINUTES=$(DRILL_MINUTES) GRINDSTONE_DRILL_KILLS=20 GRINDSTONE_DRILL_CAMPAIGNS=20 \
		GRINDSTONE_DRILL_GATES=10 GRINDSTONE_DRILL_SHARE=1 \
		$(BIN)/pytest $(PARALLEL) -m "drill or catalogue"

COMPAT ?= 3.8.0 3.9.1
compat: setup sandbox  ## Run some of the tests with the oldest and the newest Prefect supported
	sh scripts/compat.sh $(COMPAT)

check: setup docs  ## Format, lint, types, import contract, documentation
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup    ## Build the documentation site into build/site; a dead link or a missing name fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	! grep -rE '<(script|link)[^>]+(src|href)="?(https?:)?//' build/site --include='*.html'

format: setup ## Format and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup ## Pin the dependencies anew
	$(BIN)/uv pip compile --quiet --extra dev --python-version 3.11 --no-header --no-annotate \
		pyproject.toml --output-file requirements.txt
	$(BIN)/uv pip compile --quiet --extra inspect --python-version 3.11 --no-header --no-annotate \
		pyproject.toml --output-file requirements-inspect.txt

clean: ## Remove the environment and what the demo left
	rm -rf .venv .compat evolution_workdir build dist *.egg-info
