PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: env run test check proofs reports clean

env: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==$(shell sed -n 's/^torch==//p' constraints.txt)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[rigor,proofs,cluster,neighbours,export,test]"
	touch $@

run: env
	$(BIN)/certify run --out runs/digits

test: env
	$(BIN)/python -m pytest

proofs: env
	$(BIN)/python -m proofs_check

check: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

reports: run
	$(BIN)/certify report runs/digits --ladder reports/digits/ladder.svg
	cp runs/digits/report.html reports/digits/report.html
	$(BIN)/python -m proofs_check report --run runs/digits

clean:
	rm -rf $(VENV) runs build *.egg-info
