# The platform on one machine, with no Docker and no Kubernetes. `make help` lists what there is.

.DEFAULT_GOAL := help
.PHONY: help setup demo batch status psql stop test test-unit test-integration lint types check bench clean lock env-example

PYTHON ?= python3
export DEMO_DIR ?= .demo

# Makes the environments it is given (once; a changed lock makes them anew) and runs the rest in the first of them.
BOOTSTRAP = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is missing or too \
old: 3.11 or newer is needed; install it and name it: make $@ PYTHON=python3.11" >&2; exit 2; }; \
$(PYTHON) -B -m embedded.bootstrap

##@ Run
demo: ## Play 30 minutes of three symbols through the whole platform and report (.demo/report)
	@$(BOOTSTRAP) --java services -- -m embedded demo

batch: ## Run the batch steps again: for a run that goes on, or on the last one's stores
	@$(BOOTSTRAP) services dbt ge -- -m embedded batch

status: ## Show which runs there are and how far they are
	@$(BOOTSTRAP) services -- -m embedded status

psql: ## Open the database of a run that goes on, or of the last one
	@$(BOOTSTRAP) services -- -m embedded psql

stop: ## Stop what runs, and what a killed run left behind
	@$(BOOTSTRAP) services -- -m embedded stop

##@ Check
test: ## Run all tests: unit, integration with real Kafka and PostgreSQL, recorded data
	@$(BOOTSTRAP) --java dev services dbt ge -- -m pytest

test-unit: ## Run the unit tests
	@$(BOOTSTRAP) dev -- -m pytest tests/unit

test-integration: ## Run the integration tests
	@$(BOOTSTRAP) --java dev services dbt ge -- -m pytest tests/integration

lint: ## Check style and formatting; changes nothing
	@$(BOOTSTRAP) dev -- -m ruff check .
	@$(BOOTSTRAP) dev -- -m ruff format --check .

types: ## Check types (mypy, strict)
	@$(BOOTSTRAP) dev -- -m mypy

check: ## Check that there is no default password and no float for money
	@$(BOOTSTRAP) dev -- -m pytest -q tests/unit/test_no_default_passwords.py tests/unit/test_no_float_money.py

bench: ## Measure against bare consumers and other stream processors, on one topic
	@$(BOOTSTRAP) --java services bench dbt -- -m benchmarks

##@ Keep
setup: ## Make all environments and fetch Kafka, without running anything
	@$(BOOTSTRAP) --java services dev dbt ge -- -m embedded.jars "$(DEMO_DIR)/logs/maven.log"

clean: ## Stop what runs and remove all that it made, with passwords and environments
	@test ! -d "$(DEMO_DIR)/venv" || { $(BOOTSTRAP) services -- -m embedded stop && rm -rf -- "$(DEMO_DIR)"; }

lock: ## Write requirements/*.txt anew from their sources; UPGRADE=1 takes the newest versions
	@$(BOOTSTRAP) services -- -m embedded.locks $(if $(UPGRADE),--upgrade)

env-example: ## Write .env.example anew from the settings
	@$(BOOTSTRAP) services -- -m embedded.env_example

##@ Help
help: ## Show this
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '%s\n' '' 'Variables, as in: make demo REPLAY=trades.csv KAFKA_PORT=19092' \
	  '  REPLAY=file          play a recording: trades or aggTrades archive (csv, zip), recorded stream (tsv)' \
	  '  KLINES=file          its official klines, to reconcile with' \
	  '  REST_FILE=file       recording that fills its holes; without it: the same file' \
	  '  LIVE=1               follow the real exchange until Ctrl-C; MINUTES=n ends it' \
	  '  FOREVER=1            play the simulator in real time until Ctrl-C; MINUTES=n ends it' \
	  '  SYMBOLS=A,B          symbols of the simulator or the exchange' \
	  '  KAFKA_PORT=9092 POSTGRES_PORT=5432 SIM_PORT=8899' \
	  '  DEMO_DIR=.demo       the only folder that a run writes to' \
	  '  PYTHON=python3       the Python to make environments with, 3.11 or newer' \
	  '  RECORDED_DATA_DIR    recorded market data for the tests' \
	  'All settings of all services: .env.example'
