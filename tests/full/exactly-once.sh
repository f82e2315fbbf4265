# Whether the end-to-end test of Kafka bites: Custos with a patch of tests/full/exactly-once/ must lose or double records in
# it, and say so; the same tree without one must not. Sourced by tests/full.sh.
#   CUSTOS_FULL_MUTANT_TARGET=folder    keeps what is built: the first build takes as long as Custos' own, each next one
#                                       as long as what stands on the file that the patch changes

# The test against the build of $tree: its words are in $work/NAME.log, what it counted or found is told.
kafka_test() {
    local name=$1 status=0
    (cd "$tree" && CARGO_TARGET_DIR=$built cargo build -q -p custos-server --bin custos)
    CUSTOS_BIN=$built/debug/custos cargo test "${profile[@]}" -q -p custos-tests --test e2e_kafka -- --nocapture \
        events_of_a_real_kafka > "$work/$name.log" 2>&1 || status=$?
    grep -E '^Error: |kills came|^[0-9]+ records|^test result' "$work/$name.log" | cut -c -400 || true
    return $status
}

part_exactly_once() {
    local tree=$work/tree built=${CUSTOS_FULL_MUTANT_TARGET:-$work/mutants} patch name found
    # A patch of one name is told from another by what it must be caught at.
    local -A caught=([commit-before-write]="records lost" [commit-after-write]="records doubled")
    mkdir -p "$tree"
    # A copy outside of git, so that nothing is left of it in the repository.
    git ls-files -z | tar -c --null -T - | tar -x -C "$tree"
    say "exactly once: as it is"
    kafka_test unchanged || { tail -30 "$work/unchanged.log"; exit 1; }
    # Without Kafka's jars the test is passed over.
    grep -q 'kills came in mid-progress' "$work/unchanged.log" || { cat "$work/unchanged.log"; exit 1; }
    for patch in tests/full/exactly-once/*.patch; do
        name=$(basename "$patch" .patch)
        found=${caught[$name]:?"$patch: what it must be caught at is not known"}
        say "exactly once: $name"
        in_tree apply < "$patch"
        ! kafka_test "$name" || { echo "the mutant lives"; exit 1; }
        grep -q "$found" "$work/$name.log" || { tail -30 "$work/$name.log"; echo "not caught at '$found'"; exit 1; }
        in_tree apply -R < "$patch"
    done
}

# git in the copy, which lies in no repository even where $work does.
in_tree() { (cd "$tree" && GIT_CEILING_DIRECTORIES=$work git "$@"); }
