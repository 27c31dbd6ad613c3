"""While a VM's memory still comes from another host, nothing is said of it.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pytest

from vsmtest import wait
from vsmtest.qmp import QmpError
from vsmtest.vsm import Refused

pytestmark = pytest.mark.full_with_daemon(
    "QEMU's part is the same")

SLOW = 65536    # bytes per second


def postcopy(guest, state):
    guest.qmp.command("migrate-set-capabilities", capabilities=[
        {"capability": "postcopy-ram", "state": state}])


def migration(guest):
    return guest.qmp.command("query-migrate")["status"]


@pytest.fixture
def arriving(machines, golden):
    """A VM that runs while most of its memory is elsewhere: (it, source)."""
    source = machines.copy(golden, object="").start()
    target = machines.copy(golden, options="require-sealed=off",
                           extra=("-incoming", "defer"))
    target.start(boot=False)
    for each in (source, target):
        postcopy(each, True)
    uri = f"unix:{target.home / 'migration'}"
    target.qmp.command("migrate-incoming", uri=uri)
    source.qmp.command("migrate-set-parameters", max_bandwidth=SLOW,
                       max_postcopy_bandwidth=SLOW)
    source.qmp.command("migrate", uri=uri)
    wait.until("the migration runs", lambda: migration(source) == "active")
    source.qmp.command("migrate-start-postcopy")
    wait.until("postcopy", lambda: migration(source) == "postcopy-active")
    wait.until("the VM to run there", lambda: target.status() == "running")
    # who takes the capability back must not get a snapshot of it
    postcopy(target, False)
    return target, source


def test_memory_that_has_not_arrived(arriving):
    target, source = arriving
    with pytest.raises(QmpError, match="A migration is running.*after it"):
        target.savevm("one")
    assert target.qmp.event("VSM_REFUSED")["code"] == "busy"
    with pytest.raises(Refused, match="postcopy.*when that migration has "
                                      "ended") as caught:
        target.attest("boot")
    assert caught.value.code == "busy"
    assert target.status() == "running"

    source.qmp.command("migrate-set-parameters", max_bandwidth=0,
                       max_postcopy_bandwidth=0)
    wait.until("the migration's end",
               lambda: migration(source) == "completed")
    wait.until("the last of its memory",
               lambda: migration(target) == "completed")
    target.serial.ask("mem arrived")
    target.savevm("one")
    assert target.rollback("one").result == "match"
    assert target.serial.ask("memget") == "arrived"
