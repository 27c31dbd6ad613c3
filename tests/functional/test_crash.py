"""A crash leaves each snapshot whole and listed, or absent, or the old one.

QEMU, and the daemon with it, is killed while the TPM does one command of a
save or a delete; both disks and the store must agree at the next start.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pytest

from vsmtest import proxy, wait
from vsmtest.guest import Config, Guest
from vsmtest.qmp import Closed

POINTS = [(proxy.CREATE, 1, False), (proxy.CREATE, 2, False),
          (proxy.CREATE, 2, True), (proxy.NV_CERTIFY, 1, False),
          (proxy.NV_CERTIFY, 1, True), (proxy.NV_EXTEND, 1, False),
          (proxy.NV_EXTEND, 1, True)]

NAMES = {proxy.CREATE: "create", proxy.NV_CERTIFY: "certify",
         proxy.NV_EXTEND: "commit"}


def name(point):
    code, count, after = point
    return f"{'after' if after else 'before'}-{NAMES[code]}-{count}"


@pytest.fixture(scope="module")
def two_disks(attester):
    """A machine with two disks, off, sealed as "keep" holding "old"."""
    del attester    # one in each mode
    guest = Guest(Config(extra_disk=True, devices=()))
    try:
        guest.start()
        guest.serial.ask("mem old")
        guest.savevm("keep")
        guest.halt()
        yield guest
    finally:
        guest.cleanup()


def killed(guest, line, point):
    """Runs a command during which QEMU is killed at that point."""
    code, count, after = point
    def kill():
        guest.kill_process()
        if guest.daemon:
            guest.daemon.kill()
        return True

    guest.tpm.proxy.act(code, kill, count, after)
    with pytest.raises((Closed, OSError)):
        guest.qmp.hmp(line)
    wait.until("QEMU's end", lambda: not guest.alive())
    guest.kill()


def settled(guest):
    """After the restart: store and both disks hold the same tags."""
    guest.start(loadvm=None, boot=False)
    tags = guest.vsm_tags()
    assert sorted(guest.qcow2_tags(0)) == tags
    assert sorted(guest.qcow2_tags(1)) == tags
    assert guest.vsm_status()["debris"] == []
    records = (guest.state_dir / "vm" / guest.config.uuid).iterdir()
    assert len([path for path in records if path.is_dir()]) == len(tags)
    return tags


@pytest.mark.parametrize("point", POINTS, ids=name)
def test_crash_in_an_overwrite_leaves_the_old_or_the_new(machines, two_disks,
                                                         point):
    guest = machines.copy(two_disks).start(loadvm="keep")
    guest.serial.ask("mem new")
    killed(guest, "savevm keep", point)
    assert settled(guest) == ["keep"]
    guest.restart(loadvm="keep")
    found = guest.serial.ask("memget")
    committed = point == (proxy.NV_EXTEND, 1, True)
    assert found == ("new" if committed else "old")
    guest.stop()
    guest.loadvm("keep")
    assert guest.attest("keep").result == "match"


@pytest.mark.parametrize("point", POINTS[-3:], ids=name)
def test_crash_in_a_first_save_leaves_all_or_nothing(machines, two_disks,
                                                     point):
    guest = machines.copy(two_disks).start(loadvm="keep")
    killed(guest, "savevm one", point)
    committed = point == (proxy.NV_EXTEND, 1, True)
    assert settled(guest) == ["keep"] + (["one"] if committed else [])


@pytest.mark.parametrize("point", POINTS[-3:], ids=name)
def test_crash_in_a_delete_leaves_all_or_nothing(machines, two_disks, point):
    guest = machines.copy(two_disks).start(loadvm="keep")
    killed(guest, "delvm keep", point)
    committed = point == (proxy.NV_EXTEND, 1, True)
    assert settled(guest) == ([] if committed else ["keep"])
