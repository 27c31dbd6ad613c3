"""An attestation says match exactly when the state is the sealed one.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import os
import pathlib
import re
import time

import pytest

from vsmtest import wait
from vsmtest.qmp import QmpError
from vsmtest.vsm import Refused

WIDE = ("virtio-net", "virtio-rng", "virtio-serial", "virtio-balloon",
        "e1000e", "xhci", "ahci")
WIDE_DRIVERS = ("e1000e", "xhci_hcd", "ahci", "virtio_net", "virtio_blk",
                "virtio_rng", "virtio_console", "virtio_balloon", "usbhid",
                "tpm0")
BIND_S = 30         # for the last driver, on a busy machine
LATER_S = 400 * 86400 + 3723    # changes each field of the CMOS clock


def test_match_right_after_loadvm_option(paused):
    answer = paused.attest("boot")
    assert answer.result == "match", answer.findings
    assert answer.findings == []
    assert answer.verdict["measured"] == paused.vsm_snapshot("boot")["state"]
    assert answer.verdict["unsealed"] is True
    assert paused.status() != "running"


def test_match_right_after_savevm(guest):
    guest.stop()
    guest.savevm("one")
    answer = guest.attest("one")
    assert answer.result == "match", answer.findings
    assert guest.status() == "paused"


def test_match_right_after_loadvm(guest):
    guest.serial.ask("dirty 10")
    guest.stop()
    guest.loadvm("boot")
    answer = guest.attest("boot")
    assert answer.result == "match", answer.findings


def test_match_after_a_rollback_into_a_paused_vm(guest):
    guest.serial.ask("dirty 10")
    guest.stop()
    assert guest.rollback("boot").result == "match"
    answer = guest.attest("boot")
    assert answer.result == "match", answer.findings


def later(guest):
    """A year on QEMU's wall clock, and some of each other clock."""
    guest.later(LATER_S)
    time.sleep(150 if wait.LONG else 2)


def cmos_clock(guest):
    return guest.qmp.command("qom-get", path="/machine", property="rtc-time")


def test_match_later_on_the_wall_clock(machines):
    guest = machines.new(wall_clock=True).start()
    guest.snapshot_save("one")
    guest.restart(loadvm="one", paused=True)
    before = cmos_clock(guest)
    for _ in range(2):
        later(guest)
        answer = guest.attest("one")
        assert answer.result == "match", answer.findings
    after = cmos_clock(guest)
    assert all(before[name] != after[name]
               for name in before if name != "tm_sec")


@pytest.mark.in_process("QEMU's own affair in both modes")
@pytest.mark.parametrize("backend, threads", [("openssl", 1),
                                              ("ipsec-mb", 3)])
def test_match_with_each_hash_and_number_of_threads(machines, golden, backend,
                                                    threads):
    """Whichever the snapshot was sealed with."""
    guest = machines.copy(golden,
                          options=f"hash={backend},hash-threads={threads}")
    guest.start(loadvm="boot", paused=True)
    assert guest.vsm_status()["hash-backend"] == backend
    names = [path.read_text().strip() for path in
             pathlib.Path(f"/proc/{guest.pid()}/task").glob("*/comm")]
    assert names.count("vsm-hash") == threads
    assert guest.attest("boot").result == "match"
    assert guest.verify("boot").result == "match"


def test_mismatch_after_the_guest_ran_names_what_was_written(guest):
    guest.serial.ask("dirty 64")
    answer = guest.attest("boot")
    assert answer.result == "mismatch"
    ranges = answer.ram_ranges()
    assert {block for block, _, _ in ranges} == {"pc.ram"}
    assert sum(count for _, _, count in ranges) >= 64 * 4096
    assert all(offset % 4096 == 0 and count % 4096 == 0
               for _, offset, count in ranges)
    assert answer.found("vcpu")
    assert guest.status() == "running"
    assert guest.serial.ask("memget") == "golden"


def test_mismatch_after_one_byte_of_ram_changed(paused):
    address = 0x1234567
    gdb = paused.gdb()
    gdb.flip_byte(address)
    answer = paused.attest("boot")
    assert answer.result == "mismatch"
    assert answer.ram_ranges() == [("pc.ram", address & ~0xfff, 4096)]
    assert len(answer.findings) == 1
    gdb.flip_byte(address)
    assert paused.attest("boot").result == "match"
    gdb.close()


def test_mismatch_after_one_register_changed(paused):
    gdb = paused.gdb()
    gdb.flip_register()
    answer = paused.attest("boot")
    assert answer.result == "mismatch"
    assert [finding["kind"] for finding in answer.findings] == ["vcpu"]
    assert answer.findings[0]["where"].startswith("cpu/0")
    gdb.flip_register()
    assert paused.attest("boot").result == "match"
    gdb.close()


def test_mismatch_names_the_vcpu_that_changed(machines):
    guest = machines.clean()
    guest.stop()
    guest.savevm("two")
    gdb = guest.gdb()
    gdb.flip_register(thread=2)
    answer = guest.attest("two")
    assert answer.result == "mismatch"
    assert [(finding["kind"], finding["where"])
            for finding in answer.findings] == [("vcpu", "cpu/1")]
    gdb.close()


def test_mismatch_after_one_device_register_changed(paused):
    paused.hmp("o /b 0x3ff 0x5a")      # scratch register of COM1
    answer = paused.attest("boot")
    assert answer.result == "mismatch"
    assert [finding["kind"] for finding in answer.findings] == ["device"]
    assert "serial" in answer.findings[0]["where"]


def test_mismatch_after_a_cmos_byte_changed(paused):
    paused.hmp("o /b 0x70 0x40")
    paused.hmp("o /b 0x71 0x5a")
    answer = paused.attest("boot")
    assert answer.result == "mismatch"
    assert answer.found("device", "mc146818rtc")


def test_mismatch_after_a_link_went_down(paused):
    paused.qmp.command("set_link", name="n0", up=False)
    answer = paused.attest("boot")
    assert answer.result == "mismatch"
    assert answer.found("device", "virtio-net")


def expect_drivers(guest, names):
    """Devices are bound in the background, those behind USB last."""
    def missing():
        bound = guest.serial.ask("devices").split()
        return [name for name in names if name not in bound]

    deadline = time.monotonic() + BIND_S
    while missing() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert missing() == []


def expect_rtc_interrupts(guest):
    """The CMOS clock's, periodic, reach Linux."""
    def count():
        return int(guest.serial.ask("sh awk '/rtc/{print$2+$3}' "
                                    "/proc/interrupts"))

    before = count()
    wait.until("some interrupts of the CMOS clock",
               lambda: count() >= before + 10)


@pytest.mark.parametrize("machine", ["pc", "q35"])
def test_match_with_every_device(machines, machine):
    """No HPET: Linux has it take the place of the CMOS clock's interrupts."""
    guest = machines.new(machine=machine, machine_options="hpet=off",
                         memory_mib=192, vcpus=2, flavour="full", vtpm=True,
                         devices=WIDE, wall_clock=True,
                         extra=("-rtc", "clock=vm")).start()
    expect_drivers(guest, WIDE_DRIVERS)
    guest.serial.ask("rtc on")
    expect_rtc_interrupts(guest)
    guest.savevm("all")
    guest.serial.ask("dirty 16")
    assert guest.attest("all").result == "mismatch"
    guest.stop()
    guest.savevm("all")
    later(guest)
    answer = guest.attest("all")
    assert answer.result == "match", answer.findings
    guest.loadvm("all")
    later(guest)
    answer = guest.attest("all")
    assert answer.result == "match", answer.findings
    guest.cont()
    guest.serial.ask("dirty 16")
    guest.stop()
    assert guest.rollback("all").result == "match"
    answer = guest.attest("all")
    assert answer.result == "match", answer.findings
    guest.restart(loadvm="all", paused=True)
    later(guest)
    answer = guest.attest("all")
    assert answer.result == "match", answer.findings
    guest.cont()
    expect_rtc_interrupts(guest)


# A disk that takes 1 KiB a second, and fails at its second 64 KiB
SLOW_DISK = (
    "-object", "throttle-group,id=slow,x-bps-write=1024",
    "-blockdev", json.dumps({
        "driver": "throttle", "node-name": "slow0", "throttle-group": "slow",
        "file": {
            "driver": "blkdebug",
            "inject-error": [{"event": "none", "iotype": "write",
                              "errno": 28, "sector": 128}],
            "image": {"driver": "null-co", "size": 1 << 20,
                      "read-zeroes": True}}}),
    "-device", "virtio-blk-pci,drive=slow0,werror=stop")


def test_stop_for_an_io_error_while_the_vm_is_held_is_not_lost(machines):
    """Holding the VM drains the disk, where the write that waits fails."""
    guest = machines.new(extra=SLOW_DISK).start()
    guest.snapshot_save("one")
    guest.serial.ask("sh (dd if=/dev/zero of=/dev/vdb bs=64k count=2 "
                     "oflag=direct >/dev/null 2>&1 &)")

    def waits():
        words = guest.serial.ask("sh cat /sys/block/vdb/stat").split()
        return words[4] == "1" and words[8] == "1"      # done, in flight

    wait.until("the second write to wait", waits)
    assert guest.status() == "running"
    guest.attest("one")
    wait.until("the guest stops for it",
               lambda: guest.status() == "io-error", timeout=10)


# Refused by policy, before the VM is paused

def refused(guest, code, snapshot="boot"):
    """Attests, expects the refusal and that the guest never stopped."""
    guest.qmp.events.clear()
    with pytest.raises(Refused) as caught:
        guest.attest(snapshot)
    assert caught.value.code == code, caught.value.text
    assert not caught.value.vm_changed
    assert guest.qmp.seen("STOP") == []
    return caught.value.text


def test_changed_boot_pcr_is_refused(guest):
    guest.tpm.extend({4: b"\xee" * 48})
    text = refused(guest, "boot")
    assert "PCR 4" in text
    assert guest.status() == "running"
    assert guest.serial.ask("memget") == "golden"


def test_changed_boot_pcr_refuses_a_load(guest):
    """The boot policy is frozen: only new snapshots fit the new state."""
    guest.tpm.extend({0: b"\xee" * 48})
    for load in (guest.loadvm, guest.snapshot_load, guest.rollback):
        with pytest.raises(QmpError, match="PCR 0"):
            load("boot")
    assert guest.status() == "running"
    assert guest.serial.ask("memget") == "golden"
    guest.stop()
    guest.savevm("new")
    assert guest.attest("new").result == "match"


def test_a_pcr_that_is_not_bound_changes_nothing(paused):
    paused.tpm.extend({10: b"\xee" * 48})
    assert paused.attest("boot").result == "match"


def test_another_qemu_binary_is_refused(machines, golden):
    genuine = pathlib.Path(golden.argv()[0])
    # beside the genuine one, where it finds the same firmware; the other
    # mode's tests may run at the same time
    other = genuine.with_name(f"qemu-system-x86_64-other-{os.getpid()}")
    other.write_bytes(genuine.read_bytes() + b"\0")
    other.chmod(0o755)
    try:
        guest = machines.copy(golden, qemu=str(other))
        guest.start(boot=False)
        text = refused(guest, "hypervisor")
        assert "hypervisor's files are not those that it was sealed" in text
        assert "use the same build and libraries" in text
        assert guest.status() == "running"
        guest.quit()
    finally:
        other.unlink()


@pytest.mark.parametrize("changes, words", [
    ({"vcpus": 2}, "cpu"),
    ({"memory_mib": 160}, "ram"),
    ({"mac": "52:54:00:00:00:02"},
     "sealed with .*52:54:00:00:00:01.*, now .*52:54:00:00:00:02"),
    ({"devices": ("virtio-net",)}, "rng"),
    ({"machine": "pc"}, "machine"),
    ({"kernel_line": "console=ttyS0 quiet"}, "append"),
])
def test_another_configuration_is_refused(machines, golden, changes, words):
    guest = machines.copy(golden, **changes)
    guest.start(boot=False)
    text = refused(guest, "config")
    assert re.search(words, text.lower())
    assert "start the vm with the same configuration" in text.lower()
    assert guest.status() == "running"


def test_another_bios_is_refused(machines, golden, tmp_path):
    bios = bytearray(pathlib.Path("/usr/share/seabios/bios-256k.bin")
                     .read_bytes())
    place = bios.index(b"SeaBIOS")
    bios[place:place + 7] = b"seabios"
    (tmp_path / "bios").write_bytes(bios)
    guest = machines.copy(golden, extra=("-bios", str(tmp_path / "bios")))
    guest.start(boot=False)
    assert "pc.bios" in refused(guest, "config")


@pytest.mark.in_process("its properties are those of that kind")
def test_object_added_to_a_running_machine(machines):
    guest = machines.new(object="").start(boot=False)
    guest.qmp.command("object-add", qom_type="vm-snapshot-manager", id="vsm0",
                      tcti=guest.tpm.tcti, state_dir=str(guest.state_dir),
                      secret=str(guest.secret))
    guest.stop()
    guest.savevm("one")
    answer = guest.attest("one")
    assert answer.result == "match", answer.findings


def test_another_vm_has_no_such_snapshot(machines, golden):
    guest = machines.copy(golden, uuid="99999999-2222-4333-8444-555555555555")
    guest.start(boot=False)
    refused(guest, "not-found")


def test_on_mismatch_is_for_runtime_scope_only(machines, golden):
    guest = machines.copy(golden, options="on-mismatch=pause")
    guest.start(loadvm="boot")
    guest.serial.ask("dirty 1")
    assert guest.attest("boot").result == "mismatch"
    assert guest.status() == "running"


def test_cmos_clock_on_the_hosts_clock_is_named_at_the_start(off, machines):
    off.start(boot=False)
    assert "-rtc clock=vm" in off.stderr()
    quiet = machines.new(extra=("-rtc", "clock=vm")).create()
    quiet.start(boot=False)
    assert "clock=vm" not in quiet.stderr()
