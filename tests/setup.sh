#!/usr/bin/env bash
# Installs what the tests with real clients need beside Rust and Node.js 20. Quick if all is installed.
set -euo pipefail
cd "$(dirname "$0")"

fail() {
    echo "setup-tests: $*" >&2
    exit 1
}

# Debian's packages: a virtual environment for Python, OpenSSL for the Rust client, a clock that tests
# move, curl, a browser with the fonts for the page, and the tools of the experiments.
install_packages() {
    local missing=()
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    pkg-config --exists openssl 2>/dev/null || missing+=(libssl-dev)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    command -v curl >/dev/null || missing+=(curl)
    command -v chromium >/dev/null || missing+=(chromium)
    compgen -G '/usr/share/fonts/opentype/noto/NotoSansCJK*' >/dev/null || missing+=(fonts-noto-cjk)
    compgen -G '/usr/share/fonts/truetype/noto/NotoColorEmoji*' >/dev/null || missing+=(fonts-noto-color-emoji)
    command -v strace >/dev/null || missing+=(strace)
    command -v sqlite3 >/dev/null || missing+=(sqlite3)
    compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || missing+=(libfaketime)
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "install ${missing[*]} and run \`make setup-tests\` again"
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

# Installs what a lock file lists, unless a stamp shows that it was done for the same file.
once() {
    local lock=$1 stamp=$2 sum
    shift 2
    sum=$(sha256sum "$lock")
    [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && return
    "$@" || fail "could not install what tests/$lock lists"
    echo "$sum" >"$stamp"
}

install_javascript() {
    (cd "$1" && npm ci --ignore-scripts --no-audit --no-fund --silent)
}

install_python() {
    python3 -m venv --clear clients/python/.venv &&
        clients/python/.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r clients/python/requirements.txt
}

command -v npm >/dev/null || fail "npm is missing: install Node.js 20 or later"
node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)' || fail "Node.js is older than 20"
install_packages
once clients/js/package-lock.json clients/js/node_modules/.setup install_javascript clients/js
once page/package-lock.json page/node_modules/.setup install_javascript page
once clients/python/requirements.txt clients/python/.venv/.setup install_python
cargo build --locked --quiet --manifest-path clients/rust/Cargo.toml
