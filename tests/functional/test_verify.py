"""vsm-verify judges the stored bytes and leaves the VM alone.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os

import pytest

from vsmtest.vsm import Refused
from vsmtest.vsmctl import MATCH, MISMATCH, UNTRUSTED, USAGE


def test_verify_of_an_intact_snapshot_matches_while_the_guest_runs(guest):
    guest.serial.ask("mem changed")
    guest.qmp.events.clear()
    answer = guest.verify("boot")
    assert answer.result == "match"
    assert answer.raw["scope"] == "stored"
    assert answer.verdict["sealed"] == answer.verdict["measured"]
    assert answer.verdict["measured"] == guest.vsm_snapshot("boot")["stream"]
    assert guest.qmp.seen("STOP") == []
    assert guest.status() == "running"
    assert guest.serial.ask("memget") == "changed"


def test_verify_of_a_paused_vm_leaves_it_paused(paused):
    before = paused.status()
    assert paused.verify("boot").result == "match"
    assert paused.status() == before
    assert paused.attest("boot").result == "match"


def test_verify_names_each_damaged_place(guest):
    image = guest.image
    page = image.ram_page("boot")
    section = image.section("boot", "mc146818rtc")
    image.flip("boot", page)
    image.flip("boot", section)
    answer = guest.verify("boot")
    assert answer.result == "mismatch"
    body, = answer.found("body")
    assert body["offset"] <= page < body["offset"] + body["bytes"]
    assert answer.found("skeleton")
    assert guest.status() == "running"
    assert guest.serial.ask("memget") == "golden"


def test_verify_finds_a_flipped_bit_anywhere(guest):
    image = guest.image
    size = image.entry("boot").vmstate_bytes
    for number in range(4):
        offset = (size // 5) * (number + 1) + number
        if image.vmstate_at(image.entry("boot"), offset) is None:
            continue
        image.flip("boot", offset)
        assert guest.verify("boot").result == "mismatch", offset
        image.flip("boot", offset)
    assert guest.verify("boot").result == "match"


def test_verify_works_without_having_loaded_it(off):
    off.start(boot=False)
    assert off.verify("boot").result == "match"


def test_each_request_needs_an_existing_snapshot(guest):
    with pytest.raises(Refused) as caught:
        guest.verify("nosuch")
    assert "nosuch" in caught.value.text


def test_answers_are_kept_for_the_last_sixteen_jobs(guest):
    jobs = []
    for _ in range(17):
        job, nonce = guest.start_vsm("vsm-verify", "boot",
                                     nonce=os.urandom(16))
        jobs.append((job, guest.finish_vsm(job, nonce)))
    for job, answer in jobs[1:]:
        kept = guest.qmp.command("query-vsm-report", job_id=job)
        assert kept["report"] == answer.report
    with pytest.raises(Exception, match=jobs[0][0]):
        guest.qmp.command("query-vsm-report", job_id=jobs[0][0])


def test_image_without_its_vm_is_verified_and_not_written(off):
    before = off.disks[0].read_bytes()
    text = off.ctl_image("tag:boot", check=MATCH).stdout
    assert "match" in text
    assert "false" in text.split("unsealed")[1].split("\n")[0]
    answer = json.loads(off.ctl_image("boot", "--json", check=MATCH).stdout)
    assert answer["verdict"]["unsealed"] is False
    assert "report" not in answer
    assert off.disks[0].read_bytes() == before


def test_image_without_its_vm_shows_damage(off):
    image = off.image
    page = image.ram_page("boot")
    image.flip("boot", page)
    done = off.ctl_image("boot", check=MISMATCH)
    assert "body" in done.stdout
    image.flip("boot", page)
    off.ctl_image("boot", check=MATCH)
    manifest, = off.state_dir.glob("vm/*/*/manifest")
    manifest.write_bytes(manifest.read_bytes()[:-1] + b"?")
    done = off.ctl_image("boot", check=UNTRUSTED)
    assert "manifest" in done.stderr


def test_image_without_its_vm_needs_the_right_vm_and_store(off, machines):
    other = "99999999-2222-4333-8444-555555555555"
    assert "boot" in off.ctl_image("boot", vm=other, check=USAGE).stderr
    off.ctl_image("nosuch", check=USAGE)
    stranger = machines.new().create()
    stranger.keys()     # which sets it up
    stranger.disks[0].write_bytes(off.disks[0].read_bytes())
    stranger.ctl_image("boot", check=USAGE)


def test_image_of_a_running_vm_is_left_to_it(guest):
    done = guest.ctl_image("boot", check=USAGE)
    assert "in use" in done.stderr or "another process" in done.stderr
    assert guest.serial.ask("memget") == "golden"
    assert guest.verify("boot").result == "match"
