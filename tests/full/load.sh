# 15,000 events/s for ten minutes through listener, log, rules and index. Sourced by tests/full.sh.

readonly RATE=${CUSTOS_FULL_RATE:-15000} SECONDS_LONG=${CUSTOS_FULL_SECONDS:-600}

metric() { curl -sf "http://$http/metrics" | awk -v name="$1" '$1 == name { print $2 }'; }

part_load() {
    need_data
    public_rules
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
    start_server
    local shipped
    shipped=$("$custos" bench ship --brokers "$kafka" --rate "$RATE" --seconds "$SECONDS_LONG")
    echo "shipped: $shipped"
    curl -sf "http://$http/metrics" | grep -E '^(custos_index_searchable_after_seconds|custos_index_commit|custos_log_|custos_detect_|process_resident)'
    grep -E 'VmHWM|VmRSS' "/proc/$server/status"
    # Searches and the last word of the detector on a running server.
    "$custos" search --server "http://$http" --data "$work/data" --count '*'
    stop_server
    du -sb "$work/data/telemetry" "$work/data/journal" "$work/data/index"
    "$custos" log verify --data "$work/data"
}
