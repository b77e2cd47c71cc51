# Tributary. `make run` is all that a fresh machine needs; `make help` tells the rest.

CARGO ?= cargo
SETUP := services/embedded/runtime/setup.sh
# The folder of `make run`; its ports are those of tributary.toml or the defaults.
DATA ?= .tributary
RELEASE := target/release/tributary

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install and fetch all that `make run` needs, starting nothing
	@$(SETUP)

run: setup ## Build and run everything on this machine, with demo events
	@$(CARGO) build --release --locked --bin tributary
	@exec $(RELEASE) all --demo --data $(DATA) --end-with-parent

test: ## Run every test, against a real broker and the real engine
	@$(SETUP) test
	$(CARGO) test --workspace --locked

check: ## Formatting, lints and documentation, with warnings denied
	@$(SETUP)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --workspace --no-deps --locked

bench: setup ## Measure speed, as ratios to the bare parts on this machine
	@$(CARGO) build --release --locked --bin tributary
	$(CARGO) bench --package tributary-tests --locked

clean: ## Remove what was built and the data folder; the downloads in the cache stay
	$(CARGO) clean
	rm -rf $(DATA)
