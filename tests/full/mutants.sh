# Whether the tests bite: mutants of the log, its keys and the verifier, each of which must make a test fail. All of them
# take two days on two cores; each run tries one shard, every n-th. Needs cargo-mutants. Sourced by tests/full.sh.
#   CUSTOS_FULL_MUTANTS=3/40 bash tests/full.sh mutants

part_mutants() {
    local shard=${CUSTOS_FULL_MUTANTS:-0/40} crate
    cargo mutants --version > /dev/null 2>&1 || die "cargo-mutants is missing: cargo install cargo-mutants"
    for crate in custos-evidence custos-store; do
        say "mutants: shard $shard of $crate"
        # 2 and 3: some were missed, or timed out; the counts below tell.
        cargo mutants -p "$crate" --test-package "$crate" --sharding round-robin --shard "$shard" --timeout 240 \
            -o "$work/$crate" || [ $? -le 3 ]
        wc -l "$work/$crate"/mutants.out/{caught,missed,timeout,unviable}.txt
        cat "$work/$crate/mutants.out/missed.txt"
    done
}
