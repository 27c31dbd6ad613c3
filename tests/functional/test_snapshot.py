"""Every way to make, load and delete a snapshot is sealed and checked.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pathlib

import pytest

from vsmtest import pagemap, wait
from vsmtest.qmp import QmpError
from vsmtest.proxy import CREATE
from vsmtest.vsm import Refused


def save_with_hmp(guest, tag):
    guest.savevm(tag)


def save_with_job(guest, tag):
    guest.snapshot_save(tag)


def load_with_hmp(guest, tag):
    guest.loadvm(tag)


def load_with_job(guest, tag):
    guest.snapshot_load(tag)


def delete_with_hmp(guest, tag):
    guest.delvm(tag)


def delete_with_job(guest, tag):
    guest.snapshot_delete(tag)


saves = pytest.mark.parametrize("save", [save_with_hmp, save_with_job])
loads = pytest.mark.parametrize("load", [load_with_hmp, load_with_job])
deletes = pytest.mark.parametrize("delete",
                                  [delete_with_hmp, delete_with_job])


@saves
def test_save_seals_lists_and_runs_on(guest, save):
    save(guest, "one")
    sealed = guest.qmp.event("VSM_SNAPSHOT_SEALED", tag="one")
    entry = guest.vsm_snapshot("one")
    assert entry["id"] == sealed["id"]
    assert entry["state"] == sealed["state"]
    assert entry["verified"] and entry["on-disks"] == "present"
    assert guest.qcow2_tags() == ["boot", "one"]
    assert guest.status() == "running"
    assert guest.serial.ask("memget") == "golden"


def test_save_without_a_name_is_sealed(guest):
    guest.hmp("savevm")
    tag = guest.qmp.event("VSM_SNAPSHOT_SEALED")["tag"]
    assert tag.startswith("vm-")
    assert guest.vsm_tags() == sorted(["boot", tag])


def test_save_of_a_paused_vm_leaves_it_paused(guest):
    guest.stop()
    guest.savevm("one")
    assert guest.status() == "paused"
    assert guest.vsm_tags() == ["boot", "one"]


@loads
def test_load_goes_back_in_ram_and_on_disk_and_runs_on(guest, load):
    guest.serial.ask("mem changed")
    guest.serial.ask("put changed")
    load(guest, "boot")
    assert guest.status() == "running"
    assert guest.serial.ask("memget") == "golden"
    assert guest.serial.ask("get") == "golden"


@loads
def test_load_into_a_paused_vm_leaves_it_paused(guest, load):
    guest.stop()
    load(guest, "boot")
    assert guest.status() == "paused"
    guest.cont()
    assert guest.serial.ask("memget") == "golden"


def test_loadvm_option_goes_back_in_a_new_process(guest):
    guest.serial.ask("put changed")
    guest.restart(loadvm="boot")
    assert guest.serial.ask("memget") == "golden"
    assert guest.serial.ask("get") == "golden"


@deletes
def test_delete_removes_snapshot_and_record(guest, delete):
    guest.savevm("one")
    delete(guest, "one")
    assert guest.vsm_tags() == ["boot"]
    assert guest.qcow2_tags() == ["boot"]
    records = list((guest.state_dir / "vm" / guest.config.uuid).iterdir())
    assert len(records) == 1
    with pytest.raises(QmpError, match="one"):
        guest.snapshot_load("one")


def test_deleting_the_last_snapshot_leaves_an_empty_list(guest):
    guest.delvm("boot")
    assert guest.vsm_snapshots() == []
    guest.savevm("again")
    assert guest.vsm_tags() == ["again"]


def test_overwriting_replaces_the_old_snapshot(guest):
    old = guest.vsm_snapshot("boot")
    guest.serial.ask("mem newer")
    guest.savevm("boot")
    new = guest.vsm_snapshot("boot")
    assert len(guest.vsm_snapshots()) == 1
    assert new["id"] != old["id"] and new["state"] != old["state"]
    assert guest.qcow2_tags() == ["boot"]
    guest.serial.ask("mem newest")
    guest.loadvm("boot")
    assert guest.serial.ask("memget") == "newer"


def test_failed_overwriting_keeps_the_old_snapshot(guest):
    old = guest.vsm_snapshot("boot")
    guest.tpm.proxy.fail(CREATE, 0x101, times=100)
    with pytest.raises(QmpError):
        guest.savevm("boot")
    guest.tpm.proxy.fail(CREATE, 0, times=0)
    assert guest.status() == "running"
    assert guest.qcow2_tags() == ["boot"]
    assert guest.vsm_snapshot("boot") == old
    guest.loadvm("boot")
    assert guest.serial.ask("memget") == "golden"


def test_snapshot_list_is_the_same_in_a_new_process(guest):
    guest.savevm("one")
    before = guest.vsm_snapshots()
    guest.restart(loadvm="one")
    assert guest.vsm_snapshots() == before


def test_snapshot_covers_and_restores_two_disks(machines, two_disks):
    guest = machines.copy(two_disks).start(loadvm="keep")
    guest.serial.ask("put first")
    guest.serial.ask("sh echo first | dd of=/dev/vdb conv=fsync")
    guest.savevm("two")
    assert guest.qcow2_tags(0) == guest.qcow2_tags(1) == ["keep", "two"]
    guest.serial.ask("put second")
    guest.serial.ask("sh echo second | dd of=/dev/vdb conv=fsync")
    guest.loadvm("two")
    assert guest.serial.ask("get") == "first"
    assert "first" in guest.serial.ask("sh head -c 5 /dev/vdb")
    guest.delvm("two")
    assert guest.qcow2_tags(0) == guest.qcow2_tags(1) == ["keep"]


def test_loading_a_part_of_the_disks_is_refused(machines, two_disks):
    guest = machines.copy(two_disks).start(loadvm="keep")
    with pytest.raises(QmpError, match="disk"):
        guest.qmp.run_job("snapshot-load", tag="keep", vmstate="disk0",
                          devices=["disk0"])
    assert guest.status() == "running"


def test_snapshot_through_a_block_filter(machines):
    """Stock QEMU aborts when it goes back through a filter."""
    guest = machines.new(throttle=True).start()
    guest.serial.ask("put first")
    guest.savevm("one")
    guest.serial.ask("put second")
    guest.loadvm("one")
    assert guest.serial.ask("get") == "first"
    image = guest.image
    image.flip("one", image.ram_page("one"))
    guest.serial.ask("put second")
    with pytest.raises(QmpError):
        guest.loadvm("one")
    assert guest.serial.ask("get") == "second"


def test_resized_disk_goes_back_too(guest):
    guest.qmp.command("block_resize", node_name="disk0", size=96 << 20)
    assert guest.verify("boot").result == "match"
    guest.loadvm("boot")
    assert guest.serial.ask("get") == "golden"
    guest.qmp.command("block_resize", node_name="disk0", size=96 << 20)
    image = guest.image
    image.flip("boot", image.ram_page("boot"))
    with pytest.raises(QmpError):
        guest.loadvm("boot")
    assert guest.image.size == 96 << 20


def test_deleting_one_disks_half_is_refused(guest):
    with pytest.raises(QmpError, match="boot"):
        guest.qmp.command("blockdev-snapshot-delete-internal-sync",
                          device="disk0", name="boot")
    assert guest.qcow2_tags() == ["boot"]
    assert guest.vsm_snapshot("boot")["on-disks"] == "present"


def test_the_object_cannot_be_deleted_or_changed(guest):
    with pytest.raises(QmpError):
        guest.qmp.command("object-del", id="vsm0")
    with pytest.raises(QmpError):
        guest.qmp.command("qom-set", path="/objects/vsm0",
                          property="require-sealed", value=False)
    assert guest.vsm_status()["require-sealed"] is True


def run_hmp(guest, line, scope, result="match"):
    """One of VSM's human commands to its end, as the monitor shows it."""
    told = guest.hmp(line)
    assert told.startswith("job vsm-hmp"), told
    job = told.split(";")[0].split()[1]
    answer = guest.qmp.any_event(
        lambda event: event["event"] in ("VSM_ATTESTED", "VSM_ROLLED_BACK")
        and event["data"]["answer"]["job-id"] == job, f"end of {line}",
        60)["data"]["answer"]
    assert answer["scope"] == scope
    operation = line.split()[0].removeprefix("vsm_")
    assert (f"answer {job}: {operation} of 'boot': {result}"
            in guest.hmp("info vsm"))
    return answer


def test_hmp_shows_status_and_runs_the_three_commands(paused):
    identity = paused.vsm_snapshot("boot")["id"]
    assert f"snapshot {identity} 'boot'" in paused.hmp("info vsm")
    helptext = paused.hmp("help")
    for command in ("vsm_attest [-r]", "vsm_verify", "vsm_rollback"):
        assert command in helptext
    run_hmp(paused, "vsm_verify boot", "stored")
    run_hmp(paused, "vsm_attest boot", "full")
    run_hmp(paused, "vsm_attest -r boot", "runtime")
    paused.cont()
    paused.serial.ask("mem changed")
    answer = run_hmp(paused, "vsm_attest boot", "full", "mismatch")
    first = answer["verdict"]["findings"][0]
    assert (f"differences, the first: {first['kind']} '{first['where']}'"
            in paused.hmp("info vsm"))
    # with a nonce there is a report
    assert run_hmp(paused, "vsm_rollback boot AAECAwQFBgcICQoLDA0ODw",
                   "full")["report"]
    assert paused.serial.ask("memget") == "golden"
    assert paused.qmp.command("query-jobs") == []


def test_info_vsm_shows_the_last_refusal(guest):
    assert "refusal" not in guest.hmp("info vsm")
    guest.hmp("vsm_verify nosuch")
    refusal = guest.qmp.event("VSM_REFUSED")
    assert refusal["code"] == "not-found"
    assert (f"last refusal: verify of 'nosuch': not-found: "
            f"{refusal['message']}") in guest.hmp("info vsm")
    guest.image.flip("boot", guest.image.ram_page("boot"))
    guest.hmp("vsm_rollback boot")
    refusal = guest.qmp.event("VSM_REFUSED")
    shown = guest.hmp("info vsm")
    assert (f"last refusal: rollback of 'boot': tampered: "
            f"{refusal['message']}") in shown
    assert shown.count("refusal") == 1
    assert "Error" in guest.hmp("vsm_attest boot no-nonce")


def test_without_the_object_qemu_is_stock(machines, golden):
    guest = machines.copy(golden, object="").start(loadvm="boot")
    guest.savevm("plain")
    guest.serial.ask("mem changed")
    guest.loadvm("plain")
    assert guest.serial.ask("memget") == "golden"
    guest.delvm("plain")
    with pytest.raises(QmpError, match="vm-snapshot-manager"):
        guest.vsm_status()


@pytest.mark.in_process("QEMU's own affair in both modes")
def test_unplugged_ranges_of_virtio_mem_are_absent(machines):
    """Half of the device's memory is plugged; the rest holds no state.

    It is of a kind whose pages are made when they are first read.
    """
    plugged, other = 64 << 20, 128 << 20
    guest = machines.new(extra=(
        "-m", f"{other >> 20}M,maxmem=1G", "-object",
        "memory-backend-memfd,id=vmem0,size=128M,share=on", "-device",
        f"virtio-mem-pci,id=vm0,memdev=vmem0,requested-size={plugged}"))
    # memory above 4 GiB would make it set 64 MiB aside
    guest.config.kernel_line += " memhp_default_state=online swiotlb=512"
    guest.start()
    guest.serial.ask("sh insmod /later/virtio_mem.ko")

    def sizes():
        [device] = guest.qmp.command("query-memory-devices")
        return device["data"]["max-size"], device["data"]["size"]

    wait.until("memory to be plugged",
               lambda: sizes() == (128 << 20, plugged))
    [memory] = [path for path in pathlib.Path(f"/proc/{guest.pid()}/fd")
                .iterdir() if "memory-backend-memfd" in os.readlink(path)]

    def matches():
        answer = guest.attest("one")
        assert answer.result == "match", answer.findings
        # ROM and the like beside it
        assert 0 <= answer.verdict["bytes-hashed"] - plugged - other < 32 << 20
        assert memory.stat().st_blocks * 512 <= plugged

    guest.stop()
    guest.savevm("one")
    matches()
    guest.loadvm("one")
    matches()
    guest.cont()
    guest.qmp.command("qom-set", path="/machine/peripheral/vm0",
                      property="requested-size", value=0)
    wait.until("memory to be unplugged", lambda: sizes()[1] < plugged)
    assert guest.rollback("one").result == "match"
    assert sizes()[1] == plugged
    guest.serial.ask("ping")


def busy_vtpm(guest):
    """The vTPM is at a command of the guest and does not answer."""
    guest.vtpm.freeze()
    guest.serial.ask("sh (cat /sys/class/tpm/tpm0/pcr-sha256/0 >/tmp/pcr "
                     "2>&1 &)")
    # the interface's register: the command was started
    wait.until("the vTPM's command", lambda: guest.hmp("xp /1wx 0xfed4004c")
               .endswith("0x00000001"))


def thawed(guest):
    """The vTPM goes on once QEMU waits for it, and the guest gets its PCR."""
    wait.until_it_waits(guest.pid())
    guest.vtpm.thaw()


@pytest.mark.in_process("QEMU's own affair in both modes")
def test_ram_that_a_device_still_writes_is_named(machines):
    """The answer goes into RAM while the device's state is saved."""
    guest = machines.new(vtpm=True, devices=()).start()
    guest.savevm("one")
    busy_vtpm(guest)
    guest.qmp.send("human-monitor-command", {"command-line": "savevm two"})
    thawed(guest)
    text = guest.qmp.answer()
    assert "'tpm-crb-cmd' was written at offset 0x0 after it was saved" in text
    assert "try again" in text
    assert guest.qmp.event("VSM_REFUSED")["code"] == "busy"
    assert guest.status() == "running"
    assert guest.qcow2_tags() == guest.vsm_tags() == ["one"]
    busy_vtpm(guest)
    job = guest.start_vsm("vsm-attest", "one")
    thawed(guest)
    with pytest.raises(Refused, match="'tpm-crb-cmd' was written at offset "
                       "0x0 after the measurement began") as caught:
        guest.finish_vsm(*job)
    assert caught.value.code == "busy"
    assert guest.status() == "running"
    assert len(guest.serial.ask("sh cat /tmp/pcr").strip()) == 64
    guest.stop()
    guest.savevm("two")
    assert guest.attest("two").result == "match"


def test_memory_that_nobody_touched_is_given_none(machines):
    """Neither a save nor an attestation reads what the guest never used."""
    guest = machines.new(memory_mib=1024).start()
    guest.stop()
    before = pagemap.pages_with_memory(guest.pid())
    guest.savevm("new")
    assert guest.attest("new").result == "match"
    assert guest.attest("new").verdict["bytes-hashed"] > 1 << 30
    after = pagemap.pages_with_memory(guest.pid())
    assert before < (1 << 30) // pagemap.PAGE // 2
    # the host's kernel may have made huge pages of neighbours meanwhile
    assert after <= before * 1.1
    guest.rollback("new")
    assert guest.attest("new").result == "match"
