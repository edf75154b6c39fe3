# Everything people run here; CI runs the same.

CARGO ?= cargo
NPM ?= npm
TOOLS := target/tools
DENY_VERSION := 0.20.2
DENY := $(TOOLS)/bin/cargo-deny
PAGE := client-demo/dist/index.html
PEERS := benches/peers/node_modules/.package-lock.json

.PHONY: help demo page test test-fast test-clients test-browser test-faults setup-tests lint audit bench fault mutants doc clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: $(PAGE) ## real purchases, live, on a page: builds, starts, prints a link
	$(CARGO) run --locked -- demo $(ARGS)

page: $(PAGE) ## the page alone

$(PAGE): client-demo/package-lock.json $(wildcard client-demo/src/*) client-demo/build.mjs
	@command -v $(NPM) >/dev/null || { echo "npm is missing: install Node.js 20 or later"; exit 1; }
	cd client-demo && $(NPM) ci --no-audit --no-fund && $(NPM) run build

test: setup-tests $(PAGE) test-fast test-clients test-browser test-faults ## all tests; installs what they need

# Two at a time on each processor: many wait for a timeout most of their time.
test-fast: ## the tests that need nothing but cargo and strace
	RUST_TEST_THREADS=$$((2 * $$(nproc))) $(CARGO) test --locked

setup-tests: ## what the tests with real clients need
	tests/setup.sh

test-clients: ## real clients in JavaScript, Python, Rust, and curl over the real binary
	$(CARGO) test --locked --test clients -- --skip browser::

test-browser: ## a page in Debian's Chromium: iframe, EventSource, WebSocket, fetch
	$(CARGO) test --locked --test clients browser::

test-faults: ## the scorecard's experiments, short forms
	$(CARGO) test --locked --test faults

fault: ## the scorecard's experiments, long forms, on the release binary
	FAULTS=long $(CARGO) test --locked --release --test faults -- --nocapture

mutants: ## breaks the code once for each experiment, and expects it red; not in CI, it takes a while
	tests/faults/mutants.sh $(ARGS)

lint: $(DENY) ## format, clippy, docs, and what may be in the dependency tree
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --test clients --test faults -- -D warnings
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
