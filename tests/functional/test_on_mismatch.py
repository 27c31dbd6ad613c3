"""What a mismatch of scope runtime does to the VM: on-mismatch.

Here vsm-attest finds it; test_watch.py has what the watch finds.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import time

import pytest

from vsmtest import proxy
from vsmtest.vsm import Refused

pytestmark = pytest.mark.full_with_daemon(
    "the watch and what it does are QEMU's part")

PATIENCE = 30       # in seconds
FAILURE = 0x101     # what a TPM answers that cannot do it

both_actions = pytest.mark.parametrize("action", ["pause", "rollback"])


def acting(machines, action):
    """A running guest with the snapshot "clean"."""
    return machines.clean(options=f"on-mismatch={action}")


def acted(guest, action):
    """The guest is as the action leaves it."""
    if action == "rollback":
        guest.rolled_back()
        assert guest.attest_runtime("clean").result == "match"
    else:
        assert guest.status() == "paused"


def test_report_leaves_the_guest_running(machines):
    guest = acting(machines, "report")
    assert guest.vsm_status()["on-mismatch"] == "report"
    guest.serial.ask("attack rodata")
    for _ in range(2):      # what was attacked stays as it is
        assert guest.attest_runtime("clean").result == "mismatch"
        assert guest.status() == "running"
        guest.serial.ask("ping")
    assert guest.qmp.seen("VSM_ROLLED_BACK") == []


def test_attest_acts_by_on_mismatch_too(machines):
    guest = acting(machines, "rollback")
    guest.serial.ask("attack rodata")
    assert guest.attest_runtime("clean").result == "mismatch"
    acted(guest, "rollback")


def test_fourth_rollback_within_an_hour_is_a_pause(machines):
    guest = acting(machines, "rollback")
    for number in range(4):
        guest.serial.ask("attack rodata")
        assert guest.attest_runtime("clean").result == "mismatch"
        if number < 3:
            guest.rolled_back()
    time.sleep(1)
    assert guest.status() == "paused"
    assert "3 times within an hour" in guest.stderr()


@both_actions
def test_attest_that_cannot_be_signed_acts_all_the_same(machines, action):
    guest = acting(machines, action)
    guest.serial.ask("attack text-byte")
    guest.tpm.proxy.fail(proxy.SIGN, FAILURE)
    with pytest.raises(Refused, match="text-bytes 'kernel-text'") as caught:
        guest.attest_runtime("clean")
    assert caught.value.code == "tpm" and caught.value.vm_changed
    acted(guest, action)


@both_actions
def test_attest_that_is_cancelled_acts_all_the_same(machines, action):
    guest = acting(machines, action)
    guest.serial.ask("attack text-byte")
    signing, go = guest.tpm.proxy.stall(proxy.SIGN)
    asked = guest.start_vsm("vsm-attest", "clean", scope="runtime")
    assert signing.wait(PATIENCE)
    guest.qmp.command("job-cancel", id=asked[0])
    with pytest.raises(Refused, match="text-bytes 'kernel-text'") as caught:
        guest.finish_vsm(*asked)
    assert caught.value.code == "cancelled" and caught.value.vm_changed
    go.set()
    acted(guest, action)


def refused_rollback(guest):
    """A mismatch whose rollback the TPM refuses; the guest runs on then."""
    signing, go = guest.tpm.proxy.stall(proxy.SIGN)
    asked = guest.start_vsm("vsm-attest", "clean", scope="runtime")
    assert signing.wait(PATIENCE)
    guest.tpm.proxy.fail(proxy.UNSEAL, FAILURE, times=10**6)
    go.set()
    assert guest.finish_vsm(*asked).result == "mismatch"
    guest.qmp.event("VSM_REFUSED", PATIENCE, operation="rollback", code="tpm")
    guest.tpm.proxy.fail(proxy.UNSEAL, FAILURE, times=0)
    assert guest.status() == "paused"
    guest.cont()


def test_refused_rollback_does_not_count(machines):
    guest = acting(machines, "rollback")
    guest.serial.ask("attack rodata")
    for _ in range(3):
        refused_rollback(guest)
    assert guest.attest_runtime("clean").result == "mismatch"
    acted(guest, "rollback")
