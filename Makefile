# Every task of the project; `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# All data of `make run`: database, index, model, log. `make clean-data` removes it.
export LOCKSTEP_DATA ?= $(CURDIR)/data
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
# The tests have a model of their own, so that removing the data leaves it.
export LOCKSTEP_TEST_MODEL ?= $(TARGET)/lockstep-model/all-MiniLM-L6-v2

.PHONY: help run stop test test-api test-metrics test-rolling test-services check format lint docs deny advisories structure model setup setup-test \
	install-tools test-crash local-start local-stop local-remove local-ingest-data local-test-retriever bench-runtimes bench-extraction bench-retrieval \
	bench-crawl bench-hostile fuzz-extraction clean-data

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## Install what is missing, build, fetch the model, crawl a sample, search it, leave it running
	@$(CARGO) build --locked
	@scripts/fetch-model "$(LOCKSTEP_DATA)/model"
	@scripts/run

stop: ## Stop what `make run` left running
	@scripts/stop

test: setup-test ## Install what the tests need and run them
	$(CARGO) test --locked

test-api: setup-test ## Ask the HTTP API whatever its description allows, and what it does not, with schemathesis
	@$(CARGO) build --locked
	@scripts/test-api "$(TARGET)"

test-metrics: setup ## Have a Prometheus scrape `lockstep up` and promtool check figures and alert rules; needs apt's prometheus
	@$(CARGO) build --locked
	@scripts/test-metrics "$(TARGET)"

test-rolling: setup-test ## Restart capture, workers and serve in turn for LOCKSTEP_TEST_MINUTES= (15) under load; LOCKSTEP_TEST_QDRANT_URL=
	LOCKSTEP_TEST_MINUTES=$(or $(LOCKSTEP_TEST_MINUTES),15) $(CARGO) test --locked --test main services::rolling:: -- --nocapture

test-services: setup-test ## The contract suites over LOCKSTEP_TEST_QDRANT_URL, _MONGO_URL, _RABBIT_URL, where they are set
	@suites=(); \
	take() { if [[ -n "$${!1:-}" ]]; then suites+=("$$2"); else echo "$$1 is not set: $$2 is left out"; fi; }; \
	take LOCKSTEP_TEST_QDRANT_URL contract::vector::qdrant; \
	take LOCKSTEP_TEST_MONGO_URL contract::source::mongo; \
	take LOCKSTEP_TEST_RABBIT_URL contract::queue::rabbit; \
	if (( $${#suites[@]} == 0 )); then echo "error: name at least one service by its URL"; exit 1; fi; \
	$(CARGO) test --locked --test main -- "$${suites[@]}"

check: format lint docs structure deny test ## Everything that must hold before a change is merged

format: ## The code is formatted
	$(CARGO) fmt --check

lint: setup ## No warnings
	$(CARGO) clippy --locked --all-targets -- -D warnings

docs: setup ## The documentation builds without warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

structure: ## Files are short, and client crates stay in their backends
	@scripts/check-structure

deny: install-tools ## Licences, duplicate versions and sources of every dependency
	$(CARGO) deny --locked check bans licenses sources

advisories: install-tools ## Known vulnerabilities; needs the advisory database from the network
	$(CARGO) deny --locked check advisories

model: setup ## Fetch the embedding model into the data folder
	@scripts/fetch-model "$(LOCKSTEP_DATA)/model"

setup: ## Install what the build needs (Debian, Ubuntu)
	@scripts/setup

setup-test: setup ## Install what the tests need
	@scripts/setup test
	@scripts/setup-tests "$(TARGET)/lockstep-tests"
	@scripts/fetch-model "$(LOCKSTEP_TEST_MODEL)"

install-tools: setup ## Install cargo-deny where it is missing
	@$(CARGO) deny --version >/dev/null 2>&1 || \
		$(CARGO) install --locked --root "$(or $(CARGO_INSTALL_ROOT),$(or $(CARGO_HOME),$(HOME)/.cargo))" cargo-deny

test-crash: setup-test ## Kill at random moments, 200 times, and 60 times each of the services' processes, broker, connections
	LOCKSTEP_TEST_KILLS=200 $(CARGO) test --locked --test main crash:: -- --skip capture_crash:: --skip feature_crash::
	LOCKSTEP_TEST_KILLS=60 $(CARGO) test --locked --test main capture_crash:: -- --nocapture
	LOCKSTEP_TEST_KILLS=60 $(CARGO) test --locked --test main feature_crash:: -- --nocapture

bench-%: setup-test ## Measure one thing, as `make bench-spine`
	$(CARGO) bench --locked --profile dev --bench $*

bench-runtimes: setup-test ## Which runtime embeds fastest here, the ones not chosen included
	benches/runtimes/run

bench-retrieval: setup-test ## How well the documents of the test collection in COLLECTION= are found, beside others
	benches/retrieval/run

bench-extraction: setup ## How well articles are found, on the pages in EXTRACTION=, beside other extractors
	benches/extraction/run

bench-crawl: setup ## Small pages on loopback, crawled by us and read by a Python trafilatura (PAGES=10000)
	benches/crawl/run

bench-hostile: setup ## A site that means ill, crawled in every form that is known: time and peak memory of each
	$(CARGO) bench --locked --profile dev --bench crawl -- hostile

SECONDS_OF_FUZZ = $(or $(SECONDS),60)
SEED ?= 1
fuzz-extraction: setup ## Random pages for SECONDS= from SEED=: no panic, none over a second, no answer without bounds
	$(CARGO) bench --locked --profile dev --bench fuzz -- $(SECONDS_OF_FUZZ) $(SEED)

local-start: ## Start everything in containers with Docker Compose (docs/deployment.md)
	@scripts/local start

local-stop: ## Stop the containers; their data stays
	@scripts/local stop

local-remove: ## Remove the containers, their data, the image and the token
	@scripts/local remove

local-ingest-data: ## Have the containers crawl the links of LINKS=, one a line
	@scripts/local ingest "$${LINKS:-}"

local-test-retriever: ## Ask the containers a QUESTION=
	@scripts/local search "$${QUESTION:-}"

local-test-%: model ## local-test-github, local-test-medium: crawl LINK= into a fresh folder, show a hit; AUTHOR=, QUESTION=
	@$(CARGO) build --locked
	@scripts/local-test $* "$${LINK:-}"

clean-data: stop ## Remove the data folder of `make run`, the model included
	@scripts/clean-data
