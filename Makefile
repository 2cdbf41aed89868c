# Sayso: `make` lists the targets. The first use of any target sets everything up.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.ready
T ?= tests

.DEFAULT_GOAL := help
.PHONY: help dev demo serve test cover check fix bench soak lock verifier clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt 'pip>=25.1' 'setuptools>=77'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation -c constraints.txt -e '.[server,train,write,spark]' --group dev
	touch $(STAMP)

dev: $(STAMP)  ## build .venv; .venv/bin/sayso is the command

demo: $(STAMP)  ## the whole story on generated members, under two minutes
	$(BIN)/sayso demo

serve: $(STAMP)  ## pages and API on http://127.0.0.1:8000, with invented members to sign in as
	$(BIN)/sayso serve --demonstration

test: $(STAMP)  ## all tests but the soak (T=path for some)
	$(BIN)/python -m pytest $(T) -m "not soak" -n logical --dist loadfile

browser:  ## install what the tests in a browser need: Debian's Chromium and a font for Chinese
	sh tests/browser/install.sh

cover: $(STAMP)  ## the same with coverage, which takes three times as long
	$(BIN)/python -m pytest tests -m "not soak" --cov --cov-report=term:skip-covered --cov-fail-under=90

check: $(STAMP)  ## the one gate: format, lint, types, imports, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell src tests docs bench README.md CHANGELOG.md CONTRIBUTING.md

fix: $(STAMP)  ## format, and repair what can be repaired
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)  ## every speed bar as a ratio within one run
	$(BIN)/python -m bench

soak: $(STAMP)  ## a million random cases, two hundred kills
	$(BIN)/python -m pytest tests -m soak -s

lock: $(STAMP)  ## rewrite constraints.txt from what is installed
	$(BIN)/python -m pip freeze --exclude-editable --exclude sayso | sort -f > constraints.txt

verifier: $(STAMP)  ## sayso-verify.pyz, which needs Python and cryptography alone
	$(BIN)/sayso verify --write-verifier sayso-verify.pyz

clean:  ## remove what the targets made
	rm -rf .venv demo-out serve-out bench-out soak-out build dist
