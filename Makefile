# Everything runs in .venv; `make install` needs only Python >= 3.11.
PYTHON ?= python3
BIN := .venv/bin
# Where no bytecode may be kept, each process of the tests compiles everything anew: a fifth of their time.
unexport PYTHONDONTWRITEBYTECODE
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast chaos check format bench clean

help: ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## create .venv with everything

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "swapjobs needs Python >= 3.11, this is " + sys.version.split()[0] + "; choose one with make PYTHON=python3.11")'
	@echo "making .venv and installing everything into it: this takes 1 to 3 minutes"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP) ## swap real faces through the whole queue, on this machine
	$(BIN)/swapjobs demo

test: $(STAMP) ## run all tests
	$(BIN)/python -m pytest -n 5 --dist worksteal

test-fast: $(STAMP) ## run the tests that need no worker and no long search, in less than a minute
	$(BIN)/python -m pytest -n 4 --dist worksteal -m "not slow" tests/unit tests/architecture tests/integration

chaos: $(STAMP) ## break everything again and again, for about 12 minutes, and check the promises
	PYTHONPATH=tests $(BIN)/python -m chaos $(CHAOS)

check: $(STAMP) ## lint, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v luacheck >/dev/null; then luacheck --quiet producers/swapjobs/store/lua; \
	elif [ -n "$$CI" ]; then echo "luacheck is missing: apt-get install lua-check"; exit 1; \
	else echo "Lua not checked: luacheck is missing (Debian: lua-check; elsewhere: luarocks install luacheck)"; fi

format: $(STAMP) ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## measure everything beside plain Celery, for about 20 minutes; BENCH=name: only that
	$(BIN)/python ops/bench/all.py $(BENCH)

clean: ## remove what make and the demo made
	rm -rf .venv demo-output bench-output .mypy_cache .ruff_cache .pytest_cache .hypothesis
