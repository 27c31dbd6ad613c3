"""QEMU watches a running guest by itself, and acts.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import time

import pytest

from vsmtest import wait
from vsmtest.guest import Config, Guest
from vsmtest.vsm import Refused, unb64url
from vsmtest.vsmctl import MATCH, MISMATCH, UNTRUSTED, vsmctl

CPU4 = ("-cpu", "max,la57=off")
SECONDS = 2
PATIENCE = 30       # for a result of the watch, in seconds


def watched(machines, options="", memory_mib=192):
    """A running guest with the snapshot "clean", which is watched."""
    guest = machines.new(
        flavour="attack", extra=CPU4, vcpus=2, memory_mib=memory_mib,
        options=f"watch={SECONDS},watch-snapshot=tag:clean" + options)
    guest.start()
    guest.snapshot_save("clean")
    assert result(guest)["verdict"]["result"] == "match"
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


def test_on_mismatch_rollback_restores_the_sealed_state(machines):
    """Full and runtime scope match before the guest runs on."""
    guest = watched(machines, ",on-mismatch=rollback")
    guest.serial.ask("mem tampered")
    guest.serial.ask("attack text-byte")
    result(guest, "mismatch")
    guest.qmp.any_event(
        lambda event: event["event"] == "VSM_ROLLED_BACK", "rollback",
        PATIENCE)
    wait.until("the guest runs", lambda: guest.status() == "running")
    guest.serial.ask("ping")
    assert guest.serial.ask("memget") != "tampered"
    assert guest.attest_runtime("clean").result == "match"
    result(guest, "match")


def test_attest_acts_by_on_mismatch_too(machines):
    guest = machines.new(flavour="attack", extra=CPU4, memory_mib=192,
                         options="on-mismatch=rollback")
    guest.start()
    guest.snapshot_save("clean")
    guest.serial.ask("attack rodata")
    answer = guest.attest_runtime("clean")
    assert answer.result == "mismatch"
    guest.qmp.any_event(
        lambda event: event["event"] == "VSM_ROLLED_BACK", "rollback",
        PATIENCE)
    wait.until("the guest runs", lambda: guest.status() == "running")
    assert guest.attest_runtime("clean").result == "match"


def test_fourth_rollback_within_an_hour_is_a_pause(machines):
    guest = machines.new(flavour="attack", extra=CPU4, memory_mib=192,
                         options="on-mismatch=rollback")
    guest.start()
    guest.snapshot_save("clean")
    for number in range(4):
        guest.serial.ask("attack rodata")
        assert guest.attest_runtime("clean").result == "mismatch"
        if number == 3:
            break
        guest.qmp.any_event(
            lambda event: event["event"] == "VSM_ROLLED_BACK", "rollback",
            PATIENCE)
        wait.until("the guest runs", lambda: guest.status() == "running")
    time.sleep(1)
    assert guest.status() == "paused"
    assert "3 times within an hour" in guest.stderr()


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
