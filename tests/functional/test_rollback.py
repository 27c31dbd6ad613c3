"""A rollback moves nothing before the whole stored snapshot was checked.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pytest

from vsmtest import proxy, wait
from vsmtest.guest import Exited
from vsmtest.intact import same_disks
from vsmtest.qmp import QmpError
from vsmtest.vsm import Refused
from vsmtest.watch import CPU4


def change(guest):
    """Lets the guest change RAM and disk, durably."""
    guest.serial.ask("mem changed")
    guest.serial.ask("put changed")


def unchanged(guest):
    """The guest runs on as it was before the refusal."""
    assert guest.status() == "running"
    assert guest.serial.ask("memget") == "changed"
    assert guest.serial.ask("get") == "changed"


def test_rollback_restores_reports_and_runs_on(guest):
    change(guest)
    answer = guest.rollback("boot")
    assert answer.result == "match"
    assert answer.raw["operation"] == "rollback"
    assert answer.claims["op"] == "rollback"
    assert guest.status() == "running"
    assert guest.serial.ask("memget") == "golden"
    assert guest.serial.ask("get") == "golden"


def test_rollback_of_a_paused_vm_leaves_it_paused(guest):
    change(guest)
    guest.stop()
    assert guest.rollback("boot").result == "match"
    assert guest.status() == "paused"
    guest.cont()
    assert guest.serial.ask("memget") == "golden"


def test_rollback_of_a_vm_that_shut_down_can_be_continued(machines, golden):
    guest = machines.copy(golden, extra=("-no-shutdown",))
    guest.start(loadvm="boot")
    change(guest)
    guest.serial.ask("off")
    wait.until("the end", lambda: guest.status() == "shutdown", timeout=60)
    assert guest.rollback("boot").result == "match"
    assert guest.status() == "paused"
    guest.cont()
    assert guest.serial.ask("memget") == "golden"
    assert guest.serial.ask("get") == "golden"


def test_rollback_by_on_mismatch_of_a_vm_that_shut_down_meanwhile(machines):
    """Somebody let it run, and it ended, while the rollback was checked."""
    guest = machines.clean(options="on-mismatch=rollback",
                           extra=CPU4 + ("-no-shutdown",))
    guest.serial.ask("attack rodata")
    checking, go = guest.tpm.proxy.stall(proxy.UNSEAL, count=2)
    assert guest.attest_runtime("clean").result == "mismatch"
    assert checking.wait(30)
    guest.cont()
    guest.serial.ask("off")
    wait.until("the end", lambda: guest.status() == "shutdown", timeout=60)
    go.set()
    guest.qmp.any_event(lambda event: event["event"] == "VSM_ROLLED_BACK",
                        "rollback", 60)
    wait.until("the guest runs", lambda: guest.status() == "running")
    guest.serial.ask("ping")


def test_rollback_twice_and_to_another_snapshot(guest):
    change(guest)
    guest.savevm("changed")
    assert guest.rollback("boot").result == "match"
    assert guest.serial.ask("memget") == "golden"
    assert guest.rollback("changed").result == "match"
    assert guest.serial.ask("get") == "changed"
    assert guest.rollback("boot").result == "match"
    assert guest.serial.ask("memget") == "golden"


def test_rollback_by_tag_by_id_and_by_bare_id(guest):
    snapshot = guest.vsm_snapshot("boot")["id"]
    for name in ("tag:boot", f"id:{snapshot}", snapshot):
        change(guest)
        answer = guest.rollback(name)
        assert answer.result == "match"
        assert answer.claims["asked"] == name
        assert guest.serial.ask("memget") == "golden"


def damage_ram(image):
    return image.flip("boot", image.ram_page("boot"))


def damage_device(image):
    return image.flip("boot", image.section("boot", "mc146818rtc"))


def damage_head(image):
    return image.flip("boot", 3)


def damage_end(image):
    return image.flip("boot", image.entry("boot").vmstate_bytes - 1)


damages = pytest.mark.parametrize("damage", [damage_ram, damage_device,
                                             damage_head, damage_end])


@damages
def test_rollback_refuses_a_flipped_bit_and_the_guest_runs_on(guest, damage):
    change(guest)
    damage(guest.image)
    guest.qmp.events.clear()
    with same_disks(guest), pytest.raises(Refused) as caught:
        guest.rollback("boot")
    assert caught.value.code == "tampered"
    assert not caught.value.vm_changed
    assert guest.qmp.seen("STOP") == []
    unchanged(guest)


def load_with_hmp(guest):
    guest.loadvm("boot")


def load_with_job(guest):
    guest.snapshot_load("boot")


@pytest.mark.parametrize("load", [load_with_hmp, load_with_job])
@pytest.mark.parametrize("damage", [damage_ram, damage_device])
def test_load_refuses_a_flipped_bit_and_the_guest_runs_on(guest, damage,
                                                          load):
    change(guest)
    damage(guest.image)
    with same_disks(guest), \
            pytest.raises(QmpError, match="(?i)offset|sealed|tamper"):
        load(guest)
    assert guest.qmp.event("VSM_REFUSED")["code"] == "tampered"
    unchanged(guest)


def test_refused_load_of_a_paused_vm_leaves_it_paused(guest):
    change(guest)
    guest.stop()
    damage_ram(guest.image)
    with same_disks(guest), pytest.raises(QmpError):
        guest.loadvm("boot")
    assert guest.status() == "paused"
    guest.cont()
    unchanged(guest)


def test_mended_bit_is_accepted_again(guest):
    at = damage_ram(guest.image)
    with pytest.raises(Refused):
        guest.rollback("boot")
    image = guest.image
    image.write(at, bytes([image.read(at, 1)[0] ^ 1]))
    assert guest.rollback("boot").result == "match"


def test_refusal_says_where_and_what_to_do(guest):
    damage_ram(guest.image)
    with pytest.raises(Refused) as caught:
        guest.rollback("boot")
    text = caught.value.text
    assert "boot" in text and "first difference at byte" in text


def test_other_snapshots_are_still_good_after_a_refusal(guest):
    guest.savevm("good")
    damage_ram(guest.image)
    with pytest.raises(Refused):
        guest.rollback("boot")
    assert guest.rollback("good").result == "match"


def test_swapped_tags_on_the_disk_are_refused(guest):
    """An attacker who renames entries cannot pass one for another."""
    guest.savevm("good")
    change(guest)
    guest.savevm("evil")
    image = guest.image
    boot, evil = image.entry("boot"), image.entry("evil")
    guest.quit()
    image.write(boot.name_at, b"evil")
    image.write(evil.name_at, b"boot")
    for tag in ("boot", "evil"):
        with same_disks(guest), \
                pytest.raises(Exited, match="has no entry of the sealed "
                              f"snapshot '{tag}'; was the entry deleted"):
            guest.start(loadvm=tag)
    guest.start(loadvm="good")
    assert guest.serial.ask("memget") == "golden"
    with same_disks(guest), \
            pytest.raises(Refused, match="no entry of.*'evil'") as caught:
        guest.rollback("evil")
    assert caught.value.code == "not-found"


def test_rollback_gives_vmgenid_a_fresh_guid(machines):
    guest = machines.new(extra=("-device", "vmgenid,guid=auto"))
    guest.start(boot=False)
    guest.savevm("one")
    guids = {guest.qmp.command("query-vm-generation-id")["guid"]}
    for _ in range(2):
        answer = guest.rollback("one")
        assert answer.result == "match"
        assert answer.claims["generation"] == "renewed"
        guids.add(guest.qmp.command("query-vm-generation-id")["guid"])
    assert len(guids) == 3


def test_rollback_without_vmgenid_says_that_the_guest_does_not_learn(paused):
    answer = paused.rollback("boot")
    assert answer.result == "match"
    assert answer.claims["generation"] == "unchanged"
    assert "generation" not in paused.attest("boot").claims
