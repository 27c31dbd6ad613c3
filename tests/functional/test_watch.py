"""QEMU watches a running guest by itself, tells each change, and acts.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import time

import pytest

from vsmtest import wait
from vsmtest.vsmctl import MATCH, MISMATCH, UNTRUSTED, vsmctl
from vsmtest.watch import (PATIENCE, SECONDS, admitted, attested,
                           claims_of, differs, result, watched)

pytestmark = pytest.mark.full_with_daemon(
    "the watch and what it does are QEMU's part")

RETRIES = 5         # for a patch in flight


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
    answer = attested(guest, profile="strict")
    site, = [int(finding["pa"], 16) for finding in answer.findings
             if finding["kind"] == "jump-label"]
    guest.serial.ask("attack -jump-label")
    assert attested(guest, profile="strict").result == "match"

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


def test_on_mismatch_rollback_restores_the_sealed_state(machines):
    """Full and runtime scope match before the guest runs on."""
    guest = watched(machines, ",on-mismatch=rollback")
    guest.serial.ask("mem tampered")
    guest.serial.ask("attack text-byte")
    result(guest, "mismatch")
    guest.rolled_back()
    guest.serial.ask("ping")
    assert guest.serial.ask("memget") != "tampered"
    assert attested(guest).result == "match"
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


def test_watch_of_a_snapshot_that_comes_later(machines):
    guest = machines.clean(
        options=f"watch={SECONDS},watch-snapshot=tag:later")
    # its event may come before anybody listens
    refusal = wait.until("no such snapshot", lambda: guest.vsm_status().get(
        "last-refusal"), PATIENCE)
    assert (refusal["operation"], refusal["code"]) == ("watch", "not-found")
    guest.snapshot_save("later")
    result(guest, "match")


def test_watch_is_set_and_ended_over_qmp_and_vsmctl(machines):
    guest = machines.clean()
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
