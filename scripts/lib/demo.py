"""The story that scripts/demo tells, one step a screen.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import itertools
import json
import os
import pathlib
import signal
import sys
import textwrap
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "functional"))

from vsmtest import report as outside  # noqa: E402
from vsmtest.guest import Config, Guest  # noqa: E402
from vsmtest.vsm import Refused  # noqa: E402

WIDTH = 78
STEPS = 8


class Screen:
    """What the reader sees: steps, lines, and that something is going on."""

    def __init__(self):
        self.step_number = 0
        self.figures = []
        self.failed = []

    def step(self, title, text):
        """Begins a step: what will be done, and why."""
        self.step_number += 1
        print()
        print("-" * WIDTH)
        print(f"Step {self.step_number} of {STEPS}: {title}")
        print()
        for line in textwrap.wrap(text, WIDTH - 4):
            print("    " + line)
        print(flush=True)

    def line(self, name, value):
        print(f"    {name:<24}{value}", flush=True)

    def figure(self, name, value):
        self.figures.append((name, value))

    def expect(self, name, value, wanted):
        """A result, and whether it is the one that it must be."""
        good = value == wanted
        self.line(name, f"{value}  [{'as it must be' if good else 'WRONG'}]")
        if not good:
            self.failed.append(f"step {self.step_number}: {name} is {value},"
                               f" not {wanted}")

    def during(self, what, action):
        """Runs action, shows that time passes; its value and seconds."""
        done = threading.Event()
        begin = time.monotonic()

        def show():
            for mark in itertools.cycle("|/-\\"):
                seconds = time.monotonic() - begin
                print(f"\r    {what} {mark} {seconds:.0f} s ", end="",
                      flush=True)
                if done.wait(0.2):
                    print("\r" + " " * WIDTH + "\r", end="", flush=True)
                    return

        shower = threading.Thread(target=show)
        if sys.stdout.isatty():
            shower.start()
        try:
            value = action()
        finally:
            done.set()
            if shower.is_alive():
                shower.join()
        seconds = time.monotonic() - begin
        self.line(what, f"{seconds:.2f} s")
        return value, seconds


def mebibytes(count):
    return f"{count / (1 << 20):.1f} MiB"


def show_ranges(screen, answer, most=5):
    """The changed RAM ranges of a mismatch."""
    ranges = answer.ram_ranges()
    for block, offset, count in ranges[:most]:
        screen.line("  changed", f"{block} at 0x{offset:08x}, {count} bytes")
    left = len(ranges) - most + answer.verdict["findings-left-out"]
    if left > 0:
        screen.line("  changed", f"... and {left} more ranges")
    others = [finding["where"] for finding in answer.findings
              if finding["kind"] != "ram"]
    screen.line("  differ too", ", ".join(others) or "nothing")


def story(screen, guest, home):
    """All steps."""
    screen.step(
        "a guest, a host TPM, VSM",
        "An swtpm stands for the host's TPM, with boot measurements in PCR 0"
        " to 7. A Linux guest boots under QEMU with a vTPM of its own, a"
        " qcow2 disk and -object vm-snapshot-manager.")
    guest.create()
    screen.line("host TPM", guest.tpm.tcti)
    _, seconds = screen.during("guest boots", guest.start)
    screen.figure("boot of the guest", f"{seconds:.1f} s")
    guest.serial.ask("mem trusted")
    status = guest.vsm_status()
    screen.line("TPM", status["tpm"])
    screen.line("hypervisor", status["hypervisor"][:32] + "...")
    screen.line("hash back end", status["hash-backend"])
    screen.line("guest's drivers", guest.serial.ask("devices"))

    screen.step(
        "snapshot",
        "The VM is stopped and savevm makes an ordinary internal snapshot."
        " VSM hashes what QEMU writes and seals the digest in the TPM under"
        " a key of the snapshot's own. No seal, no snapshot.")
    guest.stop()
    _, seconds = screen.during("savevm clean", lambda: guest.savevm("clean"))
    snapshot = guest.vsm_snapshot("clean")
    screen.figure("snapshot, sealed", f"{seconds:.2f} s, "
                  f"{mebibytes(snapshot['vmstate-bytes'])} stored")
    screen.line("id", snapshot["id"])
    screen.line("state digest", snapshot["state"][:48] + "...")
    screen.line("seal key (SSK)", snapshot["ssk"][:48] + "...")

    screen.step(
        "attest: match",
        "A verifier sends a nonce. The TPM unseals the digest, VSM hashes"
        " RAM, vCPUs and devices as they are now; the stopped VM is still"
        " what was sealed.")
    answer, seconds = screen.during("vsm-attest",
                                    lambda: guest.attest("tag:clean"))
    screen.expect("result", answer.result, "match")
    screen.figure("attestation", f"{seconds:.2f} s, "
                  f"{mebibytes(answer.verdict['bytes-hashed'])} hashed")

    screen.step(
        "the guest runs on; attest: mismatch",
        "The guest runs and writes 64 pages. A running VM is paused just"
        " for the hashing; the answer names what differs.")
    guest.cont()
    guest.serial.ask("mem changed")
    guest.serial.ask("dirty 64")
    answer, _ = screen.during("vsm-attest",
                              lambda: guest.attest("tag:clean"))
    screen.expect("result", answer.result, "mismatch")
    show_ranges(screen, answer)
    screen.line("paused for", f"{answer.verdict['pause-ms']} ms")
    screen.figure("pause of a running guest",
                  f"{answer.verdict['pause-ms']} ms")
    screen.expect("run state", guest.status(), "running")

    screen.step(
        "rollback; attest: match",
        "All stored bytes are verified while the guest still runs. Then the"
        " disks go back, the state is loaded, what was loaded is measured"
        " again, and only then the guest may run.")
    guest.stop()
    answer, seconds = screen.during("vsm-rollback",
                                    lambda: guest.rollback("tag:clean"))
    screen.expect("result", answer.result, "match")
    screen.figure("rollback, verified twice", f"{seconds:.2f} s")
    answer, _ = screen.during("vsm-attest",
                              lambda: guest.attest("tag:clean"))
    screen.expect("result", answer.result, "match")
    good = answer
    guest.cont()
    screen.expect("the guest remembers", guest.serial.ask("memget"),
                  "trusted")

    screen.step(
        "one bit of the stored snapshot is flipped: rollback refused",
        "Someone with access to the storage flips one bit of a RAM page in"
        " the image file. The rollback is refused before a byte reaches"
        " QEMU's loader; the guest never stops.")
    image = guest.image
    offset = image.ram_page("clean")
    at = image.flip("clean", offset)
    screen.line("flipped", f"bit 0 at byte {at} of the image")
    guest.qmp.events.clear()

    def refused():
        try:
            guest.rollback("tag:clean")
        except Refused as refusal:
            return refusal
        return None

    refusal, seconds = screen.during("vsm-rollback", refused)
    screen.expect("refused as", refusal.code if refusal else "not at all",
                  "tampered")
    for line in textwrap.wrap(str(refusal), WIDTH - 8):
        screen.line("", line)
    screen.expect("stops of the guest", len(guest.qmp.seen("STOP")), 0)
    screen.expect("run state", guest.status(), "running")
    screen.expect("the guest answers", guest.serial.ask("memget"), "trusted")
    screen.figure("refused rollback", f"{seconds:.2f} s, guest running")

    check_report(screen, guest, good, home)


def check_report(screen, guest, answer, home):
    """The report of a match, checked without QEMU and without the TPM."""
    screen.step(
        "the report, checked by others",
        "The report of the last match is a JWS signed in the TPM, with a TPM"
        " quote inside. Debian's jose, tpm2_checkquote and vsmctl check it;"
        " none of them talks to QEMU or to the TPM.")
    status = guest.vsm_status()
    ak, rk = json.loads(status["ak"]), json.loads(status["rk"])
    screen.line("report", f"{len(answer.report)} bytes")
    screen.expect("jose jws ver",
                  outside.jose_verify(answer.report, rk, home), True)
    qualification = outside.quote_qualification(
        answer.claims, answer.nonce, outside.tpm_name(guest, "rk"))
    screen.expect("tpm2_checkquote",
                  outside.checkquote(answer.claims, ak, qualification, home),
                  True)


def end(screen, begin):
    """The figures; the exit code."""
    screen.step("figures", "Two cores or more, no KVM needed: the times are"
                " those of emulation.")
    for name, value in screen.figures:
        screen.line(name, value)
    screen.line("the whole story", f"{time.monotonic() - begin:.0f} s")
    print()
    for failure in screen.failed:
        print(f"    FAILED: {failure}")
    if not screen.failed:
        print("    Everything came out as it must.")
    return 1 if screen.failed else 0


def main(argv):
    """Runs the story and cleans up, also after Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    screen = Screen()
    begin = time.monotonic()
    guest = Guest(Config(vtpm=True))
    work = guest.home / "checks"
    work.mkdir()
    try:
        story(screen, guest, work)
        return end(screen, begin)
    except KeyboardInterrupt:
        return 1
    finally:
        if "--keep" in argv:
            guest.kill()
            guest.tpm.stop()
            print(f"    kept: {guest.home}")
        else:
            guest.cleanup()


if __name__ == "__main__":
    os.environ.setdefault("TSS2_LOG", "all+NONE")
    sys.exit(main(sys.argv[1:]))
