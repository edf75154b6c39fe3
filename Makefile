# The commands for developers; CI runs the same ones.

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

.PHONY: help demo page types check-types test test-fast test-page test-clients test-browser test-faults test-fuzz fuzz setup-tests lint audit bench fault mutants screenshots doc clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: $(PAGE) ## build and start the demo: real purchases, live on a web page; prints the link
	$(CARGO) run --locked -- demo --page client-demo/dist $(ARGS)

page: $(PAGE) ## build only the demo's page

$(PAGE): $(MODULES) $(PAGE_SOURCES)
	cd client-demo && $(NPM) run build

$(MODULES): client-demo/package-lock.json
	@command -v $(NPM) >/dev/null || { echo "npm is missing: install Node.js 20 or later"; exit 1; }
	cd client-demo && $(NPM) ci --ignore-scripts --no-audit --no-fund

types: $(MODULES) ## generate the contract as JSON Schema and TypeScript from the server's types
	$(PRINT_SCHEMA) >target/contract.schema.json && mv target/contract.schema.json docs/
	$(PRINT_TYPES) >target/contract.ts && mv target/contract.ts client-demo/src/

check-types: $(MODULES) ## check that both generated files are up to date
	@$(PRINT_SCHEMA) | cmp -s - docs/contract.schema.json || { echo "docs/contract.schema.json does not match the sources: run \`make types\`"; exit 1; }
	@$(PRINT_TYPES) | cmp -s - client-demo/src/contract.ts || { echo "client-demo/src/contract.ts does not match the schema: run \`make types\`"; exit 1; }
	cd client-demo && $(NPM) run --silent check

test: setup-tests test-fast test-fuzz test-page test-clients test-browser test-faults ## run all tests; installs what they need

# Two tests per processor, because many spend most of their time waiting for a timeout.
test-fast: ## run the tests that need only cargo and strace
	RUST_TEST_THREADS=$$((2 * $$(nproc))) $(CARGO) test --locked

test-fuzz: ## fuzz every target for a few seconds, with a fixed seed
	$(CARGO) test --locked --test fuzz

# One target at a time would leave a processor idle while it waits for the server.
fuzz: ## fuzz every target for FUZZ_SECONDS, an hour together by default; prints each finding and its seed
	FUZZ_SECONDS=$${FUZZ_SECONDS:-900} $(CARGO) test --locked --release --test fuzz -- --nocapture --test-threads 2

setup-tests: ## install what the tests with real clients need
	tests/setup.sh

test-page: $(PAGE) ## test the page built into the binary
	$(CARGO) test --locked --features page --bin tallycast page::

test-clients: ## test real clients (JavaScript, Python, Rust, curl) against the real binary
	$(CARGO) test --locked --test clients -- --skip browser::

test-browser: $(PAGE) ## test the demo's page, and a page with only browser APIs, in Debian's Chromium
	$(CARGO) test --locked --test clients browser::
	$(CARGO) build --locked
	node --test --test-reporter=spec tests/page/*.test.js

screenshots: $(PAGE) setup-tests ## take screenshots of the page for a visual check: target/screenshots
	$(CARGO) build --locked
	node tests/page/screenshots.js $(ARGS)

test-faults: ## run the experiments of docs/reliability.md, short versions
	$(CARGO) test --locked --test faults -- $(ARGS)

fault: ## run the experiments of docs/reliability.md, long versions, on the release binary
	FAULTS=long $(CARGO) test --locked --release --test faults -- --nocapture $(ARGS)

mutants: ## break the code once per experiment and expect it to fail; not in CI, because it is slow
	tests/faults/mutants.sh $(ARGS)

lint: $(DENY) $(PAGE) check-types ## check format, clippy, docs, the contract's types and the dependency rules
	$(CARGO) fmt --all -- --check
	$(CARGO) clippy --locked --all-features --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-features --test clients --test faults --test fuzz -- -D warnings
	$(CARGO) clippy --locked --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps
	$(DENY) --locked check bans licenses sources

$(DENY):
	$(CARGO) install --locked --debug --root $(TOOLS) cargo-deny@$(DENY_VERSION)

audit: $(DENY) ## check for known vulnerabilities; needs the internet, and fails with a message without it
	@$(DENY) --locked check advisories || { echo "audit: could not run, or found problems: see the lines above. It needs the RustSec database from the internet."; exit 1; }

bench: $(PEERS) ## benchmark Tallycast against its peers (docs/performance.md); single benchmarks: cargo bench --bench NAME
	$(CARGO) bench --locked --bench peers

$(PEERS): benches/peers/package-lock.json
	@command -v $(NPM) >/dev/null || { echo "npm is missing: install Node.js 20 or later"; exit 1; }
	cd benches/peers && $(NPM) ci --ignore-scripts --no-audit --no-fund

doc: ## build and open the library's documentation
	$(CARGO) doc --locked --no-deps --open

clean: ## delete build output
	$(CARGO) clean
