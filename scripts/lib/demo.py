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
from vsmtest import wait  # noqa: E402
from vsmtest.guest import (  # noqa: E402
    DAEMON, IN_PROCESS, KERNEL_LINE, Config, Guest)
from vsmtest.vsm import unb64url  # noqa: E402
from vsmtest.vsmctl import MATCH, vsmctl  # noqa: E402

WIDTH = 78
STEPS = 10


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
        print(f"    {name:<28}{value}", flush=True)

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


def cut(line, width):
    """A line of at most so many characters: digests are long."""
    return line if len(line) <= width else line[:width - 3] + "..."


class Story:
    """The steps.  Everything a user would do goes through vsmctl."""

    def __init__(self, screen, guest, folder):
        self.screen = screen
        self.guest = guest
        self.folder = folder        # the verifier's files
        self.rk_name = None

    def vsmctl(self, what, subcommand, *argv, wanted=0, lines=14):
        """Runs vsmctl on the VM, shows command, output, time, exit code."""
        words = [word if "/" not in str(word) else pathlib.Path(word).name
                 for word in argv]
        print("    $ vsmctl " + " ".join(map(str, [subcommand, *words])))
        done, seconds = self.screen.during(
            what, lambda: self.guest.ctl(subcommand, *argv))
        self.show(done, lines)
        self.screen.expect("exit code", done.returncode, wanted)
        return done, seconds

    def show(self, done, lines):
        """At most so many lines of output, cut to the screen."""
        text = (done.stdout + done.stderr).splitlines()
        for line in text[:lines]:
            words = textwrap.wrap(line, WIDTH - 6, break_long_words=False)
            for part in words if len(words) > 2 else [line]:
                print("      " + cut(part, WIDTH - 6))
        if len(text) > lines:
            print(f"      ... {len(text) - lines} more lines")

    def request(self, name, operation="attest"):
        """The verifier's request, a fresh nonce in it, in a file."""
        text = vsmctl("request", "--vm", self.guest.config.uuid,
                      "--snapshot", "tag:clean", "--op", operation,
                      check=MATCH).stdout
        (self.folder / name).write_text(text)
        return self.folder / name

    def asked(self, what, name, operation="attest", wanted=0, lines=12):
        """A request and its answer; the report stays in NAME.jws."""
        return self.vsmctl(what, operation, "--request",
                           self.request(name, operation),
                           "--out", self.folder / f"{name}.jws",
                           wanted=wanted, lines=lines)

    def machine(self):
        screen, guest = self.screen, self.guest
        screen.step(
            "a guest, a host TPM, VSM",
            "An swtpm stands for the host's TPM, with boot measurements in"
            " PCR 0 to 7. " + (
                "vsmd alone has the TPM, the store and the secret; QEMU"
                " reaches it over a socket."
                if guest.daemon else
                "QEMU's own process has the TPM (--in-process).") +
            " The verifier gets the host's public keys. A Linux"
            " guest boots under QEMU with a vTPM of its own, a qcow2 disk"
            " and -object vm-snapshot-manager.")
        guest.create()
        if guest.daemon:
            screen.during("vsmd starts", guest.start_daemon)
        else:
            screen.during("vsmctl setup", lambda: guest.ctl_host("setup"))
        (self.folder / "trust").write_text(guest.keys())
        _, seconds = screen.during("guest boots", guest.start)
        screen.figure("boot of the guest", f"{seconds:.1f} s")
        guest.serial.ask("mem trusted")
        screen.line("guest's drivers", guest.serial.ask("devices"))
        status = guest.vsm_status()
        screen.line("attester", status["attester"])
        screen.line("host TPM", status["tpm"])
        screen.line("hypervisor's digest", status["hypervisor"][:40] + "...")
        screen.line("hashing with", status["hash-backend"])

    def snapshot(self):
        screen, guest = self.screen, self.guest
        screen.step(
            "snapshot",
            "The VM is stopped and QEMU makes an ordinary internal snapshot."
            " VSM hashes what QEMU writes and seals the digest in the TPM"
            " under a key of the snapshot's own. No seal, no snapshot.")
        guest.stop()
        _, seconds = self.vsmctl("saved and sealed in", "snapshot", "clean")
        size = guest.vsm_snapshot("clean")["vmstate-bytes"]
        screen.figure("snapshot, sealed",
                      f"{seconds:.2f} s, {size / (1 << 20):.1f} MiB stored")

    def match(self):
        self.screen.step(
            "attest: match",
            "A verifier sends a nonce. The TPM unseals the digest, VSM"
            " hashes RAM, vCPUs and devices as they are now; the stopped VM"
            " is still what was sealed.")
        _, seconds = self.asked("attested in", "first")
        self.screen.figure("attestation", f"{seconds:.2f} s")

    def mismatch(self):
        screen, guest = self.screen, self.guest
        screen.step(
            "the guest runs on; attest: mismatch",
            "The guest runs and writes 64 pages. It is paused for just the"
            " hashing; the answer names what differs.")
        guest.cont()
        guest.serial.ask("mem changed")
        guest.serial.ask("dirty 64")
        self.asked("attested in", "second", wanted=1, lines=11)
        claims = claims_of((self.folder / "second.jws").read_text())
        changed = [finding for finding in claims["findings"]
                   if finding["kind"] == "ram"]
        screen.expect("changed RAM is named",
                      bool(changed) and changed[0]["where"] == "pc.ram", True)
        screen.figure("changed ranges named", len(changed))
        screen.figure("pause of the running guest",
                      f"{claims['pause_ms']} ms")
        screen.expect("run state", guest.status(), "running")

    def rollback(self):
        screen, guest = self.screen, self.guest
        screen.step(
            "rollback; attest: match",
            "All stored bytes are verified while the VM is as it was. Then"
            " the disks go back, the state is loaded, what was loaded is"
            " measured again, and only then the guest may run.")
        guest.stop()
        _, seconds = self.asked("rolled back in", "third", "rollback",
                                lines=4)
        screen.figure("rollback, verified twice", f"{seconds:.2f} s")
        self.asked("attested in", "fourth", lines=4)
        guest.cont()
        screen.expect("the guest remembers", guest.serial.ask("memget"),
                      "trusted")

    def runtime(self):
        self.screen.step(
            "the running guest: what must not change in it",
            "The guest runs on, and a full attestation could only say so. The"
            " runtime scope is what must not change all the same: the"
            " kernel's code, read-only data, tables, registers.")
        self.guest.serial.ask("dirty 64")
        self.vsmctl("attested in", "attest", "--runtime", "tag:clean",
                    lines=12)

    def hook(self):
        screen, guest = self.screen, self.guest
        screen.step(
            "a module hooks the running kernel: named, and rolled back",
            "QEMU watches that scope; no agent is in the guest. Then a module"
            " is loaded that hooks a function of the kernel, as a rootkit"
            " does.")
        guest.qmp.seen("STOP")
        guest.qmp.events.clear()
        # The next look comes 2.5 s after this one, or later: time for all of
        # the attack, and for the guest to tell of it before it is undone.
        self.vsmctl("watch begun in", "watch", "tag:clean", "--every", "5",
                    "--detach")
        watch_result(guest, "match")
        guest.serial.ask("hook")
        screen.line("in the guest", "insmod attack.ko; kernel_halt is hooked")
        answer, seconds = screen.during(
            "named by the watch after", lambda: watch_result(guest))
        verdict = answer["verdict"]
        screen.expect("result", verdict["result"], "mismatch")
        for finding in verdict["findings"][:4]:
            screen.line(finding["kind"],
                        f"{finding['where']} at {finding['va']}")
        screen.figure("hooked kernel named after", f"{seconds:.1f} s")
        screen.figure("pause for the runtime scope",
                      f"{verdict['pause-ms']} ms")
        _, seconds = screen.during("rolled back in", lambda: guest.qmp.any_event(
            lambda event: event["event"] == "VSM_ROLLED_BACK",
            "rollback", 60))
        screen.figure("rollback by on-mismatch", f"{seconds:.1f} s")
        wait.until("the guest runs", lambda: guest.status() == "running")
        screen.expect("modules of the attacker",
                      guest.serial.ask("sh grep -c attack /proc/modules"), "0")
        self.vsmctl("attested in", "attest", "--runtime", "tag:clean", lines=1)
        guest.ctl("watch", "--stop")

    def refusal(self):
        screen, guest = self.screen, self.guest
        screen.step(
            "one bit of the stored snapshot is flipped: rollback refused",
            "Someone with access to the storage flips one bit of a RAM page"
            " in the image file. The rollback is refused before a byte"
            " reaches QEMU's loader; the guest never stops.")
        image = guest.image
        at = image.flip("clean", image.ram_page("clean"))
        screen.line("flipped", f"bit 0 of byte {at} of the image")
        guest.qmp.seen("STOP")
        guest.qmp.events.clear()
        _, seconds = self.vsmctl("refused in", "rollback", "tag:clean",
                                 wanted=2)
        screen.expect("stops of the guest", len(guest.qmp.seen("STOP")), 0)
        screen.expect("run state", guest.status(), "running")
        screen.expect("the guest answers", guest.serial.ask("memget"),
                      "trusted")
        screen.figure("refused rollback", f"{seconds:.2f} s")

    def report(self):
        screen, guest, folder = self.screen, self.guest, self.folder
        screen.step(
            "the report, checked by others",
            "The report of the last match is a JWS signed in the TPM, with a"
            " TPM quote inside. vsmctl, Debian's jose and tpm2_checkquote"
            " check it; none of them talks to QEMU or to the TPM.")
        print("    $ vsmctl verify --trust trust --request fourth fourth.jws")
        done = vsmctl("verify", "--trust", folder / "trust", "--request",
                      folder / "fourth", folder / "fourth.jws")
        self.show(done, 10)
        screen.expect("exit code", done.returncode, 0)
        status = guest.vsm_status()
        jws = (folder / "fourth.jws").read_text().strip()
        claims = claims_of(jws)
        nonce = unb64url(json.loads(
            (folder / "fourth").read_text())["nonce"])
        qualification = outside.quote_qualification(
            claims, nonce, outside.tpm_name(guest, "rk"))
        print()
        screen.expect("jose jws ver", outside.jose_verify(
            jws, json.loads(status["rk"]), folder), True)
        screen.expect("tpm2_checkquote", outside.checkquote(
            claims, json.loads(status["ak"]), qualification, folder), True)

    def tell(self):
        for step in (self.machine, self.snapshot, self.match, self.mismatch,
                     self.rollback, self.runtime, self.hook, self.refusal,
                     self.report):
            step()


def watch_result(guest, wanted=None):
    """The next answer of the watch, or the next of that result."""
    def ours(event):
        return (event["event"] == "VSM_ATTESTED" and
                event["data"]["answer"]["operation"] == "watch" and
                wanted in (None,
                           event["data"]["answer"]["verdict"]["result"]))

    return guest.qmp.any_event(ours, "result of the watch", 60)["data"][
        "answer"]


def claims_of(jws):
    """A report's claims, their signature not looked at."""
    return json.loads(unb64url(jws.split(".")[1]))


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
    guest = Guest(Config(vtpm=True, flavour="attack",
                         options="on-mismatch=rollback",
                         kernel_line=KERNEL_LINE + " noattack",
                         attester=IN_PROCESS if "--in-process" in argv
                         else DAEMON))
    folder = guest.home / "verifier"
    folder.mkdir()
    try:
        Story(screen, guest, folder).tell()
        return end(screen, begin)
    except KeyboardInterrupt:
        return 1
    finally:
        if "--keep" in argv:
            guest.halt()
            print(f"    kept: {guest.home}")
        else:
            guest.cleanup()


if __name__ == "__main__":
    os.environ.setdefault("TSS2_LOG", "all+NONE")
    sys.exit(main(sys.argv[1:]))
