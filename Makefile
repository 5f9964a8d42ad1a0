# `make demo` and `make test` are each enough on a fresh machine with Python 3.11 or newer.

PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
# a file's tests run in one process, in the order of the files: what they share is made once, and what takes
# longest comes first; a process that died, or hung for ten minutes, ends the run
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart=0

.PHONY: help demo test check untrained coverage lint wheel docs benchmarks clean

help: ## Show what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: .venv/core ## Run the main job on a synthetic sample, into demo/
	$(BIN)/pcm-leukemia demo demo

test: .venv/dev ## Lint, types, layers, the site, the tests of the wheel, and all tests; WORKERS=8 on eight cores
	$(MAKE) -j2 lint docs wheel
	$(PYTEST)

check: .venv/dev ## Lint, types, layers, and all tests that train nothing
	$(MAKE) -j2 lint untrained

untrained: .venv/dev
	$(PYTEST) -m "not trains"

coverage: .venv/dev ## All tests, with the lines and branches that none of them reaches
	$(PYTEST) --cov --cov-report=term:skip-covered

lint: .venv/dev ## ruff, mypy and the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

wheel: .venv/dev ## Build the wheel and check it in an environment of its own
	rm -rf build dist
	$(BIN)/python -m build --outdir dist . >/dev/null
	rm -rf .venv-wheel && $(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip install -q dist/*.whl pytest hypothesis
	cd tests && PYTHONPATH=. ../.venv-wheel/bin/python -m pytest -q -p no:cacheprovider -c /dev/null --rootdir=. --confcutdir=. test_packaging.py cvat/test_cvat.py

docs: .venv/dev ## Build the site into docs/_build/html, warnings as errors
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

benchmarks: .venv/dev ## Speed and memory beside the peers (tens of minutes)
	$(BIN)/python benchmarks/splits.py
	$(BIN)/python benchmarks/crops.py
	$(BIN)/python benchmarks/conversion.py
	$(BIN)/python benchmarks/huggingface.py
	$(BIN)/python benchmarks/duplicates.py
	$(BIN)/python benchmarks/loader.py
	$(BIN)/python benchmarks/detection_scores.py
	$(BIN)/python benchmarks/two_stage.py
	$(BIN)/python benchmarks/sources.py

clean: ## Remove what make made
	rm -rf .venv .venv-wheel build dist demo docs/_build .coverage *.egg-info

.venv/core: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -e .
	touch $@

# torch and torchvision come from one index in one command, so that their builds fit together
.venv/dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -e '.[dev]'
	touch $@ .venv/core
