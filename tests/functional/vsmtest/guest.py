"""A virtual machine of the tests: its files, its QEMU, its monitors.

A machine lives in one folder (disk, VSM's state folder and secret, both
TPMs), so that a copy of the folder is the same machine elsewhere.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import dataclasses
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile

from . import daemon, paths, wait
from .daemon import Daemon
from .gdb import Gdb
from .qcow2 import Image
from .qmp import Closed, Qmp
from .serial import Serial
from .swtpm import HostTpm, Swtpm
from .vsm import VsmCommands
from .vsmctl import vsmctl

IN_PROCESS, DAEMON = "in-process", "daemon"

# Who attests unless a machine's Config says otherwise; set by the fixtures.
attester = IN_PROCESS

# QEMU's pid is known, and it waits to be let go.
GATE = ["sh", "-c", 'read -r go; exec "$@" </dev/null', "sh"]

KERNEL_LINE = ("console=ttyS0 quiet mitigations=off no_timer_check"
               " random.trust_cpu=on")

# Devices that a test asks for by name
DEVICES = {
    "virtio-net": ["-netdev", "hubport,id=n0,hubid=0",
                   "-device", "virtio-net-pci,netdev=n0,mac={mac},"
                   "romfile="],
    "virtio-rng": ["-object", "rng-random,id=rng0,filename=/dev/urandom",
                   "-device", "virtio-rng-pci,rng=rng0"],
    "virtio-serial": ["-device", "virtio-serial-pci",
                      "-chardev", "null,id=vs0",
                      "-device", "virtserialport,chardev=vs0"],
    "virtio-balloon": ["-device", "virtio-balloon-pci"],
    "e1000e": ["-netdev", "hubport,id=n1,hubid=1",
               "-device", "e1000e,netdev=n1,mac={mac1},romfile="],
    "xhci": ["-device", "qemu-xhci,id=xhci",
             "-device", "usb-tablet,bus=xhci.0"],
    "ahci": ["-blockdev", "null-co,node-name=sata0,size=1048576,"
             "read-only=on,read-zeroes=on",
             "-device", "ahci,id=ahci0",
             "-device", "ide-cd,drive=sata0,bus=ahci0.0"],
    "slirp": ["-netdev", "user,id=n2,restrict=on",
              "-device", "virtio-net-pci,netdev=n2,mac={mac2},romfile="],
}


@dataclasses.dataclass
class Config:
    """What distinguishes one machine from another."""
    machine: str = "q35"
    machine_options: str = ""
    accel: str = "tcg"
    memory_mib: int = 96
    vcpus: int = 1
    mac: str = "52:54:00:00:00:01"
    uuid: str = "11111111-2222-4333-8444-555555555555"
    name: str = "vm1"
    flavour: str = "cloud"
    devices: tuple = ("virtio-net", "virtio-rng")
    vtpm: bool = False
    extra_disk: bool = False
    throttle: bool = False                # a filter above the first disk
    object: str = "vm-snapshot-manager"   # "": no VSM at all
    options: str = ""                     # more properties of the object
    attester: str = ""                    # "": the module's
    kernel_line: str = KERNEL_LINE
    qemu: str = ""                        # another binary
    mortal: bool = False                  # kill_at_write() is possible
    wall_clock: bool = False              # later() is possible
    extra: tuple = ()


class Guest(VsmCommands):
    """One machine.  start() to run it; the home is removed by cleanup()."""

    def __init__(self, config=None, home=None, tpm_proxy=True):
        self.config = config or Config()
        self.home = pathlib.Path(home or tempfile.mkdtemp(prefix="vsm-"))
        self.tpm = HostTpm(self.home / "host", proxy=tpm_proxy)
        self.vtpm = Swtpm(self.home / "vtpm") if self.config.vtpm else None
        self.state_dir = self.home / "state"
        self.secret = self.home / "secret"
        self.kill_at = self.home / "kill-at"
        self.wall_clock = self.home / "wall-clock"
        self.daemon = Daemon(self.home / "vsmd") \
            if (self.config.attester or attester) == DAEMON else None
        self.qmp = self.qmp2 = self.serial = None
        self._process = None

    # The folder

    @property
    def disks(self):
        names = ["disk.qcow2"] + (["disk2.qcow2"] if self.config.extra_disk
                                  else [])
        return [self.home / name for name in names]

    @property
    def image(self):
        """The first disk, for a look behind QEMU's back."""
        return Image(self.disks[0])

    def create(self):
        """Makes the disks and starts the host TPM."""
        self.home.mkdir(parents=True, exist_ok=True)
        for disk in self.disks:
            if not disk.exists():
                paths.run([paths.qemu_img(), "create", "-q", "-f", "qcow2",
                           str(disk), "64M"])
        if self.state_dir.parent.is_dir():
            self.state_dir.mkdir(mode=0o700, exist_ok=True)
        if not self.tpm.running():
            self.tpm.start()
        return self

    def copy(self, **changes):
        """The same machine in a folder of its own; this one must be off."""
        home = pathlib.Path(tempfile.mkdtemp(prefix="vsm-"))
        changes.setdefault("attester", DAEMON if self.daemon else IN_PROCESS)
        for name in ("disk.qcow2", "disk2.qcow2", "state", "secret",
                     "host/nv", "vtpm/nv"):
            if (self.home / name).exists():
                (home / name).parent.mkdir(exist_ok=True)
                paths.run(["cp", "-a", "--reflink=auto", "--sparse=always",
                           str(self.home / name), str(home / name)])
        return Guest(dataclasses.replace(self.config, **changes), home)

    def cleanup(self):
        """Ends all processes and removes the folder."""
        self.kill()
        self.tpm.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    # The process

    def object_text(self):
        """The value of -object."""
        if not self.config.object:
            return None
        options = self.config.options
        if self.daemon:
            text = f"attester=unix:{self.daemon.socket}"
            options, _ = daemon.split_options(options)
        else:
            text = (f"tcti={self.tpm.tcti},state-dir={self.state_dir},"
                    f"secret={self.secret}")
        return f"{self.config.object},id=vsm0,{text}" + (
            "," + options if options else "")

    def argv(self, loadvm=None, paused=False):
        """QEMU's command line."""
        config = self.config
        machine = config.machine + (f",{config.machine_options}"
                                    if config.machine_options else "")
        argv = [config.qemu or paths.qemu(),
                "-machine", machine, "-accel", config.accel,
                "-m", str(config.memory_mib), "-smp", str(config.vcpus),
                "-uuid", config.uuid, "-name", config.name,
                "-nodefaults", "-no-user-config", "-display", "none",
                "-kernel", paths.guest_file(config.flavour, "vmlinuz"),
                "-initrd", paths.guest_file(config.flavour, "initrd"),
                "-append", config.kernel_line]
        for number, disk in enumerate(self.disks):
            argv += ["-blockdev", f"qcow2,node-name=disk{number},file.driver="
                     f"file,file.filename={disk}"]
            node = f"disk{number}"
            if config.throttle and number == 0:
                argv += ["-object", "throttle-group,id=group0", "-blockdev",
                         "throttle,node-name=filter0,file=disk0,"
                         "throttle-group=group0"]
                node = "filter0"
            argv += ["-device", f"virtio-blk-pci,drive={node}"]
        fields = {"mac": config.mac, "mac1": config.mac[:-1] + "a",
                  "mac2": config.mac[:-1] + "b"}
        for name in config.devices:
            argv += [word.format(**fields) for word in DEVICES[name]]
        if self.vtpm:
            argv += ["-chardev", f"socket,id=vtpm,path={self.vtpm.socket}",
                     "-tpmdev", "emulator,id=tpm0,chardev=vtpm",
                     "-device", "tpm-crb,tpmdev=tpm0"]
        for name in ("qmp", "qmp2", "ctl"):
            argv += ["-qmp", f"unix:{self.home / name},server=on,wait=off"]
        argv += ["-chardev", f"socket,id=ser0,path={self.home / 'serial'},"
                 "server=on,wait=off", "-serial", "chardev:ser0"]
        if config.object:
            argv += ["-object", self.object_text()]
        if paused:
            argv += ["-S"]
        if loadvm:
            argv += ["-loadvm", loadvm]
        return argv + list(config.extra)

    def start_daemon(self):
        """Starts vsmd, if this machine has one and it does not run."""
        if self.daemon and not self.daemon.running():
            try:
                self.daemon.start(self.tpm.tcti, self.state_dir, self.secret,
                                  daemon.split_options(self.config.options)[1])
            except daemon.Exited as error:
                raise Exited(str(error)) from error

    def _environment(self):
        """QEMU's, with what is preloaded into it."""
        env, preloaded = dict(os.environ), []
        if self.config.mortal:
            preloaded.append(paths.kill_at_write())
            env["VSM_KILL_AT"] = str(self.kill_at)
        if self.config.wall_clock:
            preloaded.append(paths.wall_clock())
            env["VSM_WALL_CLOCK"] = str(self.wall_clock)
            if not self.wall_clock.exists():
                self.wall_clock.write_bytes(bytes(8))
        if preloaded:
            env["LD_PRELOAD"] = ":".join(preloaded)
        return env

    def _spawn(self, argv, errors):
        """QEMU, registered with the daemon before it begins."""
        env = self._environment()
        if not self.daemon:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, env=env,
                                    stdout=errors, stderr=errors)
        process = subprocess.Popen(GATE + argv, stdin=subprocess.PIPE,
                                   env=env, stdout=errors, stderr=errors)
        self.daemon.register(self.config.uuid, process.pid)
        process.stdin.write(b"go\n")
        process.stdin.close()
        return process

    def start(self, loadvm=None, paused=False, boot=True):
        """Starts QEMU.  boot: wait for READY when it boots."""
        self.create()
        self.start_daemon()
        if self.vtpm:
            self.vtpm.start()
        for name in ("qmp", "qmp2", "ctl", "serial", "gdb", "kill-at"):
            (self.home / name).unlink(missing_ok=True)
        with open(self.home / "stderr", "wb") as errors:
            self._process = self._spawn(self.argv(loadvm, paused), errors)
        try:
            self.qmp = self._connect(Qmp, "qmp")
            self.qmp2 = self._connect(Qmp, "qmp2")
            self.serial = self._connect(Serial, "serial")
        except (OSError, Closed) as error:
            self._process.wait(30)
            raise Exited(self.stderr()) from error
        if boot and not paused and not loadvm:
            return self._booted()
        return self

    def _booted(self):
        """
        Waits for READY.  Two vCPUs under TCG may end QEMU while the firmware
        maps devices, a defect of its own (QEMU's issue 1921): once more then.
        """
        try:
            self.serial.wait_ready()
        except AssertionError:
            if "iotlb_to_section" not in self.stderr():
                raise
            self.kill()
            return self.start()
        return self

    def _connect(self, channel, name):
        """A socket file is there a moment before QEMU listens on it."""
        def attempt():
            try:
                return channel(self.home / name)
            except (FileNotFoundError, ConnectionRefusedError):
                if self._process.poll() is not None:
                    raise
                return None

        return wait.until(f"QEMU's socket {name}", attempt, timeout=60)

    def stderr(self):
        """What QEMU wrote to its standard error."""
        return (self.home / "stderr").read_text(errors="replace")

    def pid(self):
        return self._process.pid

    def alive(self):
        return self._process is not None and self._process.poll() is None

    def _hang_up(self):
        for channel in (self.qmp, self.qmp2, self.serial):
            if channel:
                channel.close()
        self.qmp = self.qmp2 = self.serial = None
        if self.vtpm:
            self.vtpm.kill()

    def wait_exit(self, timeout=60):
        """Waits for QEMU's own end; returns its exit code."""
        code = self._process.wait(timeout)
        self._process = None
        self._hang_up()
        return code

    def quit(self):
        """An orderly end of QEMU and of the daemon; the TPM stays."""
        if self.alive():
            try:
                self.qmp.command("quit")
            except Closed:
                pass
            self.wait_exit()
        if self.daemon:
            self.daemon.stop()

    def halt(self):
        """An orderly end of all."""
        self.quit()
        self.tpm.stop()

    def kill(self):
        """kill -9 for QEMU and the daemon, and the vTPM's end."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self.daemon:
            self.daemon.kill()
        self._hang_up()

    def kill_process(self):
        """kill -9 for QEMU alone; from any thread."""
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def kill_at_write(self, disk, number):
        """kill -9 for QEMU at its number-th write to a disk from now on."""
        text = f"{self.disks[disk].name} {number}\n"
        (self.home / "kill-at.new").write_text(text)
        (self.home / "kill-at.new").rename(self.kill_at)

    def later(self, seconds):
        """QEMU's wall clock jumps ahead, and its next one's is there, too."""
        ahead, = struct.unpack("=q", self.wall_clock.read_bytes())
        with open(self.wall_clock, "r+b") as file:  # it is mapped
            file.write(struct.pack("=q", ahead + seconds))

    def restart(self, loadvm=None, paused=False, boot=True):
        """Quits and starts again."""
        self.quit()
        return self.start(loadvm, paused, boot)

    # The running machine

    def status(self):
        """The run state."""
        return self.qmp.command("query-status")["status"]

    def stop(self):
        self.qmp.command("stop")

    def cont(self):
        self.qmp.command("cont")

    def gdb(self):
        """A connection to the gdb stub; QEMU then stops the vCPUs."""
        path = self.home / "gdb"
        if not path.exists():
            text = self.qmp.hmp(f"gdbserver unix:{path},server=on,wait=off")
            assert path.exists(), text
        return Gdb(path)

    def hmp(self, line):
        return self.qmp.hmp(line)

    # vsmctl

    def ctl(self, subcommand, *argv, check=None):
        """Runs vsmctl on this machine's third QMP socket."""
        return vsmctl(subcommand, "--qmp", self.home / "ctl", *argv,
                      check=check)

    def ctl_host(self, subcommand, *argv, check=0):
        """Runs a subcommand on the host's store.

        In process QEMU must be off; with the daemon it is asked, and goes on.
        """
        if self.daemon:
            self.start_daemon()
            return self.daemon.ctl(subcommand, *argv, check=check)
        return vsmctl(subcommand, "--tcti", self.tpm.tcti,
                      "--state-dir", self.state_dir,
                      "--secret", self.secret, *argv, check=check)

    def keys(self):
        """A trust file for a verifier who accepts this kind of attester."""
        return self.ctl_host("keys", *([] if self.daemon else
                                       ["--allow-in-process"])).stdout

    def ctl_image(self, snapshot, *argv, check=None, vm=None):
        """Runs vsmctl verify-snapshot on the first disk; QEMU is off."""
        where = ("--tcti", self.tpm.tcti, "--state-dir", self.state_dir,
                 "--secret", self.secret)
        if self.daemon:
            self.start_daemon()
            where = (f"--daemon={self.daemon.admin}",
                     "--attester", f"unix:{self.daemon.socket}")
        return vsmctl("verify-snapshot", "--image", self.disks[0],
                      "--vm", vm or self.config.uuid, "--emulator",
                      paths.qemu(), *where, *argv, snapshot, check=check)

    def disk_sums(self):
        """Of what the disks hold for the guest, as far as QEMU flushed it."""
        return [Image(disk).guest_sum() for disk in self.disks]


class Exited(Exception):
    """QEMU ended by itself; the text is its standard error."""
