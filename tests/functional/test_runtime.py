"""A running guest attests match until its kernel is tampered with.

The guest has the module of tests/guest/attack, loaded before the snapshot,
which does and undoes each attack of docs/runtime-scope.md by name.

VSM_LONG=1 makes the campaign full: 100 attestations over 10 minutes for each
kernel and mode.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import time

import pytest

from vsmtest import wait
from vsmtest.guest import KERNEL_LINE, Config
from vsmtest.machines import Machines
from vsmtest.vsm import Refused
from vsmtest.vsmctl import (MATCH, MISMATCH, UNAVAILABLE, UNTRUSTED, vsmctl)

pytestmark = pytest.mark.full_with_daemon(
    "what is measured is the same")

LONG = wait.LONG
CPU4 = ("-cpu", "max,la57=off")
CPU5 = ("-cpu", "max")


# Many looks in a row, each of them long on a busy machine
ANY_SHARE = "pause-percent=0"


# Their point is what is found, which does not depend on who attests.
found_alike = pytest.mark.in_process("judged alike in both modes")


@pytest.fixture(scope="module")
def shared(shelf):
    """One machine for all attacks: each is undone."""
    made = Machines(shelf)
    try:
        yield made.clean(options=ANY_SHARE)
    finally:
        made.end()


@pytest.fixture
def armed(shared):
    """It runs and matches."""
    if shared.status() != "running" or \
            shared.attest_runtime("clean").result != "match":
        shared.rollback("clean")
        shared.cont()
    answer = shared.attest_runtime("clean")
    assert answer.result == "match", answer.findings
    return shared


def kinds(answer):
    """{(kind, class without the register's name)}"""
    return {(finding["kind"], finding["where"].split("/")[0])
            for finding in answer.findings}


def flipped(finding):
    """The bits in which old and new value differ; bytes from the first on."""
    order = "big" if finding["kind"] == "register" else "little"
    old, new = (int.from_bytes(bytes.fromhex(finding[name]), order)
                for name in ("sealed", "measured"))
    return old ^ new


# Promise 4: attacks that are caught.
# attack: (all that is found, the bits that it flips if those are known)
FTRACE = {("traced-function", "kernel-text"), ("static-call", "kernel-text"),
          ("new-exec", "exec-set")}     # a trampoline, and the call of it
CAUGHT = {
    "text-byte": ({("text-bytes", "kernel-text")}, 1),
    "sys-call-table": ({("rodata-bytes", "kernel-rodata")}, None),
    "idt-gate": ({("table-bytes", "tables")}, 1),
    "rodata": ({("rodata-bytes", "kernel-rodata")}, 1),
    "text-rwx": ({("new-wx", "kernel-text")}, None),
    "rodata-writable": ({("ro-lost", "kernel-rodata")}, None),
    "writable-alias": ({("writable-alias", "alias")}, None),
    "module-data-exec": ({("new-wx", "exec-set")}, None),
    "exec-direct-map": ({("new-wx", "exec-set")}, None),
    # the copy is free memory, which the direct map has writable
    "remap": ({("remapped", "kernel-text"), ("writable-alias", "alias")},
              None),
    "private-root": ({("foreign-root", "roots")}, None),
    "lstar": ({("register", "cpu/LSTAR")}, None),
    "smep": ({("register", "cpu/CR4")}, 1 << 20),
    "fmask": ({("register", "cpu/FMASK")}, 1 << 18),
    "ftrace": (FTRACE, None),
    "jump-label-target": ({("text-bytes", "kernel-text")}, None),
    "jump-label-key": ({("jump-label-inconsistent", "kernel-text")}, None),
}
WITH_VALUES = {"text-bytes", "rodata-bytes", "table-bytes", "register"}


@found_alike
@pytest.mark.parametrize("attack", CAUGHT)
def test_runtime_catches(armed, attack):
    """Exactly that is named, with class, address, old and new value; undone,
    the guest matches again."""
    expected, bits = CAUGHT[attack]
    armed.serial.ask(f"attack {attack}")
    answer = armed.attest_runtime("clean")
    armed.serial.ask(f"attack -{attack}")
    assert answer.result == "mismatch"
    assert {(finding["kind"], finding["where"])
            for finding in answer.findings} == expected, answer.findings
    for finding in answer.findings:
        assert int(finding["va"], 16) or finding["kind"] == "register"
        if finding["kind"] in WITH_VALUES:
            assert flipped(finding), finding
        if bits:
            assert flipped(finding) == bits, finding
    again = armed.attest_runtime("clean")
    assert again.result == "match", again.findings


def test_runtime_catches_a_kprobe(armed):
    """Linux keeps a probe's pages when it is gone, so that stays named."""
    armed.serial.ask("attack kprobe")
    probed = armed.attest_runtime("clean")
    armed.serial.ask("attack -kprobe")
    undone = armed.attest_runtime("clean")
    assert kinds(probed) == {("text-bytes", "kernel-text"),
                             ("new-exec", "exec-set")}, probed.findings
    assert kinds(undone) == {("new-exec", "exec-set")}, undone.findings
    armed.rollback("clean")
    assert armed.attest_runtime("clean").result == "match"


def test_finding_names_address_and_old_and_new_byte(armed):
    """The old byte comes from the stored snapshot."""
    line = armed.serial.ask("sh grep ' kernel_halt$' /proc/kallsyms")
    address = int(line.split()[0], 16) + 12
    armed.serial.ask("attack text-byte")
    answer = armed.attest_runtime("clean")
    armed.serial.ask("attack -text-byte")
    [finding] = answer.findings
    assert int(finding["va"], 16) == address
    assert finding["bytes"] == 1
    old, new = int(finding["sealed"], 16), int(finding["measured"], 16)
    assert old ^ new == 1
    [claim] = answer.claims["findings"]
    assert claim["class"] == "kernel-text" and claim["va"] == finding["va"]
    assert (claim["sealed"], claim["measured"]) == (finding["sealed"],
                                                    finding["measured"])


def test_register_of_one_vcpu_is_named(armed):
    armed.serial.ask("attack fmask")
    answer = armed.attest_runtime("clean")
    armed.serial.ask("attack -fmask")
    [finding] = answer.findings
    assert finding["where"] == "cpu/FMASK" and finding["vcpu"] == 1
    assert finding["sealed"] != finding["measured"]


def test_no_execute_switched_off_is_caught(armed):
    """By the gdb stub: the guest would not live to tell."""
    armed.stop()
    gdb = armed.gdb()
    old = gdb.read_register("efer", thread=2)
    gdb.write_register("efer", old & ~(1 << 11), thread=2)
    answer = armed.attest_runtime("clean")
    gdb.write_register("efer", old, thread=2)
    again = armed.attest_runtime("clean")
    gdb.close()
    armed.cont()
    assert ("register", "cpu") in kinds(answer), answer.findings
    assert again.result == "match", again.findings


def test_masked_address_line_is_named(armed):
    """By the port that pulls it: memory is no longer where the tables say."""
    armed.stop()
    old = int(armed.hmp("i /b 0x92").split("=")[1], 0)
    assert old & 2
    armed.hmp(f"o /b 0x92 {old & ~3}")
    answer = armed.attest_runtime("clean")
    armed.hmp(f"o /b 0x92 {old & ~1}")
    again = armed.attest_runtime("clean")
    armed.cont()
    assert "cpu/A20" in {finding["where"] for finding in answer.findings}
    assert again.result == "match", again.findings


def halted(guest, vcpu):
    """It is stopped in a halt; True then."""
    guest.stop()
    state = guest.hmp("info registers -a").split(f"CPU#{vcpu}")[1]
    if "HLT=1" in state.split("CPU#")[0]:
        return True
    guest.cont()
    return False


def test_halted_vcpu_without_paging_is_no_offline_one(armed):
    """An interrupt has it run whatever lies in memory.  By the gdb stub."""
    wait.until("the second vCPU halts", lambda: halted(armed, 1), step=0.2)
    gdb = armed.gdb()
    old = gdb.read_register("cr0", thread=2)
    gdb.write_register("cr0", old & ~(1 << 31), thread=2)
    gdb.close()
    answer = armed.attest_runtime("clean")
    armed.rollback("clean")
    armed.cont()
    assert ("cpu/CR0", 1) in {(finding["where"], finding.get("vcpu"))
                              for finding in answer.findings}, answer.findings


def test_reset_guest_is_a_mismatch(armed):
    """No vCPU has paging then; nor has one with a kernel that left it."""
    armed.stop()
    armed.qmp.command("system_reset")
    armed.qmp.event("RESET")
    answer = armed.attest_runtime("clean")
    armed.rollback("clean")
    armed.cont()
    assert answer.result == "mismatch"
    assert ("cpu/CR0", 0) in {(finding["where"], finding.get("vcpu"))
                              for finding in answer.findings}, answer.findings


def test_vcpu_that_was_never_started_is_offline(machines):
    """Plugged in and left alone it harms nothing; started, it is named."""
    guest = machines.new(vcpus="1,maxcpus=2")
    guest.start()
    [free] = [cpu for cpu in guest.qmp.command("query-hotpluggable-cpus")
              if "qom-path" not in cpu]
    guest.qmp.command("device_add", driver=free["type"], id="second",
                      **free["props"])
    guest.snapshot_save("clean")
    answer = guest.attest_runtime("clean")
    assert answer.result == "match", answer.findings
    online = "/sys/devices/system/cpu/cpu1/online"
    if guest.serial.ask(f"sh ls {online} 2>/dev/null || echo none") == "none":
        # Linux 6.12 counts no disabled entry of the MADT as possible.
        pytest.skip("the guest's kernel starts no vCPU that is plugged in")
    guest.serial.ask(f"sh echo 1 >{online}")
    started = guest.attest_runtime("clean")
    assert ("register", "cpu") in kinds(started), started.findings


# Promise 4: said first in docs/runtime-scope.md
@found_alike
@pytest.mark.parametrize("attack", ["modprobe-path", "hidden-root", "cr0-wp",
                                    "hide"])
def test_runtime_does_not_catch(armed, attack):
    armed.serial.ask(f"attack {attack}")
    answer = armed.attest_runtime("clean")
    armed.serial.ask(f"attack -{attack}")
    assert answer.result == "match", answer.findings


@found_alike
def test_what_was_there_before_the_snapshot_is_not_caught(armed):
    """The scope says "unchanged", not "good"."""
    armed.serial.ask("attack text-byte")
    armed.snapshot_save("rotten")
    unchanged = armed.attest_runtime("rotten")
    changed = armed.attest_runtime("clean")
    armed.serial.ask("attack -text-byte")
    mended = armed.attest_runtime("rotten")
    armed.delvm("rotten")
    assert unchanged.result == "match", unchanged.findings
    assert changed.result == mended.result == "mismatch"


@found_alike
def test_module_that_hides_from_lsmod_is_caught(armed):
    def listed():
        return "dummy" in armed.serial.ask("sh cat /proc/modules")

    armed.serial.ask("late")
    assert listed()
    armed.serial.ask("attack hide-late")
    assert not listed()
    answer = armed.attest_runtime("clean")
    armed.serial.ask("attack -hide-late")
    assert listed()
    armed.serial.ask("unlate")
    again = armed.attest_runtime("clean")
    assert answer.result == "mismatch"
    assert kinds(answer) == {("new-exec", "exec-set")}, answer.findings
    assert again.result == "match", again.findings


# Promise 3: (done, undone, what is found, what Linux keeps when it is undone)
STRUCTURAL = {
    "modprobe": (["late"], ["unlate"], {"new-exec"}, set()),
    "function-tracer": (
        ["trace set_ftrace_filter kernel_halt",
         "trace current_tracer function"],
        ["trace current_tracer nop", "trace set_ftrace_filter"],
        {kind for kind, _ in FTRACE}, {"new-exec"}),
    "tracepoints": (["trace events/sched/sched_switch/enable 1"],
                    ["trace events/sched/sched_switch/enable 0"],
                    {"static-call"}, set()),
}


@found_alike
@pytest.mark.parametrize("action", sorted(STRUCTURAL))
def test_healthy_but_structural_actions_are_named(armed, action):
    done, undone, expected, kept = STRUCTURAL[action]
    for line in done:
        armed.serial.ask(line)
    answer = armed.attest_runtime("clean")
    for line in undone:
        armed.serial.ask(line)
    again = armed.attest_runtime("clean")
    assert answer.result == "mismatch"
    assert {kind for kind, _ in kinds(answer)} == expected, answer.findings
    assert {kind for kind, _ in kinds(again)} == kept, again.findings


def test_bpf_is_unattested_and_a_mismatch_under_strict(armed):
    armed.serial.ask("attack bpf")
    standard = armed.attest_runtime("clean")
    strict = armed.attest_runtime("clean", profile="strict")
    armed.serial.ask("attack -bpf")
    assert standard.result == "match", standard.findings
    assert any(text.startswith("jit ")
               for text in standard.verdict["unattested"])
    assert strict.result == "mismatch"
    assert ("jit-bytes", "jit") in kinds(strict), strict.findings


def test_jump_labels_are_tolerated_and_listed(armed):
    armed.serial.ask("attack jump-label")
    standard = armed.attest_runtime("clean")
    strict = armed.attest_runtime("clean", profile="strict")
    armed.serial.ask("attack -jump-label")
    assert standard.result == "match", standard.findings
    assert any(text.startswith("jump-label 0x")
               for text in standard.verdict["tolerated"])
    assert strict.result == "mismatch"
    assert "jump-label" in {kind for kind, _ in kinds(strict)}


def test_toggling_key_never_hides_an_attack(armed):
    armed.serial.ask("attack toggle")
    armed.serial.ask("attack text-byte")
    try:
        for _ in range(20 if LONG else 5):
            answer = armed.attest_runtime("clean")
            assert answer.result == "mismatch"
            assert ("text-bytes", "kernel-text") in kinds(answer)
        armed.serial.ask("attack -text-byte")
        answers = [armed.attest_runtime("clean") for _ in range(5)]
    finally:
        armed.serial.ask("attack -toggle")
    for answer in answers:
        # A key that is switched for ever may be caught midway each time.
        assert {kind for kind, _ in kinds(answer)} <= {
            "patch-in-flight", "jump-label-inconsistent"}
        assert (answer.result == "match") == (not answer.findings)


# Promise 1

def test_snapshot_seals_the_scope_of_a_ready_guest(shared):
    entry = shared.vsm_snapshot("clean")
    assert len(entry["scope"]) == 96
    assert "scope-reason" not in entry


def test_guest_that_never_ran_has_no_scope(machines):
    guest = machines.new()
    guest.start(paused=True)
    guest.snapshot_save("early")
    entry = guest.vsm_snapshot("early")
    assert "scope" not in entry and entry["scope-reason"]
    answer = guest.attest_runtime("early")
    assert answer.result == "unavailable"
    assert entry["scope-reason"] in answer.verdict["reason"]
    assert answer.claims["reason"] == answer.verdict["reason"]
    done = guest.ctl("attest", "--runtime", "tag:early")
    assert done.returncode == UNAVAILABLE
    assert entry["scope-reason"] in done.stdout


def test_guest_that_still_boots_has_no_scope(machines):
    guest = machines.new()
    guest.start(boot=False)
    guest.snapshot_save("early")
    answer = guest.attest_runtime("early")
    assert answer.result == "unavailable"
    assert answer.verdict["reason"]


# Promise 8, and vsmctl

def test_verify_refuses_one_scope_for_another(machines, tmp_path):
    guest = machines.clean()
    ask = ["request", "--vm", guest.config.uuid, "--snapshot", "tag:clean"]
    for scope in ("full", "runtime"):
        (tmp_path / scope).write_text(
            vsmctl(*ask, "--scope", scope, check=MATCH).stdout)
    done = guest.ctl("attest", "--request", tmp_path / "runtime",
                     "--out", tmp_path / "report")
    assert done.returncode == MATCH, done.stdout + done.stderr
    guest.quit()
    (tmp_path / "trust").write_text(
        guest.ctl_host("keys", "--allow-in-process").stdout)
    verify = ["verify", "--trust", tmp_path / "trust", tmp_path / "report"]
    done = vsmctl(*verify, "--request", tmp_path / "runtime")
    assert done.returncode == UNTRUSTED and "unattested" in done.stderr
    (tmp_path / "jit").write_text('{"version": 1, "allow_unattested": true}')
    verify += ["--policy", tmp_path / "jit"]
    done = vsmctl(*verify, "--request", tmp_path / "runtime")
    assert done.returncode == MATCH, done.stdout + done.stderr
    assert "runtime" in done.stdout
    asked = json.loads((tmp_path / "runtime").read_text())
    asked["scope"] = "full"
    del asked["profile"]
    (tmp_path / "other").write_text(json.dumps(asked))
    done = vsmctl(*verify, "--request", tmp_path / "other")
    assert done.returncode == UNTRUSTED and "scope" in done.stderr
    (tmp_path / "policy").write_text('{"version": 1, "scope": "full"}')
    done = vsmctl(*verify[:-2], "--request", tmp_path / "runtime",
                  "--policy", tmp_path / "policy")
    assert done.returncode == UNTRUSTED and "policy" in done.stderr


def test_vsmctl_shows_findings_with_addresses(armed):
    armed.serial.ask("attack sys-call-table")
    done = armed.ctl("attest", "--runtime", "tag:clean")
    armed.serial.ask("attack -sys-call-table")
    assert done.returncode == MISMATCH
    assert "rodata-bytes kernel-rodata at 0xffffffff" in done.stdout


def test_pause_and_hashed_bytes_are_reported(armed):
    answer = armed.attest_runtime("clean")
    assert 0 < answer.verdict["bytes-hashed"] < 64 << 20
    assert answer.claims["bytes_hashed"] == answer.verdict["bytes-hashed"]
    assert answer.claims["pause_ms"] == answer.verdict["pause-ms"]


# Promise 2

KPTI_LINE = KERNEL_LINE.replace("mitigations=off", "pti=on")
MODES = {   # on which machine, its vCPUs, its kernel's line
    "4-level": ("4-level", CPU4, KERNEL_LINE),
    "5-level": ("5-level", CPU5, KERNEL_LINE),
    "kpti": ("kpti", CPU4, KPTI_LINE),
    "user-mode": ("kpti", CPU4, KPTI_LINE),     # both vCPUs, at each stop
}
CAMPAIGN = [(flavour, mode)
            for flavour in (("attack", "attack-6.12") if LONG else ("attack",))
            for mode in (sorted(MODES) if LONG else ("kpti", "user-mode"))]
# What the campaign does at each tenth attestation, from which one on
HOT_PLUG = {4: "sh echo 0 >/sys/devices/system/cpu/cpu1/online",
            6: "sh echo 1 >/sys/devices/system/cpu/cpu1/online"}


def in_user_mode(guest):
    """Paused with both vCPUs in user mode; else it runs on."""
    guest.stop()
    if guest.hmp("info registers -a").count("CPL=3") == 2:
        return True
    guest.cont()
    return False


def attest_in_user_mode(guest):
    """One attestation of a guest that was stopped there."""
    wait.until("both vCPUs in user mode", lambda: in_user_mode(guest), 60)
    answer = guest.attest_runtime("clean")
    guest.cont()
    return answer


@found_alike
@pytest.mark.parametrize("flavour,mode", CAMPAIGN)
def test_busy_guest_matches_each_time(machines, record_property, flavour,
                                      mode):
    """Processes, disk, network, samples of perf, a vCPU off and on again."""
    name, cpu, line = MODES[mode]
    guest = machines.sealed(
        f"{flavour}-{name}",
        Config(flavour=flavour, extra=cpu, kernel_line=line, vcpus=2,
               memory_mib=256, devices=("virtio-rng", "slirp")),
        options=ANY_SHARE)
    for load in ("run", "net", "perf", "spin"):
        guest.serial.ask(load, timeout=60)
    times = 100 if LONG else 8
    pause = 6 if LONG else 0.5
    tolerated = set()
    for number in range(times):
        if number % 10 in HOT_PLUG:
            guest.serial.ask(HOT_PLUG[number % 10], timeout=60)
        time.sleep(pause)
        if mode == "user-mode" and number % 10 not in (4, 5):
            answer = attest_in_user_mode(guest)
        else:
            answer = guest.attest_runtime("clean")
        assert answer.result == "match", (number, answer.findings)
        assert answer.claims["tolerated"] == answer.verdict["tolerated"]
        tolerated |= {text.split()[1] for text in answer.verdict["tolerated"]}
    # a first connection flips jump labels: the load reached the kernel's text
    assert tolerated
    record_property("figures", f"{flavour} {mode}: {times} attestations match, "
                    f"{len(tolerated)} sites tolerated: "
                    + " ".join(sorted(tolerated)))
