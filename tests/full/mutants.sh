# Whether the tests bite: mutants of the log, its keys and the verifier, each of which must make a test fail. All of them
# take some fifteen hours; each run tries one shard, every n-th, in random order, so that one that is broken off is a
# sample too. Needs cargo-mutants. Sourced by tests/full.sh.
#   CUSTOS_FULL_MUTANTS=3/40 bash tests/full.sh mutants

# Parts of the names of the tests that take more than a second: they run where the others let a mutant live.
readonly SLOW_TESTS="recovery:: flips:: retention::what_is_left retention::a_crash failpoints::nothing proofs::every \
full_disk::a_full many::what_arrives backup::one_flipped power_loss:: tamper:: property::"

part_mutants() {
    local shard=${CUSTOS_FULL_MUTANTS:-0/40} crate runner
    runner="python3 $PWD/tests/py/fail_first.py"
    cargo mutants --version > /dev/null 2>&1 || die "cargo-mutants is missing: cargo install cargo-mutants"
    for crate in custos-evidence custos-store; do
        say "mutants: shard $shard of $crate"
        # 2 and 3: some were missed, or timed out; the counts below tell.
        CUSTOS_SLOW_TESTS=$SLOW_TESTS CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=$runner \
            CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=$runner cargo mutants -p "$crate" --test-package "$crate" \
            --shuffle --sharding round-robin --shard "$shard" --timeout 900 -o "$work/$crate" || [ $? -le 3 ]
        wc -l "$work/$crate"/mutants.out/{caught,missed,timeout,unviable}.txt
        cat "$work/$crate/mutants.out/missed.txt"
    done
}
