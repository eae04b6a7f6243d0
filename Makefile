# make run      a demo bot on this machine, nothing else needed than Python >= 3.11
# make install  the virtual environment .venv with everything the server needs; then: .venv/bin/omni
# make test     all tests, on a real RabbitMQ and a real MongoDB (make services)
# make test-long    what takes minutes of real time: spoken calls, voice workers that are killed, hundreds of SIP calls
# make check    formatting, lint, types        make format  mends what it can
# make bench    speed on this machine          make chaos   a load while processes are killed
# make clean    removes what the targets above made

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := omni channels sessions workers scripts
# Extra words for pytest: make test ARGS="-k takeover -x"
ARGS ?=
# Tests run in parallel; a random order shows tests that lean on each other. WORKERS=0 runs them in one process, auto are two a core.
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help install run test test-long check format bench chaos services services-stop clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

$(BIN)/python:
	@python=$$(scripts/find-python 3.11) && echo "Making $(VENV) with $$python" && "$$python" -m venv $(VENV)

# A stamp says which pyproject.toml the environment was made from, so a second run has nothing to do.
$(VENV)/.installed: pyproject.toml | $(BIN)/python
	@echo "Installing what the server needs into $(VENV) ..."
	@$(PIP) install --editable '.[server]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	@echo "Installing what the server, its tests and its checks need into $(VENV) ..."
	@$(PIP) install --editable '.[server,local-speech,test,dev]'
	@touch $@ $(VENV)/.installed

install: $(VENV)/.installed

run: install
	@$(BIN)/omni demo

services: $(VENV)/.installed-dev
	@$(BIN)/python scripts/services.py start

services-stop: | $(BIN)/python
	@$(BIN)/python scripts/services.py stop

test: services
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(ARGS)

test-long: services
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m long $(ARGS)

check: $(VENV)/.installed-dev
	@wrong=0; \
	$(BIN)/ruff format --check . || wrong=1; \
	$(BIN)/ruff check . || wrong=1; \
	$(BIN)/mypy $(SOURCES) || wrong=1; \
	exit $$wrong

format: $(VENV)/.installed-dev
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: services
	@$(BIN)/python scripts/bench.py $(ARGS)

chaos: services
	@$(BIN)/python scripts/chaos.py $(ARGS)

clean:
	@[ ! -x $(BIN)/python ] || $(BIN)/python scripts/services.py stop
	@rm -rf $(VENV) .venv-mongo .venv-mongod .services .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
