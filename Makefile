# Everything one does with this repository. `make run` and `make test` do all their own set-up; a step whose inputs
# haven't changed is skipped, and then nothing touches the network.
#
#   make run            the whole system with demo data
#   make test           test-core (anywhere) and test-interop (Debian, as root)
#   make check          format, lint, types, layers, protos, migrations, sizes, docs
#   make bench          figures for docs/benchmarks.md
#   make soak           a million wrong LDAP messages, then chaos: fifty outposts, random faults, a changing configuration
#                       (ARGS='--minutes 20 --seed 7')
#   make image          the container image of an outpost (DOCKER=podman builds with another program)
#   make images         that and the one of control
#   make setup | web | protos | lock | format | clean

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-print-directory --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
DONE := $(VENV)/.done
FRONTEND := control/web/frontend
LDAP := dataplane/protocols/ldap
MANIFEST := control/web/static/dist/manifest.json
TOOLS := scripts/tools
# What the style sheet, the script and the icon sprite are made of; templates name the icons.
WEB_SOURCES := $(shell find control/web -type f \( -name '*.html' -o -name '*.py' \) -not -path '*/node_modules/*') \
	$(shell find $(FRONTEND)/src -type f) $(wildcard $(FRONTEND)/*.mjs)
DOCKER ?= docker
VERSION = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
# Empty unless given on the command line: make test-core ARGS='tests/control -k tokens'
ARGS ?=
SOURCES := control dataplane tests scripts

.PHONY: run setup web test test-core test-interop check bench soak image images protos lock format clean

run: setup
	@exec $(BIN)/garrison serve --demo --data data $(ARGS)

setup: $(DONE)/project $(DONE)/compiled $(MANIFEST) $(DONE)/tools
	@:

web: $(MANIFEST)
	@:

# The parts are told apart by the markers `interop` and `postgresql` alone, whatever this machine has installed.
test: setup
	@$(BIN)/python -m scripts.test core databases interop $(ARGS)

test-core: setup
	@$(BIN)/python -m scripts.test core $(ARGS)

test-interop: setup
	@$(BIN)/python -m scripts.test databases interop $(ARGS)

check: setup
	@$(BIN)/python -m scripts.check $(ARGS)

bench: setup
	@$(BIN)/python -m scripts.peers
	@$(BIN)/python -m tests.bench $(ARGS)

# Needs Linux and memory; ARGS=--help says how much.
soak: setup
	@$(BIN)/python -m tests.soak $(ARGS)

# Needs neither set-up nor Python here: make image ARGS='--network host'
image:
	@$(call build,outpost)

# Control's pages need what `make web` makes, so this one needs Python and Node.
images: image $(MANIFEST)
	@$(call build,control)

# One image by its name
build = command -v $(DOCKER) >/dev/null || { echo "image: $(DOCKER) is not installed; it builds the image" >&2; exit 1; }; \
	$(DOCKER) build --tag garrison-$(1):$(VERSION) --file deploy/$(1)/Dockerfile $(ARGS) .

protos: setup
	@$(BIN)/python -m scripts.protos write

lock:
	@scripts/make-locks

format: setup
	@$(BIN)/ruff format $(SOURCES) && $(BIN)/ruff check --fix $(SOURCES)

clean:
	@rm -rf $(VENV) $(FRONTEND)/node_modules $(TOOLS)/node_modules control/web/static/dist .mypy_cache .ruff_cache .hypothesis \
		*.egg-info build $(LDAP)/_compiled

# --- set-up, step by step; each file in .venv/.done says that its step was done with these inputs ---

$(DONE)/venv: scripts/make-venv
	@scripts/make-venv $(VENV)
	@mkdir -p $(DONE) && touch $@

$(DONE)/packages: requirements/development.txt $(DONE)/venv
	@echo "setup: Python packages (requirements/development.txt)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
		--requirement requirements/development.txt
	@touch $@

$(DONE)/project: pyproject.toml $(DONE)/packages
	@echo "setup: garrison itself"
	@GARRISON_PURE=1 PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation \
		--no-index --editable .
	@touch $@

# What isn't built here, for want of a compiler or of anything else, runs as Python.
$(DONE)/compiled: setup.py scripts/compile.py dataplane/compiled.py $(wildcard $(LDAP)/*.py) $(DONE)/project
	@$(BIN)/python -m scripts.compile
	@touch $@

$(DONE)/node: scripts/need-node $(DONE)/venv
	@scripts/need-node
	@touch $@

$(DONE)/frontend: $(FRONTEND)/package.json $(FRONTEND)/package-lock.json $(FRONTEND)/.npmrc $(DONE)/node
	@echo "setup: web packages ($(FRONTEND)/package-lock.json)"
	@cd $(FRONTEND) && npm ci --loglevel=error >/dev/null
	@touch $@

$(DONE)/tools: $(TOOLS)/package.json $(TOOLS)/package-lock.json $(TOOLS)/.npmrc $(DONE)/node
	@echo "setup: tools of make check ($(TOOLS)/package-lock.json)"
	@cd $(TOOLS) && npm ci --loglevel=error >/dev/null
	@touch $@

$(MANIFEST): $(DONE)/frontend $(WEB_SOURCES)
	@echo "setup: web assets"
	@cd $(FRONTEND) && node build.mjs
	@touch $@
