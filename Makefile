# Two commands do everything: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CORES := $(shell $(PYTHON) -c 'import os; print(os.cpu_count() or 1)')

.PHONY: demo test lint fuzz clean

# Installed anew when the dependencies change; the package itself is editable.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Med-MAT needs Python 3.11 or newer, found %d.%d; set PYTHON=" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,lint]'
	touch $@

demo: $(VENV)/installed
	$(BIN)/med-mat demo --raw demo-raw --out med-mat --sheet demo.png

# One thread a process: a process per core is at work already. tests/conftest.py says which files begin.
test: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(CORES) --dist loadscope --no-loadscope-reorder

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/types && mkdir -p build/types/med_mat
	ln -s $(CURDIR)/med_mat/* $(CURDIR)/baselines $(CURDIR)/loaders build/types/med_mat
	cd build/types && MYPYPATH=. ../../$(BIN)/mypy --config-file ../../pyproject.toml -p med_mat

# For a long time, on one core; the fuzzer itself is needed for nothing else.
SECONDS ?= 600
fuzz: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt 'atheris>=3.0'
	$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS) --folder build/fuzz

clean:
	rm -rf $(VENV) med-mat demo-raw demo.png build dist *.egg-info
