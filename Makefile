# Two commands do everything on a fresh Debian machine with Rust, Python and Node:
#   make demo    builds, starts the platform, tells the story, leaves it running
#   make test    everything: units, both databases, contracts, real clients
# Each installs what is missing and says so. Nothing is fetched twice.

SHELL := /bin/bash
VENV := .venv
CARGO := cargo

.PHONY: demo test soak bench bench-hostile lint fmt setup-test setup-demo test-rust test-clients operations fuzz clean

demo:
	@scripts/setup demo
	@echo "==> building (a few minutes the first time)"
	@$(CARGO) build --release -p palisade
	@exec target/release/palisade demo $(DEMO_FLAGS)

test:
	@scripts/setup test
	@scripts/test

# What lasts too long for every change: a hundred crashes under load and more, 50,000 hours of the
# simulated fleet. SOAK_ROUNDS and SOAK_SEEDS make it longer or shorter.
soak:
	@scripts/setup test
	@scripts/soak

# Palisade beside its peers, in one run: docs/benchmarks.md.
# BENCH_FLAGS="--only fanin0,conn --rounds 5" and the like; `palisade-bench run --help` lists them.
bench:
	@scripts/setup bench
	@echo "==> building"
	@$(CARGO) build --release -p palisade -p bench
	@target/release/palisade-bench run $(BENCH_FLAGS)

# What one hostile client costs the others: CPU of the broker per message of theirs, five rounds.
bench-hostile:
	@scripts/setup test
	@$(CARGO) build --release -p palisade
	@PALISADE_TEST_BINARY=target/release/palisade $(VENV)/bin/python scripts/hostile.py

lint:
	@scripts/setup lint
	@echo "==> formatting";     $(CARGO) fmt --all --check
	@echo "==> clippy";         $(CARGO) clippy --workspace --all-targets --quiet -- -D warnings
	@echo "==> licences, bans"; .build/tools/bin/cargo-deny --log-level error check licenses bans sources

fmt:
	@$(CARGO) fmt --all

# docs/operations.md, from what the client tests called last.
operations:
	@$(VENV)/bin/python scripts/operations.py

# A minute of fuzzing per target; the corpora are replayed by `make test`.
fuzz:
	@scripts/setup fuzz
	@scripts/fuzz

clean:
	@rm -rf target .build .venv
