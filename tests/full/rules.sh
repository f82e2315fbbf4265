# Rules over recorded events, one thread, best of five. Sourced by tests/full.sh.

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
}
