"""The watch found a mismatch that cannot be signed yet, or only slowly: it is
told, acted on, and signed later.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import time

import pytest

from vsmtest import proxy, wait
from vsmtest.watch import (FAILURE, NV_RATE, PATIENCE, SECONDS, admitted,
                           refusal, result, watched)

pytestmark = pytest.mark.full_with_daemon(
    "the watch and what it does are QEMU's part")


@pytest.mark.parametrize("rc, code", [(NV_RATE, "busy"), (FAILURE, "tpm")])
def test_mismatch_that_cannot_be_signed_is_told_and_signed_later(machines, rc,
                                                                 code):
    guest = watched(machines)
    guest.tpm.proxy.fail(proxy.SIGN, rc, times=10**6)
    guest.serial.ask("attack text-byte")
    refusal(guest, code, "found a mismatch (text-bytes 'kernel-text'")
    watch = guest.vsm_status()["watch"]
    assert watch["result"] == "mismatch" and watch["reported"] is False
    wait.until("the guest runs", lambda: guest.status() == "running")
    guest.tpm.proxy.fail(proxy.SIGN, rc, times=0)
    result(guest, "mismatch")
    assert guest.vsm_status()["watch"]["reported"] is True


def test_guest_runs_on_while_its_mismatch_is_signed(machines):
    guest = watched(machines)
    signing, go = guest.tpm.proxy.stall(proxy.SIGN)
    guest.serial.ask("attack text-byte")
    assert signing.wait(PATIENCE)
    guest.serial.ask("ping", timeout=5)
    assert guest.status() == "running"
    assert guest.vsm_status()["state"] == "attest"
    go.set()
    result(guest, "mismatch")


@pytest.mark.parametrize("rc, code", [(NV_RATE, "busy"), (FAILURE, "tpm")])
def test_on_mismatch_pause_does_not_wait_for_the_tpm(machines, rc, code):
    """What stopped the guest is signed as soon as the TPM is there again."""
    guest = watched(machines, ",on-mismatch=pause")
    guest.tpm.proxy.fail(proxy.SIGN, rc, times=10**6)
    guest.serial.ask("attack idt-gate")
    refusal(guest, code, "found a mismatch")
    wait.until("the guest is paused", lambda: guest.status() == "paused")
    guest.qmp.events.clear()
    time.sleep(2 * SECONDS)
    assert guest.status() == "paused"
    guest.tpm.proxy.fail(proxy.SIGN, rc, times=0)
    result(guest, "mismatch")
    assert guest.status() == "paused"
    assert guest.qmp.seen("RESUME") == []


def test_on_mismatch_rollback_follows_when_the_tpm_is_there(machines):
    guest = watched(machines, ",on-mismatch=rollback")
    guest.tpm.proxy.fail(proxy.SIGN, NV_RATE, times=10**6)
    guest.serial.ask("attack rodata")
    refusal(guest, "busy", "found a mismatch")
    time.sleep(2 * SECONDS)
    assert guest.status() == "paused"
    guest.tpm.proxy.fail(proxy.SIGN, NV_RATE, times=0)
    result(guest, "mismatch")
    guest.rolled_back()
    result(guest, "match")


def unsigned(machines, action):
    """A guest that is stopped for a mismatch of which there is no report.

    Its second snapshot, "other", is told by what the guest remembers.
    """
    guest = watched(machines, f",on-mismatch={action}")
    guest.serial.ask("mem other")
    admitted(lambda: guest.snapshot_save("other"))
    guest.tpm.proxy.fail(proxy.SIGN, NV_RATE, times=10**6)
    guest.serial.ask("attack rodata")
    refusal(guest, "busy", "found a mismatch")
    wait.until("the guest is paused", lambda: guest.status() == "paused")
    guest.qmp.events.clear()
    return guest


@pytest.mark.parametrize("action", ["pause", "rollback"])
def test_load_by_the_operator_ends_what_a_mismatch_left_to_do(machines,
                                                              action):
    guest = unsigned(machines, action)
    asked = admitted(lambda: guest.start_vsm("vsm-rollback", "tag:other"))
    guest.tpm.proxy.fail(proxy.SIGN, NV_RATE, times=0)
    assert guest.finish_vsm(*asked).result == "match"
    time.sleep(3 * SECONDS)
    assert guest.status() == "paused"
    assert guest.qmp.seen("VSM_ROLLED_BACK") == [], "a second one"
    assert guest.qmp.seen("VSM_ATTESTED") == [], "of a VM that is gone"
    guest.cont()
    assert guest.serial.ask("memget") == "other"
    result(guest, "match")


def test_rollback_comes_after_the_report_of_its_mismatch(machines):
    """Another job that ends meanwhile does not set it off."""
    guest = unsigned(machines, "rollback")
    guest.qmp.finish_job(admitted(lambda: guest.qmp.start_job(
        "vsm-verify", snapshot="tag:clean")))
    time.sleep(2 * SECONDS)
    assert guest.status() == "paused"
    assert guest.qmp.seen("VSM_ROLLED_BACK") == []
    guest.tpm.proxy.fail(proxy.SIGN, NV_RATE, times=0)
    result(guest, "mismatch")
    guest.rolled_back()


def test_guest_that_was_let_run_is_not_rolled_back_for_it(machines):
    """The operator ended the watch, and overrides."""
    guest = watched(machines, ",on-mismatch=rollback")
    guest.tpm.proxy.fail(proxy.SIGN, NV_RATE, times=10**6)
    guest.serial.ask("attack rodata")
    refusal(guest, "busy", "found a mismatch")
    wait.until("the guest is paused", lambda: guest.status() == "paused")
    admitted(lambda: guest.qmp.command("vsm-watch", seconds=0))
    guest.cont()
    guest.tpm.proxy.fail(proxy.SIGN, NV_RATE, times=0)
    assert guest.attest("clean").result == "mismatch"
    time.sleep(1)
    assert guest.status() == "running"
    assert guest.qmp.seen("VSM_ROLLED_BACK") == []


@pytest.mark.daemon_only
def test_daemon_that_is_gone_does_not_keep_the_guest_from_being_paused(
        machines):
    guest = watched(machines, ",on-mismatch=pause")
    guest.daemon.kill()
    guest.serial.ask("attack text-byte")
    refusal(guest, "connection", "found a mismatch")
    wait.until("the guest is paused", lambda: guest.status() == "paused")
    guest.start_daemon()
    guest.daemon.register(guest.config.uuid, guest.pid())
    result(guest, "mismatch")
    assert guest.status() == "paused"
