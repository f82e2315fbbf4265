# Bytes that nobody thought of, long: every decoder, framing and signature check of intake. Sourced by tests/full.sh.
part_decoders() {
    say "no bytes make intake panic, and none are lost: 200,000 cases of each property"
    PROPTEST_CASES=200000 cargo test "${profile[@]}" -p custos-ingest --lib -- panic every_byte_of_a_message \
        what_is_counted_comes_back messages_come_back_in_whatever_pieces
}
