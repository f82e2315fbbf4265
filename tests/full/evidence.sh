# Evidence: 1,000 forgeries of each kind, what a proof costs, and the witnesses.

part_evidence() {
    say "evidence: 1,000 forgeries of each kind, by who has every key and by who has none"
    CUSTOS_LONG=1 cargo test --release -p custos-store --test tamper -- --nocapture
    say "evidence: proofs out of two million records"
    cargo bench -p custos-store --bench proof
    say "evidence: witnesses, bundles, and the reader in Python"
    cargo build --release -p custos-server -p custos-evidence
    CUSTOS_BIN=$PWD/$custos cargo test -p custos-tests --test e2e_evidence -- --nocapture
}
