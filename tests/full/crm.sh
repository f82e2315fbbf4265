# Customer systems, long: every fault that the stand-in knows, and more kills. Sourced by tests/full.sh.
part_crm() {
    say "each row of a customer system is stored once over kills and faults"
    CUSTOS_BIN=$custos CUSTOS_LONG=1 cargo test "${profile[@]}" -p custos-tests --test e2e_crm -- --nocapture
}
