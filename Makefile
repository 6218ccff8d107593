# `make tune` is the demo, `make test` is everything CI runs. Both start from nothing but Python 3.11.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SPACE ?= search_spaces/wsd.yaml
EXAMPLE ?= script
# Nothing is compiled before it is used, which halves the installation; what is used keeps its bytecode, whatever the
# shell says: workers are many Python processes.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt
export PYTHONDONTWRITEBYTECODE :=

.PHONY: tune example cluster test tests-alone chromium lint bench clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(PIP) -e '.[test]'
	@# on all cores, before four processes of the tests compile what all of them import; templates of Python 2 fail
	$(BIN)/python -m compileall -q -j 0 $(VENV)/lib >/dev/null || true
	touch $@

tune: $(VENV)/.installed  ## install, then tune the demo
	$(BIN)/autosched tune --space $(SPACE)

example: $(VENV)/.installed-test  ## install, then tune a recipe of examples/, e.g. make example EXAMPLE=nanogpt
	cd examples && PATH="$(CURDIR)/$(BIN):$$PATH" autosched tune --space $(EXAMPLE).yaml

cluster: $(VENV)/.installed-test  ## a cluster on this machine; see docs/how-to/cluster.md
	PYTHON=$(BIN)/python deploy/loopback.sh up

lint: $(VENV)/.installed-test  ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The page of a study is looked at in Debian's Chromium: put there where that can be done, else those tests are left out.
chromium:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  { apt-get install -qq -y chromium || { apt-get update -qq && apt-get install -qq -y chromium; }; } >/dev/null 2>&1; } || true

# Lint beside the tests: mypy is one process, and so are the slowest tests towards their end.
test: $(VENV)/.installed-test  ## lint and every test
	$(MAKE) --no-print-directory -j 2 lint tests-alone

# More processes than cores: the slow tests wait for servers and for processes that they kill. tests/conftest.py groups.
tests-alone: $(VENV)/.installed-test chromium
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 4 --dist loadgroup --no-loadscope-reorder autosched workers tests

bench: $(VENV)/.installed-test  ## the engine's figures beside Ray Tune's
	$(BIN)/python benchmarks/engine.py

clean:
	rm -rf $(VENV) .autosched autosched.db* mlflow.db* mlartifacts reports
