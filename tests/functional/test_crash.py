"""A crash leaves each snapshot whole and listed, or absent, or the old one.

QEMU, and the daemon with it, is killed while the TPM does one command of a
save or a delete, or QEMU alone while it writes to one of the disks; both disks
and the store must agree at the next start.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pytest

from vsmtest import proxy, wait
from vsmtest.qmp import Closed

pytestmark = pytest.mark.full_with_daemon(
    "what is written when is the same")

POINTS = [(proxy.CREATE, 1, False), (proxy.CREATE, 2, False),
          (proxy.CREATE, 2, True), (proxy.NV_CERTIFY, 1, False),
          (proxy.NV_CERTIFY, 1, True), (proxy.NV_EXTEND, 1, False),
          (proxy.NV_EXTEND, 1, True)]

NAMES = {proxy.CREATE: "create", proxy.NV_CERTIFY: "certify",
         proxy.NV_EXTEND: "commit"}


def name(point):
    code, count, after = point
    return f"{'after' if after else 'before'}-{NAMES[code]}-{count}"


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


# Which disk, since when, at which of its writes; the entries left on the two
WRITES = {
    "before-the-second-entry": (1, "save", 1, [2, 1]),
    "in-the-second-entry": (1, "save", 3, [2, 1]),
    "before-the-old-entries-go": (0, "commit", 1, [2, 2]),
    "between-the-old-entries": (1, "commit", 1, [1, 2]),
    "in-the-last-old-entry": (1, "commit", 7, [1, 1]),
}


@pytest.mark.parametrize("disk, since, number, entries", WRITES.values(),
                         ids=WRITES)
def test_crash_between_the_disks_leaves_the_old_or_the_new(
        machines, two_disks, disk, since, number, entries):
    guest = machines.copy(two_disks).start(loadvm="keep")
    guest.serial.ask("mem new")

    def arm():
        guest.kill_at_write(disk, number)

    if since == "commit":
        guest.tpm.proxy.act(proxy.NV_EXTEND, arm, after=True)
    else:
        arm()
    with pytest.raises((Closed, OSError)):
        guest.qmp.hmp("savevm keep")
    guest.kill()
    assert [len(guest.qcow2_tags(0)), len(guest.qcow2_tags(1))] == entries
    assert settled(guest) == ["keep"]
    guest.restart(loadvm="keep")
    assert guest.serial.ask("memget") == ("new" if since == "commit"
                                          else "old")
    guest.stop()
    guest.loadvm("keep")
    assert guest.attest("keep").result == "match"
