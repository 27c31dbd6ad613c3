"""A stored VM state is read and judged on every kind of qcow2 image.

The state that is checked is not the active one, so this is the reader of our
patch, not QEMU's.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pytest

from vsmtest import paths
from vsmtest.guest import Config, Guest
from vsmtest.qcow2 import Image
from vsmtest.qmp import QmpError

pytestmark = pytest.mark.in_process("QEMU's own affair in both modes")

# How qemu-img makes each; its name is that of the node and of the snapshot
KINDS = {
    "small-clusters": ["-o", "cluster_size=4k"],
    "subclusters": ["-o", "extended_l2=on"],
    "version-2": ["-o", "compat=0.10"],
    "backed": ["-b", "base", "-F", "qcow2"],
}


@pytest.fixture(scope="module")
def machine():
    """One guest with a disk of each kind."""
    guest = Guest(Config(devices=()))
    for name, options in {"base": [], **KINDS}.items():
        paths.run([paths.qemu_img(), "create", "-q", "-f", "qcow2", *options,
                   name, "64M"], cwd=guest.home)
    for name in KINDS:
        guest.config.extra += (
            "-blockdev", f"qcow2,node-name={name},file.driver=file,"
            f"file.filename={guest.home / name}",
            "-device", f"virtio-blk-pci,drive={name}")
    try:
        yield guest.start()
    finally:
        guest.cleanup()


def refused(guest, name, options):
    """A flipped bit is found where it is, and nothing is loaded."""
    image = Image(guest.home / name)
    offset = image.ram_page(name)
    image.flip(name, offset)
    body, = guest.verify(name).found("body")
    assert body["offset"] <= offset < body["offset"] + body["bytes"]
    with pytest.raises(QmpError, match="first difference at byte"):
        guest.qmp.run_job("snapshot-load", **options)
    assert guest.serial.ask("memget") == "later"
    image.flip(name, offset)


@pytest.mark.parametrize("name", KINDS)
def test_stored_state_is_judged_and_loaded_on_such_an_image(machine, name):
    options = {"tag": name, "vmstate": name, "devices": [name]}
    machine.serial.ask(f"mem {name}")
    machine.qmp.run_job("snapshot-save", **options)
    machine.serial.ask("mem later")
    assert machine.verify(name).result == "match"
    refused(machine, name, options)
    machine.stop()
    machine.qmp.run_job("snapshot-load", **options)
    assert machine.attest(name).result == "match"
    machine.cont()
    assert machine.serial.ask("memget") == name
