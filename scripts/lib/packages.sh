# Which of the packages in scripts/packages.txt are missing here.
#
# SPDX-License-Identifier: GPL-2.0-or-later

package_available() {
    apt-cache show --no-all-versions "$1" 2>/dev/null | grep -q '^Filename:'
}

# One a line: each alternative set of which none is installed.
missing_packages() {
    local line name installed
    installed=" $(dpkg-query -W -f '${Package}=${db:Status-Status} ') "
    grep -v -e '^#' -e '^$' "$top/scripts/packages.txt" | while read -r line; do
        for name in ${line//|/ }; do
            [[ $installed != *" $name=installed "* ]] || continue 2
        done
        echo "$line"
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
    missing=$(missing_packages | tr '\n' ' ' | sed 's/ $//')
    [ -z "$missing" ] ||
        die "missing packages: $missing: run scripts/setup, as root or with sudo"
}
