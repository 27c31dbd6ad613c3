# Debian's archive through a private apt configuration: the machine's own
# sources, lists and packages stay as they are, its mirror and keys are used.
#
# SPDX-License-Identifier: GPL-2.0-or-later

apt_dir=$build/debian
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# mirror SUITE: the address that the machine's own apt uses for SUITE
mirror() {
    local format='$(ORIGIN)|$(RELEASE)|$(COMPONENT)|$(REPO_URI)'
    apt-get indextargets --format "$format" 'Created-By: Packages' |
        awk -F'|' -v suite="$1" '
            $2 == suite && $3 == "main" { n = ($1 == "Debian"); uri[n] = $4 }
            END { print (1 in uri) ? uri[1] : uri[0] }'
}

# source_line TYPE MIRROR SUITE
source_line() {
    echo "$1 [signed-by=$keyring] $2 $3 main"
}

write_sources() {
    local own main security
    own=$(. /etc/os-release && echo "$VERSION_CODENAME")
    main=${VSM_DEBIAN_MIRROR:-$(mirror "$own")}
    security=${VSM_DEBIAN_SECURITY_MIRROR:-$(mirror "$own-security")}
    [ -n "$main" ] ||
        die "apt names no Debian mirror: set VSM_DEBIAN_MIRROR, or QEMU_SRC to an unpacked QEMU 10.0"
    source_line deb-src "$main" trixie
    [ -z "$security" ] || source_line deb-src "$security" trixie-security
    [ "$own" != bookworm ] || source_line deb "$main" bookworm-backports
}

# After this, apt-get works on the private lists.
private_apt() {
    local log=$build/log/apt.log
    # A second call would look for the mirror in the private configuration.
    [ "${APT_CONFIG:-}" != "$apt_dir/apt.conf" ] || return 0
    mkdir -p "$apt_dir"/{state/lists/partial,cache/archives/partial}
    write_sources >"$apt_dir/sources.list"
    cat >"$apt_dir/apt.conf" <<EOT
Dir::State "$apt_dir/state";
Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "$apt_dir/cache";
Dir::Etc::sourcelist "$apt_dir/sources.list";
Dir::Etc::sourceparts "-";
APT::Sandbox::User "$(id -un)";
APT::Get::AllowUnauthenticated "false";
Acquire::Retries "2";
EOT
    export APT_CONFIG=$apt_dir/apt.conf
    run_logged "$log" apt-get -o APT::Update::Error-Mode=any update ||
        die "Debian's archive cannot be reached or checked: check the network and $keyring, or set QEMU_SRC to an unpacked QEMU 10.0 (log: $log)"
}

# Debian's newest source package of QEMU 10.0, checked against the signed
# archive and unpacked with Debian's patches: unpack_qemu_source DIRECTORY
unpack_qemu_source() {
    local log=$build/log/source.log version
    say "fetching Debian's source package of QEMU 10.0"
    private_apt
    version=$(apt-cache showsrc --only-source qemu |
        sed -n 's/^Version: //p' | grep -E '^(1:)?10\.0\.' | sort -V | tail -n 1)
    [ -n "$version" ] || die "the archive has no QEMU 10.0 source package: set QEMU_SRC to an unpacked one"
    mkdir -p "$apt_dir/source"
    (cd "$apt_dir/source" &&
        run_logged "$log" apt-get source --download-only "qemu=$version") ||
        die "QEMU's source package could not be fetched, or is not what the archive signed: check the network and try again later, or set QEMU_SRC to an unpacked QEMU 10.0 (log: $log)"
    run_logged "$log" dpkg-source --no-copy -x \
        "$apt_dir/source/qemu_${version#*:}.dsc" "$1" ||
        die "QEMU's source package could not be unpacked: remove $apt_dir/source, make space in $build and run it again (log: $log)"
}

# A Python that has meson >= 1.5 as a module, which QEMU wants: the system's, or
# a virtual environment with the backported meson.  Sets $python.
find_python_with_meson() {
    local tools=$build/tools/meson log=$build/log/meson.log site have
    python=/usr/bin/python3
    have=$("$python" -c 'from importlib.metadata import version
print(version("meson"))' 2>/dev/null || echo 0)
    [ "$(printf '%s\n' 1.5 "$have" | sort -V | head -n 1)" != 1.5 ] || return 0
    python=$tools/bin/python3
    [ ! -e "$tools/complete" ] || return 0

    say "fetching meson >= 1.5 from backports"
    rm -rf "$tools" "$apt_dir/meson"
    private_apt
    mkdir -p "$apt_dir/meson"
    (cd "$apt_dir/meson" && run_logged "$log" apt-get download meson) ||
        die "meson >= 1.5 could not be fetched from backports: check the network and run it again, or set VSM_DEBIAN_MIRROR (log: $log)"
    run_logged "$log" dpkg-deb -x "$apt_dir"/meson/meson_*.deb "$apt_dir/meson" ||
        die "meson could not be unpacked: make space in $build and run it again (log: $log)"
    run_logged "$log" /usr/bin/python3 -m venv --system-site-packages \
        --without-pip "$tools" || die "python3 -m venv failed: install python3-venv, make space in $build and run it again (log: $log)"
    site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    cp -r "$apt_dir"/meson/usr/lib/python3/dist-packages/* "$site"
    touch "$tools/complete"
}
