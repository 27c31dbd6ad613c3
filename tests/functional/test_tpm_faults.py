"""A host TPM that is absent, hung or lying costs the operation, no more.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import hashlib
import time

import pytest

from vsmtest import proxy
from vsmtest.guest import Exited
from vsmtest.intact import same_disks
from vsmtest.qmp import QmpError
from vsmtest.vsm import Refused

DEADLINE = 45       # seconds: more than a request may take
HURRY_MS = 3000


def runs_on(guest):
    assert guest.status() == "running"
    assert guest.serial.ask("memget") == "golden"
    assert guest.qcow2_tags() == ["boot"]


def works_again(guest):
    assert guest.vsm_tags() == ["boot"]
    assert guest.attest("boot").result == "mismatch"
    guest.savevm("after")
    assert guest.rollback("boot").result == "match"
    assert guest.serial.ask("memget") == "golden"


ABSENT = "the TPM at 'swtpm:path=.*' cannot be reached.*; start it"
HANGS = ("the TPM at 'swtpm:path=.*' did not answer within .*; "
         "see whether it hangs")
FAILURE = 0x101     # what a TPM answers that cannot do it
FAILED = "cannot .*: TPM: .*0x101"


def refused(guest, action, snapshot, text):
    """Does it, expects that text; the code of VSM_REFUSED."""
    with pytest.raises(QmpError, match=text) as caught:
        action(snapshot)
    if isinstance(caught.value, Refused):
        assert not caught.value.vm_changed
        return caught.value.code
    refusal = guest.qmp.event("VSM_REFUSED")
    assert not refusal["vm-changed"]
    return refusal["code"]


def each_operation_is_refused(guest, code, text):
    with same_disks(guest):
        for action in (guest.attest, guest.verify, guest.rollback,
                       guest.savevm, guest.loadvm, guest.snapshot_load,
                       guest.delvm):
            begin = time.monotonic()
            assert refused(guest, action, "boot", text) == code, action
            assert time.monotonic() - begin < DEADLINE
            runs_on(guest)


def start_is_refused(guest, text):
    """A new QEMU; the daemon, if there is one, stays."""
    guest.qmp.command("quit")
    guest.wait_exit()
    with same_disks(guest), pytest.raises(Exited, match=text):
        guest.start(loadvm="boot")


def test_killed_tpm_refuses_everything_and_comes_back(guest):
    old = guest.vsm_snapshot("boot")
    guest.tpm.kill()
    each_operation_is_refused(guest, "tpm-absent", ABSENT)
    guest.tpm.start()
    assert guest.vsm_snapshot("boot") == old
    works_again(guest)


def test_stopped_tpm_times_out_and_the_guest_runs_on(guest):
    guest.tpm.freeze()
    begin = time.monotonic()
    with pytest.raises(Refused) as caught:
        guest.attest("boot")
    assert time.monotonic() - begin < DEADLINE
    assert caught.value.code == "timeout"
    runs_on(guest)
    guest.tpm.thaw()
    works_again(guest)


@pytest.fixture
def hurried(machines, golden):
    """As guest, with an attester that soon stops waiting for the TPM."""
    option = "command-timeout-ms" if golden.daemon else "request-ms"
    guest = machines.copy(golden, options=f"{option}={HURRY_MS}")
    guest.start(loadvm="boot")
    guest.serial.ask("ping")
    return guest


def test_stopped_tpm_refuses_everything_and_comes_back(hurried):
    old = hurried.vsm_snapshot("boot")
    hurried.tpm.freeze()
    each_operation_is_refused(hurried, "timeout", HANGS)
    hurried.tpm.thaw()
    assert hurried.vsm_snapshot("boot") == old
    works_again(hurried)


def test_stopped_tpm_refuses_the_loadvm_option(hurried):
    hurried.tpm.freeze()
    start_is_refused(hurried, HANGS)
    hurried.tpm.thaw()
    hurried.start(loadvm="boot")
    works_again(hurried)


def test_killed_tpm_refuses_the_loadvm_option(guest):
    guest.tpm.proxy.stop()      # which start() would not start again
    start_is_refused(guest, ABSENT)
    guest.tpm.proxy.start()
    guest.start(loadvm="boot")
    works_again(guest)


def test_connection_cut_between_requests_is_made_again(guest):
    guest.tpm.proxy.cut()
    works_again(guest)


def test_restarted_tpm_with_another_boot_state_refuses(guest):
    guest.tpm.kill()
    guest.tpm.boot[7] = b"\x77" * 48
    guest.tpm.start()
    with pytest.raises(Refused) as caught:
        guest.attest("boot")
    assert caught.value.code == "boot"
    assert "PCR 7" in caught.value.text
    runs_on(guest)


@pytest.mark.parametrize("code", [proxy.CREATE, proxy.NV_CERTIFY,
                                  proxy.NV_EXTEND])
def test_error_of_the_tpm_while_saving(guest, code):
    guest.tpm.proxy.fail(code, FAILURE, times=1000)
    with same_disks(guest):
        assert refused(guest, guest.savevm, "one", FAILED) == "tpm"
    guest.tpm.proxy.fail(code, 0, times=0)
    runs_on(guest)
    works_again(guest)


@pytest.mark.parametrize("code", [proxy.UNSEAL, proxy.QUOTE, proxy.SIGN])
def test_error_of_the_tpm_while_attesting(guest, code):
    guest.tpm.proxy.fail(code, FAILURE, times=1000)
    assert refused(guest, guest.attest, "boot", FAILED) == "tpm"
    guest.tpm.proxy.fail(code, 0, times=0)
    runs_on(guest)
    works_again(guest)


def test_half_a_command_or_answer_costs_the_request_alone(guest):
    """The next one has a connection of its own, to a TPM that is in order."""
    for code in (proxy.PCR_EXTEND, proxy.UNSEAL, proxy.SIGN):
        for what in ("command", "answer"):
            guest.tpm.proxy.halve(code, what)
            with pytest.raises(Refused, match="(?i)tpm"):
                guest.attest("boot")
            runs_on(guest)
    works_again(guest)


def test_busy_answers_of_the_tpm_are_waited_for(paused):
    paused.tpm.proxy.fail(proxy.UNSEAL, 0x922, times=2)       # RC_RETRY
    assert paused.attest("boot").result == "match"


def test_secret_values_never_cross_the_wire_in_clear(guest):
    guest.tpm.proxy.wire = bytearray()
    guest.savevm("one")
    guest.tpm.extend({0: b"\xee" * 48})
    with pytest.raises(Refused):
        guest.attest("one")
    guest.savevm("two")
    guest.tpm.kill()
    guest.tpm.start()
    assert guest.attest("one").result == "mismatch"
    wire = bytes(guest.tpm.proxy.wire)
    assert len(wire) > 1000
    snapshot = guest.vsm_snapshot("one")
    seal = hashlib.sha384(b"VSM-SNAP-1" + bytes.fromhex(snapshot["state"]) +
                          bytes.fromhex(snapshot["stream"]) +
                          bytes.fromhex(snapshot["scope"])).digest()
    assert seal not in wire
    assert guest.secret.read_bytes()[-32:] not in wire


def test_without_a_tpm_qemu_does_not_start(off):
    off.tpm.kill()
    off.create = lambda: off            # leave the TPM off
    with same_disks(off), pytest.raises(Exited, match=ABSENT):
        off.start(loadvm="boot")


def test_another_tpm_is_refused(machines, golden):
    guest = machines.copy(golden)
    for file in (guest.home / "host/nv").iterdir():
        file.unlink()
    with pytest.raises(Exited, match="(?i)tpm"):
        guest.start(loadvm="boot")


def test_unmeasured_boot_is_refused_unless_allowed(machines):
    guest = machines.new()
    guest.tpm.boot = {}
    guest.tpm.start(measure=False)
    with pytest.raises((Exited, QmpError), match="(?i)zero|measure"):
        guest.start(boot=False)
        guest.savevm("one")
    guest.kill()
    guest.config.options = "allow-unmeasured-boot=on"
    guest.start(boot=False)
    guest.savevm("one")
    guest.stop()
    guest.loadvm("one")
    answer = guest.attest("one")
    assert answer.result == "match"
    assert answer.claims["unmeasured_boot"] is True
    assert guest.vsm_status()["boot-measured"] is False


def test_a_fresh_tpm_is_set_up_at_first_use(machines):
    guest = machines.new().start(boot=False)
    assert guest.vsm_snapshots() == []
    status = guest.vsm_status()
    assert status["boot-approved"] and status["boot-measured"]
    assert guest.secret.stat().st_mode & 0o777 == 0o600
    # The daemon's says so, before as many bytes.
    assert guest.secret.stat().st_size == (45 if guest.daemon else 32)
    before = (status["ak"], status["rk"])
    guest.restart(boot=False)
    status = guest.vsm_status()
    assert (status["ak"], status["rk"]) == before
