"""State that KVM keeps, where there is a KVM, by --full: how fast it is, and what
it can run, is another matter on each machine.

The guest's firmware is guest enough, and all that gets far on a machine that is
a guest itself: it has timers armed and interrupts on.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import subprocess
import time

import pytest

from vsmtest import paths

# A KVM of Linux 6.18, itself in a guest, writes the version of the guest's clock
# page whenever its register is set, so also while the VM is stopped.
CPU = ("-cpu", "host,-arch-capabilities,-kvmclock,-kvmclock-stable-bit")


pytestmark = pytest.mark.in_process("QEMU's own affair in both modes")


@pytest.fixture(scope="module", autouse=True)
def kvm(request):
    """A KVM under which QEMU, without VSM, runs firmware for a second."""
    if not request.config.getoption("--full"):
        pytest.skip("by --full alone")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("no /dev/kvm here")
    qemu = subprocess.Popen(
        [paths.qemu(), "-accel", "kvm", *CPU, "-nodefaults", "-display",
         "none", "-monitor", "stdio"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(1)
    try:
        said, _ = qemu.communicate("info status\nquit\n", timeout=60)
    finally:
        qemu.kill()
    if "VM status: running" not in said:
        pytest.skip(f"/dev/kvm is of no use: {said}")


def matches(guest, snapshot):
    """Now, and when its clocks have gone on."""
    for pause in (0, 2):
        time.sleep(pause)
        answer = guest.attest(snapshot)
        assert answer.result == "match", answer.findings


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_state_in_kvm_is_sealed_attested_and_restored(machines, machine):
    # the kernel's own PIT goes on while the VM is stopped, and firmware uses it
    guest = machines.new(accel="kvm", machine=machine, vcpus=2,
                         machine_options="kernel-irqchip=split",
                         extra=CPU + ("-rtc", "clock=vm"))
    guest.start(boot=False)
    assert guest.qmp.command("query-kvm")["enabled"]
    time.sleep(1)
    guest.stop()
    guest.savevm("one")
    matches(guest, "one")
    guest.cont()
    time.sleep(1)
    assert guest.attest("one").result == "mismatch"
    assert guest.status() == "running"
    guest.stop()
    guest.loadvm("one")
    matches(guest, "one")
    guest.cont()
    guest.stop()
    assert guest.rollback("one").result == "match"
    matches(guest, "one")
    gdb = guest.gdb()
    gdb.flip_register()
    findings = guest.attest("one").findings
    assert [finding["where"] for finding in findings] == ["cpu/0"]
    gdb.close()
    guest.restart(loadvm="one", paused=True)
    matches(guest, "one")
    guest.cont()
    guest.savevm("running")
    guest.loadvm("running")
    assert guest.rollback("running").result == "match"
    assert guest.status() == "running"
    assert guest.attest("running").result == "mismatch"
