# Evidence: 1,000 forgeries of each kind, real witnesses, and what a proof costs. Sourced by tests/full.sh.

part_evidence() {
    say "evidence: 1,000 forgeries of each kind, by who has every key and by who has none"
    export CUSTOS_LONG=1 CUSTOS_BIN=$custos
    cargo test "${profile[@]}" -p custos-store --test all tamper:: -- --nocapture
    say "evidence: real witnesses, bundles and their forgeries, a reader in another language"
    local name
    for name in e2e_evidence e2e_witness e2e_reader; do
        cargo test "${profile[@]}" -p custos-tests --test "$name" -- --nocapture
    done
    say "evidence: proofs out of two million records"
    if [ ${#profile[@]} -eq 0 ]; then echo "not measured: a development build's times say nothing"; return; fi
    cargo bench -p custos-store --bench proof
}
