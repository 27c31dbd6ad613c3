"""Which of the VM's disks a sealed snapshot is on.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pytest

from vsmtest.qmp import QmpError

pytestmark = pytest.mark.full_with_daemon(
    "QEMU's part is the same")


@pytest.fixture
def keep(machines, two_disks):
    """A copy of the machine with two disks, running on from "keep"."""
    return machines.copy(two_disks).start(loadvm="keep")


def snapshot_job(guest, kind, tag, *disks):
    """snapshot-save, -load or -delete on these disks."""
    options = {} if kind == "delete" else {"vmstate": disks[0]}
    guest.qmp.run_job(f"snapshot-{kind}", tag=tag, devices=list(disks),
                      **options)


def test_delete_on_one_disk_of_two_is_refused(keep):
    before = keep.vsm_snapshots()
    for disk in ("disk0", "disk1"):
        with pytest.raises(QmpError, match="'keep' is also on disk"):
            snapshot_job(keep, "delete", "keep", disk)
        refusal = keep.qmp.event("VSM_REFUSED")
        assert (refusal["code"], refusal["operation"]) == ("invalid",
                                                           "delete")
    assert [keep.qcow2_tags(0), keep.qcow2_tags(1)] == [["keep"], ["keep"]]
    assert keep.vsm_snapshots() == before
    assert keep.vsm_snapshot("keep")["on-disks"] == "present"
    keep.loadvm("keep")
    assert keep.serial.ask("memget") == "old"


def test_save_on_one_disk_of_two_is_loaded_with_that_disk_alone(keep):
    keep.serial.ask("mem part")
    snapshot_job(keep, "save", "part", "disk0")
    assert keep.vsm_snapshot("part")["on-disks"] == "present"
    assert [keep.qcow2_tags(0), keep.qcow2_tags(1)] == [["keep", "part"],
                                                        ["keep"]]
    keep.serial.ask("mem later")
    for load in (keep.loadvm, keep.snapshot_load):
        with pytest.raises(QmpError, match="takes part, but is not in the "
                           "sealed snapshot 'part'"):
            load("part")
        assert keep.qmp.event("VSM_REFUSED")["code"] == "config"
    assert keep.status() == "running"
    assert keep.serial.ask("memget") == "later"
    snapshot_job(keep, "load", "part", "disk0")
    assert keep.serial.ask("memget") == "part"
    # it knows the disks by itself
    keep.serial.ask("mem later")
    assert keep.rollback("part").result == "match"
    assert keep.serial.ask("memget") == "part"
    snapshot_job(keep, "delete", "part", "disk0")
    assert keep.vsm_tags() == ["keep"]


def test_one_disks_entry_is_deleted_by_id_only_if_it_is_not_sealed(keep):
    keep.qmp.command("blockdev-snapshot-internal-sync", device="disk0",
                     name="plain")
    keep.qmp.command("blockdev-snapshot-internal-sync", device="disk0",
                     name="other")
    sealed, plain, _ = [entry.id for entry in keep.image.entries()]

    def delete(**entry):
        return keep.qmp.command("blockdev-snapshot-delete-internal-sync",
                                device="disk0", **entry)["name"]

    with pytest.raises(QmpError, match="'keep' is sealed and covers all"):
        delete(id=sealed)
    assert delete(id=plain) == "plain"
    assert delete(name="other") == "other"
    assert keep.qcow2_tags() == ["keep"]
    assert keep.vsm_snapshot("keep")["on-disks"] == "present"
