# Finds what a build or a test needs, and installs what is missing. Sourced by deploy/quickstart.sh and
# tests/run.sh, which define `die`. Debian and Ubuntu; as root or through sudo.

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# at_least WANTED FOUND: whether version FOUND is WANTED or newer.
at_least() { [ "$(printf '%s\n' "$1" "$2" | sort -V | head -1)" = "$1" ]; }

apt_update() {
    [ -n "${APT_UPDATED:-}" ] || as_root apt-get update -qq
    APT_UPDATED=yes
}

apt_install() {
    echo "installing from Debian: $*"
    command -v apt-get >/dev/null ||
        die "this machine has no apt-get; install by hand what these Debian packages hold: $*"
    apt_update
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# The version that Debian would install of a package, without epoch and revision; nothing if it has none.
apt_version() {
    apt-cache policy "$1" 2>/dev/null |
        sed -n 's/^ *Candidate: \([0-9]*:\)\?\([0-9.]*\).*/\2/p'
}

# Reads lines "COMMAND-OR-FILE PACKAGE" and installs the packages whose first word is not there.
need_packages() {
    local wanted=() have package
    while read -r have package; do
        case $have in
            '') ;;
            /*) [ -e "$have" ] || wanted+=("$package") ;;
            *) command -v "$have" >/dev/null || wanted+=("$package") ;;
        esac
    done
    if [ ${#wanted[@]} -gt 0 ]; then
        apt_install $(printf '%s\n' "${wanted[@]}" | sort -u)
    fi
}

found_version() { "$@" 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)+' | head -1; }

# need_rust MIN: a cargo of at least this version on PATH, with clippy and rustfmt where Debian's is taken.
need_rust() {
    local min=$1 found version package
    found=$(found_version cargo --version || true)
    if [ -n "$found" ] && at_least "$min" "$found"; then
        echo "cargo $found"
        return
    fi
    apt_update
    # `rustc` in Debian; Ubuntu has newer ones beside it as `rustc-1.95`.
    for package in $(apt-cache pkgnames rustc 2>/dev/null | grep -xE 'rustc(-1\.[0-9]+)?' | sort -Vr); do
        version=$(apt_version "$package")
        if [ -n "$version" ] && at_least "$min" "$version"; then
            install_debian_rust "${package#rustc}"
            echo "cargo $(found_version cargo --version), from Debian's packages"
            return
        fi
    done
    die "needs Rust $min or newer; there is ${found:-none} on PATH and ${version:-none} among this system's packages.
    Install it by rustup ('rustup update stable' where rustup is there), then run this again"
}

# install_debian_rust SUFFIX: '' or '-1.95'.
install_debian_rust() {
    local suffix=$1
    if [ -z "$suffix" ]; then
        apt_install cargo rustc rust-clippy rustfmt
        # One that is too old may stand before it on PATH.
        PATH=/usr/bin:$PATH
    else
        apt_install "cargo$suffix" "rustc$suffix" "rust$suffix-clippy" "rustfmt$suffix"
        PATH=/usr/lib/rust$suffix/bin:$PATH
    fi
    export PATH
    hash -r
}

# need_node MIN FOLDER: a node of at least this version on PATH: Debian's, else the npm registry's, below FOLDER.
need_node() {
    local min=$1 folder=$2 found version
    PATH=$folder/node_modules/.bin:$PATH
    export PATH
    found=$(found_version node --version || true)
    if [ -z "$found" ] || ! at_least "$min" "$found"; then
        apt_update
        version=$(apt_version nodejs)
        if [ -n "$version" ] && at_least "$min" "$version"; then
            apt_install nodejs npm
        else
            command -v npm >/dev/null || apt_install npm
            echo "installing node $min from the npm registry"
            npm install --silent --no-audit --no-fund --prefix "$folder" "node@$min" >/dev/null
        fi
        hash -r
        found=$(found_version node --version || true)
        [ -n "$found" ] && at_least "$min" "$found" ||
            die "needs Node.js $min or newer, found ${found:-none}; install it, then run this again"
    fi
    command -v npm >/dev/null || apt_install npm
    echo "node $found, npm $(npm --version)"
}
