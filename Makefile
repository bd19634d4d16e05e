# PhantomDB's doors: `make help` lists them. Everything here works on a fresh Debian with cargo.

CARGO      ?= cargo
# Outside the checkout, so that a clean checkout reuses compiled dependencies.
export CARGO_TARGET_DIR ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/phantomdb/target
export CARGO_TERM_COLOR ?= never

REL        := $(CARGO_TARGET_DIR)/release
PHANTOMDB  := $(REL)/phantomdb
WITH       := $(REL)/with-server --binary $(PHANTOMDB)
RUN_CARGO   = $(CARGO) $(1) --release --workspace

# Sizes of the long targets; the short ones that `make test` runs are given in its recipe.
ROUNDS     ?= 200
CUTS       ?= 1000
SEEDS      ?= 500
CASES      ?= 100000
BENCH_ARGS ?=

.PHONY: help setup build demo test lint fmt-check bench cluster \
        test-unit test-sql test-smoke crash-loop powercut sim log-cases drivers protocol-diff large-txn bad-input grammar-verdicts

help: ## this list
	@echo "make demo           build, start a throw-away server with sample data, print how to connect"
	@echo "make test           everything CI runs (budget: 45 minutes with nothing built, 2 cores)"
	@echo "make bench          pgbench on PhantomDB and PostgreSQL 15 side by side (BENCH_ARGS=...)"
	@echo "make build          the release binaries"
	@echo "make lint           rustfmt and clippy"
	@echo "make setup          install what is missing (libclang, a C compiler, PostgreSQL client tools)"
	@echo "make cluster        three local nodes: comes with the cluster, see docs/limits.md"
	@echo "Long targets:"
	@echo "make crash-loop     kill -9 rounds under load          ROUNDS=$(ROUNDS)   about 12 minutes"
	@echo "make powercut       power cuts of the real binary      CUTS=$(CUTS)   about 45 minutes"
	@echo "make sim            seeds of the deterministic simulator SEEDS=$(SEEDS)"
	@echo "make log-cases      crash cases of log and engines     CASES=$(CASES)"
	@echo "make bad-input      hostile messages, hopeless starts, a flipped bit in each file"
	@echo "make large-txn      2 and 6 million rows in one transaction under --memory 1GiB"
	@echo "make drivers        driver matrix (downloads the drivers from their registries)"
	@echo "make protocol-diff  wire messages compared with PostgreSQL 15 (needs its server)"

setup: ## only what is missing is installed
	@scripts/setup.sh

build: setup
	$(call RUN_CARGO,build) --bins

demo: build
	$(PHANTOMDB) demo

cluster:
	@echo "make cluster: one node is what exists today; several nodes come later (docs/limits.md)." >&2
	@exit 2

lint: setup fmt-check
	$(call RUN_CARGO,clippy) --all-targets -- -D warnings

fmt-check:
	$(CARGO) fmt --all -- --check

test: ## everything CI runs
	@echo "make test runs (budgets for 2 cores; the first compile of the dependencies is in the second line):"
	@echo "   1 min  rustfmt"
	@echo "  22 min  clippy and the release build, all targets, warnings are errors"
	@echo "  10 min  unit, property, golden and model tests of every crate"
	@echo "   3 min  SQL suites on the built binary"
	@echo "   4 min  smoke: 5 kill -9 rounds, 10 power cuts and their negative control, bad input, protocol"
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory build
	@$(MAKE) --no-print-directory test-unit
	@$(MAKE) --no-print-directory test-sql
	@$(MAKE) --no-print-directory test-smoke
	@echo "make test: passed"

test-unit:
	$(call RUN_CARGO,test)

test-sql:
	$(WITH) -- $(REL)/sqllogic sqllogic/suites

test-smoke:
	$(REL)/crash-loop --binary $(PHANTOMDB) --rounds 5
	$(REL)/powercut --binary $(PHANTOMDB) --cuts 10 --negative-control
	$(REL)/bad-input --binary $(PHANTOMDB)
	$(WITH) -- $(REL)/protocol-diff --expected bench/protocol/expected

bench: build
	$(REL)/bench --binary $(PHANTOMDB) $(BENCH_ARGS)

crash-loop: build
	$(REL)/crash-loop --binary $(PHANTOMDB) --rounds $(ROUNDS)

powercut: build
	$(REL)/powercut --binary $(PHANTOMDB) --cuts $(CUTS) --negative-control

bad-input: build
	$(REL)/bad-input --binary $(PHANTOMDB)

large-txn: build
	$(REL)/large-txn --binary $(PHANTOMDB)

sim: setup
	PHANTOM_SEEDS=$(SEEDS) $(call RUN_CARGO,test) --test sim -- --nocapture

log-cases: setup
	PHANTOM_CASES=$(CASES) $(call RUN_CARGO,test) --test log_model --test conformance -- --nocapture

grammar-verdicts: ## what PostgreSQL's own grammar says of the statements in sql/tests/grammar
	cd sql/grammar-judge && for f in statements errors; do \
	  $(CARGO) run --release --quiet -- ../tests/grammar/$$f.sql > ../tests/grammar/$$f.verdicts || exit 1; done

drivers: build
	$(WITH) --secure -- clients/run.sh

protocol-diff: build
	$(WITH) -- $(REL)/protocol-diff --postgres
