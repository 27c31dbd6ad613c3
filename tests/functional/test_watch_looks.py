"""Looks of the watch that do not take place are told, what they may cost the
guest is bounded, and QEMU ends in the middle of any.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import signal
import time

import pytest

from vsmtest import proxy, wait
from vsmtest.vsm import Refused
from vsmtest.watch import PATIENCE, SECONDS, refusal, result, watched

pytestmark = pytest.mark.full_with_daemon(
    "the watch and what it does are QEMU's part")


def test_attestations_take_a_share_of_the_guests_time(machines):
    guest = machines.clean(options="pause-percent=1")
    with pytest.raises(Refused, match="try again in [0-9]+ s") as caught:
        for _ in range(500):
            guest.attest("clean")
    assert caught.value.code == "busy"
    assert guest.status() == "running"
    guest.stop()
    guest.attest_runtime("clean")       # costs a stopped guest nothing


def spend_share(guest):
    """Uses up the guest's share of pauses, for a minute at least."""
    for _ in range(10):
        guest.qmp.events.clear()
        asked = guest.start_vsm("vsm-attest", "clean")
        guest.qmp.event("STOP")
        os.kill(guest.pid(), signal.SIGSTOP)    # within its pause, mostly
        time.sleep(4)
        os.kill(guest.pid(), signal.SIGCONT)
        if guest.finish_vsm(*asked).verdict["pause-ms"] >= 4000:
            return
    raise AssertionError("the guest's pause was always over too soon")


def test_looks_that_are_skipped_are_counted_and_told(machines):
    guest = watched(machines, ",pause-percent=1")
    before = guest.vsm_status()["watch"]["skipped"]
    spend_share(guest)
    begin = int(time.time())
    reason = result(guest, "unavailable")["verdict"]["reason"]
    assert "no look for more than three intervals" in reason
    assert "pause-percent" in reason
    watch = guest.vsm_status()["watch"]
    assert watch["result"] == "unavailable"
    assert watch["skipped"] >= before + 3
    assert "pause-percent" in watch["skip-reason"]
    assert begin <= watch["skip-time"] <= time.time()
    done = guest.ctl("status", check=0)
    assert "unavailable" in done.stdout and "looks, the last at" in done.stdout
    guest.qmp.events.clear()
    time.sleep(3 * SECONDS)
    assert guest.qmp.seen("VSM_ATTESTED") == [], "told once"
    assert guest.status() == "running"


def test_looks_that_another_operation_keeps_out_are_told(machines):
    guest = watched(machines)
    guest.tpm.proxy.hold()
    asked = guest.start_vsm("vsm-attest", "clean")
    refusal(guest, "busy", "could not look at the VM for more than 3")
    watch = guest.vsm_status()["watch"]
    assert watch["result"] == "unavailable" and watch["skipped"] >= 2
    assert "attest of 'clean'" in watch["skip-reason"]
    guest.tpm.proxy.release()
    guest.finish_vsm(*asked)
    result(guest, "match")


def test_stopped_guest_skips_no_look(machines):
    guest = watched(machines)
    guest.stop()
    guest.qmp.events.clear()
    before = guest.vsm_status()["watch"]["skipped"]
    time.sleep(5 * SECONDS)
    watch = guest.vsm_status()["watch"]
    assert watch["skipped"] == before and watch["result"] == "match"
    assert guest.qmp.seen("VSM_ATTESTED") == guest.qmp.seen("VSM_REFUSED") == []


# QEMU ends while a look is under way

ENDS_S = 20         # far below the deadline of a request to the attester


def ends(guest):
    """QEMU ends at once, without a crash."""
    begin = time.monotonic()
    guest.qmp.send("quit")
    assert guest.wait_exit() == 0, guest.stderr()
    assert time.monotonic() - begin < ENDS_S


def test_quit_while_the_baseline_is_proved(machines):
    guest = watched(machines)
    guest.tpm.proxy.hold()
    guest.qmp.command("vsm-watch", seconds=SECONDS, snapshot="tag:clean")
    wait.until("the manager works",
               lambda: guest.vsm_status()["state"] == "attest")
    ends(guest)


@pytest.mark.parametrize("action", ["report", "pause"])
def test_quit_while_a_mismatch_is_reported(machines, action):
    guest = watched(machines, f",on-mismatch={action}")
    signing, go = guest.tpm.proxy.stall(proxy.SIGN)
    guest.serial.ask("attack text-byte")
    assert signing.wait(PATIENCE)
    ends(guest)
    go.set()


@pytest.mark.daemon_only
@pytest.mark.parametrize("action", ["report", "pause"])
def test_quit_while_the_daemon_hangs(machines, action):
    guest = watched(machines, f",on-mismatch={action}",
                    extra=("-trace", "vsm_watch_look"))
    guest.daemon.freeze()
    guest.serial.ask("attack text-byte")
    wait.until("a mismatch is reported", lambda: "mismatch" in guest.stderr())
    ends(guest)
    guest.daemon.thaw()


def test_quit_at_any_time_of_a_look(machines):
    guest = watched(machines)
    guest.quit()
    for number in range(10):
        guest.start(loadvm="clean")     # and the watch begins
        time.sleep(number * 0.1)
        ends(guest)
