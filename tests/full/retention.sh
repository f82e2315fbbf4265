# Every failing step of a drop, twenty times over; every byte of a segment flipped, found and mended; the same on the real
# server. Sourced by tests/full.sh.
part_retention() {
    say "retention: failing steps of a drop"
    CUSTOS_LONG=1 cargo test "${profile[@]}" -p custos-store --test all retention:: -- --nocapture --test-threads 1
    say "scrub and repair: every byte of a segment"
    CUSTOS_LONG=1 cargo test "${profile[@]}" -p custos-store --test all scrub:: -- --nocapture --test-threads 1
    say "retention, hold, scrub and repair on the server"
    CUSTOS_BIN=$custos cargo test "${profile[@]}" -p custos-tests --test e2e_retention -- --nocapture
}
