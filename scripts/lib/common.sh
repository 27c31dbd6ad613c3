# Shared by the scripts: messages, the build folder and its lock.
#
# SPDX-License-Identifier: GPL-2.0-or-later

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${VSM_BUILD:-$top/build} # VSM_BUILD: another build folder
me=$(basename "$0")

say() {
    printf '%s: %s\n' "$me" "$*" >&2
}

# One line that says what is wrong and what to do.
die() {
    say "$*"
    exit 1
}

# result STATUS TEXT: one check is counted; the text says what failed
passed=0 failed=0
result() {
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        say "FAILED: $2"
    fi
}

# run_logged LOG COMMAND...: quiet; the caller's message names the log
run_logged() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1
}

# run_shown LOG COMMAND...: the same, for compilers: shows the end of a failure
run_shown() {
    run_logged "$@" && return 0
    tail -n 25 "$1" >&2
    return 1
}

# run_as_root WHY COMMAND...: for what no other user may do
run_as_root() {
    local why=$1
    shift
    if [ "$EUID" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        say "with sudo: $why"
        sudo env VSM_BUILD="$build" PYTHONDONTWRITEBYTECODE=1 \
            ${TMPDIR:+TMPDIR="$TMPDIR"} "$@"
    else
        die "$why: run it as root, or install sudo"
    fi
}

# Two builds of one tree at a time would destroy each other's state.
lock_build() {
    mkdir -p "$build"
    exec 9>"$build/lock"
    if ! flock -n 9; then
        say "waiting for another build in $build"
        flock 9
    fi
}

# The compiler cache is shared by all checkouts of this user: a second one
# builds QEMU in a minute.
use_ccache() {
    export CCACHE_DIR=${CCACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/vsm-ccache}
    export CCACHE_BASEDIR=$top CCACHE_NOHASHDIR=1
    export CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-3G}
}
