# What three times as many rules cost. Sourced by tests/full.sh.

# With three times as many rules, no string of which is shared, an event must not cost twice as much.
part_many_rules() {
    need_data
    public_rules
    say "rules run, one thread, ${#rules[@]} folders of public rules and two altered copies of each, best of 5"
    local folder name count=0
    for folder in "${rules[@]}"; do
        python3 tests/py/alter_rules.py "$folder" "$work/altered/$((count += 1))" 2
    done
    for name in windows-evtx-raw windows-nxlog-flat cloudtrail zeek; do
        gunzip -c "$DATA/events/$name.jsonl.gz" > "$work/$name.jsonl"
        for _ in 1 2 3 4 5; do
            for folder in "" "$work/altered"; do
                "$custos" rules run --stats --rules "${rules[@]}" ${folder:+"$folder"} -- "$work/$name.jsonl" 2>&1 >/dev/null |
                    tail -1
            done
        done > "$work/runs"
        python3 - "$name" "$work/runs" <<'PY'
import json, sys
runs = list(map(json.loads, open(sys.argv[2])))
few, many = (min(runs[at::2], key=lambda run: run["seconds"]) for at in (0, 1))
print(f'{sys.argv[1]}: {few["rules"]} rules {few["events_per_second"]:,.0f} events/s, {many["rules"]} rules '
      f'{many["events_per_second"]:,.0f} events/s, {many["seconds"] / few["seconds"]:.2f} times the time, '
      f'load {many["load_seconds"]:.2f} s, peak {many["rss_peak_bytes"] / 2**20:.0f} MiB')
PY
    done
}
