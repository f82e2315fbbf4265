# Exactly once from Kafka in its long form, and whether its end-to-end test bites: Custos with a patch of
# tests/full/exactly-once/ must lose or double records in it, and say so; the same tree without one must not. Sourced by
# tests/full.sh.
#   CUSTOS_FULL_KAFKA_EVENTS=1000000  CUSTOS_FULL_KAFKA_KILLS=200  CUSTOS_FULL_KAFKA_VISITS=50
#                                       how far the long form goes; each visit of another member is two rebalances.
#                                       0 events pass it over
#   CUSTOS_FULL_MUTANT_TARGET=folder    keeps what is built: the first build takes as long as Custos' own, each next one
#                                       as long as what stands on the file that the patch changes

# The end-to-end test of Kafka with $1 as Custos: its words are in $work/$2.log, what it counted or found is told.
kafka_test() {
    local status=0
    CUSTOS_BIN=$1 cargo test "${profile[@]}" -q -p custos-tests --test e2e_kafka -- --nocapture \
        events_of_a_real_kafka > "$work/$2.log" 2>&1 || status=$?
    grep -E '^Error: |kills came|^[0-9]+ (records|stays)|^test result' "$work/$2.log" | cut -c -400 || true
    return $status
}

# The same with what $tree makes of Custos.
mutant_test() {
    (cd "$tree" && CARGO_TARGET_DIR=$built cargo build -q -p custos-server --bin custos) || return 1
    kafka_test "$built/debug/custos" "$1"
}

# Without Kafka's jars the test is passed over.
passes() { "$@" && grep -q 'kills came in mid-progress' "$work/${*: -1}.log" || { tail -30 "$work/${*: -1}.log"; exit 1; }; }

long_form() {
    local records=${CUSTOS_FULL_KAFKA_EVENTS:-1000000} kills=${CUSTOS_FULL_KAFKA_KILLS:-200} visits=${CUSTOS_FULL_KAFKA_VISITS:-50}
    [ "$records" != 0 ] || return 0
    say "exactly once: $records records, $kills kills, $visits visits of another member"
    CUSTOS_FULL_KAFKA_EVENTS=$records CUSTOS_FULL_KAFKA_KILLS=$kills CUSTOS_FULL_KAFKA_VISITS=$visits \
        passes kafka_test "$custos" long
}

part_exactly_once() {
    local tree=$work/tree built=${CUSTOS_FULL_MUTANT_TARGET:-$work/mutants} patch name found
    # A patch of one name is told from another by what it must be caught at.
    local -A caught=([commit-before-write]="records lost" [commit-after-write]="records doubled"
        [resume-from-kafka]="records doubled")
    long_form
    # The mutants are caught in the short form.
    unset CUSTOS_FULL_KAFKA_EVENTS CUSTOS_FULL_KAFKA_KILLS CUSTOS_FULL_KAFKA_VISITS
    mkdir -p "$tree"
    # A copy outside of git, so that nothing is left of it in the repository.
    git ls-files -z | tar -c --null -T - | tar -x -C "$tree"
    say "exactly once: as it is"
    passes mutant_test unchanged
    for patch in tests/full/exactly-once/*.patch; do
        name=$(basename "$patch" .patch)
        found=${caught[$name]:?"$patch: what it must be caught at is not known"}
        say "exactly once: $name"
        in_tree apply < "$patch"
        ! mutant_test "$name" || { echo "the mutant lives"; exit 1; }
        grep -q "$found" "$work/$name.log" || { tail -30 "$work/$name.log"; echo "not caught at '$found'"; exit 1; }
        in_tree apply -R < "$patch"
    done
}

# git in the copy, which lies in no repository even where $work does.
in_tree() { (cd "$tree" && GIT_CEILING_DIRECTORIES=$work git "$@"); }
