# Rules over recorded events, one thread: best of five, and beside the engine rsigma. Sourced by tests/full.sh.

# The best of five runs: what else the machine does only ever adds.
part_rules() {
    need_data
    public_rules
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
    peer
}

# Both engines by turns in one process, so that a busy machine is the same to both.
peer() {
    say "beside rsigma, one thread, JSON parsing included, three runs"
    local target=${CARGO_TARGET_DIR:-$PWD/target}/peer shape
    cargo build --release --ignore-rust-version --manifest-path detect/peer/Cargo.toml --target-dir "$target"
    for _ in 1 2 3; do
        for shape in evtx:windows-evtx-raw nxlog:windows-nxlog-flat cloudtrail:cloudtrail zeek:zeek; do
            echo "${shape#*:}: $("$target/release/custos-detect-peer" "${shape%%:*}" "$work/${shape#*:}.jsonl" "${rules[@]}" |
                grep -v ^matches | tr '\n' ';')"
        done
    done
}
