"""What must not be loaded is refused the same by every way of loading.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib
import hashlib
import os
import pathlib
import re

import pytest

from vsmtest import paths
from vsmtest.guest import Exited
from vsmtest.qmp import QmpError

pytestmark = pytest.mark.full_with_daemon(
    "policy and store are the same")


def disk_bytes(guest):
    """SHA-256 of the image file as the host has it."""
    return hashlib.sha256(guest.disks[0].read_bytes()).hexdigest()


def new_process_refuses(guest, why):
    """QEMU ends before it touches the disk; why: what it says."""
    before = disk_bytes(guest)
    with pytest.raises(Exited) as caught:
        guest.start(loadvm="boot")
    assert re.search(why, str(caught.value)), caught.value
    assert disk_bytes(guest) == before


def running_vm_refuses(guest, code, why):
    """Whatever it runs is not disturbed."""
    guest.start(boot=False)
    for load in (guest.loadvm, guest.snapshot_load, guest.rollback):
        with pytest.raises(QmpError, match=why):
            load("boot")
        refusal = guest.vsm_status()["last-refusal"]
        assert (refusal["code"], refusal["vm-changed"]) == (code, False)
    assert guest.qmp.seen("STOP") == []
    assert guest.status() == "running"
    guest.quit()


def test_flipped_bit_ends_a_new_process_before_it_loads(off):
    image = off.image
    for offset in (image.ram_page("boot"),
                   image.section("boot", "mc146818rtc")):
        image.flip("boot", offset)
        new_process_refuses(off, "'boot'.*(offset|first difference at byte)")
        image.flip("boot", offset)
    off.start(loadvm="boot")
    assert off.serial.ask("memget") == "golden"


# What differs from the host and the VM that the snapshot was sealed for

@contextlib.contextmanager
def other_boot(guest):
    guest.tpm.extend({4: b"\xee" * 48})
    yield


@contextlib.contextmanager
def other_config(guest):
    guest.config.mac = "52:54:00:00:00:02"
    yield


@contextlib.contextmanager
def other_qemu(guest):
    genuine = pathlib.Path(paths.qemu())
    # beside the genuine one, where it finds the same firmware; the other
    # mode's tests may run at the same time
    other = genuine.with_name(f"qemu-system-x86_64-load-{os.getpid()}")
    other.write_bytes(genuine.read_bytes() + b"\0")
    other.chmod(0o755)
    guest.config.qemu = str(other)
    try:
        yield
    finally:
        other.unlink()


@pytest.mark.parametrize("change, code, why", [
    (other_boot, "boot", "PCR 4"),
    (other_config, "config", "52:54:00:00:00:02"),
    (other_qemu, "hypervisor", "(?i)another QEMU|hypervisor"),
], ids=["boot", "config", "hypervisor"])
def test_policy_that_does_not_hold_refuses_every_load(off, change, code, why):
    with change(off):
        new_process_refuses(off, why)
        running_vm_refuses(off, code, why)
