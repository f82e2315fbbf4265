#!/usr/bin/env bash
# What takes longer than a change should wait for, with figures: docs/performance.md and docs/reliability.md hold the
# last ones.
#   bash tests/full.sh                 all parts
#   bash tests/full.sh rules load      the named ones; each is a file of tests/full/
#   CUSTOS_BIN=target/debug/custos bash tests/full.sh backup    that build instead of a release build; tests then run
#                                      in the development profile, and figures of time mean little
# Needs what tests/run.sh installs; a part that needs the recorded data (CUSTOS_SHARED_DATA) says so where it is absent.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly DATA=${CUSTOS_SHARED_DATA:-$PWD/../shared/data}
export CARGO_TERM_COLOR=never
work=$(mktemp -d "${TMPDIR:-/tmp}/custos-full.XXXXXX")
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

say() { printf '\n=== %s\n' "$*"; }
die() { printf 'tests/full.sh: %s\n' "$*" >&2; exit 2; }

# Ends the part (each runs in a shell of its own) where the recorded data is not there.
need_data() {
    [ -e "$DATA/sigma-rules.tar.gz" ] || { echo "skipped: real data not present in $DATA"; exit 0; }
}

# The public rules, unpacked: their folders are in `rules`.
public_rules() {
    [ -d "$work/rules" ] || tar xzf "$DATA/sigma-rules.tar.gz" -C "$work"
    rules=("$work/rules" "$work/rules-emerging-threats" "$work/rules-threat-hunting")
}

# A server of $work/custos.toml: its process is `server`, its addresses are `kafka` and `http`.
start_server() {
    "$custos" serve --config "$work/custos.toml" 2> "$work/server.log" &
    server=$!
    until grep -qs '^ready' "$work/server.log"; do
        kill -0 "$server" || { cat "$work/server.log"; die "the server did not start"; }
        sleep 0.1
    done
    kafka=$(sed -n 's/^ready.*kafka listener \([0-9.:]*\).*/\1/p' "$work/server.log")
    http=$(sed -n 's/^ready.* http \([0-9.:]*\).*/\1/p' "$work/server.log")
}

stop_server() {
    kill "$server"
    wait "$server" || die "the server did not end well: $(tail -3 "$work/server.log")"
    server=
}

known=()
for file in tests/full/*.sh; do
    # shellcheck source=/dev/null
    . "$file"
    known+=("$(basename "$file" .sh)")
done
wanted=("$@")
[ ${#wanted[@]} -gt 0 ] || wanted=("${known[@]}")
for name in "${wanted[@]}"; do
    [[ " ${known[*]} " == *" $name "* ]] || die "no part '$name'; there are: ${known[*]}"
done

say "build"
profile=(--release)
custos=${CARGO_TARGET_DIR:-target}/release/custos
if [ -n "${CUSTOS_BIN:-}" ]; then
    profile=()
    custos=$CUSTOS_BIN
    echo "$custos, as it is"
else
    cargo build --release -p custos-server -p custos-evidence
fi
custos=$(realpath "$custos")
failed=()
for name in "${wanted[@]}"; do
    # A shell of its own: a part ends early, or fails, alone.
    set +e
    (set -e; trap '[ -z "$server" ] || kill "$server" 2>/dev/null' EXIT; "part_${name//-/_}")
    [ $? = 0 ] || failed+=("$name")
    set -e
done
[ ${#failed[@]} -eq 0 ] || die "failed: ${failed[*]}"
