# Highbeam's commands. A machine needs Python 3.10 to 3.13 and make, nothing else.

VENV  := .venv
PY    := $(VENV)/bin/python
ROWS  := 10000000
IMAGE := highbeam

# The newest Python that fits; `make setup PYTHON=…` names another. Each is tried, not only looked
# up: a version manager's shim may be on the PATH for a Python that is not there.
FITS   := import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 14))
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3.10 python3 python; do \
	"$$python" -c "$(FITS)" >/dev/null 2>&1 && echo "$$python" && break; done)

# The strict editable install links a fixed list of files, so a file added or moved means linking
# again. The list starts with the folder: a clone that was moved is linked again too.
SOURCES = $(CURDIR) $(sort $(wildcard *.py) $(shell find stores schemas models transforms pipelines scheduler -name '*.py'))
STRICT  = --config-settings editable_mode=strict

.PHONY: help setup demo test test-cluster lint bench image clean FORCE
.DELETE_ON_ERROR:

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## /  make \1  /p' Makefile | awk '{ printf "  %s %-12s ", $$1, $$2; $$1 = $$2 = ""; print $$0 }'

setup: $(VENV)/.linked  ## a virtual environment in .venv with Highbeam and all its tools

demo: setup  ## analyze, train, package, score a night of real flights, look predictions up
	$(PY) examples/flight_delay/demo.py

test: setup  ## all tests; ARGS=--cov adds the share of the code they cover
	$(PY) -m pytest -n 2 --dist loadscope --no-loadscope-reorder -m "not cluster" $(ARGS)

test-cluster: setup  ## the tests that start a Flink or a Spark, one after the other
	$(PY) -m pytest -m cluster $(ARGS)

lint: setup  ## ruff, mypy --strict and hadolint
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy -p highbeam
	$(PY) -m mypy setup.py tests examples benchmarks docs
	$(VENV)/bin/hadolint Dockerfile

bench: setup  ## Highbeam against a hand-written loop and row-by-row Beam; ROWS=10000000
	$(PY) benchmarks/sources.py
	$(PY) benchmarks/bench.py --rows $(ROWS)

image:  ## the container image, for Beam's workers and the command line; IMAGE=highbeam
	@if docker info >/dev/null 2>&1; then docker build --tag $(IMAGE) .; \
	elif command -v podman >/dev/null; then podman build --tag $(IMAGE) .; \
	elif command -v buildah >/dev/null; then buildah build --tag $(IMAGE) .; \
	else echo "make image: found no running Docker, no podman and no buildah; install one of them" >&2; exit 1; fi

clean:  ## remove what builds, tests and examples left behind; .venv stays
	rm -rf build dist *.egg-info .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf examples/*/work benchmarks/work $(VENV)/.linked
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(PY):
	@test -n "$(PYTHON)" || { echo "make: found no Python 3.10 to 3.13 with the venv module;" \
		"install one, or name it: make setup PYTHON=/path/to/python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# uv installs in a tenth of pip's time; where it cannot be had, or fails, pip does the work.
# TensorFlow and Beam import four times slower without bytecode, and not every installer writes it.
# compileall complains about the odd template that is no Python; that is no failure of ours.
$(VENV)/.installed: setup.py | $(PY)
	$(PY) -m pip install --quiet uv || echo "make: no uv to be had, pip installs instead"
	$(PY) -m uv pip install --quiet --python $(PY) $(STRICT) --editable '.[dev,examples]' \
		|| $(PY) -m pip install $(STRICT) --editable '.[dev,examples]'
	$(PY) -m compileall -qq -j 0 $(VENV)/lib build || true
	@printf '%s\n' $(SOURCES) > $(VENV)/.linked
	@touch $@

$(VENV)/.linked: $(VENV)/.installed FORCE
	@printf '%s\n' $(SOURCES) | cmp -s - $@ || { echo "linking the working copy into $(VENV)" && \
	$(PY) -m pip install --quiet --no-deps --no-build-isolation $(STRICT) --editable . && \
	$(PY) -m compileall -qq build && \
	printf '%s\n' $(SOURCES) > $@; }
