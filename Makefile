# What a developer does, by name. Each recipe is one line; `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help test check sim bench deny demo clean-state

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

test: ## Run the tests, on a RabbitMQ found or started for them (scripts/broker.sh); ARGS="--test plan" picks some
	@scripts/test.sh $(ARGS)

check: ## Format, lints, the pure core alone, documentation: everything but the tests
	@scripts/check.sh

sim: ## The lane against 100,000 random scripts; SCRIPTS=n for more or fewer
	TAGMILL_SIM_SCRIPTS=$(or $(SCRIPTS),100000) cargo test --release --locked --test simulation

bench: ## Measure planning, the lane and its memory; see benches/README.md
	cargo bench --locked --no-default-features $(ARGS)

deny: ## Licences, bans, sources and advisories of the dependencies
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: cargo install cargo-deny --locked" >&2; exit 1; }; cargo deny --locked check $(ARGS)

demo: ## The product on simulated clouds, without an account
	cargo run --release --locked -- demo $(ARGS)

clean-state: ## Remove the embedded queue and local state of runs in this folder
	rm -rf tagmill-state
