"""Where the built programs are, and one way to run them.

Each is taken from the environment first (VSM_QEMU, VSM_STOCK_QEMU,
VSM_QEMU_IMG, VSM_VSMCTL, VSM_VSMD, VSM_KILL_AT_WRITE, VSM_WALL_CLOCK_SO),
then from the build folder (VSM_BUILD).

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("VSM_BUILD", ROOT / "build"))


class Missing(Exception):
    """A program that the tests need is not there; says how to get it."""


def _find(variable, candidates, remedy):
    wanted = os.environ.get(variable)
    if wanted:
        candidates = [pathlib.Path(wanted)]
    for path in candidates:
        if path.is_file():
            return str(path)
    raise Missing(f"{candidates[0]} is missing: {remedy}")


def qemu():
    """The patched emulator."""
    return _find("VSM_QEMU", [BUILD / "qemu/qemu-system-x86_64"],
                 "run scripts/build-qemu, or set VSM_QEMU")


def stock_qemu():
    """The same emulator without the patches, for what must be foreign."""
    return _find("VSM_STOCK_QEMU",
                 [BUILD / "qemu-stock/qemu-system-x86_64"],
                 "run scripts/build-qemu --stock, or set VSM_STOCK_QEMU")


def qemu_img():
    """qemu-img of the patched tree."""
    return _find("VSM_QEMU_IMG", [BUILD / "qemu/qemu-img"],
                 "run scripts/build-qemu, or set VSM_QEMU_IMG")


def vsmctl():
    """The command line."""
    return _find("VSM_VSMCTL", [BUILD / "libvsm/vsmctl",
                                BUILD / "prefix/bin/vsmctl"],
                 "run scripts/build-qemu, or set VSM_VSMCTL")


def vsmd():
    """The daemon."""
    return _find("VSM_VSMD", [BUILD / "libvsm/vsmd",
                              BUILD / "prefix/sbin/vsmd"],
                 "run scripts/build-qemu, or set VSM_VSMD")


def kill_at_write():
    """What is preloaded into a QEMU that shall end in the middle."""
    return _find("VSM_KILL_AT_WRITE",
                 [BUILD / "libvsm/tests/tools/kill-at-write.so"],
                 "run scripts/build-qemu, or set VSM_KILL_AT_WRITE")


def wall_clock():
    """What is preloaded into a QEMU whose wall clock is set forward."""
    return _find("VSM_WALL_CLOCK_SO",
                 [BUILD / "libvsm/tests/tools/wall-clock.so"],
                 "run scripts/build-qemu, or set VSM_WALL_CLOCK_SO")


def guest_file(flavour, name):
    """vmlinuz or initrd of the guest, built on first use."""
    script = ROOT / "tests/guest/build-guest"
    done = guest_file.__dict__.setdefault("done", set())
    if flavour not in done:
        base, _, kernel = flavour.partition("-")
        run([str(script), "--flavour", base] +
            (["--kernel", kernel] if kernel else []), timeout=600)
        done.add(flavour)
    return str(BUILD / "guest" / flavour / name)


def run(argv, check=True, timeout=120, **options):
    """Runs argv and returns the finished process; output is text."""
    options.setdefault("errors", "replace")     # so output is text
    done = subprocess.run(argv, stdin=options.pop("stdin", subprocess.DEVNULL)
                          if "input" not in options else None,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout, check=False, **options)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, argv))}: exit code "
                             f"{done.returncode}\n{done.stdout}{done.stderr}")
    return done
