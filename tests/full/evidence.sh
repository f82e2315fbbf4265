# Evidence: 1,000 forgeries of each kind, and what a proof costs.

part_evidence() {
    say "evidence: 1,000 forgeries of each kind, by who has every key and by who has none"
    CUSTOS_LONG=1 cargo test --release -p custos-store --test tamper -- --nocapture
    say "evidence: proofs out of two million records"
    cargo bench -p custos-store --bench proof
}
