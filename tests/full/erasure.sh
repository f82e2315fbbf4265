# Keys and erasure: with the binary as an operator runs it, and the crash points in process. Sourced by tests/full.sh.

# Planted in payments; must be in no file of the data folder.
readonly PLANTED=(Kanarienvogel canary@example.org 4111111111111111)

planted_in() {
    local word hits=0
    for word in "${PLANTED[@]}"; do
        hits=$((hits + $(grep -rlaF -- "$word" "$1" | wc -l)))
    done
    echo "$hits"
}

part_erasure() {
    local data="$work/data" rounds=${CUSTOS_FULL_ROTATIONS:-10} nth count
    say "erasure: 1,000 payments of 200 people, $rounds master keys, an expired copy"
    for nth in $(seq 1 1000); do
        printf '{"id":"p%d","amount":5,"customer":{"id":"c-%d","name":"A Kanarienvogel %d","email":"p%d.canary@example.org"},"message":"card 4111111111111111"}\n' \
            "$nth" $((nth % 200)) $((nth % 200)) $((nth % 200))
    done > "$work/payments.json"
    "$custos" ingest --source payment --data "$data" "$work/payments.json"
    rm "$work/payments.json"
    count=$("$custos" search --data "$data" --count 'user.email:"p7.canary@example.org"')
    echo "found by the whole value: $count (of 5)"
    [[ $count == *5* ]] || die "equality search on a sealed field found $count"
    echo "files that hold a planted value: $(planted_in "$data")"
    [[ $(planted_in "$data") == 0 ]] || die "a planted value is at rest"
    for nth in $(seq 1 "$rounds"); do
        "$custos" key rotate --data "$data" 2> "$work/rotate.log" || die "$(cat "$work/rotate.log")"
    done
    "$custos" log verify --data "$data" || die "the log does not verify after $rounds rotations"
    count=$("$custos" search --data "$data" --count 'user.email:"p7.canary@example.org"')
    echo "found after $rounds new master keys: $count"
    "$custos" key backup --data "$data" --to "$work/copy" --expires 1 --key-file "$work/copy.key"
    if "$custos" key backup --data "$data" --to "$work/copy31" --expires 31; then die "a copy for 31 days was made"; fi
    echo "planted values in the copy: $(planted_in "$work/copy")"
    say "erasure: every crash point of rotation, destruction and the two-person flow"
    cargo test -q -p custos-store --lib keys:: || die "store keys"
    cargo test -q -p custos-server --bin custos -- privacy:: || die "privacy"
    cargo test -q -p custos-server --bin custos -- api::tests::past || die "time travel"
    say "erasure: two people on a real server, and a copy of the keys from before"
    CUSTOS_BIN=$custos cargo test -q -p custos-tests --test e2e_erasure || die "a real server"
}
