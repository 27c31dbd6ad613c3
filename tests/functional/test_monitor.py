"""While a job runs the monitors live, and what would disturb it is refused.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re
import threading
import time

import pytest

from vsmtest import wait
from vsmtest.guest import Config, Guest
from vsmtest.proxy import UNSEAL
from vsmtest.qmp import QmpError
from vsmtest.vsm import Refused

pytestmark = pytest.mark.full_with_daemon(
    "QEMU's monitors and guards are the same")

RAM_MIB = 768


@pytest.fixture(scope="module")
def big_machine(attester):
    """RAM that is full of something, so that hashing takes a while."""
    del attester    # one in each mode
    guest = Guest(Config(memory_mib=RAM_MIB, machine_options=(
        "memory-backend=ram0"), devices=("virtio-net",),
                         options="pause-percent=0"))
    fill = guest.home / "ram"
    with open(fill, "wb") as file:
        for number in range(RAM_MIB):
            file.write(number.to_bytes(2, "big") * (1 << 19))
    guest.config.extra = (
        "-object", f"memory-backend-file,id=ram0,size={RAM_MIB}M,"
        f"mem-path={fill},share=off",
        "-device", "pcie-root-port,id=port0,chassis=1",
        "-device", "pcie-root-port,id=port1,chassis=2",
        "-device", "virtio-rng-pci,id=rng9,bus=port1")
    try:
        guest.start()
        guest.savevm("big")
        yield guest
    finally:
        guest.cleanup()


@pytest.fixture
def big(big_machine):
    """The machine, running, nothing under way."""
    assert big_machine.vsm_status()["state"] == "idle"
    big_machine.qmp.events.clear()
    yield big_machine


def paused_by_attest(guest):
    """Starts an attestation and waits until it paused the guest."""
    job = guest.start_vsm("vsm-attest", "big")
    guest.qmp.event("STOP")
    return job


def ends_well(guest, job):
    """The attestation ends with an answer, the guest runs on."""
    assert guest.finish_vsm(*job).result == "mismatch"
    assert guest.status() == "running"
    assert guest.serial.ask("ping") == ""


def answers_quickly(monitor):
    """query-status, and how long it took."""
    begin = time.monotonic()
    monitor.command("query-status")
    return time.monotonic() - begin


def test_both_monitors_answer_while_ram_is_hashed(big):
    job = paused_by_attest(big)
    times = []
    begin = time.monotonic()
    while not big.qmp.seen("RESUME") and len(times) < 1000:
        times += [answers_quickly(big.qmp), answers_quickly(big.qmp2)]
    took = time.monotonic() - begin
    assert len(times) >= 6, "the job was over before anything was asked"
    assert max(times) < took / 2
    ends_well(big, job)


# Each names the job that is in the way.
HELD = "must stay stopped while it is measured \\(attest of 'big'\\)"
BLOCKED = "being attested \\(attest of 'big'\\)"
BUSY = "busy \\(attest of 'big'\\); try again"
JOB = {"job-id": "second", "snapshot": "big",
       "nonce": "AAECAwQFBgcICQoLDA0ODw"}


@pytest.mark.parametrize("command, arguments, why", [
    ("cont", {}, HELD),
    ("stop", {}, HELD),       # it would run on at the job's end
    ("migrate", {"uri": "exec:cat >/dev/null"}, BLOCKED),
    ("device_add", {"driver": "virtio-rng-pci", "bus": "port0",
                    "id": "late"}, BUSY),
    ("vsm-attest", JOB | {"scope": "full"}, BUSY),
    ("vsm-verify", JOB, BUSY),
    ("vsm-rollback", JOB, BUSY),
    ("object-del", {"id": "vsm0"}, "'vsm0' is in use"),
], ids=["cont", "stop", "migrate", "device_add", "vsm-attest", "vsm-verify",
        "vsm-rollback", "object-del"])
def test_command_is_refused_while_ram_is_hashed(big, command, arguments, why):
    job = paused_by_attest(big)
    with pytest.raises(QmpError, match=why):
        big.qmp2.command(command, **{key.replace("-", "_"): value
                                     for key, value in arguments.items()})
    assert big.qmp.seen("RESUME") == [], "refused too late to count"
    ends_well(big, job)
    assert big.qmp.job("second") is None


@pytest.mark.parametrize("line, why", [
    ("savevm late", BLOCKED), ("loadvm big", BUSY), ("delvm big", BUSY),
    ("cont", HELD), ("stop", HELD)], ids=lambda text: text.split()[0])
def test_human_command_is_refused_while_ram_is_hashed(big, line, why):
    job = paused_by_attest(big)
    text = big.qmp2.hmp(line)
    assert re.match(f"Error: .*{why}", text), text
    ends_well(big, job)
    assert big.vsm_tags() == ["big"]


@pytest.mark.parametrize("command, why", [
    ("snapshot-save", BLOCKED), ("snapshot-load", BUSY),
    ("snapshot-delete", BUSY)], ids=["save", "load", "delete"])
def test_snapshot_job_is_refused_while_ram_is_hashed(big, command, why):
    job = paused_by_attest(big)
    arguments = {"job_id": "late", "tag": "big", "devices": ["disk0"]}
    if command != "snapshot-delete":
        arguments["vmstate"] = "disk0"
    big.qmp2.command(command, **arguments)
    with pytest.raises(QmpError, match=why):
        big.qmp2.finish_job("late")
    ends_well(big, job)
    assert big.vsm_tags() == ["big"]


def test_unplug_is_refused_while_ram_is_hashed(big):
    job = paused_by_attest(big)
    with pytest.raises(QmpError, match="(?i)attest"):
        big.qmp2.command("device_del", id="rng9")
    ends_well(big, job)


def test_gdb_cannot_let_the_guest_run_while_ram_is_hashed(big):
    """It asks nobody and starts the vCPUs by itself."""
    gdb = big.gdb()
    gdb.packet("?")             # the guest has stopped
    big.loadvm("big")
    big.qmp.events.clear()
    job = until_it_hashes(big, big.start_vsm("vsm-attest", "big"))
    for packet in ("c", "vCont;c"):
        gdb.send(packet)
    still_hashes(big, job)
    assert big.status() == "paused"
    answer = big.finish_vsm(*job)
    assert (answer.result, answer.findings) == ("match", [])
    assert big.qmp.seen("RESUME") == []
    assert big.status() == "paused"
    assert len(re.findall(HELD, big.stderr())) == 2
    gdb.close()
    big.cont()
    assert big.serial.ask("ping") == ""


def test_reset_while_ram_is_hashed_fails_the_job_and_the_guest_boots(big):
    try:
        job = paused_by_attest(big)
        big.qmp2.command("system_reset")
        with pytest.raises(Refused, match="reset"):
            big.finish_vsm(*job)
        assert big.status() == "running"
    finally:
        big.restart(loadvm="big")
        big.serial.ask("ping")


def until_it_hashes(guest, job):
    wait.until("the job hashes", lambda: guest.qmp.job(job[0])
               ["total-progress"] > 1 << 20, step=0)
    return job


def begun(guest, command):
    """Starts a job and waits until it hashes."""
    if command == "vsm-attest":
        return paused_by_attest(guest)
    return until_it_hashes(guest, guest.start_vsm(command, "big"))


def still_hashes(guest, job):
    """What came before came in time to count; the guest was not touched."""
    assert guest.qmp.job(job[0])["status"] == "running"
    assert guest.qmp.seen("STOP") == guest.qmp.seen("RESUME") == []


# While what is stored is verified: what the guest's state does not forbid
REQUESTS = [
    ("vsm-attest", JOB | {"scope": "full"}),
    ("vsm-attest", JOB | {"scope": "runtime"}),
    ("vsm-verify", JOB),
    ("vsm-rollback", JOB),
    ("vsm-watch", {"snapshot": "big", "seconds": 60}),
    ("human-monitor-command", {"command-line": "savevm late"}),
    ("human-monitor-command", {"command-line": "loadvm big"}),
    ("human-monitor-command", {"command-line": "delvm big"}),
    ("device_add", {"driver": "virtio-rng-pci", "bus": "port0",
                    "id": "late"}),
    ("device_del", {"id": "rng9"}),
    ("blockdev-snapshot-delete-internal-sync", {"device": "disk0",
                                                "name": "big"}),
]
SNAPSHOT_JOBS = [
    ("snapshot-save", {"tag": "late", "vmstate": "disk0"}),
    ("snapshot-load", {"tag": "big", "vmstate": "disk0"}),
    ("snapshot-delete", {"tag": "big"}),
]


def refusal_of(monitor, command, arguments):
    """Why the command, or its job, is refused."""
    try:
        text = monitor.command(command, **arguments)
        if "job-id" in arguments:
            monitor.finish_job(arguments["job-id"])
    except QmpError as error:
        return error.text
    return text


@pytest.mark.parametrize("command", ["vsm-verify", "vsm-rollback"])
def test_all_else_is_refused_while_the_stored_snapshot_is_verified(big,
                                                                   command):
    """A rollback's first pass is no different."""
    job = begun(big, command)
    operation = command.removeprefix("vsm-")
    for request, arguments in REQUESTS + [
            (name, {"job-id": "late", "devices": ["disk0"]} | arguments)
            for name, arguments in SNAPSHOT_JOBS]:
        assert re.search(f"busy .({operation} of 'big'|attest|load).; try "
                         "again", refusal_of(big.qmp2, request, arguments))
    assert "'vsm0' is in use" in refusal_of(big.qmp2, "object-del",
                                            {"id": "vsm0"})
    still_hashes(big, job)
    assert big.finish_vsm(*job).result == "match"
    assert big.qmp.job("second") is big.qmp.job("late") is None
    assert big.qcow2_tags() == big.vsm_tags() == ["big"]
    assert big.status() == "running"


@pytest.mark.parametrize("command",
                         ["vsm-attest", "vsm-verify", "vsm-rollback"])
def test_cancel_ends_the_job_and_the_guest_runs_on(big, command):
    """A rollback in its first pass has not touched the guest yet."""
    big.serial.ask("mem changed")
    job = begun(big, command)
    big.qmp2.command("job-cancel", id=job[0])
    with pytest.raises(Refused) as caught:
        big.finish_vsm(*job)
    assert caught.value.code == "cancelled"
    assert not caught.value.vm_changed
    wait.until("end of the job", lambda: big.vsm_status()["state"] == "idle")
    assert big.status() == "running"
    assert big.serial.ask("memget") == "changed"
    if command != "vsm-attest":
        assert big.qmp.seen("STOP") == []
    with pytest.raises(QmpError, match=job[0]):
        big.qmp.command("query-vsm-report", job_id=job[0])


def test_cancel_of_a_rollback_comes_too_late_once_it_loads(big):
    """Half a load would be worse: it goes on to its end."""
    big.serial.ask("mem changed")
    job = big.start_vsm("vsm-rollback", "big")
    big.qmp.event("STOP")
    big.qmp2.send("job-cancel", {"id": job[0]})
    assert big.finish_vsm(*job).result == "match"
    try:
        big.qmp2.answer()
    except QmpError as error:       # it has ended already
        assert "'concluded' cannot accept" in error.text
    wait.until("end of the job", lambda: big.qmp.job(job[0])["status"] ==
               "concluded")
    assert "error" not in big.qmp.job(job[0])
    assert big.status() == "running"
    assert big.serial.ask("memget") == ""


def test_stop_and_cont_count_in_the_first_pass_of_a_rollback(big):
    """Afterwards the guest is as it was when the load began."""
    for command, status in (("stop", "paused"), ("cont", "running")):
        job = begun(big, "vsm-rollback")
        big.qmp2.command(command)
        assert big.qmp.job(job[0])["status"] == "running", "came too late"
        assert big.status() == status
        assert big.finish_vsm(*job).result == "match"
        assert big.status() == status
    assert big.serial.ask("ping") == ""


@pytest.mark.parametrize("command",
                         ["vsm-attest", "vsm-verify", "vsm-rollback"])
def test_progress_grows_to_the_end(big, command):
    job = big.start_vsm(command, "big")
    seen = []
    while True:
        entry = big.qmp.job(job[0])
        if not entry or entry["status"] == "concluded":
            break
        if entry["total-progress"]:
            seen.append(entry["current-progress"] / entry["total-progress"])
    assert big.finish_vsm(*job).result == (
        "mismatch" if command == "vsm-attest" else "match")
    assert len(set(seen)) >= 3, seen
    assert seen == sorted(seen)
    assert 0 <= seen[0] < seen[-1] <= 1


def test_progress_of_a_save_is_told(big):
    """Nobody can ask for it: QEMU answers nothing else meanwhile."""
    big.qmp2.seen("VSM_PROGRESS")
    big.qmp2.events.clear()
    big.savevm("again")
    told = big.qmp2.seen("VSM_PROGRESS")
    big.delvm("again")
    assert told
    assert {(each["operation"], each["snapshot"]) for each in told} == {
        ("save", "again")}
    done = [each["done"] for each in told]
    assert done == sorted(done)
    assert 0 < done[0] and done[-1] <= told[0]["total"]
    assert told[0]["total"] >= RAM_MIB << 20


def test_guest_runs_while_the_stored_snapshot_is_verified(big):
    job = big.start_vsm("vsm-verify", "big")
    answers_quickly(big.qmp)
    answers_quickly(big.qmp2)
    assert big.qmp.job(job[0])["status"] == "running", "answered too late"
    assert big.status() == "running"
    big.serial.ask("ping", timeout=5)
    assert big.finish_vsm(*job).result == "match"
    assert big.qmp.seen("STOP") == []


def test_pause_is_reported_and_real(big):
    answer = big.attest("big")
    assert 0 < answer.verdict["pause-ms"] < 60000
    assert answer.verdict["bytes-hashed"] >= RAM_MIB << 20


def quits(big, quit_now):
    """An orderly end, which leaves a good snapshot; starts it again."""
    quit_now()
    assert big.wait_exit(30) == 0
    big.start(loadvm="big")
    assert big.vsm_tags() == ["big"]
    assert big.serial.ask("ping") == ""


@pytest.mark.parametrize("command",
                         ["vsm-attest", "vsm-verify", "vsm-rollback"])
def test_quit_while_a_job_hashes_ends_qemu(big, command):
    job = begun(big, command)
    assert big.qmp.job(job[0])["status"] == "running"
    quits(big, lambda: big.qmp2.command("quit"))


def test_quit_while_a_rollback_loads_ends_qemu_after_it(big):
    big.start_vsm("vsm-rollback", "big")
    big.qmp.event("STOP")
    quits(big, lambda: big.qmp2.send("quit"))


def load(guest, how, tag):
    """Loads as asked for, from a monitor of its own, or by vsm-rollback."""
    if how == "vsm-rollback":
        return guest.rollback(tag)
    return getattr(guest, how)(tag)


@pytest.mark.parametrize("how", ["vsm-rollback", "loadvm", "snapshot_load"])
def test_storage_changed_between_the_two_passes(big_machine, how):
    """What passed the check and changed before the load is not run.

    The first pass ends before the guest is stopped; the flip comes while
    the second reads on from the start.
    """
    image = big_machine.image
    offset = image.entry("big").vmstate_bytes * 9 // 10
    at = image.vmstate_at(image.entry("big"), offset)
    old = image.read(at, 1)
    big_machine.cont()
    for monitor in (big_machine.qmp, big_machine.qmp2):
        monitor.seen("STOP")
        monitor.events.clear()

    def flip():
        big_machine.qmp2.event("STOP")
        image.write(at, bytes([old[0] ^ 1]))

    flipper = threading.Thread(target=flip)
    flipper.start()
    with pytest.raises(QmpError, match="changed after it was verified.*VM and "
                                       "disks have changed already, and the "
                                       "VM stays stopped"):
        load(big_machine, how, "big")
    flipper.join()
    image.write(at, old)
    if how != "vsm-rollback":
        refusal = big_machine.qmp.event("VSM_REFUSED")
        assert refusal["code"] == "tampered"
        assert refusal["vm-changed"]
    assert big_machine.status() == "internal-error"
    with pytest.raises(QmpError):
        big_machine.cont()
    assert "Error" in big_machine.hmp("cont")
    assert big_machine.status() == "internal-error"
    big_machine.restart(loadvm="big")
    assert big_machine.serial.ask("ping") == ""


def test_running_migration_keeps_every_load_out(guest):
    """Also one that begins while a rollback is still in its checks."""
    guest.serial.ask("mem changed")
    came, go = guest.tpm.proxy.stall(UNSEAL)
    job = guest.start_vsm("vsm-rollback", "boot")
    assert came.wait(30)
    guest.qmp2.command("migrate-set-parameters", max_bandwidth=65536)
    guest.qmp2.command("migrate", uri="exec:cat >/dev/null")
    wait.until("the migration", lambda: guest.qmp2.command("query-migrate")
               ["status"] == "active")
    go.set()
    running = "A migration is running; load .* after it"
    with pytest.raises(Refused, match=running) as caught:
        guest.finish_vsm(*job)
    assert caught.value.code == "busy"
    assert not caught.value.vm_changed
    for load in (guest.loadvm, guest.snapshot_load):
        with pytest.raises(QmpError, match=running):
            load("boot")
    assert guest.status() == "running"
    assert guest.serial.ask("memget") == "changed"
    guest.qmp2.command("migrate_cancel")
    wait.until("its end", lambda: guest.qmp2.command("query-migrate")
               ["status"] == "cancelled")
    assert guest.rollback("boot").result == "match"


# The TPM is slow

def test_monitors_answer_while_the_tpm_does_not(guest):
    guest.tpm.proxy.hold()
    job = guest.start_vsm("vsm-attest", "boot")
    for _ in range(20):
        # Without an answer of the TPM nothing else would end the wait.
        assert answers_quickly(guest.qmp) < 5
        assert answers_quickly(guest.qmp2) < 5
        time.sleep(0.05)
    assert guest.status() == "running"
    assert guest.serial.ask("ping") == ""
    guest.tpm.proxy.release()
    assert guest.finish_vsm(*job).result == "mismatch"


def test_monitors_answer_soon_after_a_question_that_the_tpm_lets_wait(guest):
    """All QMP monitors share what runs their commands."""
    guest.tpm.proxy.hold()
    begin = time.monotonic()
    guest.qmp2.send("query-vsm")
    assert answers_quickly(guest.qmp) < 20
    with pytest.raises(QmpError, match="not answered for 10 s.*see to the TPM"):
        guest.qmp2.answer()
    assert guest.vsm_tags() == ["boot"]         # needs no TPM
    assert guest.serial.ask("ping") == ""       # the guest runs on
    assert time.monotonic() - begin < 40, "the deadline of a request is 60 s"
    guest.tpm.proxy.release()
    assert guest.vsm_status()["state"] == "idle"
    assert guest.vsm_tags() == ["boot"]


def test_quit_while_the_tpm_does_not_answer(guest):
    guest.tpm.proxy.hold()
    guest.start_vsm("vsm-attest", "boot")
    guest.qmp2.command("quit")
    assert guest.wait_exit(30) == 0


def test_cancel_ends_a_rollback_that_waits_for_the_tpm(guest):
    guest.serial.ask("mem changed")
    came, go = guest.tpm.proxy.stall(UNSEAL)
    job = guest.start_vsm("vsm-rollback", "boot")
    assert came.wait(30)
    guest.qmp2.command("job-cancel", id=job[0])
    try:
        with pytest.raises(Refused) as caught:
            guest.finish_vsm(*job, timeout=10)
    finally:
        go.set()
    assert caught.value.code == "cancelled"
    assert guest.serial.ask("memget") == "changed"
    assert guest.rollback("boot").result == "match"
