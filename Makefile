# Everything people run here; CI runs the same.

CARGO ?= cargo
NPM ?= npm
TOOLS := target/tools
DENY_VERSION := 0.20.2
DENY := $(TOOLS)/bin/cargo-deny
PAGE := client-demo/dist/index.html
MODULES := client-demo/node_modules/.package-lock.json
PAGE_SOURCES := $(shell find client-demo -name node_modules -prune -o -name dist -prune -o -type f -print)
PRINT_SCHEMA := $(CARGO) run --locked --quiet --example schema --features schema
PRINT_TYPES := node client-demo/types.mjs
PEERS := benches/peers/node_modules/.package-lock.json

.PHONY: help demo page types check-types test test-fast test-page test-clients test-browser test-faults setup-tests lint audit bench fault mutants screenshots doc clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: $(PAGE) ## real purchases, live, on a page: builds, starts, prints a link
	$(CARGO) run --locked -- demo --page client-demo/dist $(ARGS)

page: $(PAGE) ## the page alone

$(PAGE): $(MODULES) $(PAGE_SOURCES)
	cd client-demo && $(NPM) run build

$(MODULES): client-demo/package-lock.json
	@command -v $(NPM) >/dev/null || { echo "npm is missing: install Node.js 20 or later"; exit 1; }
	cd client-demo && $(NPM) ci --ignore-scripts --no-audit --no-fund

types: $(MODULES) ## the contract as JSON Schema and TypeScript, from the server's own types
	$(PRINT_SCHEMA) >target/contract.schema.json && mv target/contract.schema.json docs/
	$(PRINT_TYPES) >target/contract.ts && mv target/contract.ts client-demo/src/

check-types: $(MODULES) ## whether those two are what the sources say
	@$(PRINT_SCHEMA) | cmp -s - docs/contract.schema.json || { echo "docs/contract.schema.json is not what the sources say: run \`make types\`"; exit 1; }
	@$(PRINT_TYPES) | cmp -s - client-demo/src/contract.ts || { echo "client-demo/src/contract.ts is not what the schema says: run \`make types\`"; exit 1; }
	cd client-demo && $(NPM) run --silent check

test: setup-tests test-fast test-page test-clients test-browser test-faults ## all tests; installs what they need

# Two at a time on each processor: many wait for a timeout most of their time.
test-fast: ## the tests that need nothing but cargo and strace
	RUST_TEST_THREADS=$$((2 * $$(nproc))) $(CARGO) test --locked

setup-tests: ## what the tests with real clients need
	tests/setup.sh

test-page: $(PAGE) ## the page inside the binary
	$(CARGO) test --locked --features page --bin tallycast page::

test-clients: ## real clients in JavaScript, Python, Rust, and curl over the real binary
	$(CARGO) test --locked --test clients -- --skip browser::

test-browser: $(PAGE) ## the demo's page in Debian's Chromium, and a page with nothing but browser APIs
	$(CARGO) test --locked --test clients browser::
	$(CARGO) build --locked
	node --test --test-reporter=spec tests/page/*.test.js

screenshots: $(PAGE) setup-tests ## pictures of the page, to be looked at: target/screenshots
	$(CARGO) build --locked
	node tests/page/screenshots.js $(ARGS)

test-faults: ## the scorecard's experiments, short forms
	$(CARGO) test --locked --test faults

fault: ## the scorecard's experiments, long forms, on the release binary
	FAULTS=long $(CARGO) test --locked --release --test faults -- --nocapture

mutants: ## breaks the code once for each experiment, and expects it red; not in CI, it takes a while
	tests/faults/mutants.sh $(ARGS)

lint: $(DENY) $(PAGE) check-types ## format, clippy, docs, the contract's types, and what may be in the dependency tree
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --all-features --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-features --test clients --test faults -- -D warnings
	$(CARGO) clippy --locked --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps
	$(DENY) --locked check bans licenses sources

$(DENY):
	$(CARGO) install --locked --debug --root $(TOOLS) cargo-deny@$(DENY_VERSION)

audit: $(DENY) ## known vulnerabilities; needs the internet, and says so where it has none
	@$(DENY) --locked check advisories || { echo "audit: not done, or not clean: the lines above say which. It needs the RustSec database from the internet."; exit 1; }

bench: $(PEERS) ## Tallycast beside its peers (docs/performance.md); single parts: cargo bench --bench NAME
	$(CARGO) bench --locked --bench peers

$(PEERS): benches/peers/package-lock.json
	@command -v $(NPM) >/dev/null || { echo "npm is missing: install Node.js 20 or later"; exit 1; }
	cd benches/peers && $(NPM) ci --ignore-scripts --no-audit --no-fund

doc: ## the library's documentation
	$(CARGO) doc --locked --no-deps --open

clean: ## build output
	$(CARGO) clean
