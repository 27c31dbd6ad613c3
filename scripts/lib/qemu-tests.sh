# QEMU's own tests on a build of it: one line "RESULT NAME" for each test.
#
# SPDX-License-Identifier: GPL-2.0-or-later

iotests="068 267 286" # internal snapshots: reset, savevm and loadvm, listing

# tap_results PREFIX: TAP on standard input to lines "pass|fail|skip PREFIXNAME"
tap_results() {
    sed -nE "
        s,^ok [0-9]* ?(.*[^ ]) +# SKIP.*,skip $1\1,p; t
        s,^ok [0-9]* ?(.*),pass $1\1,p; t
        s,^not ok [0-9]* ?(.*),fail $1\1,p"
}

# run_iotests DIRECTORY: a build of QEMU; messages go to standard error.  2 if they
# did not end as tests that pass.
run_iotests() {
    # shellcheck disable=SC2086
    (cd "$1/tests/qemu-iotests" &&
        PYTHON=/usr/bin/python3 /usr/bin/python3 ./check -tap -qcow2 \
            $iotests) </dev/null | tee /dev/stderr | tap_results iotest-
    [ "${PIPESTATUS[0]}" = 0 ] || return 2
}

# without_kvm COMMAND...: under TCG where that can be had, as VSM's own tests.  The
# KVM of a machine that is itself a guest may be many times slower, or fail.
without_kvm() {
    local namespace=(unshare --mount) file=${BASH_SOURCE[0]}
    [ "$EUID" = 0 ] || namespace+=(--map-root-user)
    # root may use any device, but not write a file that is mounted read-only
    if [ -w /dev/kvm ] &&
        "${namespace[@]}" mount --bind -o ro "$file" /dev/kvm 2>/dev/null; then
        "${namespace[@]}" bash -c 'mount --bind -o ro "$0" /dev/kvm && exec "$@"' \
            "$file" "$@"
    else
        "$@"
    fi
}

# run_migration_test DIRECTORY: the same for the qtest; 1 if it was cut off
run_migration_test() {
    (cd "$1" && QTEST_QEMU_BINARY=./qemu-system-x86_64 \
        QTEST_QEMU_IMG=./qemu-img PYTHON=/usr/bin/python3 \
        without_kvm timeout --kill-after=10 "${VSM_QEMU_TEST_LIMIT:-20m}" \
        tests/qtest/migration-test --tap -k) \
        </dev/null 2>&1 | tee /dev/stderr | tap_results migration-test
    case ${PIPESTATUS[0]} in
    0) ;;
    124 | 137) return 1 ;; # timeout's own, and its kill
    *) return 2 ;;
    esac
}
