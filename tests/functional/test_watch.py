"""QEMU watches a running guest by itself, and acts.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import signal
import time

import pytest

from vsmtest import proxy, wait
from vsmtest.guest import Config, Guest
from vsmtest.qmp import QmpError
from vsmtest.vsm import Refused, unb64url
from vsmtest.vsmctl import MATCH, MISMATCH, UNTRUSTED, vsmctl

CPU4 = ("-cpu", "max,la57=off")
SECONDS = 2
PATIENCE = 30       # for a result of the watch, in seconds

RETRIES = 5         # for a patch in flight

# What a TPM may answer to one command
NV_RATE = 0x920     # the attester is busy
FAILURE = 0x101     # or it cannot do it


def watched(machines, options="", extra=(), seconds=SECONDS):
    """A running guest with the snapshot "clean", which is watched."""
    guest = machines.new(
        flavour="attack", extra=CPU4 + extra, vcpus=2, memory_mib=192,
        options=f"watch={seconds},watch-snapshot=tag:clean" + options)
    guest.start()
    guest.snapshot_save("clean")
    assert result(guest)["verdict"]["result"] == "match"
    guest.qmp.events.clear()    # such as of the time without a snapshot
    return guest


def result(guest, wanted=None):
    """The next result of the watch."""
    def ours(event):
        return (event["event"] == "VSM_ATTESTED" and
                event["data"]["answer"]["operation"] == "watch")

    event = guest.qmp.any_event(ours, "result of the watch", PATIENCE)
    answer = event["data"]["answer"]
    if wanted:
        assert answer["verdict"]["result"] == wanted, answer["verdict"]
    return answer


def differs(guest):
    """The next mismatch of the watch; a match may come before."""
    answer = result(guest)
    return answer if answer["verdict"]["result"] == "mismatch" else \
        result(guest, "mismatch")


def admitted(action):
    """What action returns once no look of the watch keeps it out."""
    def attempt():
        try:
            return action() or True
        except QmpError as error:
            assert "busy" in error.text
            return None

    return wait.until("the watch is idle", attempt)


def claims_of(answer):
    return json.loads(unb64url(answer["report"].split(".")[1]))


def test_watch_tells_each_change_of_the_result_and_nothing_else(machines):
    guest = watched(machines)
    guest.serial.ask("attack text-byte")
    found = result(guest, "mismatch")["verdict"]["findings"]
    assert [(finding["kind"], finding["where"], finding["bytes"])
            for finding in found] == [("text-bytes", "kernel-text", 1)]
    assert guest.status() == "running"
    time.sleep(3 * SECONDS)
    reports = guest.vsm_status()["watch"]["reports"]
    assert reports == 2, "a result that stays is told once"
    guest.serial.ask("attack -text-byte")
    result(guest, "match")


def test_patch_beside_or_inside_one_that_was_told_is_told(machines):
    """Neither is in another place than the finding that there was."""
    guest = watched(machines)
    guest.serial.ask("attack text-byte")
    [first] = claims_of(result(guest, "mismatch"))["findings"]
    site = int(first["pa"], 16)
    for more in (site + 4096, site + 8):
        guest.stop()
        gdb = guest.gdb()
        gdb.flip_byte(more)
        gdb.close()
        guest.cont()
        found = claims_of(result(guest, "mismatch"))["findings"]
        assert any(0 <= more - int(finding["pa"], 16) < finding["bytes"]
                   for finding in found), found
    guest.qmp.events.clear()
    time.sleep(3 * SECONDS)
    assert guest.qmp.seen("VSM_ATTESTED") == []


def test_report_of_the_watch_is_unsolicited_and_verifies(machines, tmp_path):
    guest = watched(machines)
    guest.serial.ask("attack sys-call-table")
    answer = result(guest, "mismatch")
    claims = claims_of(answer)
    assert claims["op"] == "watch" and claims["unsolicited"] is True
    assert claims["scope"] == "runtime"
    (tmp_path / "report").write_text(answer["report"])
    guest.quit()
    (tmp_path / "trust").write_text(
        guest.ctl_host("keys", "--allow-in-process").stdout)
    (tmp_path / "policy").write_text(
        '{"version": 1, "allow_unattested": true}')
    asked = ["--vm", guest.config.uuid, "--snapshot", "tag:clean",
             "--scope", "runtime", "--trust", tmp_path / "trust",
             "--policy", tmp_path / "policy", tmp_path / "report"]
    done = vsmctl("verify", "--op", "watch", *asked)
    assert done.returncode == MISMATCH, done.stderr
    done = vsmctl("verify", "--op", "attest", "--nonce", "A" * 43, *asked)
    assert done.returncode == UNTRUSTED
    assert "another" in done.stderr


def test_on_mismatch_pause_stops_the_guest(machines):
    guest = watched(machines, ",on-mismatch=pause")
    guest.serial.ask("attack idt-gate")
    result(guest, "mismatch")
    wait.until("the guest is paused", lambda: guest.status() == "paused")


def test_each_patch_in_flight_is_looked_at_again(machines):
    """Also one that comes right after another was reported."""
    guest = watched(machines, extra=("-trace", "vsm_look"))
    guest.serial.ask("attack jump-label")
    answer = guest.attest_runtime("clean", profile="strict")
    site, = [int(finding["pa"], 16) for finding in answer.findings
             if finding["kind"] == "jump-label"]
    guest.serial.ask("attack -jump-label")
    assert guest.attest_runtime("clean", profile="strict").result == "match"

    def write(data):
        guest.stop()
        gdb = guest.gdb()
        old = gdb.read_physical(site)
        gdb.write_physical(site, data)
        gdb.close()
        guest.cont()
        return old

    def mismatches():
        return guest.stderr().count(" result 2")

    for _ in range(2):
        before = mismatches()
        old = write(b"\xcc")        # as the kernel begins such a patch
        found = result(guest, "mismatch")["verdict"]["findings"]
        assert [finding["kind"] for finding in found] == ["patch-in-flight"]
        assert mismatches() - before == 1 + RETRIES
        write(old)
        result(guest, "match")


def refusal(guest, code, text):
    """The next failure of the watch that is told."""
    def ours(event):
        return (event["event"] == "VSM_REFUSED" and
                event["data"]["operation"] == "watch")

    data = guest.qmp.any_event(ours, "refusal of the watch", PATIENCE)["data"]
    assert data["code"] == code
    assert text in data["message"]


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


def test_on_mismatch_rollback_restores_the_sealed_state(machines):
    """Full and runtime scope match before the guest runs on."""
    guest = watched(machines, ",on-mismatch=rollback")
    guest.serial.ask("mem tampered")
    guest.serial.ask("attack text-byte")
    result(guest, "mismatch")
    guest.rolled_back()
    guest.serial.ask("ping")
    assert guest.serial.ask("memget") != "tampered"
    assert guest.attest_runtime("clean").result == "match"
    result(guest, "match")


# What a load takes back may be done again: each time it is news.  The interval
# is so long that no look comes before the next attack.

LONG_S = 10


def test_same_attack_after_each_rollback_is_caught_each_time(machines):
    guest = watched(machines, ",on-mismatch=rollback", seconds=LONG_S)
    for number in range(4):
        guest.serial.ask("attack text-byte")
        differs(guest)
        if number < 3:
            guest.rolled_back()
    time.sleep(1)
    assert guest.status() == "paused"
    assert guest.qmp.seen("VSM_ROLLED_BACK") == []
    assert "3 times within an hour" in guest.stderr()


def test_same_attack_after_a_load_is_told_again(machines):
    guest = watched(machines, seconds=LONG_S)
    guest.serial.ask("attack text-byte")
    differs(guest)
    admitted(lambda: guest.loadvm("clean"))
    guest.serial.ask("attack text-byte")
    differs(guest)


def test_match_of_another_snapshot_by_that_name_is_told(machines):
    guest = watched(machines)
    admitted(lambda: guest.savevm("clean"))
    verdict = result(guest, "match")["verdict"]
    assert verdict["snapshot-id"] == guest.vsm_snapshot("clean")["id"]


def test_attestations_take_a_share_of_the_guests_time(machines):
    guest = machines.new(flavour="attack", extra=CPU4, memory_mib=192,
                         options="pause-percent=1")
    guest.start()
    guest.snapshot_save("clean")
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


def test_watch_of_a_snapshot_that_comes_later(machines):
    guest = machines.new(
        flavour="attack", extra=CPU4, memory_mib=192,
        options=f"watch={SECONDS},watch-snapshot=tag:clean")
    guest.start()

    def missing(event):
        return (event["event"] == "VSM_REFUSED" and
                event["data"]["operation"] == "watch")

    event = guest.qmp.any_event(missing, "no such snapshot", PATIENCE)
    assert event["data"]["code"] == "not-found"
    guest.snapshot_save("clean")
    result(guest, "match")


def test_watch_is_set_and_ended_over_qmp_and_vsmctl(machines):
    guest = machines.new(flavour="attack", extra=CPU4, memory_mib=192)
    guest.start()
    guest.snapshot_save("clean")
    assert "watch" not in guest.vsm_status()
    done = guest.ctl("watch", "tag:clean", "--every", SECONDS, "--detach")
    assert done.returncode == MATCH, done.stderr
    result(guest, "match")
    assert guest.vsm_status()["watch"]["result"] == "match"
    guest.serial.ask("attack rodata")
    done = guest.ctl("watch", "tag:clean", "--every", SECONDS)
    assert done.returncode == MISMATCH
    assert "rodata-bytes" in done.stdout
    done = guest.ctl("watch", "--stop")
    assert done.returncode == MATCH
    assert "watch" not in guest.vsm_status()


@pytest.mark.parametrize("options,text", [
    (",watch=10", "needs a snapshot"),
    (",watch=1,watch-snapshot=tag:a", "every 2 to"),
])
def test_bad_watch_is_refused(machines, options, text):
    from vsmtest.guest import Exited
    guest = machines.new(options=options.lstrip(","))
    with pytest.raises(Exited, match=text):
        guest.start(boot=False)
