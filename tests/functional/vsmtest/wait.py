"""Waiting with a deadline, or until a process waits.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pathlib
import time

# Ask for the long form of tests that have one.
LONG = bool(os.environ.get("VSM_LONG"))


def until(what, condition, timeout=30, step=0.02):
    """Polls condition until it is true; what names it in the failure."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(step)


def until_it_waits(pid, seconds=0.5, timeout=60):
    """The process takes no time of any CPU for so long."""
    def ticks():
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[11:13]   # user, system

    def waits():
        before = ticks()
        time.sleep(seconds)
        return ticks() == before

    until(f"process {pid} to wait", waits, timeout)
