# Each target makes its own .venv first; nothing is needed but Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
TESTS := OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist loadfile -rs --durations 40 # what a file's tests share is made once

.PHONY: install demo test slow ray litert lint bench clean

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	-$(BIN)/python -m linnaea.delivery.exporters.onnxruntime_web
	touch $@

demo: install
	rm -rf runs/demo
	$(BIN)/linnaea demo --out runs/demo

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(TESTS) -m 'not slow and not ray'

slow: install
	$(TESTS) -m 'slow and not ray'

ray: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray]'
	OMP_NUM_THREADS=1 $(BIN)/pytest -rs -m ray

.venv-litert/installed: pyproject.toml
	$(PYTHON) -m venv .venv-litert
	.venv-litert/bin/python -m pip install --quiet --disable-pip-version-check -e '.[export,litert]' pytest
	touch $@

litert: .venv-litert/installed
	OMP_NUM_THREADS=1 .venv-litert/bin/pytest -rs -k litert tests/delivery/test_export_contract.py

bench: install
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv .venv-litert runs dist
