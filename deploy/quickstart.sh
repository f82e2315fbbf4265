#!/usr/bin/env bash
# From a fresh clone to a running demo, by one command:
#   bash deploy/quickstart.sh [OPTIONS OF custos demo]
# Installs what is missing, builds Custos with its web console, and starts `custos demo` on this machine's
# loopback: a day at a payments company with six attacks inside, shipped over Kafka's protocol. It prints
# the console's address with a token for the first account, and runs until Ctrl-C. Needs Debian or Ubuntu,
# and root or sudo where something is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly RUST_MIN=1.95 NODE_MIN=20.19
export CARGO_TERM_COLOR=never

say() { printf '\n[%3d s] %s\n' "$SECONDS" "$*"; }
die() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }
# shellcheck source=deploy/setup.sh
. deploy/setup.sh

say "1/3 looking for what is needed: C and C++ compiler, cmake, Rust, Node.js"
need_packages <<'LIST'
cc build-essential
c++ build-essential
make build-essential
cmake cmake
perl perl
pkg-config pkg-config
/usr/include/openssl/ssl.h libssl-dev
LIST
need_rust "$RUST_MIN"
need_node "$NODE_MIN" "$PWD/.cache/node"
cmake --version | head -1

say "2/3 building custos and its console (the first time fifteen to twenty minutes on two cores)"
cargo build --release -p custos-server
custos=${CARGO_TARGET_DIR:-target}/release/custos
"$custos" version

say "3/3 starting the demo; Ctrl-C ends it"
exec "$custos" demo "$@"
