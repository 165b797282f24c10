# make demo, make test: all set-up on a fresh machine, then the demonstration or the tests.
PYTHON ?= python3
VENV := .venv
PYSIDE_VENV := .venv/pyside
INTERCHANGE_VENV := .venv/interchange
DIST_VENV := .venv/dist
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup system-libs demo demo-locked lock audit test test-pyside test-interchange torture lint docs dist newcomer

help:
	@echo "make demo   set up, then train on generated slides and open napari with a prediction"
	@echo "make demo-locked  the demonstration in a new environment of exact versions, with hashes compared"
	@echo "make test   set up, then run all tests"
	@echo "make test-pyside  the tests of the window with PySide6 instead of PyQt6, in $(PYSIDE_VENV)"
	@echo "make test-interchange  round trips with anndata, spatialdata, wsidata and ome-zarr, in $(INTERCHANGE_VENV)"
	@echo "make torture  try for an hour or two to lose work, crash it and let secrets out; prints a table"
	@echo "make lint   set up, then ruff, mypy, import-linter and the manifest check"
	@echo "make docs   set up, then build the documentation into site/; a broken link fails"
	@echo "make dist   build wheel and sdist of the last commit twice, compare and check them; they lie in dist/"
	@echo "make newcomer  the way of somebody new, timed: clone and demonstration, then the wheel and the sample result"
	@echo "make audit  ask for known weaknesses of the locked packages"
	@echo "make lock   write the exact versions of requirements/ anew; needs uv"
	@echo "make setup  only make $(VENV) and install into it"

setup: system-libs $(VENV)/.installed

system-libs:
	@bash scripts/system_libs.sh

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[all,test]'
	@touch $@ $(VENV)/.demo-installed

# Who only wants to see the demonstration need not wait for what the tests need.
$(VENV)/.demo-installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[all]'
	@touch $@

# pip reads dependency groups from 25.1 on.
$(VENV)/.dev-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt --group dev
	@touch $@

demo: system-libs $(VENV)/.demo-installed
	$(BIN)/dre-slcl demo

demo-locked: system-libs
	PYTHON=$(PYTHON) bash scripts/demo_locked.sh

lock: setup
	$(BIN)/python scripts/lock.py

audit:
	@$(PYTHON) scripts/audit.py

test: setup
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

torture: setup
	$(BIN)/python -m torture --out torture.md

$(PYSIDE_VENV)/.installed: pyproject.toml constraints.txt
	test -x $(PYSIDE_VENV)/bin/python || $(PYTHON) -m venv $(PYSIDE_VENV)
	$(PYSIDE_VENV)/bin/python -m pip install --disable-pip-version-check -c constraints.txt \
	  -e '.[pyside,engine,tables,text,zarr,test]'
	@touch $@

test-pyside: system-libs $(PYSIDE_VENV)/.installed
	QT_API=pyside6 $(PYSIDE_VENV)/bin/python -m pytest tests/gui -o qt_api=pyside6 -n 2 --dist loadfile

# Without constraints.txt: anndata needs an older pandas than the others take.
$(INTERCHANGE_VENV)/.installed: pyproject.toml
	test -x $(INTERCHANGE_VENV)/bin/python || $(PYTHON) -m venv $(INTERCHANGE_VENV)
	$(INTERCHANGE_VENV)/bin/python -m pip install --disable-pip-version-check -c constraints.txt torch torchvision
	$(INTERCHANGE_VENV)/bin/python -m pip install --disable-pip-version-check \
	  -e '.[qt,engine,tables,text,zarr,anndata,spatialdata,test]' 'wsidata>=0.12' 'ome-zarr>=0.11'
	@touch $@

test-interchange: system-libs $(INTERCHANGE_VENV)/.installed
	$(INTERCHANGE_VENV)/bin/python -m pytest tests/interchange

$(VENV)/.docs-installed: $(VENV)/.dev-installed
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt --group docs
	@touch $@

docs: system-libs $(VENV)/.docs-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(DIST_VENV)/.installed: pyproject.toml
	test -x $(DIST_VENV)/bin/python || $(PYTHON) -m venv $(DIST_VENV)
	$(DIST_VENV)/bin/python -m pip install --disable-pip-version-check 'pip>=25.1'
	$(DIST_VENV)/bin/python -m pip install --disable-pip-version-check --group dist
	@touch $@

dist: $(DIST_VENV)/.installed
	rm -rf dist
	PYTHON=$(DIST_VENV)/bin/python bash scripts/reproducible.sh dist
	$(DIST_VENV)/bin/twine check --strict dist/*
	$(DIST_VENV)/bin/check-wheel-contents dist/*.whl
	$(DIST_VENV)/bin/python scripts/check_dist.py dist

newcomer: system-libs dist
	PYTHON=$(PYTHON) bash scripts/newcomer.sh clone "$$(mktemp -d)/clone"
	PYTHON=$(PYTHON) bash scripts/newcomer.sh wheel "$$(mktemp -d)/wheel" dist/*.whl

lint: setup $(VENV)/.dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate napari-dre-slcl
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/zizmor --offline --quiet .github
