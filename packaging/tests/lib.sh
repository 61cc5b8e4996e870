# What the scripts of packaging/tests share. Sourced.
# shellcheck shell=sh

# The outcome of each step is a line; the first that fails ends the script.
ok() {
    printf '  ok    %s\n' "$*"
}

fail() {
    printf '  FAIL  %s\n' "$*" >&2
    exit 1
}

# check WORDS... -- COMMAND...: what is checked, and the command that succeeds when it is so.
check() {
    what=
    while [ "$1" != -- ]; do
        what="$what $1"
        shift
    done
    shift
    if "$@" >/tmp/check.out 2>&1; then
        ok "${what# }"
    else
        tail -n 40 /tmp/check.out >&2
        fail "${what# }"
    fi
}

# Waits until a command succeeds, for up to 20 seconds.
until_so() {
    deadline=$(($(date +%s) + 20))
    while ! "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

# Sends standard input to a port of this host, and writes what comes back: say PORT.
say() {
    timeout 10 python3 -c '
import socket, sys
peer = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
peer.sendall(sys.stdin.buffer.read())
peer.shutdown(socket.SHUT_WR)
while data := peer.recv(65536):
    sys.stdout.buffer.write(data)
' "$1"
}

# daytime [PORT]: whether the daytime protocol is spoken there.
daytime() {
    say "${1:-13}" </dev/null | grep -Eq '^[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4}'
}

# Where the packages are that are to be tried: those given, else those of these sources, built where there are none.
packages() {
    if [ -z "${PACKAGES-}" ]; then
        PACKAGES=$top/target/debian
        if ! is_of_these_sources "$PACKAGES"; then
            rm -rf "$PACKAGES"
            check 'the packages are built' -- "$top/packaging/debian/build" "$PACKAGES"
        fi
    fi
}

# Whether the packages in a directory are of the sources as they are now.
is_of_these_sources() {
    [ -e "$1/sources.sha256" ] || return 1
    now=$(mktemp -d)
    "$top/packaging/source" "$now" >/dev/null
    (cd "$now" && sha256sum --quiet --check "$1/sources.sha256" >/dev/null 2>&1) && same=0 || same=1
    rm -r "$now"
    return $same
}

# Builds that only try a package need no optimised program; they share what they compile.
quick() {
    export CARGO_TARGET_DIR="$top/target/packages"
    export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=0
}
