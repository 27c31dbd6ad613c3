"""Waiting with a deadline.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import time


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
