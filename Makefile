# Everything that is done with the platform, in one place. `make help` lists it.

.DEFAULT_GOAL := help
.PHONY: help doctor sizing images charts cluster load up status urls open forward logs memory airflow-run psql down \
  nuke env compose-up compose-batch compose-down dashboard-export airgap demo batch settings live-page stop setup \
  clean lock env-example chart-docs docs docs-reference grafana test test-spark test-bi test-page test-unit test-integration \
  test-charts test-rules test-parity e2e e2e-exchange e2e-compose lint lint-workflows types check bench

PYTHON ?= python3
export DEMO_DIR ?= .demo
ifneq ($(findstring $$,$(value DEMO_DIR)),)
$(error DEMO_DIR cannot be used: it holds a dollar; make $(MAKECMDGOALS) DEMO_DIR=/another/folder)
endif

# What `make airgap` built, if it did: used before what the machine has.
AIRGAP_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/crypto-analytics/airgap
ifneq ($(wildcard $(AIRGAP_CACHE)/bin),)
export PATH := $(AIRGAP_CACHE)/bin:$(PATH)
endif

# Creates the named environments once, again after a change of their lock files, and runs the rest in the first of them.
BOOTSTRAP = $(PYTHON) -E -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is missing or too \
old: 3.11 or newer is needed; install it and name it: make $@ PYTHON=python3.11" >&2; exit 2; }; \
$(PYTHON) -B -E -s -X utf8 -m ops.setup.environments
OPS = $(BOOTSTRAP) --for tools ops -- -m ops
# Options of the end-to-end tests: the installed variant, and whether to run only the tests that depend on it.
E2E = $(if $(VARIANT),--variant $(VARIANT)) $(if $(ONLY),-m $(ONLY))
# A file of tests runs in one process, TEST_WORKERS of them side by side; each process has its own Kafka and PostgreSQL.
TEST_WORKERS ?= 2
SIDE_BY_SIDE = -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder
NO_PASSWORDS = $(if $(filter 0,$(PASSWORDS)),--no-passwords)

##@ Run on Kubernetes (kind, or KUBE_CONTEXT=yours)
doctor: ## Check Docker's CPUs and memory, disk, ports, limits and tools, each with its fix
	@$(OPS) doctor

sizing: ## Estimate CPU, memory and disk for SYMBOLS=3 (a number, or names) TRADES_PER_SECOND=30 DAYS=365 BATCH_SECONDS=1
	@$(OPS) sizing

images: ## Build the images that changed and show the sizes of all; PUSH=1 IMAGE_REGISTRY=… pushes them
	@$(BOOTSTRAP) --for tools ops -- -m ops.platform.images $(if $(filter 1,$(PUSH)),--push) $(if $(filter 1,$(RELEASE)),--release)

charts: ## Package the charts into .platform/charts; PUSH=1 IMAGE_REGISTRY=… pushes them there
	@$(BOOTSTRAP) --for tools ops -- -m ops.platform.charts $(if $(filter 1,$(PUSH)),--push)

cluster: ## Create the kind cluster of kind-config.yaml, and install nothing; then: make load
	@$(OPS) cluster

load: ## Build the images that ENV and VARIANT need and load them into the kind cluster; then the helmfile command that it prints
	@$(OPS) load

up: ## Create the cluster, build and load the images, install or upgrade everything, wait, show the table of URLs
	@$(OPS) up $(NO_PASSWORDS)

status: ## Show what runs and how fresh the candles are: local runs, Kubernetes, Compose
	@$(OPS) status

urls: ## Show URL, user, password and health of every endpoint; PASSWORDS=0 hides the passwords, FORMAT=env|json
	@$(OPS) urls $(NO_PASSWORDS) $(if $(FORMAT),--format $(FORMAT))

open: ## Open the live page, Superset, Airflow and, if installed, Grafana in the browser
	@$(OPS) open

forward: ## Forward the ports of a cluster other than kind to this machine until Ctrl-C
	@$(OPS) forward

logs: ## Follow the logs of SERVICE=name, or of all
	@$(OPS) logs

memory: ## Show the memory of every pod
	@$(OPS) memory

airflow-run: ## Trigger a run of the batch in Airflow, in the cluster or Compose, and follow it to its end
	@$(OPS) airflow-run

down: ## Delete the cluster and its data after confirmation (YES=1: without); images and caches are kept
	@$(OPS) down

nuke: ## Delete the cluster, Compose's volumes, all images and .platform/ after confirmation (YES=1: without)
	@$(OPS) nuke

env: ## Write .env with random passwords for Compose, once
	@$(OPS) env

compose-up: ## Start the same images with Docker Compose, without Kubernetes; BI=1 AIRFLOW=1 add the dashboard and Airflow
	@$(OPS) compose-up $(NO_PASSWORDS)

compose-batch: ## Run the batch steps once in Compose, without Airflow; EVERY=5 again every five minutes
	@$(OPS) compose-batch

compose-down: ## Stop Compose and keep the data; VOLUMES=1 removes it
	@$(OPS) compose-down

dashboard-export: ## Write the dashboard, as it was changed in the running Superset, into superset/assets
	@$(OPS) dashboard-export

airgap: ## Build engine, base images, tools and node image from package registries alone (no container registry)
	@ops/airgap/build

##@ Run on this machine without Docker
demo: ## Play 30 minutes of three symbols through the whole platform and report (.demo/report)
	@$(BOOTSTRAP) --java services $(if $(filter spark both,$(VARIANT)),spark) -- -m ops.local demo

batch: ## Run the batch steps again, on the stores of the current local run or of the last one
	@$(BOOTSTRAP) services dbt ge -- -m ops.local batch

# The module of SERVICE: the simulator is a package of its own, and the jobs that reconcile servers share a folder.
NAMED = $(subst -,_,$(or $(SERVICE),consumer))
MODULE = $(if $(filter simulator exchange_simulator,$(NAMED)),exchange_simulator,crypto_analytics.$(if $(filter \
migrate topics buckets orphan_cleanup,$(NAMED)),jobs.)$(patsubst sweep,jobs.orphan_cleanup,$(NAMED)))

settings: ## Show the settings of SERVICE=consumer, or of another one: its --help
	@$(BOOTSTRAP) $(if $(filter spark%candles,$(SERVICE)),spark,services) -- -m $(MODULE) --help

live-page: ## Build the live page of the api into .demo/live-page (needs npm the first time); make demo does it by itself
	@$(BOOTSTRAP) services -- -m ops.setup.live_page "$$DEMO_DIR/live-page"

psql: ## Open the database of the current local run or of the last one
	@$(BOOTSTRAP) services -- -m ops.local psql

stop: ## Stop the local run, and processes that a killed run has left
	@$(BOOTSTRAP) services -- -m ops.local stop

##@ Check
test: ## Run all tests that need neither Docker nor Spark: unit, integration with real Kafka and PostgreSQL, recorded data
	@$(BOOTSTRAP) --for tests --java dev services dbt ge clients -- -m pytest $(SIDE_BY_SIDE) -m "not spark and not bi"

test-spark: ## Run the tests of the Spark variant, in 5 minutes; the first time it fetches Spark (430 MB)
	@$(BOOTSTRAP) --for tests --java dev services spark dbt ge -- -m pytest -m spark

test-bi: ## Run the test of the dashboard on the local run, in two minutes; the first time it fetches Superset (200 MB)
	@$(BOOTSTRAP) --for tests --java dev services superset dbt ge -- -m pytest -m bi

# What npm installed, for the live page's checks.
PAGE = services/live_page
$(PAGE)/node_modules/.package-lock.json: $(PAGE)/package-lock.json
	@npm --prefix $(PAGE) ci

test-page: $(PAGE)/node_modules/.package-lock.json ## Check types and style of the live page, and test its modules (needs npm)
	@npm --prefix $(PAGE) run --silent types
	@npm --prefix $(PAGE) run --silent lint
	@npm --prefix $(PAGE) test --silent

test-unit: ## Run the unit tests
	@$(BOOTSTRAP) --for tests dev -- -m pytest $(SIDE_BY_SIDE) tests/unit

test-integration: ## Run the integration tests
	@$(BOOTSTRAP) --for tests --java dev services dbt ge clients -- -m pytest $(SIDE_BY_SIDE) -m "not spark and not bi" tests/integration

test-charts: ## Render, lint and check all charts in all environments (needs helm, helmfile and Go)
	@$(BOOTSTRAP) --for tools dev -- -m pytest $(SIDE_BY_SIDE) tests/charts

test-rules: ## Check the alert rules and run their tests by the promtool of the image monitoring (first: make images)
	@$(BOOTSTRAP) --for tools dev -- -m pytest tests/rules

test-parity: ## Compare Compose with the charts, both ways (needs helm and helmfile)
	@$(BOOTSTRAP) --for tools dev -- -m pytest tests/parity

e2e: ## Test the running cluster end to end, in about 15 minutes (first: make up); VARIANT=spark or both as at make up, ONLY=variant
	@$(BOOTSTRAP) --for tools dev -- -m pytest tests/e2e $(E2E)

e2e-exchange: ## Start a simulator outside of the cluster, which make e2e needs with FEED=binance (first: make cluster)
	@$(BOOTSTRAP) --for tools dev -- -m tests.e2e.outside_exchange

e2e-compose: ## The same checks on Compose, in 8 minutes (first: make compose-up BI=1 AIRFLOW=1)
	@$(BOOTSTRAP) --for tools dev -- -m pytest tests/e2e --platform compose $(E2E)

lint: ## Check style, formatting, and which module may import which; changes nothing
	@$(BOOTSTRAP) dev -- -m ruff check .
	@$(BOOTSTRAP) dev -- -m ruff format --check .
	@$(BOOTSTRAP) dev -- -c 'from importlinter.cli import lint_imports_command as lint; lint()' --no-cache --no-logo

lint-workflows: ## Check the workflows in .github with actionlint (needs Go; the first time it compiles it)
	@go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 -color

types: ## Check types (mypy, strict)
	@$(BOOTSTRAP) dev -- -m mypy

check: ## Check that there is no default password and no float for money
	@$(BOOTSTRAP) --for tests dev -- -m pytest -q tests/unit/test_no_default_passwords.py tests/unit/test_no_float_money.py

bench: ## Measure against bare consumers and other stream processors, on one topic
	@$(BOOTSTRAP) --java services spark bench dbt -- -m benchmarks

##@ Keep
setup: ## Create all environments and fetch Kafka, without running anything
	@$(BOOTSTRAP) --java services dev spark dbt ge superset ops -- -m ops.setup.jars "$$DEMO_DIR/logs/maven.log" --spark

clean: ## Stop the local run and delete DEMO_DIR with its data, passwords and environments
	@test ! -d "$$DEMO_DIR/venv" || { $(BOOTSTRAP) services -- -m ops.local stop && rm -rf -- "$$DEMO_DIR"; }

lock: ## Write requirements/*.txt anew from their sources; UPGRADE=1 takes the newest versions
	@$(BOOTSTRAP) services -- -m ops.dev.lock_files $(if $(UPGRADE),--upgrade)

env-example: ## Write .env.example anew from the settings
	@$(BOOTSTRAP) services -- -m ops.dev.env_example

chart-docs: ## Write the charts' READMEs and docs/reference/chart-values.md anew from the comments in their values
	@$(BOOTSTRAP) dev -- -m ops.dev.chart_docs

docs: ## Build the documentation site, with dbt's pages of the models, into .demo/site (needs npm the first time)
	@$(BOOTSTRAP) --for tools docs dbt -- -m ops.dev.docs_site

grafana: ## Write the Grafana dashboards and their pages anew from ops/dev/grafana
	@$(BOOTSTRAP) dev -- -m ops.dev.grafana

docs-reference: chart-docs ## Write docs/reference anew: chart-docs, and the pages of settings, metrics and make targets
	@$(BOOTSTRAP) dev -- -m ops.dev.reference

##@ Help
help: ## Show this
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '%s\n' '' 'Variables, as in: make up ENV=lite KAFKA_PORT=19092' \
	  '  ENV=default          environment: default (operators), lite (small), production; without it: the last one, or one that fits' \
	  '  VARIANT=python       what makes the candles: python (the consumer), spark, or both; up, compose-up, e2e' \
	  '  OBJECT_STORE_SERVER=minio  S3 server: minio or versitygw; up, load, compose-up, e2e, e2e-compose' \
	  '  KUBE_CONTEXT=…       another cluster than kind: up skips creating it and loading images' \
	  '  YES=1                down, nuke: remove without asking' \
	  '  VALUES=mine.yaml     up, load, down: a file of your own values, over those of environments/' \
	  '  IMAGES=published     up, load, compose-up: pull the images of this version from IMAGE_REGISTRY, or build if there are none' \
	  '  IMAGE_REGISTRY=…     registry of the images; images, charts: with PUSH=1 push them there (RELEASE=1: as this version)' \
	  '  PASSWORDS=0          up, compose-up, urls: hide the passwords' \
	  '  FORMAT=table         urls: for programs, env (NAME=value for a shell) or json' \
	  '  BI=1                 compose-up: the dashboard too' \
	  '  MONITORING=0         up, compose-up: neither Prometheus nor Alertmanager' \
	  '  GRAFANA=1            up: Grafana too, with the dashboards (GRAFANA_PORT=3300)' \
	  '  AIRFLOW=1            compose-up: Airflow too, which runs the batch every five minutes' \
	  '  DOCKER_SOCKET=…      compose-up AIRFLOW=1: the socket of rootless Docker' \
	  '  TRADES_PER_SECOND=30 sizing: trades of all symbols together, on average' \
	  '  DAYS=365             sizing: days of history that are kept' \
	  '  SERVICE=consumer     logs: of one component; settings: of one service' \
	  '  UP_TIMEOUT_MINUTES=30' \
	  '  KAFKA_PORT=9092 POSTGRES_PORT=5432 MINIO_PORT=9000 MINIO_CONSOLE_PORT=9001 SIM_PORT=8899' \
	  '  AIRFLOW_PORT=8080 SUPERSET_PORT=8088 SPARK_UI_PORT=4040 API_PORT=8000' \
	  '  PROMETHEUS_PORT=9090 ALERTMANAGER_PORT=9093 GRAFANA_PORT=3300' \
	  '' 'Variables of make demo, as in: make demo REPLAY=trades.csv' \
	  '  REPLAY=file          play a recording: trades or aggTrades archive (csv, zip), recorded stream (tsv)' \
	  '  KLINES=file          its official klines, to reconcile with' \
	  '  REST_FILE=file       recording from which its gaps are repaired; default: the same file' \
	  '  VARIANT=spark        what makes the candles: python (the consumer), spark, or both' \
	  '  LIVE=1               follow the real exchange until Ctrl-C; MINUTES=n ends it' \
	  '  FOREVER=1            play the simulator in real time until Ctrl-C; MINUTES=n ends it' \
	  '  VIEW=1               keep the live page open after the play, until Ctrl-C (API_PORT=8000)' \
	  '  MONITORING=1         start Prometheus and Alertmanager too, if they are installed (PROMETHEUS_PORT, ALERTMANAGER_PORT)' \
	  '  BI=1                 start Superset with the dashboard, and stay until Ctrl-C (SUPERSET_PORT=8088)' \
	  '' 'Variables of all' \
	  '  SYMBOLS=A,B          symbols to follow' \
	  '  DEMO_DIR=.demo       folder of the local run and of the Python environments' \
	  '  PYTHON=python3       the Python to make environments with, 3.11 or newer' \
	  '  CRYPTO_ANALYTICS_CACHE=~/.cache   folder of what is fetched once' \
	  '  RECORDED_DATA_DIR    recorded market data for the tests' \
	  '  TEST_WORKERS=2       test, test-unit, test-integration, test-charts: how many files of tests run side by side' \
	  'All settings of all services: .env.example'
