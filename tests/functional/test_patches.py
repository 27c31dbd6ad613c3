"""What the patches mend in QEMU itself, without VSM: no guard is registered.

The machine runs its firmware only, and its disks belong to no device, so that
the tests may write to them through QEMU.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json

import pytest

from vsmtest import paths
from vsmtest.guest import Config, Guest
from vsmtest.qcow2 import Image
from vsmtest.qmp import QmpError

pytestmark = pytest.mark.in_process("no attester")

MIB = 1 << 20


class Plain(Guest):
    """A machine without VSM, TPM and operating system."""

    def __init__(self, disks=1, filters=()):
        super().__init__(Config(object="", extra_disk=disks == 2))
        self.filters = filters   # drivers above the first disk, lowest first
        self.faults = {}         # number of a disk: blkdebug's inject-error

    def create(self):
        for disk in self.disks:
            if not disk.exists():
                paths.run([paths.qemu_img(), "create", "-q", "-f", "qcow2",
                           str(disk), "64M"])
        return self

    def _disk(self, number):
        image = {"driver": "file", "filename": str(self.disks[number])}
        if number in self.faults:
            image = {"driver": "blkdebug", "image": image,
                     "inject-error": [self.faults[number]]}
        return {"driver": "qcow2", "node-name": f"disk{number}",
                "file": image}

    def argv(self, loadvm=None, paused=False):
        argv = [paths.qemu(), "-machine", "q35", "-accel", "tcg", "-m", "32",
                "-nodefaults", "-no-user-config", "-display", "none",
                "-object", "throttle-group,id=group0",
                "-chardev", f"socket,id=ser0,path={self.home / 'serial'},"
                "server=on,wait=off", "-serial", "chardev:ser0"]
        for name in ("qmp", "qmp2"):
            argv += ["-qmp", f"unix:{self.home / name},server=on,wait=off"]
        for number in range(len(self.disks)):
            argv += ["-blockdev", json.dumps(self._disk(number))]
        below = "disk0"
        for number, driver in enumerate(self.filters):
            node = {"driver": driver, "node-name": f"filter{number}",
                    "file": below}
            if driver == "throttle":
                node["throttle-group"] = "group0"
            argv += ["-blockdev", json.dumps(node)]
            below = node["node-name"]
        argv += ["-S"] if paused else []
        return argv + (["-loadvm", loadvm] if loadvm else [])

    @property
    def top(self):
        """The node that a snapshot of the first disk is taken of."""
        return (f"filter{len(self.filters) - 1}" if self.filters
                else "disk0")

    def write(self, value, number=0):
        """Fills the first cluster of a disk."""
        node = self.top if number == 0 else f"disk{number}"
        for command in (f"write -P {value} 0 64k", "flush"):
            self.hmp(f'qemu-io {node} "{command}"')

    def value(self, number=0):
        """What write() put there, as the file on the host has it."""
        raw = self.home / "first-byte"
        paths.run([paths.qemu_img(), "dd", "-U", "-f", "qcow2", "-O", "raw",
                   "bs=512", "count=1", f"if={self.disks[number]}",
                   f"of={raw}"])
        return raw.read_bytes()[0]

    def size(self):
        """Bytes of the first disk as what is above it sees them."""
        return next(node["image"]["virtual-size"] for node in
                    self.qmp.command("query-named-block-nodes")
                    if node["node-name"] == self.top)

    def entries(self, number=0):
        """(id, name) of the entries on a disk."""
        return [(entry.id, entry.name)
                for entry in Image(self.disks[number]).entries()]


@pytest.fixture
def plain(machines):
    """Makes such a machine and starts it."""
    def make(start=True, **options):
        machine = machines.add(Plain(**options)).create()
        return machine.start(boot=False) if start else machine

    return make


def save(machine, name):
    text = machine.hmp(f"savevm {name}")
    assert text == "", text


def load(machine, name):
    text = machine.hmp(f"loadvm {name}")
    assert text == "", text


def load_with_hmp(machine, name):
    return machine.hmp(f"loadvm {name}")


def load_with_job(machine, name):
    with pytest.raises(QmpError) as error:
        machine.qmp.run_job("snapshot-load", tag=name, vmstate=machine.top,
                            devices=[machine.top])
    return error.value.text


refused_loads = pytest.mark.parametrize("attempt",
                                        [load_with_hmp, load_with_job])


# Refused loads

@refused_loads
def test_refused_load_leaves_the_machine_running(plain, attempt):
    machine = plain()
    assert "'absent' does not exist" in attempt(machine, "absent")
    assert machine.status() == "running"
    assert not machine.qmp.seen("STOP")


def test_refused_load_leaves_the_machine_paused(plain):
    machine = plain()
    machine.stop()
    assert "does not exist" in machine.hmp("loadvm absent")
    assert machine.status() == "paused"
    machine.cont()
    assert machine.status() == "running"


@refused_loads
def test_dirty_bitmap_is_found_before_any_disk_goes_back(plain, attempt):
    machine = plain(disks=2)
    machine.write(1)
    save(machine, "one")
    machine.write(2)
    machine.qmp.command("block-dirty-bitmap-add", node="disk0", name="map")
    assert "dirty bitmap" in attempt(machine, "one")
    assert machine.status() == "running"
    assert machine.value() == 2


def test_dirty_bitmap_on_the_last_disk_keeps_the_first_disk(plain):
    machine = plain(disks=2)
    machine.write(1)
    save(machine, "one")
    machine.write(2)
    machine.qmp.command("block-dirty-bitmap-add", node="disk1", name="map")
    assert "dirty bitmap" in machine.hmp("loadvm one")
    assert machine.status() == "running"
    assert machine.value() == 2


def test_forbidden_resize_is_found_before_any_disk_goes_back(plain):
    machine = plain(disks=2)
    machine.write(1)
    save(machine, "one")
    machine.write(2)
    machine.qmp.command("block_resize", node_name="disk1", size=96 * MIB)
    # An NBD export does not let its node be resized.
    machine.qmp.command("nbd-server-start", addr={
        "type": "unix", "data": {"path": str(machine.home / "nbd")}})
    machine.qmp.command("block-export-add", id="export", type="nbd",
                        node_name="disk1")
    with pytest.raises(QmpError, match="resize.*disk1"):
        machine.qmp.run_job("snapshot-load", tag="one", vmstate="disk0",
                            devices=["disk0", "disk1"])
    assert machine.status() == "running"
    assert machine.value() == 2


def test_disk_only_snapshot_is_refused_while_running(plain):
    machine = plain(start=False)
    paths.run([paths.qemu_img(), "snapshot", "-c", "offline",
               str(machine.disks[0])])
    machine.start(boot=False)
    assert "disk-only snapshot" in machine.hmp("loadvm offline")
    assert machine.status() == "running"


def test_load_that_fails_halfway_cannot_be_continued(plain):
    machine = plain()
    save(machine, "one")
    machine.image.flip("one", 0)
    assert "while loading VM state" in machine.hmp("loadvm one")
    assert machine.status() == "internal-error"
    with pytest.raises(QmpError, match="[Rr]eset"):
        machine.cont()
    assert machine.status() == "internal-error"


def test_stream_of_a_failed_load_does_not_block_the_next(plain):
    machine = plain()
    save(machine, "one")
    save(machine, "two")
    machine.image.flip("one", 0)
    assert machine.hmp("loadvm one")
    load(machine, "two")


# The right entry

def test_tag_that_is_the_id_of_another_snapshot(plain):
    machine = plain()
    machine.write(1)
    save(machine, "a")
    machine.write(2)
    save(machine, "1")
    assert machine.entries() == [("1", "a"), ("2", "1")]
    machine.write(3)
    load(machine, "1")
    assert machine.value() == 2
    load(machine, "a")
    assert machine.value() == 1


@pytest.mark.parametrize("filters", [
    ("throttle",), ("copy-on-read",), ("throttle", "copy-on-read")])
def test_load_through_filters(plain, filters):
    machine = plain(filters=filters)
    machine.write(1)
    save(machine, "one")
    machine.write(2)
    load(machine, "one")
    assert machine.status() == "running"
    assert machine.value() == 1
    machine.write(3)
    load(machine, "one")
    assert machine.value() == 1


@pytest.mark.parametrize("filters", [(), ("throttle",)])
def test_load_restores_the_size_of_a_resized_disk(plain, filters):
    machine = plain(filters=filters)
    machine.write(1)
    save(machine, "one")
    machine.qmp.command("block_resize", node_name=machine.top, size=96 * MIB)
    machine.write(2)
    save(machine, "two")
    load(machine, "one")
    assert (machine.value(), machine.size()) == (1, 64 * MIB)
    load(machine, "two")
    assert (machine.value(), machine.size()) == (2, 96 * MIB)


def test_loadvm_on_the_command_line(plain):
    machine = plain()
    machine.write(1)
    save(machine, "one")
    machine.write(2)
    machine.restart(loadvm="one", boot=False)
    assert machine.status() == "running"
    assert machine.value() == 1


# Replacing

def test_overwrite_replaces_every_entry_of_the_name(plain):
    machine = plain(start=False)
    for _ in range(2):
        paths.run([paths.qemu_img(), "snapshot", "-c", "dup",
                   str(machine.disks[0])])
    machine.start(boot=False)
    machine.write(1)
    save(machine, "dup")
    assert machine.entries() == [("3", "dup")]
    machine.write(2)
    load(machine, "dup")
    assert machine.value() == 1


def test_overwrite_spares_an_entry_whose_id_is_the_name(plain):
    machine = plain()
    save(machine, "a")
    save(machine, "1")
    save(machine, "1")
    assert machine.entries() == [("1", "a"), ("3", "1")]


def test_failed_write_of_the_state_keeps_the_old_snapshot(plain):
    machine = plain()
    machine.write(1)
    save(machine, "one")
    machine.write(2)
    machine.quit()
    machine.faults[0] = {"event": "vmstate_save", "errno": 28, "once": True}
    machine.start(boot=False)
    text = machine.hmp("savevm one")
    assert "writing VM state" in text and "No space left" in text
    assert machine.status() == "running"
    assert machine.entries() == [("1", "one")]
    load(machine, "one")
    assert machine.value() == 1


def test_failed_entry_on_one_disk_keeps_the_old_on_all(plain):
    machine = plain(disks=2)
    for number in range(2):
        machine.write(1, number)
    save(machine, "one")
    for number in range(2):
        machine.write(2, number)
    machine.quit()
    machine.faults[1] = {"event": "cluster_alloc", "errno": 5, "once": True}
    machine.start(boot=False)
    text = machine.hmp("savevm one")
    assert "Could not create snapshot 'one' on 'disk1'" in text
    assert machine.status() == "running"
    for number in range(2):
        assert machine.entries(number) == [("1", "one")]
    load(machine, "one")
    assert [machine.value(number) for number in range(2)] == [1, 1]


def test_interrupted_replacement_loads_one_snapshot_on_all_disks(plain):
    machine = plain(disks=2)
    for value, name in ((1, "old"), (2, "new")):
        for number in range(2):
            machine.write(value, number)
        save(machine, name)
    machine.quit()
    # As if QEMU had died between the deletion of the two old entries
    for disk in machine.disks:
        image = Image(disk)
        image.write(image.entry("new").name_at, b"old")
    paths.run([paths.qemu_img(), "snapshot", "-d", "old",
               str(machine.disks[0])])
    machine.start(boot=False)
    assert machine.entries(0) == [("2", "old")]
    assert machine.entries(1) == [("1", "old"), ("2", "old")]
    for number in range(2):
        machine.write(3, number)
    load(machine, "old")
    assert [machine.value(number) for number in range(2)] == [2, 2]


def test_job_does_not_replace(plain):
    machine = plain()
    machine.qmp.run_job("snapshot-save", tag="one", vmstate="disk0",
                        devices=["disk0"])
    with pytest.raises(QmpError, match="already exists"):
        machine.qmp.run_job("snapshot-save", tag="one", vmstate="disk0",
                            devices=["disk0"])
    assert machine.entries() == [("1", "one")]


# Deleting

def test_delete_takes_the_entry_of_that_name_on_all_disks(plain):
    machine = plain(disks=2)
    save(machine, "a")
    save(machine, "1")
    assert machine.hmp("delvm 1") == ""
    for number in range(2):
        assert machine.entries(number) == [("1", "a")]


def test_job_deletes(plain):
    machine = plain()
    save(machine, "one")
    machine.qmp.run_job("snapshot-delete", tag="one", devices=["disk0"])
    assert machine.entries() == []


def test_one_disks_entry_is_deleted_by_the_block_layers_command(plain):
    machine = plain(disks=2)
    save(machine, "one")
    info = machine.qmp.command("blockdev-snapshot-delete-internal-sync",
                               device="disk0", name="one")
    assert info["name"] == "one"
    assert machine.entries(0) == []
    assert machine.entries(1) == [("1", "one")]
