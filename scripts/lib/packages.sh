# Which of the packages in scripts/packages.txt are missing here.
#
# SPDX-License-Identifier: GPL-2.0-or-later

package_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

package_available() {
    apt-cache show --no-all-versions "$1" 2>/dev/null | grep -q '^Filename:'
}

# One a line: each alternative set of which none is installed.
missing_packages() {
    local line name
    grep -v '^#' "$top/scripts/packages.txt" | while read -r line; do
        for name in ${line//|/ }; do
            package_installed "$name" && continue 2
        done
        [ -z "$line" ] || echo "$line"
    done
}

# Of each alternative set the first that this release has, else the last.
choose_packages() {
    local line name
    while read -r line; do
        for name in ${line//|/ }; do
            package_available "$name" && break
        done
        echo "$name"
    done
}

require_packages() {
    local missing
    [ -e /etc/debian_version ] ||
        die "this is not Debian: VSM is built on Debian 12 or 13"
    missing=$(missing_packages | tr '\n' ' ')
    [ -z "$missing" ] ||
        die "missing packages: $missing- run ./scripts/setup, as root or with sudo"
}
