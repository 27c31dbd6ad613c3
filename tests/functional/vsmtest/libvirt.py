"""A domain of a real libvirt, with the files of a test's machine.

libvirtd and virtlogd are started for the tests unless they run already;
systemd is not needed.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import fcntl
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
from xml.sax.saxutils import escape, quoteattr

from . import paths, wait
from .serial import Serial
from .vsmctl import vsmctl

URI = "qemu:///system"
SOCKET = "/run/libvirt/libvirt-sock"
LOCK = "/run/lock/vsm-test-libvirt"

# QEMU is root's, as the label of each domain has it.  Where only root may open
# /dev/kvm, libvirt would find no KVM for its own user, distrust each answer that
# QEMU gave of it, and ask again and again, a minute a domain.
QEMU_CONF = 'user = "root"\ngroup = "root"\n'
WITH_CONF = ["unshare", "--mount", "--propagation", "slave", "sh", "-c",
             '[ ! -e /etc/libvirt/qemu.conf ] ||'
             ' mount --bind "$0" /etc/libvirt/qemu.conf; exec "$@"']

DOMAIN = """\
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>1</vcpu>
  {resource}
  <os>
    <type arch='x86_64' machine='pc-q35-10.0'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{line}</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='custom'><model>qemu64</model></cpu>
  <clock offset='utc'><timer name='rtc' track='guest'/></clock>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file={disk}/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <serial type='unix'><source mode='bind' path={serial}/></serial>
  </devices>
  <seclabel type='static' model='dac' relabel='no'>
    <label>+{uid}:+{gid}</label>
  </seclabel>
  {apparmor}
  <qemu:commandline>
    <qemu:arg value='-object'/>
    <qemu:arg value={object}/>
  </qemu:commandline>
</domain>
"""


class Libvirt:
    """libvirtd; what was started here is ended by stop().

    One run of the tests has it at a time: the two modes run side by side.
    """

    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="vsm-libvirt-"))
        self._started = []
        self._lock = open(LOCK, "w")     # pylint: disable=R1732

    @property
    def ours(self):
        """Whether it was started here."""
        return bool(self._started)

    def _listens(self):
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(SOCKET)
            return True
        except OSError:
            return False

    def start(self, prepare=lambda: None):
        """prepare: called if none runs yet, before one is started."""
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        if self._listens():
            return self
        prepare()
        (self.home / "libvirtd.conf").write_text(
            'auth_unix_rw = "none"\nunix_sock_rw_perms = "0700"\n')
        (self.home / "qemu.conf").write_text(QEMU_CONF)
        for argv in (["virtlogd"],
                     WITH_CONF + [self.home / "qemu.conf", "libvirtd", "-f",
                                  self.home / "libvirtd.conf"]):
            with open(self.home / "log", "ab") as log:
                self._started.append(subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        wait.until("libvirtd", self._answers, timeout=60)
        return self

    def _answers(self):
        assert self._started[-1].poll() is None, \
            (self.home / "log").read_text()
        return self._listens() and paths.run(
            ["virsh", "-c", URI, "list"], check=False).returncode == 0

    def stop(self):
        for process in reversed(self._started):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.home, ignore_errors=True)
        self._lock.close()

    @staticmethod
    def virsh(*argv, check=True):
        return paths.run(["virsh", "-q", "-c", URI] +
                         [str(word) for word in argv], check=check)


class Domain:
    """A machine of the tests, run by libvirt."""

    def __init__(self, libvirt, guest):
        self.libvirt = libvirt
        self.guest = guest
        self.name = f"vsm-test-{os.getpid()}"
        self.emulator = None    # another program than QEMU itself
        self.resource = ""      # where its control groups are
        self.serial = None

    def define(self):
        config = self.guest.config
        apparmor = pathlib.Path("/sys/module/apparmor/parameters/enabled")
        xml = DOMAIN.format(
            name=self.name, uuid=config.uuid, memory=config.memory_mib,
            resource=self.resource,
            kernel=escape(paths.guest_file(config.flavour, "vmlinuz")),
            initrd=escape(paths.guest_file(config.flavour, "initrd")),
            line=escape(config.kernel_line),
            emulator=escape(self.emulator or paths.qemu()),
            disk=quoteattr(str(self.guest.disks[0])),
            serial=quoteattr(str(self.guest.home / "serial")),
            uid=os.getuid(), gid=os.getgid(),
            apparmor="<seclabel type='none' model='apparmor'/>"
            if apparmor.exists() and apparmor.read_text().startswith("Y")
            else "",
            object=quoteattr(self.guest.object_text()))
        path = self.guest.home / "domain.xml"
        path.write_text(xml)
        self.libvirt.virsh("define", path)
        return self

    def connect(self):
        """The serial line, anew: each revert is a new QEMU."""
        if self.serial:
            self.serial.close()
        self.serial = Serial(self.guest.home / "serial")

    def virsh(self, command, *argv, check=True):
        return self.libvirt.virsh(command, self.name, *argv, check=check)

    def state(self):
        return self.virsh("domstate").stdout.strip()

    def ctl(self, subcommand, *argv, check=None):
        """vsmctl on this domain."""
        return vsmctl(subcommand, "--connect", URI, "--domain", self.name,
                      *argv, check=check)

    def end(self):
        if self.serial:
            self.serial.close()
        self.virsh("destroy", check=False)
        self.virsh("undefine", "--snapshots-metadata", check=False)
