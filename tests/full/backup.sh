# A hundred random points in time restored, each to its root, and some thousands of flips, each seen; then the real
# server with a bucket, killed commands, and the runbooks as they are written. Sourced by tests/full.sh.
part_backup() {
    export CUSTOS_LONG=1 CUSTOS_BIN=$custos
    say "backup: points in time, flips"
    cargo test "${profile[@]}" -p custos-store --test all backup:: -- --nocapture --test-threads 1
    say "backup: a bucket, kills, runbooks"
    cargo test "${profile[@]}" -p custos-tests --test e2e_backup -- --nocapture --test-threads 1
}
