# make demo [OUT=demo]                                 the person who comes with the program speaks: needs nothing else
# make demo VIDEO=me.mp4 AUDIO=hello.wav [OUT=demo]   prepare, train (smoke preset) and speak, from nothing
# make test    the tests;   make check   lint, types and tests, as CI does;   make gpu   the tests that need a CUDA device
PYTHON ?= python3
TORCH ?= torch==2.13.0
VENV ?= .venv
OUT ?= demo
BIN := $(VENV)/bin

.PHONY: help demo install test check lint types gpu clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

# PyTorch goes first and by itself, so that TORCH (and pip's own settings) choose the build: CPU or a CUDA version.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[dev,synthetic]'
	touch $@

install: $(VENV)/.installed

ifeq ($(VIDEO)$(AUDIO),)
demo: $(VENV)/.installed
	$(BIN)/aednerf demo -o "$(OUT)" --force
else ifeq ($(and $(VIDEO),$(AUDIO)),)
demo:
	@echo "make demo with a person of your own needs a video of one person talking and a speech to drive it:" >&2
	@echo "    make demo VIDEO=me.mp4 AUDIO=hello.wav [OUT=demo]" >&2
	@echo "Without both, the person who comes with the program speaks." >&2
	@exit 2
else
demo: $(VENV)/.installed
	$(BIN)/aednerf prepare "$(VIDEO)" -o "$(OUT)/capture" --max-seconds 12 --size 256 --force
	$(BIN)/aednerf train "$(OUT)/capture" -o "$(OUT)/avatar" --preset smoke --force
	$(BIN)/aednerf speak "$(OUT)/avatar" --audio "$(AUDIO)" -o "$(OUT)/speak.mp4" --force
	$(BIN)/python scripts/contact_sheet.py "$(OUT)/speak.mp4" -o "$(OUT)/speak.png"
	@echo "The video: $(OUT)/speak.mp4    at a glance: $(OUT)/speak.png    the capture's report: $(OUT)/capture/report.html"
endif

# A worker a core; a file's tests share what they make, so they stay together.
test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check src tests benchmarks scripts

types: $(VENV)/.installed-dev
	$(BIN)/pyright --pythonpath $(BIN)/python

check: lint types test

# In whatever Python has PyTorch with CUDA: machines with a GPU come with their own, often without the rest of the
# requirements, so only files that have such tests are read.
gpu:
	PYTHONPATH=src $(PYTHON) -m pytest $$(grep -l 'mark.gpu$$' tests/*.py) -o addopts=-ra -m gpu

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
