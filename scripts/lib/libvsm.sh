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

# A shared library, and headers that keep their time stamps.  QEMU is linked with
# a copy, which is renewed when the exported names change, and loads the library
# itself: a change in libvsm alone compiles and links nothing of QEMU.
install_libvsm() {
    local log=$build/log/libvsm.log copy=$prefix/link/libvsm.so names
    run_logged "$log" meson install -C "$build/libvsm" --no-rebuild \
        --only-changed --quiet ||
        die "libvsm: meson install failed: make space in $prefix and run it again (log: $log)"
    names=$(nm -D --defined-only --format=posix "$prefix/lib/libvsm.so.0" |
        cut -d' ' -f1,2)
    if [ ! -e "$copy" ] || [ "$(cat "$copy.names" 2>/dev/null)" != "$names" ]; then
        mkdir -p "$prefix/link"
        rm -f "$copy.names"
        cp "$prefix/lib/libvsm.so.0" "$copy"
        echo "$names" >"$copy.names"
    fi
    ln -sfn ../link/libvsm.so "$prefix/lib/libvsm.so"
}
