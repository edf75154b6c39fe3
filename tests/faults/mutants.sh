#!/bin/sh
# Breaks the code once for each patch in tests/faults/mutants and expects its experiment to fail, for
# the reason that the patch names. A check that was never seen failing proves nothing.
#
#   tests/faults/mutants.sh [NAME…]    NAME: a patch, or the experiment of several, such as r5
#
# The tree is copied; the build output of the copy is kept for the next time. It takes minutes.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
place=${MUTANTS_DIR:-${TMPDIR:-/tmp}/tallycast-mutants}
export CARGO_TARGET_DIR="$place/target"
patches="$root/tests/faults/mutants"
failed=0
# An experiment that hangs does not fail for its reason.
limit=300

copy() {
    rm -rf "$place/tree"
    mkdir -p "$place/tree"
    (cd "$root" && git ls-files -z --cached --others --exclude-standard |
        tar --null --ignore-failed-read -cf - -T - 2>/dev/null) | tar -xf - -C "$place/tree"
    # Cargo compares modification times: files changed by an earlier patch must look new again.
    sed -n 's/^+++ b\///p' "$patches"/*.patch | sort -u | while read -r file; do
        touch "$place/tree/$file"
    done
}

build() {
    (cd "$place/tree" && cargo test --locked --test faults --no-run) >"$place/log" 2>&1
}

run() {
    (cd "$place/tree" && timeout "$limit" cargo test --locked --test faults -- "$1") >"$place/log" 2>&1
}

row() {
    printf '%-34s %-5s %-10s %s\n' "$@"
}

wanted() {
    [ $# -eq 1 ] && return 0
    name=$1
    shift
    for start in "$@"; do
        case $name in "$start" | "$start"-*) return 0 ;; esac
    done
    return 1
}

row mutant runs verdict 'the first that it found'
for patch in "$patches"/*.patch; do
    name=$(basename "$patch" .patch)
    wanted "$name" "$@" || continue
    experiment=$(sed -n 's/^Experiment: //p' "$patch")
    expects=$(sed -n 's/^Expects: //p' "$patch")
    copy
    if ! (cd "$place/tree" && GIT_CEILING_DIRECTORIES="$place" git apply -C1 "$patch"); then
        row "$name" "$experiment" STALE 'the patch does not apply any more'
        failed=1
        continue
    fi
    if ! build; then
        row "$name" "$experiment" STALE "it does not compile: $(grep -m1 '^error' "$place/log")"
        failed=1
        continue
    fi
    if run "$experiment"; then
        row "$name" "$experiment" SURVIVED 'the experiment is green'
        failed=1
    elif fault=$(grep -E -m1 "(FAULT|CANARY).*$expects" "$place/log"); then
        row "$name" "$experiment" red "${fault#*[TY] }"
    else
        row "$name" "$experiment" 'RED BUT' "not for its reason: $(grep -m1 FAULT "$place/log")"
        failed=1
    fi
done
exit $failed
