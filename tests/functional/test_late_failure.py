"""What fails after the load began leaves a VM that does not run, and says so.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re
import threading

import pytest

from vsmtest.guest import Config, Guest
from vsmtest.qmp import QmpError
from vsmtest.vsm import Refused
from vsmtest.vsmctl import MISMATCH

pytestmark = pytest.mark.full_with_daemon(
    "QEMU's part is the same")

AT = 80 << 20   # offset in the guest's RAM; bytes
SAYS_SO = "VM and disks have changed already, and the VM stays stopped"
NOT_SEALED = f"that was loaded from 'shared' is not the sealed one.*{SAYS_SO}"


class Meddler:
    """Writes to a file, at once and again, from the VM's next stop on."""

    def __init__(self, guest, path, value):
        self._guest, self._value = guest, value
        self._file = open(path, "r+b", buffering=0)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        self._guest.qmp2.event("STOP")
        while not self._end.is_set():
            self._file.seek(AT)
            self._file.write(self._value)

    def __enter__(self):
        self._guest.qmp2.seen("STOP")
        self._guest.qmp2.events.clear()
        self._thread.start()

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()
        self._file.close()


@pytest.fixture(scope="module")
def shared_machine(attester, tmp_path_factory):
    """(guest, the file that its RAM is, another byte than was sealed)"""
    del attester    # one in each mode
    ram = tmp_path_factory.mktemp("late") / "ram"
    guest = Guest(Config(
        machine_options="memory-backend=ram0", memory_mib=128,
        devices=(),
        extra=("-object", "memory-backend-file,id=ram0,size=128M,"
               f"mem-path={ram},share=on")))
    try:
        guest.start()
        guest.serial.ask("mem sealed")
        guest.stop()
        guest.savevm("shared")
        with open(ram, "rb") as file:
            file.seek(AT)
            other = bytes([file.read(1)[0] ^ 0xff])
        guest.cont()
        yield guest, ram, other
    finally:
        guest.cleanup()


def stays_stopped(guest):
    assert guest.status() == "internal-error"
    with pytest.raises(QmpError):
        guest.cont()
    assert "Error" in guest.hmp("cont")
    assert guest.status() == "internal-error"
    assert guest.qmp.seen("RESUME") == []


def goes_on(guest):
    """Without the meddler the same snapshot is good."""
    assert guest.rollback("shared").result == "match"
    guest.cont()
    assert guest.serial.ask("memget") == "sealed"
    guest.qmp.events.clear()


def test_vm_that_is_not_what_was_loaded_does_not_run(shared_machine):
    """Another process writes to its RAM while it is loaded."""
    guest, ram, other = shared_machine
    guest.qmp.events.clear()
    job = guest.start_vsm("vsm-rollback", "shared")
    with Meddler(guest, ram, other), \
            pytest.raises(Refused, match=NOT_SEALED) as caught:
        guest.finish_vsm(*job)
    assert caught.value.code == "tampered"
    assert caught.value.vm_changed
    stays_stopped(guest)
    # what it found is signed all the same
    kept = guest.qmp.command("query-vsm-report", job_id=job[0])
    assert kept["verdict"]["result"] == "mismatch"
    assert kept["report"]
    goes_on(guest)

    with Meddler(guest, ram, other):
        done = guest.ctl("rollback", "shared", check=MISMATCH)
    assert re.search(NOT_SEALED, done.stdout)
    stays_stopped(guest)
    goes_on(guest)


@pytest.mark.parametrize("load", ["loadvm", "snapshot_load"])
def test_nor_does_it_after_an_ordinary_load(shared_machine, load):
    guest, ram, other = shared_machine
    with Meddler(guest, ram, other), \
            pytest.raises(QmpError, match=NOT_SEALED):
        getattr(guest, load)("shared")
    refusal = guest.qmp.event("VSM_REFUSED")
    assert refusal["code"] == "tampered"
    assert refusal["vm-changed"]
    stays_stopped(guest)
    goes_on(guest)
