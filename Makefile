# make demo: see it work on this machine. make test: everything that needs no root.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-venv test-debian test-root test-failed lint format stubs
SHELL := /bin/sh

PYTEST := .venv/bin/python -m pytest
# Tests of a file stay together: they may share a server.
AT_ONCE := -n 2 --dist loadfile
# What a laptop runs is tested on the distribution's own Python and libraries too.
AGENT_TESTS := $(wildcard tests/penguindome tests/penguin_agent tests/penguin_agent_collect tests/plugins)
# Linters look for endings, which these Python files do not have.
EXECUTABLES := packaging/dev/demo $(wildcard penguin-agent/plugins/*)
DEBIAN_PYTEST := PYTHONPATH=proto:penguin-agent PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest \
	-c packaging/dev/debian-pytest.ini --rootdir=. -o cache_dir=.pytest_cache/debian
LAST_FAILED := --last-failed --last-failed-no-failures none
export GRPC_ENABLE_FORK_SUPPORT := 0

help:
	@echo "make demo       a server, an operator and this machine as a device; DEMO_EXIT=1 ends by itself"
	@echo "make test       linters and every test that needs no root"
	@echo "make test-root  the tests that need root"
	@echo "make test-failed  those that failed last, once more"
	@echo "make lint       linters only"
	@echo "make format     put the code into the project's form"
	@echo "make stubs      regenerate the protocol's modules after editing a .proto file"

setup:
	@packaging/dev/setup

demo: setup
	@.venv/bin/python packaging/dev/demo

lint: setup
	$(PYTEST) -q tests/project

format: setup
	.venv/bin/ruff check --fix-only -q . $(EXECUTABLES)
	.venv/bin/ruff format -q . $(EXECUTABLES)

# The build environment of the package generates them, with the compiler that pyproject.toml pins.
stubs:
	@rm -f .venv/stamp
	@packaging/dev/setup

test: test-debian test-venv

test-venv: setup
	$(PYTEST) $(AT_ONCE) -m "not root"

# Only Debian and its children carry these libraries under these names.
test-debian: setup
	@if [ -e /etc/debian_version ]; then $(DEBIAN_PYTEST) -m "not root" $(AGENT_TESTS); \
	else echo "make test-debian: not a Debian system, nothing to test"; fi

test-root: setup
	@[ "$$(id -u)" -eq 0 ] || { echo "make test-root: needs root; run it as root" >&2; exit 1; }
	$(PYTEST) -m root

# 5: no test is left of those that failed.
test-failed: setup
	@if [ -e /etc/debian_version ]; then \
		$(DEBIAN_PYTEST) $(LAST_FAILED) $(AGENT_TESTS) || [ $$? -eq 5 ]; fi
	$(PYTEST) $(LAST_FAILED) || [ $$? -eq 5 ]
