# What a person runs. Everything goes into .venv; nothing else of the machine is touched.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
# uv leaves it to Python to compile a module when it is first used; not so each process anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo ui slurm test quick check bench clean

help: ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

setup: .venv/.installed ## make .venv and install every pinned version

.venv/.installed: requirements.lock pyproject.toml install.py
	@$(PYTHON) install.py
	@touch $@

demo: setup ## run the seven stages on the embedded model and synthetic speech
	@$(BIN)/python -m flows.complete_pipeline $(ARGS)

ui: setup ## Prefect server on loopback, deployments and a worker; Ctrl-C stops all
	@$(BIN)/python -m deployments.service

slurm: setup ## a SLURM of one node on loopback, to try things (root; slurm-wlm, munge)
	@$(BIN)/python -m tests.support.slurm

PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: setup ## every test that CI runs
	$(PYTEST) --durations=10 $(ARGS)

# A test says by a marker what it starts, and that it takes long; the rest runs in process.
quick: setup ## the tests that start nothing and take no minutes
	$(PYTEST) -m "not (slow or server or browser or slurm)" $(ARGS)

bench: setup ## scoring and training, stock against ours, on this CPU (minutes)
	@$(BIN)/python -m benchmarks.scoring $(ARGS)
	@$(BIN)/python -m benchmarks.training

check: setup ## lint, format, types, import contracts
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean: ## remove .venv, the store and the results
	rm -rf .venv .qsm results
