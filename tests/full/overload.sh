# Ten times what a machine of two cores is meant for, offered for ten minutes: who is answered waits, memory stays bounded, and
# what was offered is stored or counted as lost, to the event. Sourced by tests/full.sh.

readonly OVERLOAD_SHIPPERS=10 OVERLOAD_RSS_MIB=1024

part_overload() {
    local seconds=${CUSTOS_FULL_SECONDS:-600} nth shippers=() udp_sent flood
    say "overload: $OVERLOAD_SHIPPERS shippers at 15,000 events/s each, and 20,000 datagrams/s of syslog, for $seconds s"
    cat > "$work/custos.toml" <<TOML
data = "$work/overload"
[http]
listen = "127.0.0.1:0"
[listener]
listen = "127.0.0.1:0"
auto_create = true
[[intake]]
name = "flood"
protocol = "syslog"
transport = "udp"
listen = "127.0.0.1:$(python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
[rules]
folders = ["$PWD/rules/detections"]
TOML
    start_server
    local udp
    udp=$(sed -n 's/.*listen = "\(127[^"]*[1-9]\)"$/\1/p' "$work/custos.toml" | tail -1)
    for nth in $(seq "$OVERLOAD_SHIPPERS"); do
        "$custos" bench ship --brokers "$kafka" --rate 15000 --seconds "$seconds" --seed "$nth" > "$work/shipped.$nth" &
        shippers+=($!)
    done
    python3 tests/py/udp_flood.py "$udp" 20000 "$seconds" > "$work/flooded" &
    flood=$!
    wait "${shippers[@]}" || die "a shipper failed: $(cat "$work"/shipped.*)"
    wait "$flood"
    udp_sent=$(cat "$work/flooded")
    python3 tests/py/balance.py "http://$http/metrics" "$udp_sent" "$work"/shipped.*
    grep -E 'VmHWM|VmRSS' "/proc/$server/status"
    local peak
    peak=$(awk '/VmHWM/ { print int($2 / 1024) }' "/proc/$server/status")
    stop_server
    "$custos" log verify --data "$work/overload"
    [ "$peak" -le "$OVERLOAD_RSS_MIB" ] || die "$peak MiB at the highest; at most $OVERLOAD_RSS_MIB"
}
