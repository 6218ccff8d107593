# `make tune` is the demo, `make test` is everything CI runs. Both start from nothing but Python 3.11.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SPACE ?= search_spaces/wsd.yaml

.PHONY: tune test lint bench clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

tune: $(VENV)/.installed  ## install, then tune the demo
	$(BIN)/autosched tune --space $(SPACE)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(VENV)/.installed-test lint  ## lint, types, quick tests, then slow ones
	$(BIN)/python -m pytest -q -m "not slow" autosched workers tests
	$(BIN)/python -m pytest -q -m "slow" tests

clean:
	rm -rf $(VENV) .autosched autosched.db* mlflow.db* mlartifacts reports
