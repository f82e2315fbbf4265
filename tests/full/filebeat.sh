# A real Filebeat, built from its module (several minutes, some GiB of Go's cache), set up by the blocks of docs/sources/ as they are
# written: Beats' protocol plain and over TLS, Elasticsearch's _bulk, and Kafka's; Custos is killed on the way. Sourced by tests/full.sh.
#   CUSTOS_TEST_FILEBEAT=file    takes this Filebeat instead, of whatever version.

part_filebeat() {
    local filebeat=${CUSTOS_TEST_FILEBEAT:-$PWD/.cache/filebeat/filebeat}
    if [ ! -x "$filebeat" ]; then
        say "filebeat: build"
        mkdir -p "$(dirname "$filebeat")"
        # A copy: go writes what it finds into go.mod.
        cp tests/filebeat/main.go tests/filebeat/go.mod "$(dirname "$filebeat")/"
        (cd "$(dirname "$filebeat")" && GOFLAGS=-mod=mod go build -o "$filebeat" .)
    fi
    say "filebeat: $("$filebeat" version)"
    CUSTOS_BIN=$custos CUSTOS_TEST_FILEBEAT=$filebeat cargo test "${profile[@]}" -q -p custos-tests --test e2e_filebeat -- --nocapture
}
