# What a crash, a loss of power, a failing, full or damaged disk leaves of the log. Sourced by tests/full.sh.

# The lines in which a test gives its counts.
counts() { grep -E '^(power loss|without sync|failpoints|kill -9|full disk|flips|stops|projections|test result|test .*(FAILED|panicked))' || true; }

part_durability() {
    export CUSTOS_LONG=1 CUSTOS_BIN=$custos
    say "durability: power loss, failpoints, kill -9, full disk, flipped bits, truncation"
    local name
    for name in power_loss failpoints full_disk flips recovery crash; do
        cargo test "${profile[@]}" -p custos-store --test all "$name::" -- --nocapture 2>&1 | tee "$work/$name.log" | counts
        grep -q '^test result: ok. [1-9]' "$work/$name.log" || { tail -30 "$work/$name.log"; exit 1; }
    done
    say "durability: the real server with a failing sync, on a full disk, stopped under load, without its projections"
    for name in e2e_disk e2e_stop e2e_projections; do
        cargo test "${profile[@]}" -p custos-tests --test "$name" -- --nocapture 2>&1 | tee "$work/$name.log" | counts
        grep -q '^test result: ok. [1-9]' "$work/$name.log" || { tail -30 "$work/$name.log"; exit 1; }
    done
    say "durability: a start after an unclean stop with 10 M events"
    cargo build "${profile[@]}" -q -p custos-store --example quick_start
    local quick
    quick=$(dirname "$custos")/examples/quick_start
    "$quick" fill "$work/quick" 10000000 || true
    "$quick" open "$work/quick"
    rm -rf "$work/quick"
}
