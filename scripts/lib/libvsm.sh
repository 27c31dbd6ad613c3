# Building libvsm, vsmctl and the unit tests.
#
# SPDX-License-Identifier: GPL-2.0-or-later

prefix=$build/prefix # where QEMU's build finds libvsm

# build_libvsm DIRECTORY [MESON_OPTION...]
build_libvsm() {
    local dir=$1 log=$build/log/$(basename "$1").log
    shift
    if [ ! -e "$dir/build.ninja" ]; then
        run_shown "$log" meson setup "$dir" "$top" --prefix="$prefix" \
            --libdir=lib "$@" || die "libvsm: meson setup failed (log: $log)"
    fi
    run_shown "$log" nice ninja -C "$dir" -j "${JOBS:-$(nproc)}" ||
        die "libvsm does not compile (log: $log)"
}

# A shared library, and headers that keep their time stamps: a change in libvsm
# alone compiles nothing in QEMU.
install_libvsm() {
    local log=$build/log/libvsm.log
    run_logged "$log" meson install -C "$build/libvsm" --no-rebuild \
        --only-changed --quiet ||
        die "libvsm: meson install failed (log: $log)"
}
