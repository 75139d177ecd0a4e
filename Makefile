# `make demo` and `make test` of README.md, for a fresh clone, and the other tasks; `make help` lists them.
#
# They need Python 3.10 to 3.13, make and a C++ compiler. Everything else comes from PyPI, into .venv here.

PYTHON ?= python3
BIN := .venv/bin
MODELS := test/inputs/models
# What an installation is built from. Python files are not listed: it is editable, they count at once.
BUILT_FROM := pyproject.toml CMakeLists.txt $(wildcard dialects/CMakeLists.txt dialects/accel/*.td dialects/accel/*.h dialects/accel/*.cpp dialects/accel/generator/*.py dialects/capi/*.cpp dialects/capi/include/htvm-c/*.h dialects/htvmConfig.cmake.in runtime/CMakeLists.txt runtime/*.c runtime/simulator/CMakeLists.txt runtime/simulator/*.c)

# What clang-format keeps; the .clang-format beside the files or above them says how.
PRODUCT := dialects passes backend runtime frontend/import_onnx frontend/import_tosa frontend/reference frontend/htvm
C_FILES := $(wildcard dialects/accel/*.cpp dialects/accel/*.h dialects/capi/*.cpp dialects/capi/include/htvm-c/*.h runtime/*.c runtime/simulator/*.c runtime/kernels/*.h frontend/htvm/integrations/relax/*.h)

.PHONY: demo test test-all test-integrations fuzz lint format docs clean help

demo: .venv/installed  ## compile ResNet-8 and execute it; the first time this installs into .venv
	$(BIN)/htvm run $(MODELS)/mlperf_tiny/resnet8.onnx --target rv32 --inputs $(MODELS)/mlperf_tiny/golden/resnet8_0.npz

test: .venv/installed lint  ## lint, then the tests: lit and pytest
	$(BIN)/lit -v test
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not slow"

test-all: .venv/installed lint  ## all tests, also those that take long
	$(BIN)/lit -v test
	$(BIN)/python -m pytest -n auto --dist worksteal

INTEGRATIONS := .venv-integrations
test-integrations: $(INTEGRATIONS)/installed  ## install TVM, PyTorch and Brevitas into an environment of their own, and test htvm in them
	$(INTEGRATIONS)/bin/python -m pytest test/integrations test/unit/test_typings.py test/unit/docs/test_examples.py -k "integrations or tvm or torch"

N ?= 20
fuzz: .venv/installed  ## N random networks, layers, mutants and signals (make fuzz N=100), from a new seed
	$(BIN)/python test/fuzz.py $(N)

lint: .venv/installed  ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)
	$(BIN)/pyright
	$(BIN)/vermin --quiet --target=3.10- --no-tips --violations $(PRODUCT)

format: .venv/installed  ## write Python and C as `lint` wants them
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format --quiet .
	$(BIN)/clang-format -i $(C_FILES)

docs: .venv/installed  ## build the site into build/docs
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

# Beside .venv, whose packages it sees: only what is not there already is fetched.
$(INTEGRATIONS)/installed: .venv/installed
	@echo "Installing TVM, PyTorch and Brevitas into $(INTEGRATIONS) (once; downloads about 500 MB, more where pip's PyTorch is the one for CUDA)"
	$(PYTHON) -m venv $(INTEGRATIONS)
	ln -sf ../../.venv/bin/htvm $(INTEGRATIONS)/bin/htvm
	.venv/bin/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> "$$($(INTEGRATIONS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/htvm.pth"
	.venv/bin/python -c 'from importlib.metadata import requires; print(*(each.split(";")[0] for each in requires("htvm") \
		if each.rpartition(" == ")[2].strip("\"\x27") in ("tvm", "torch", "brevitas")), sep="\n")' > $(INTEGRATIONS)/requirements.txt
	$(INTEGRATIONS)/bin/python -m pip install --disable-pip-version-check --progress-bar off -r $(INTEGRATIONS)/requirements.txt
	@touch $@

clean:  ## remove what was built and installed
	rm -rf .venv $(INTEGRATIONS) build

help:  ## list the tasks
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
