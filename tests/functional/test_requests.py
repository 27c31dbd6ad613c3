"""A request that makes no sense is refused at once, and nothing is begun.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pytest

from vsmtest.guest import Config, Exited, Guest
from vsmtest.qmp import QmpError

pytestmark = pytest.mark.full_with_daemon(
    "QEMU's part is the same")

NONCE = "AAECAwQFBgcICQoLDA0ODw"


def test_second_manager_is_refused(guest):
    with pytest.raises(QmpError, match="a snapshot manager already; one is "
                       "enough"):
        guest.qmp.command("object-add", qom_type="vm-snapshot-manager",
                          id="vsm1")
    assert guest.vsm_status()["id"] == "vsm0"
    assert guest.verify("boot").result == "match"


@pytest.mark.in_process("QEMU's own affair in both modes")
def test_second_manager_ends_qemu_at_its_start(machines):
    guest = machines.new(extra=("-object", "vm-snapshot-manager,id=vsm1"))
    with pytest.raises(Exited, match="one is enough"):
        guest.start(boot=False)


class Nameless(Guest):
    """A machine without a UUID."""

    def argv(self, loadvm=None, paused=False):
        argv = super().argv(loadvm, paused)
        at = argv.index("-uuid")
        return argv[:at] + argv[at + 2:]


@pytest.mark.in_process("QEMU's own affair in both modes")
def test_missing_uuid_ends_qemu_with_the_remedy(machines):
    guest = machines.add(Nameless(Config()))
    with pytest.raises(Exited, match="start QEMU with -uuid"):
        guest.start(boot=False)


def test_scopes_that_vsm_attest_does_not_measure(guest):
    request = {"job_id": "odd", "snapshot": "boot", "nonce": NONCE}
    guest.qmp.events.clear()
    for options, why in (
            ({"scope": "stored"}, "Scope 'stored'.*use vsm-verify"),
            ({"scope": "full", "profile": "standard"},
             "'profile' belongs to scope 'runtime'")):
        with pytest.raises(QmpError, match=why):
            guest.qmp.command("vsm-attest", **request, **options)
    assert guest.qmp.job("odd") is None
    assert guest.vsm_status()["state"] == "idle"
    assert guest.qmp.seen("STOP") == []


def test_job_id_in_use_leaves_the_manager_idle(guest):
    job, nonce = guest.start_vsm("vsm-verify", "boot")
    first = guest.finish_vsm(job, nonce)
    assert guest.qmp.job(job)["status"] == "concluded"
    for command, options in (("vsm-attest", {"scope": "full"}),
                             ("vsm-verify", {}), ("vsm-rollback", {})):
        with pytest.raises(QmpError, match=f"'{job}'.*in use"):
            guest.qmp.command(command, job_id=job, snapshot="boot",
                              nonce=NONCE, **options)
        assert guest.vsm_status()["state"] == "idle"
    kept = guest.qmp.command("query-vsm-report", job_id=job)
    assert kept == first.raw
    assert guest.rollback("boot").result == "match"


@pytest.mark.in_process("without the object there is no attester")
def test_each_command_without_the_object_names_it(machines):
    guest = machines.new(object="").start(boot=False)
    request = {"job_id": "none", "snapshot": "boot", "nonce": NONCE}
    for command, arguments in (
            ("query-vsm", {}), ("query-vsm-snapshots", {}),
            ("query-vsm-report", {"job_id": "none"}),
            ("vsm-attest", request | {"scope": "full"}),
            ("vsm-attest", request | {"scope": "runtime"}),
            ("vsm-verify", request), ("vsm-rollback", request),
            ("vsm-watch", {"snapshot": "boot", "seconds": 60})):
        with pytest.raises(QmpError, match="-object vm-snapshot-manager"):
            guest.qmp.command(command, **arguments)
    assert guest.qmp.command("query-jobs") == []
