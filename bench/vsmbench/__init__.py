"""Measuring VSM against stock QEMU and against what a user would do by hand.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pathlib
import sys

# The tests' harness drives QEMU, the TPM and VSM's jobs here too.
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] /
                       "tests/functional"))
