#!/usr/bin/env bash
# What takes longer than a change should wait for, with figures: docs/performance.md holds the last ones.
#   bash tests/full.sh              all
#   bash tests/full.sh rules        rules over recorded events, one thread
#   bash tests/full.sh load         15,000 events/s for ten minutes through listener, log, rules and index
# Needs what tests/run.sh installs, and the recorded data (CUSTOS_SHARED_DATA); says so where it is absent.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly DATA=${CUSTOS_SHARED_DATA:-$PWD/../shared/data}
readonly RATE=${CUSTOS_FULL_RATE:-15000} SECONDS_LONG=${CUSTOS_FULL_SECONDS:-600}
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

[ -e "$DATA/sigma-rules.tar.gz" ] || { echo "skipped: real data not present in $DATA"; exit 0; }
say "build"
cargo build --release -p custos-server
custos=${CARGO_TARGET_DIR:-target}/release/custos
tar xzf "$DATA/sigma-rules.tar.gz" -C "$work"
rules=("$work/rules" "$work/rules-emerging-threats" "$work/rules-threat-hunting")

# The best of five runs: what else the machine does only ever adds.
run_rules() {
    say "rules run, one thread, ${#rules[@]} folders of public rules, best of 5"
    local name figures
    for name in windows-evtx-raw windows-nxlog-flat cloudtrail zeek; do
        gunzip -c "$DATA/events/$name.jsonl.gz" > "$work/$name.jsonl"
        for _ in 1 2 3 4 5; do
            "$custos" rules run --stats --rules "${rules[@]}" -- "$work/$name.jsonl" 2>&1 >/dev/null | tail -1
        done > "$work/runs"
        figures=$(python3 - "$work/runs" <<'PY'
import json, sys
best = max(map(json.loads, open(sys.argv[1])), key=lambda run: run["events_per_second"])
print(f'{best["events_per_second"]:,.0f} events/s, {best["matches"]} matches, load {best["load_seconds"]:.2f} s, '
      f'peak {best["rss_peak_bytes"] / 2**20:.0f} MiB')
PY
)
        echo "$name: $figures"
    done
}

metric() { curl -sf "http://$http/metrics" | awk -v name="$1" '$1 == name { print $2 }'; }

run_load() {
    say "load: $RATE events/s for $SECONDS_LONG s from librdkafka, $(find "${rules[@]}" -name '*.yml' | wc -l) rules"
    cat > "$work/custos.toml" <<TOML
data = "$work/data"
[http]
listen = "127.0.0.1:0"
[listener]
listen = "127.0.0.1:0"
auto_create = true
[rules]
folders = ["${rules[0]}", "${rules[1]}", "${rules[2]}", "$PWD/rules/detections"]
TOML
    "$custos" serve --config "$work/custos.toml" 2> "$work/server.log" &
    server=$!
    until grep -q '^ready' "$work/server.log"; do
        kill -0 "$server" || { cat "$work/server.log"; die "the server did not start"; }
        sleep 0.1
    done
    local ready kafka http shipped
    ready=$(grep '^ready' "$work/server.log")
    kafka=$(sed -n 's/.*kafka listener \([0-9.:]*\).*/\1/p' <<< "$ready")
    http=$(sed -n 's/.*http \([0-9.:]*\).*/\1/p' <<< "$ready")
    shipped=$("$custos" bench ship --brokers "$kafka" --rate "$RATE" --seconds "$SECONDS_LONG")
    echo "shipped: $shipped"
    curl -sf "http://$http/metrics" | grep -E '^(custos_index_searchable_after_seconds|custos_index_commit|custos_log_|custos_detect_|process_resident)'
    grep -E 'VmHWM|VmRSS' "/proc/$server/status"
    # Searches and the last word of the detector on a running server.
    "$custos" search --server "http://$http" --data "$work/data" --count '*'
    kill "$server"
    wait "$server" || die "the server did not end well: $(tail -3 "$work/server.log")"
    server=
    du -sb "$work/data/telemetry" "$work/data/journal" "$work/data/index"
    "$custos" log verify --data "$work/data"
}

wanted=("$@")
[ ${#wanted[@]} -gt 0 ] || wanted=(rules load)
for name in "${wanted[@]}"; do
    case $name in
        rules) run_rules ;;
        load) run_load ;;
        *) die "no part '$name'; there are: rules load" ;;
    esac
done
