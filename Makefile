# What a developer does every day. `make run` and `make test` need nothing but Python 3.11+, make and a package index.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/pytest

.PHONY: run test test-fast lint format types migrations lock clean

run: .venv/.base ## set up, then web, jobs, sender and (unless CARRIER=twilio) the carrier simulator
	@$(BIN)/python scripts/run.py

test: .venv/.dev ## every test this machine can run; what is missing is skipped aloud
	$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder -ra $(ARGS)

test-fast: .venv/.dev ## without the tests that kill processes or drive a browser
	$(PYTEST) -n 2 --dist loadfile -m "not slow and not browser" $(ARGS)

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy engage manage.py
	$(BIN)/djlint templates --quiet --lint

format: .venv/.dev
	$(BIN)/ruff check --fix -q . || true
	$(BIN)/ruff format -q .

migrations: .venv/.dev
	$(BIN)/python manage.py makemigrations

lock: .venv/.dev ## pin every dependency again, with hashes
	$(BIN)/pip install -q uv
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate requirements/base.in -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-annotate -c requirements.txt requirements/dev.in -o requirements-dev.txt

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Engage needs Python 3.11 or newer; say PYTHON=python3.12 make …")'
	$(PYTHON) -m venv .venv

.venv/.base: requirements.txt | .venv/bin/python
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/.dev: requirements-dev.txt requirements.txt | .venv/bin/python
	$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch .venv/.base $@

clean: ## throw away the demonstration data and everything built
	rm -rf var staticfiles .mypy_cache .ruff_cache .pytest_cache
