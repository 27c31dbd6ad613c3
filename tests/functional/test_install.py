"""What docs/install.md puts into a system, put into a folder.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re
import shutil

import pytest

from vsmtest import paths

pytestmark = pytest.mark.in_process("needs no VM")

PAGE = paths.ROOT / "docs/install.md"


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """The prefix of a build that is installed below a folder."""
    folder = tmp_path_factory.mktemp("install")
    meson = shutil.which("meson")
    paths.run([meson, "install", "-C", str(paths.BUILD / "libvsm"), "--quiet",
               "--no-rebuild", "--destdir", str(folder)])
    found, = folder.rglob("sbin/vsmd")
    return found.parent.parent


def test_page_names_all_that_is_installed_and_nothing_else(prefix):
    text = PAGE.read_text()
    table = text[text.index("| file | what |"):text.index("## The service")]
    named = {name for row in re.findall(r"^\| (`.+?) \|", table, re.M)
             for name in re.findall(r"`([^`]+)`", row)}
    installed = set()
    for path in prefix.rglob("*"):
        name = str(path.relative_to(prefix))
        # ARCH: the build for QEMU has none, the system's has one
        name = re.sub(r"^lib/(?:[a-z0-9_]+-linux-gnu/)?(libvsm)", r"lib/ARCH/\1",
                      name)
        if path.is_file() and not name.startswith("include/") and \
                "pkgconfig" not in name and not name.endswith("libvsm.so"):
            installed.add(name)
    assert named == installed


def test_units_are_whole(prefix, tmp_path):
    """systemd finds nothing to say of them; vsmd is where it is installed."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    units = prefix / "lib/systemd/system"
    for path in units.iterdir():
        (tmp_path / path.name).write_text(path.read_text().replace(
            "ExecStart=vsmd", f"ExecStart={prefix / 'sbin/vsmd'}"))
    done = paths.run(["systemd-analyze", "verify", "--man=no",
                      *(str(path) for path in sorted(tmp_path.iterdir()))],
                     check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_user_and_folders_are_made(prefix, tmp_path):
    for tool in ("systemd-sysusers", "systemd-tmpfiles"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    for kind in ("sysusers.d", "tmpfiles.d"):
        (tmp_path / "usr/lib" / kind).mkdir(parents=True)
        shutil.copy(prefix / "lib" / kind / "vsm.conf",
                    tmp_path / "usr/lib" / kind)
    (tmp_path / "etc").mkdir()
    paths.run(["systemd-sysusers", f"--root={tmp_path}"])
    paths.run(["systemd-tmpfiles", f"--root={tmp_path}", "--create",
               "--prefix=/run/vsm", "--prefix=/etc/vsm"], check=False)
    groups = (tmp_path / "etc/group").read_text()
    assert "vsm:" in (tmp_path / "etc/passwd").read_text()
    assert "vsm:" in groups and "tss:" in groups
    assert (tmp_path / "etc/vsm").is_dir()
    assert (tmp_path / "run/vsm").is_dir()
