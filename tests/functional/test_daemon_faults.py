"""A daemon that dies, hangs or restarts costs the request, no more.

Each fault comes in the middle of a request: the relay before the TPM calls it
at a command that only this request sends.  QEMU is never restarted.  (The same
for each message by itself: tests/unit/test-remote.c.)

SPDX-License-Identifier: GPL-2.0-or-later
"""
import random
import re
import threading
import time

import pytest

from vsmtest import proxy, wait
from vsmtest.guest import Exited
from vsmtest.qmp import Closed, QmpError
from vsmtest.vsm import Refused

pytestmark = pytest.mark.daemon_only

REQUEST_MS = 3000
DECIDE = 10         # seconds for which a lost commit is asked for
SPARE = 15          # seconds for all else, on a busy machine

LOST = r"(?i)attester at /.*(connection|connect|closed)"
HANGS = rf"(?i)did not answer within {REQUEST_MS} ms"

# request: (TPM command that it sends, how manieth, what asks for it)
BEFORE_COMMIT = {
    "seal_begin": (proxy.CREATE, 1, "savevm"),
    "seal_finish": (proxy.CREATE, 2, "savevm"),
    "check_begin": (proxy.UNSEAL, 1, "attest"),
    "check_begin of a load": (proxy.UNSEAL, 1, "loadvm"),
    "check_finish": (proxy.SIGN, 1, "attest"),
}
COMMITS = {
    "commit, not yet certified": (proxy.NV_CERTIFY, 1, "savevm"),
    "commit": (proxy.NV_EXTEND, 1, "savevm"),
    "remove": (proxy.NV_EXTEND, 1, "delvm"),
}


@pytest.fixture
def vm(machines, golden):
    """As guest, with a short deadline."""
    guest = machines.copy(golden, options=f"request-ms={REQUEST_MS}")
    guest.start(loadvm="boot")
    guest.serial.ask("ping")
    return guest


def revive(vm):
    """A new vsmd in place of the one that was killed."""
    vm.daemon.kill()
    vm.start_daemon()
    vm.daemon.register(vm.config.uuid, vm.pid())


def act(vm, what):
    """savevm makes "new", the others take "boot"."""
    return getattr(vm, what)("new" if what == "savevm" else "boot")


def runs_on(vm):
    assert vm.status() == "running"
    assert vm.serial.ask("memget") == "golden"


def works(vm):
    """All that there is, with the same QEMU; disks and catalogue agree."""
    vm.savevm("after")
    tags = vm.vsm_tags()
    assert sorted(vm.qcow2_tags()) == tags
    for tag in tags:
        assert vm.verify(tag).result == "match"
    assert vm.attest("after").result == "mismatch"
    assert vm.rollback("after").result == "match"
    vm.delvm("after")
    runs_on(vm)
    return [tag for tag in tags if tag != "after"]


def test_whole_life_of_a_snapshot_through_the_daemon(vm):
    status = vm.vsm_status()
    assert status["attester"] == "daemon"
    vm.savevm("new")
    vm.stop()
    assert vm.attest("new").result == "mismatch"
    vm.loadvm("new")
    vm.stop()
    answer = vm.attest("new")
    assert answer.result == "match"
    assert answer.claims["attester"] == "daemon"
    assert answer.claims["hypervisor_measured_by"] != "self"
    vm.cont()
    assert works(vm) == ["boot", "new"]
    vm.delvm("new")
    assert vm.vsm_tags() == vm.qcow2_tags() == ["boot"]


def test_restarted_daemon_is_used_without_a_word(vm):
    revive(vm)
    assert works(vm) == ["boot"]


def test_absent_daemon_refuses_everything_and_the_guest_runs_on(vm):
    vm.daemon.kill()
    for what in ("savevm", "loadvm", "delvm", "attest", "verify", "rollback"):
        begin = time.monotonic()
        with pytest.raises(QmpError, match=r"(?s)vsmd\.sock.*start vsmd"):
            act(vm, what)
        assert time.monotonic() - begin < SPARE
        runs_on(vm)
    assert vm.qcow2_tags() == ["boot"]
    revive(vm)
    assert works(vm) == ["boot"]


@pytest.mark.parametrize("request_name", BEFORE_COMMIT)
def test_daemon_killed_in_the_middle_of(vm, request_name):
    code, count, what = BEFORE_COMMIT[request_name]
    vm.tpm.proxy.act(code, vm.daemon.kill, count)
    begin = time.monotonic()
    with pytest.raises(QmpError, match=LOST):
        act(vm, what)
    assert time.monotonic() - begin < SPARE
    wait.until("vsmd's end", lambda: not vm.daemon.running(), timeout=10)
    runs_on(vm)
    assert vm.qcow2_tags() == ["boot"]
    revive(vm)
    assert works(vm) == ["boot"]


@pytest.mark.parametrize("request_name", BEFORE_COMMIT)
def test_daemon_stopped_in_the_middle_of(vm, request_name):
    code, count, what = BEFORE_COMMIT[request_name]
    vm.tpm.proxy.act(code, vm.daemon.freeze, count)
    begin = time.monotonic()
    with pytest.raises(QmpError, match=HANGS):
        act(vm, what)
    assert time.monotonic() - begin < 2 * REQUEST_MS / 1000 + SPARE
    runs_on(vm)
    assert vm.qcow2_tags() == ["boot"]
    vm.daemon.thaw()
    assert works(vm) == ["boot"]


@pytest.mark.parametrize("request_name", COMMITS)
def test_daemon_killed_before_the_commit(vm, request_name):
    """The TPM never saw it: a new daemon says so, and nothing changed."""
    code, count, what = COMMITS[request_name]

    def die():
        vm.daemon.kill()
        threading.Thread(target=revive, args=(vm,)).start()
        return True

    vm.tpm.proxy.act(code, die, count)
    with pytest.raises(QmpError, match=LOST):
        act(vm, what)
    runs_on(vm)
    assert vm.qcow2_tags() == ["boot"]
    assert works(vm) == ["boot"]


@pytest.mark.parametrize("request_name", ["commit", "remove"])
def test_daemon_killed_after_the_commit(vm, request_name):
    """Its answer is lost: a new daemon says that it happened."""
    code, count, what = COMMITS[request_name]

    def die():
        vm.daemon.kill()
        threading.Thread(target=revive, args=(vm,)).start()

    vm.tpm.proxy.act(code, die, count, after=True)
    act(vm, what)
    runs_on(vm)
    wanted = ["boot", "new"] if what == "savevm" else []
    assert sorted(vm.qcow2_tags()) == vm.vsm_tags() == wanted
    assert works(vm) == wanted


@pytest.mark.parametrize("request_name", ["commit", "remove"])
def test_daemon_stopped_in_the_commit_leaves_it_in_doubt(vm, request_name):
    """Nothing is touched until it can be asked; then it is as it says."""
    code, count, what = COMMITS[request_name]
    vm.tpm.proxy.act(code, vm.daemon.freeze, count)
    begin = time.monotonic()
    with pytest.raises(QmpError, match="cannot be told"):
        act(vm, what)
    assert time.monotonic() - begin < REQUEST_MS / 1000 + DECIDE + SPARE
    runs_on(vm)
    assert sorted(vm.qcow2_tags()) == (
        ["boot", "new"] if what == "savevm" else ["boot"])
    vm.daemon.thaw()
    assert works(vm) == (["boot", "new"] if what == "savevm" else [])


@pytest.mark.parametrize("line, other", [("savevm new", ["boot", "new"]),
                                         ("delvm boot", [])])
def test_daemon_outlives_its_qemu_in_a_commit(vm, line, other):
    """It may go on to the commit; the next QEMU and its disk agree with it."""
    vm.tpm.proxy.act(proxy.NV_CERTIFY, vm.kill_process, 1, True)
    with pytest.raises((Closed, OSError)):
        vm.qmp.hmp(line)
    vm.wait_exit()
    vm.start(boot=False)
    tags = vm.vsm_tags()
    assert tags in (["boot"], other)
    assert sorted(vm.qcow2_tags()) == tags
    assert vm.vsm_status()["debris"] == []


def pages_of_btf(guest, count):
    """Physical addresses of pages of the kernel's read-only data that it can
    do without."""
    text = guest.serial.ask("sh grep -w -e __start_BTF -e __start_rodata "
                            "/proc/kallsyms").split()
    symbols = {name: int(address, 16)
               for address, name in zip(text[::3], text[2::3])}
    begin = int(guest.serial.ask("sh grep rodata /proc/iomem").split("-")[0],
                16)
    first = begin + symbols["__start_BTF"] - symbols["__start_rodata"]
    return [(first | 0xfff) + 1 + 4096 * number for number in range(count)]


def test_daemon_stopped_after_the_look_costs_one_deadline(machines):
    """Not one for each page whose old bytes would be shown."""
    guest = machines.clean(options=f"request-ms={REQUEST_MS}")
    pages = pages_of_btf(guest, 24)
    guest.stop()
    gdb = guest.gdb()
    for address in pages:
        gdb.flip_byte(address + 16)
    gdb.close()
    guest.cont()
    guest.qmp.events.clear()
    asked = guest.start_vsm("vsm-attest", "clean", scope="runtime")
    guest.qmp.event("STOP")
    guest.daemon.freeze()
    begin = time.monotonic()
    with pytest.raises(Refused, match=rf"{HANGS}|attester at .* was lost"):
        guest.finish_vsm(*asked)
    assert time.monotonic() - begin < 2 * REQUEST_MS / 1000 + SPARE
    assert guest.status() == "running"
    guest.daemon.thaw()
    answer = guest.attest_runtime("clean")
    assert len(answer.findings) == len(pages)


def test_daemon_killed_at_any_time(vm):
    """Puts and gets among them: a save is sealed or absent, never half."""
    rand = random.Random(4)
    for number in range(6):
        killer = threading.Timer(rand.uniform(0.05, 1.5), vm.daemon.kill)
        killer.start()
        try:
            if number % 2:
                vm.attest("boot")
            else:
                vm.savevm(f"new{number}")
        except QmpError as error:
            assert re.search(r"vsmd\.sock|attester", error.text), error.text
        killer.join()
        assert vm.status() == "running"
        revive(vm)
        vm.savevm("after")          # settles what was left behind
        assert sorted(vm.qcow2_tags()) == vm.vsm_tags()
    works(vm)


@pytest.mark.parametrize("name", [
    "tcti=swtpm:path=/x", "state-dir=/x", "secret=/x", "operator-key=/x",
    "pcrs=0-7", "allow-unmeasured-boot=on", "nv-burst=1", "nv-interval-ms=1"])
def test_properties_of_the_daemon_are_refused_on_the_object(machines, name):
    guest = machines.new(attester="in-process", object="")
    guest.config.extra = ("-object", "vm-snapshot-manager,id=vsm0,"
                          f"attester=unix:/nonexistent/vsmd.sock,{name}")
    with pytest.raises(Exited, match=f"'{name.partition('=')[0]}' belongs to "
                                     "vsmd"):
        guest.start()


@pytest.mark.parametrize("address", ["/run/vsmd.sock", "unix:vsmd.sock",
                                     "tcp:localhost:1"])
def test_address_of_another_form_is_refused(machines, address):
    guest = machines.new(attester="in-process", object="")
    guest.config.extra = ("-object", "vm-snapshot-manager,id=vsm0,"
                          f"attester={address}")
    with pytest.raises(Exited, match="must be unix:PATH"):
        guest.start()


def test_qemu_does_not_start_without_its_daemon(machines):
    guest = machines.new(attester="in-process", object="")
    guest.config.extra = ("-object", "vm-snapshot-manager,id=vsm0,"
                          "attester=unix:/nonexistent/vsmd.sock")
    with pytest.raises(Exited, match="/nonexistent/vsmd.sock.*start vsmd"):
        guest.start()


def test_refusal_of_the_daemon_reaches_the_user(vm):
    """A VM that root no longer knows."""
    vm.daemon.ctl("vm", "unregister", vm.config.uuid, check=0)
    vm.daemon.kill()
    vm.start_daemon()
    with pytest.raises(Refused) as caught:
        vm.attest("boot")
    assert caught.value.code == "denied"
    runs_on(vm)
    vm.daemon.register(vm.config.uuid, vm.pid())
    assert works(vm) == ["boot"]


def test_vm_that_root_unregisters_is_told_so_and_runs_on(vm):
    """Root ends its connection, which is not taken for a fault."""
    assert vm.attest("boot").result == "mismatch"
    vm.daemon.ctl("vm", "unregister", vm.config.uuid, check=0)
    for what in ("attest", "savevm", "rollback"):
        with pytest.raises(QmpError, match="(?i)regist"):
            act(vm, what)
        runs_on(vm)
    vm.daemon.register(vm.config.uuid, vm.pid())
    assert works(vm) == ["boot"]


# QEMU's own connections

def test_character_device_does_not_speak_for_the_hypervisor(vm):
    """It would be the guest that speaks, in the name of QEMU's process."""
    for path in (vm.daemon.socket, vm.daemon.admin):
        address = {"type": "unix", "data": {"path": str(path)}}
        with pytest.raises(QmpError, match="(?i)wrong type for socket"):
            vm.qmp.command("chardev-add", id="late", backend={
                "type": "socket", "data": {"addr": address, "server": False}})
        vm.qmp.command("migrate", uri=f"unix:{path}")
        wait.until("the migration's end", lambda: vm.qmp.command(
            "query-migrate")["status"] == "failed")
    assert vm.attest("boot").result == "mismatch"
