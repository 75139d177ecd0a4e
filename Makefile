# The two commands of README.md, for a fresh clone: `make demo` and `make test`.
#
# They need Python 3.10 to 3.13, make and a C++ compiler. Everything else comes from PyPI, into .venv here.

PYTHON ?= python3
BIN := .venv/bin
MODELS := test/inputs/models
# What an installation is built from. Python files are not listed: it is editable, they count at once.
BUILT_FROM := pyproject.toml CMakeLists.txt $(wildcard dialects/CMakeLists.txt dialects/accel/* runtime/simulator/*.c)

.PHONY: demo test docs lint clean

demo: .venv/installed
	$(BIN)/htvm run $(MODELS)/mlperf_tiny/resnet8.onnx --target rv32 --inputs $(MODELS)/mlperf_tiny/golden/resnet8_0.npz

test: .venv/installed lint
	$(BIN)/lit -v test
	$(BIN)/python -m pytest -n auto

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/pyright

docs: .venv/installed
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -e '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/docs
	@echo "build/docs/index.html"

.venv/installed: $(BUILT_FROM)
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 10) <= v < (3, 14) or sys.exit( \
		f"htvm needs Python 3.10 to 3.13; $(PYTHON) is {v[0]}.{v[1]}. Choose another: make PYTHON=python3.12")'
	@echo "Installing htvm and what it needs into .venv (once; downloads about 700 MB)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -e '.[test]'
	@touch $@

clean:
	rm -rf .venv build
