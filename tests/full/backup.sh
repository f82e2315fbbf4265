# A hundred random points in time restored, each to its root, and some thousands of flips, each seen. Sourced by tests/full.sh.
part_backup() {
    say "backup: points in time, flips"
    CUSTOS_LONG=1 cargo test --release -p custos-store --test backup -- --nocapture --test-threads 1
}
