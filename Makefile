# Everything a developer of Sotto does: `make run` serves it, `make test` checks it; both set up what they need.
PYTHON ?= python3
PYTEST_ARGS ?=
CHAOS_ARGS ?=
# Tests wait more than they compute: twice as many at once as a small machine has cores.
WORKERS ?= 4
BENCH_ARGS ?=

BIN := .venv/bin
INSTALLED := .venv/.installed
JS_INSTALLED := tests/js/node_modules/.installed

.PHONY: help run test lint format tools screenshots vendor lock cluster clustertest chaos bench

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: PORT ?= 5000
run: $(INSTALLED) ## serve http://localhost:5000 (another port: make run PORT=8080) on the embedded database
	@echo "Sotto: http://localhost:$(PORT)"
	@exec $(BIN)/flask run --port $(PORT)

test: tools lint ## every check and test
	$(BIN)/pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

cluster: PORT ?= 8080
cluster: tools $(INSTALLED) ## serve http://localhost:8080 (another port: make cluster PORT=9090) from two units behind nginx, with Redis
	@exec $(BIN)/python -m deploy.cluster --port $(PORT)

clustertest: tools $(INSTALLED) ## the tests of delivery and of the browser, through such a cluster
	SOTTO_SITE=cluster $(BIN)/pytest -n 2 --dist loadfile tests/test_delivery.py tests/test_exchange.py tests/test_history.py \
		tests/test_presence.py tests/test_calls.py tests/test_browser_*.py $(PYTEST_ARGS)

chaos: tools $(INSTALLED) ## every fault ten times under traffic: what was acknowledged is there once and in order
	$(BIN)/python -m tests.chaos.run $(CHAOS_ARGS)

lint: $(INSTALLED) $(JS_INSTALLED) ## format, lint and types of Python and JavaScript
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	npm --prefix tests/js --silent run check

format: $(INSTALLED) $(JS_INSTALLED) ## put Python and JavaScript in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	npm --prefix tests/js --silent run format

screenshots: tools $(INSTALLED) ## take the pictures of the documentation
	$(BIN)/python -m tests.screenshots

bench: $(INSTALLED) ## measure the server (parts: make bench BENCH_ARGS='--only a,c')
	$(BIN)/python -m benchmarks.bench $(BENCH_ARGS)

vendor: $(INSTALLED) ## fetch the browser's libraries and icons at their pinned versions
	$(BIN)/python deploy/vendor.py

COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --custom-compile-command "make lock" --quiet

lock: $(INSTALLED) ## pin what pyproject.toml allows, at its newest (.venv follows at the next make)
	$(BIN)/$(COMPILE) --all-extras --upgrade --output-file requirements-dev.lock
	$(BIN)/$(COMPILE) --constraint requirements-dev.lock --output-file requirements.lock

# uv comes by pip, as the lock file pins it, and installs the rest in a tenth of pip's time.
$(INSTALLED): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Sotto needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || deploy/require.sh python3-venv
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@sed -n '/^uv==/,/[^\\]$$/p' requirements-dev.lock > .venv/uv.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements-dev.lock
	@touch $@

$(JS_INSTALLED): tests/js/package-lock.json
	@npm --prefix tests/js ci --loglevel=error
	@touch $@

tools:
	@command -v npm >/dev/null || deploy/require.sh nodejs npm
	@command -v chromium >/dev/null || deploy/require.sh chromium
	@command -v redis-server >/dev/null || deploy/require.sh redis-server
	@command -v turnserver >/dev/null || deploy/require.sh coturn
	@command -v nginx >/dev/null || deploy/require.sh nginx-light
	@fc-list 2>/dev/null | grep -qi emoji || deploy/require.sh fontconfig fonts-noto-color-emoji
