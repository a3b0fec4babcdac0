# inapp-monitor: what you can do here. `make` alone lists it.
#
# Everything runs from .venv, made on first need with the first Python >= 3.11 that is found
# (or the one given: make test PYTHON=/path/to/python3.12). Paths are relative throughout, so that
# a folder with a space in its name works.

PORT ?= 8000
SECONDS ?=
ARGS ?=
PYTHON ?=
JOBS ?= 2
BENCH ?= request_path memory errors grouping store query charts pages

# Compiled modules are kept: the suite starts hundreds of processes that import the package.
unexport PYTHONDONTWRITEBYTECODE

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
.PHONY: help demo test lint format compat bench docs site release clean

run := .venv/bin/python -m
need := @sh .ci/venv.sh '$(PYTHON)'

help: ## this list
	@echo 'make TARGET, where TARGET is one of:'
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  \1|\2/p' Makefile | while IFS='|' read -r name text; \
	do printf '  %-8s %s\n' "$${name#  }" "$$text"; done

demo: ## the demo shop under traffic: make demo [PORT=8765] [SECONDS=20]
	$(need) demo
	@exec $(run) demo_app --port '$(PORT)' $(if $(SECONDS),--seconds '$(SECONDS)') $(ARGS)

test: ## the whole suite: make test [ARGS="-k store -x"] [JOBS=0]
	$(need) test
	@$(run) pytest -n $(JOBS) --dist loadscope -m 'not peer' $(ARGS)

lint: ## ruff, mypy, the contract of imports
	$(need) lint
	@$(run) ruff check .
	@$(run) ruff format --check .
	@$(run) mypy
	@.venv/bin/python -c 'from importlinter.cli import lint_imports_command as main; main()'

format: ## put the source into shape
	$(need) lint
	@$(run) ruff check --fix .
	@$(run) ruff format .

compat: ## against the real peers: Graphite's answers, whisper, WSGI servers, frameworks
	$(need) test
	@$(run) pytest -m compat $(ARGS)

bench: ## costs beside other libraries: make bench [BENCH="request_path store"] [ARGS=--quick]
	$(need) bench
	@results=$$(mktemp) && trap 'rm -f "$$results"' EXIT && export BENCH_RESULTS="$$results" && \
	for name in $(BENCH); do echo "== $$name"; $(run) "bench.$$name" $(ARGS) || exit 1; done && \
	$(run) bench.comparison "$$results" $(if $(filter file,$(origin BENCH)),$(if $(ARGS),,--page docs/performance.md))

docs: ## write the generated pages docs/settings.md and docs/functions.md anew
	$(need) test
	@$(run) inapp_monitor settings --markdown >docs/settings.md.new
	@mv docs/settings.md.new docs/settings.md
	@.venv/bin/python docs/functions.py

site: ## the documentation as a site, in build/site
	$(need) site
	@$(run) mkdocs build --quiet
	@echo 'build/site/index.html'

release: ## build and check wheel, sdist and release notes in dist/
	$(need) release
	@bash .ci/release

clean: ## remove .venv, caches and the demo's data
	rm -rf .venv .venv-graphite build dist demo-data .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

