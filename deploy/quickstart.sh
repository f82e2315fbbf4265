#!/usr/bin/env bash
# From a fresh clone to the first alerts, by one command:
#   bash deploy/quickstart.sh
# Builds Custos, starts it on this machine's loopback, ships 5,000 made events and four attacks over Kafka's
# protocol, and prints what Custos found. Needs Debian or Ubuntu, and root or sudo where something is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly RUST_MIN=1.95
export CARGO_TERM_COLOR=never
server=

say() { printf '\n[%3d s] %s\n' "$SECONDS" "$*"; }
die() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }
# shellcheck source=deploy/setup.sh
. deploy/setup.sh

stop_server() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
        server=
    fi
}
trap stop_server EXIT

say "1/4 looking for what is needed"
need_packages <<'LIST'
cc build-essential
c++ build-essential
make build-essential
cmake cmake
perl perl
kcat kcat
LIST
need_rust "$RUST_MIN"
echo "$(cmake --version | head -1)"

say "2/4 building custos (the first time about five minutes on two cores)"
cargo build --release -p custos-server
custos=${CARGO_TARGET_DIR:-target}/release/custos
"$custos" version

say "3/4 starting it, and shipping events to its Kafka listener"
demo=$(mktemp -d "${TMPDIR:-/tmp}/custos-demo.XXXXXX")
cat > "$demo/custos.toml" <<TOML
data = "$demo/data"
[http]
listen = "127.0.0.1:0"
[listener]
listen = "127.0.0.1:0"
auto_create = true
[rules]
folders = ["$PWD/rules/detections"]
TOML
"$custos" serve --config "$demo/custos.toml" 2> "$demo/server.log" &
server=$!
# The server says "ready" with its addresses when it accepts; a named pipe would do, a look a tenth of a
# second apart is simpler.
until grep -q '^ready' "$demo/server.log"; do
    kill -0 "$server" 2>/dev/null || { cat "$demo/server.log" >&2; die "the server did not start"; }
    sleep 0.1
done
ready=$(grep '^ready' "$demo/server.log")
echo "$ready"
kafka=$(sed -n 's/.*kafka listener \([0-9.:]*\).*/\1/p' <<< "$ready")

"$custos" bench ship --brokers "$kafka" --rate 1000 --seconds 5 > "$demo/shipped.json"
echo "shipped by librdkafka: $(cat "$demo/shipped.json")"
now=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)
ship() { kcat -P -b "$kafka" -t "$1" -z "$2"; }
ship doors lz4 <<EVENTS
{"time":"$now","site":"hq","door":"cash-office","reader":"r3","direction":"in","result":"denied","reason":"no credential","held":false,"forced":true,"tamper":false}
{"time":"$now","site":"hq","door":"loading-dock","reader":"r9","direction":"in","credential":"9a1b2c3d4e5f6071","person":"b.okafor","result":"denied","reason":"credential reported stolen","held":false,"forced":false,"tamper":false}
EVENTS
ship payments zstd <<EVENTS
{"time":"$now","id":"pay_demo_1","kind":"authorization","amount":485000,"currency":"EUR","merchant":"m-0042","method":"card","card":{"token":"tok_demo_1"},"country":"FR","result":"approved","reason":"","step_up":true,"three_ds":{"status":"N","eci":"07"},"tls_version":"TLSv1.3","customer":"a.novak","ip":"203.0.113.20"}
EVENTS
ship auth gzip <<EVENTS
<38>1 $now gate sshd 4711 - - Accepted password for root from 203.0.113.9 port 51544 ssh2
EVENTS
echo "shipped by kcat: four attacks"

say "4/4 stopping it, and reading what it found"
stop_server
"$custos" alerts --data "$demo/data" --limit 8 > "$demo/alerts.txt"
[ -s "$demo/alerts.txt" ] || die "no alert; see $demo/server.log"
cat "$demo/alerts.txt"
cat <<TEXT

That was Custos. The server is stopped, its data is in $demo/data:
  $custos search --data $demo/data 'source.ip:203.0.113.0/24'
  $custos search --data $demo/data --count 'custos.access.result:denied'
  $custos alerts --data $demo/data
  $custos log verify --data $demo/data
Next: README.md, "The first hour". Remove the demo with: rm -r $demo
TEXT
