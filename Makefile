# Tetra: `make demo` runs the main job, `make test` runs every test. Both set up what they need first.
SHELL := bash
.DEFAULT_GOAL := demo
CARGO ?= cargo
TARGET ?= $(or $(CARGO_TARGET_DIR),target)
TETRA := $(TARGET)/release/tetra
STUDY ?= studies/first
TOOLS ?= $(HOME)/.cache/tetra-tools
export PATH := $(TOOLS)/bin:$(PATH)

.PHONY: demo test bench book setup build tools lint

setup: ## what the build needs beside Rust and a C compiler: cmake and libclang (HiGHS), Chromium (page test)
	@scripts/setup build

build: setup
	$(CARGO) build --release --locked -p tetra-codesign

demo: build
	$(TETRA) run $(STUDY)
	@echo "Report: $(STUDY)/out/report.html"

test: setup
	@scripts/setup test
	$(CARGO) test --release --locked --workspace

bench: setup
	$(CARGO) bench --locked --workspace

tools:
	@scripts/setup tools

lint: tools
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --workspace --no-deps
	cargo-deny check licenses bans sources

book: tools build
	scripts/book
	mdbook build book
