# Coverage-guided fuzzing (libFuzzer) of what reads bytes and texts from outside: each decoder, mappings, rules, events.
# Sourced by tests/full.sh. A crash is kept in the part's folder, whose path is printed, and ends it.
#   CUSTOS_FULL_FUZZ_SECS=60 bash tests/full.sh fuzz     so long for each target and decoder [default: 600]

# What cargo-fuzz asks of the compiler, without the address sanitizer: this workspace has no unsafe code, and with it
# one has to have a nightly compiler.
readonly FUZZ_FLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"

# A target with a name for its corpus, further arguments of libFuzzer behind them.
fuzz() {
    local target=$1 corpus=$2 secs=${CUSTOS_FULL_FUZZ_SECS:-600}
    mkdir -p "$found/$corpus"
    "$fuzzers/$target" -max_total_time="$secs" -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix="$found/crash-$corpus-" "$found/$corpus" > "$found/$corpus.log" 2>&1 \
        || { tail -30 "$found/$corpus.log"; echo "$target failed; see $found"; exit 1; }
    printf '%s: %s runs in %s s, %s\n' "$corpus" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$corpus.log")" "$secs" \
        "$(grep -o 'cov: [0-9]* ft: [0-9]*' "$found/$corpus.log" | tail -1)"
}

part_fuzz() {
    local found fuzzers target host source
    found=$(mktemp -d "${TMPDIR:-/tmp}/custos-fuzz.XXXXXX")
    target=${CARGO_TARGET_DIR:-target}/fuzz
    host=$(rustc -vV | sed -n 's/^host: //p')
    say "fuzz: build"
    # With --target the flags are not for build scripts.
    RUSTFLAGS=$FUZZ_FLAGS cargo build --release --target "$host" --target-dir "$target" --manifest-path fuzz/Cargo.toml
    fuzzers=$(realpath "$target/$host/release")
    say "fuzz: rules, events, mappings"
    mkdir -p "$found/rules" "$found/mapping"
    cp rules/detections/*/*.yml "$found/rules/"
    cp rules/mappings/*.yml "$found/mapping/"
    fuzz rules rules
    fuzz events events
    fuzz mapping mapping
    say "fuzz: each decoder"
    # What there is, it says where a name is wrong.
    for source in $("$custos" ingest --source '?' - 2>&1 < /dev/null | sed -n 's/.*expected one of: //p' | tr -d ','); do
        CUSTOS_FUZZ_SOURCE=$source fuzz decode "$source"
    done
}
