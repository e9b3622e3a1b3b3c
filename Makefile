# homeca: `make demo` shows it, `make test` tests it, `make help` lists the rest.
# On Debian 12 or later nothing but git and make need be there: the verbs install what is missing
# (apt, as root or through sudo) and a Python environment of their own in .venv.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
LOCKS := requirements.lock requirements-dev.lock requirements-build.lock
PYTEST_ARGS ?=
CHECKS := format lint types layers migrations readme

# Without compiled modules each command takes three times as long, and some set this globally.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo setup dev check test bench faults fuzz vm migrations readme lock wheel clean \
	packages packages-test packages-vm \
	$(CHECKS:%=check-%)

help: ## list these verbs
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r verb does; \
	do printf '  make %-11s %s\n' "$$verb" "$$does"; done

demo: setup ## make a CA in a software TPM, sign, revoke, verify with openssl
	@PATH="$(CURDIR)/$(BIN):$$PATH" scripts/demo

setup: packages $(BIN)/homeca ## prepare .venv with .venv/bin/homeca

dev: packages-test $(VENV)/.dev $(BIN)/homeca ## prepare .venv with the tools for check and test

check: dev ## formatting, lint, types, import layers, migrations, the README's reference
	@$(MAKE) --no-print-directory --keep-going $(CHECKS:%=check-%)

check-format:
	$(BIN)/ruff format --check --quiet
check-lint:
	$(BIN)/ruff check --quiet
check-types:
	$(BIN)/mypy
check-layers:
	$(BIN)/lint-imports --no-logo --cache-dir .cache/import-linter
check-migrations:
	$(BIN)/python -m ca.store.migrate check
check-readme:
	$(BIN)/python scripts/readme.py --check

test: dev ## run the tests
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

BENCH_ARGS ?=

bench: dev ## measure homeca beside openssl ca and the chip (BENCH_ARGS=--quick: a small run)
	$(BIN)/python -m bench $(BENCH_ARGS)

SECONDS ?= 60

FAULTS_ARGS ?=

faults: dev ## break homeca on purpose and show the table (FAULTS_ARGS=--all: every case)
	$(BIN)/python -m tests.faults.run --readme $(FAULTS_ARGS)

fuzz: dev $(VENV)/.fuzz ## fuzz each parser by coverage for SECONDS (60)
	@for target in request certificate crl profile settings; do \
		echo "homeca: fuzzing $$target for $(SECONDS) s" >&2; \
		$(BIN)/python -m tests.fuzz.run "$$target" --seconds $(SECONDS) || exit 1; \
	done

VM_KVM ?=

vm: packages-vm dev ## test before the kernel's own TPM driver, in a virtual machine
	VM_KVM=$(VM_KVM) $(BIN)/python -m pytest --timeout 300 tests/vm

migrations: dev check-migrations ## prove that the migrations make exactly the tables of the models

readme: dev ## write the README's command reference anew from --help
	$(BIN)/python scripts/readme.py

lock: packages ## renew the locked versions and their hashes
	scripts/lock

wheel: dev ## build dist/*.whl and dist/*.tar.gz
	rm -rf dist
	$(BIN)/python -m hatchling build

clean: ## remove what these verbs made
	rm -rf $(VENV) .cache .hypothesis dist

packages:
	@scripts/install-packages run

packages-test:
	@scripts/install-packages run test

packages-vm:
	@scripts/install-packages run test vm

# The environment is made anew when a lock changes, so that it never holds more than the locks name.
# Every wheel is checked by hash, and so is what builds those that come as source.
$(VENV)/.run: requirements.lock requirements-build.lock | packages
	@echo 'homeca: making $(VENV) (tpm2-pytss is compiled: about half a minute)' >&2
	@"$$(scripts/find-python)" -m venv --clear $(VENV)
	@$(PIP) install --require-hashes -r requirements-build.lock
	@$(PIP) install --require-hashes --no-build-isolation -r requirements.lock
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	@$(PIP) install --require-hashes --no-build-isolation -r requirements-dev.lock
	@touch $@

$(VENV)/.fuzz: $(VENV)/.dev tests/fuzz/requirements.lock
	@$(PIP) install --require-hashes --no-deps -r tests/fuzz/requirements.lock
	@touch $@

$(BIN)/homeca: $(VENV)/.run pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@
