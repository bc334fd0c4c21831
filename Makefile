# Everything a newcomer needs: `make demo`, `make test`. Both set up a virtual environment in .venv first.
PYTHON ?= python3
VENV   := .venv
READY  := $(VENV)/.ready
PG     ?= embedded
ARGS   ?=

DIR    ?= screenshots
SECRETS ?= .gateway/secrets

# The tests start many processes: without compiled files each would compile all that it reads.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint bench bench-dashboard soak screenshots shapes sql settings browser dashboards prometheus secrets constraints clean

demo: $(READY) prometheus
	$(VENV)/bin/gateway demo $(ARGS)

# Three at once, as most tests wait more than they work; each part has a Postgres of its own. One by one: ARGS="-n 0".
test: $(READY) browser prometheus
	GATEWAY_TEST_PG=$(PG) $(VENV)/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(READY)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# The tests that need a browser skip without one: it is installed where that is quick and allowed.
browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && timeout 180 sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium' >/dev/null 2>&1; } \
	  || echo "no chromium here: the browser tests are skipped"

# Each page in both themes, as DIR/page-theme.png.
screenshots: $(READY)
	$(VENV)/bin/python -m tests.dashboard.screenshots $(DIR)

# What the dashboard reads of the operations API, from its OpenAPI document.
shapes: $(READY)
	$(VENV)/bin/python -m tests.dashboard.shapes

# The lists of columns that the ledger's SQL repeats, from gateway/ledger/columns.py.
sql: $(READY)
	$(VENV)/bin/python -m gateway.ledger.column_lists

# The page of all keys of gateway.toml, from the program.
settings: $(READY)
	$(VENV)/bin/gateway settings reference >settings.md && mv settings.md gateway/settings/README.md

bench-dashboard: $(READY)
	$(VENV)/bin/python -m tests.bench.dashboard $(ARGS)

bench: $(READY)
	$(VENV)/bin/python -m tests.bench $(ARGS)

dashboards: $(READY)
	$(VENV)/bin/python -m grafana.dashboards

# Debian's Prometheus and Alertmanager, where they are missing and may be installed; without them their tests skip.
prometheus:
	@command -v promtool >/dev/null && command -v prometheus-alertmanager >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "Installing Prometheus and Alertmanager …" && \
	  timeout 180 sh -c 'apt-get update -qq && \
	    apt-get install -y -qq --no-install-recommends prometheus prometheus-alertmanager' >/dev/null 2>&1; } || \
	  echo "Prometheus and Alertmanager are not here: the demo goes without, and tests that need them skip."

# What docker-compose.yml reads: one line in each file, readable by the containers' users, the folder by you alone.
# What is there is kept.
secrets:
	@mkdir -p $(SECRETS) && chmod 700 $(SECRETS)
	@for name in postgres_password serve_password newstore_client_secret operator_token grafana_password quick_api_key \
	  quick_callback_key flaky_api_key flaky_callback_key dc01_api_key dc02_api_key; do \
	  [ -s $(SECRETS)/$$name ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >$(SECRETS)/$$name; done
	@[ -s $(SECRETS)/database_url ] || printf 'postgresql://gateway_serve:%s@postgres:5432/gateway' \
	  "$$(cat $(SECRETS)/serve_password)" >$(SECRETS)/database_url
	@[ -s $(SECRETS)/owner_database_url ] || printf 'postgresql://gateway:%s@postgres:5432/gateway' \
	  "$$(cat $(SECRETS)/postgres_password)" >$(SECRETS)/owner_database_url
	@chmod 444 $(SECRETS)/*

soak: $(READY)
	$(VENV)/bin/python -m tests.soak $(ARGS)

# The versions we develop with: names and numbers only, from whichever registry you use.
constraints: $(READY)
	$(VENV)/bin/python -m pip install --quiet uv
	$(VENV)/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --quiet \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links --output-file constraints.txt

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gateway needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,otel,dashboard]'
	touch $@

clean:
	rm -rf $(VENV) .gateway
