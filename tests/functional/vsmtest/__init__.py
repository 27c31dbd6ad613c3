"""What the functional tests and the demo drive QEMU, swtpm and VSM with.

SPDX-License-Identifier: GPL-2.0-or-later
"""
