"""A machine whose RAM is full, with or without VSM.

SeaBIOS finds nothing to boot and halts for ever: the machine runs and costs no
CPU.  Its RAM is then filled from outside, through /proc/PID/mem, with a
keystream: no two pages are alike.  So the RAM is QEMU's default kind, as a
user has it.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pathlib
import subprocess
import time

from vsmtest import paths, wait
from vsmtest.qmp import Closed, Qmp
from vsmtest.swtpm import HostTpm
from vsmtest.vsm import VsmCommands

MIB = 1 << 20
PAGE = 4096
# What SeaBIOS holds: the first 16 MiB, and the tables at the end of the RAM
# below 4 GiB (2 GiB on q35 when there is more).
BIOS_LOW = 16 * MIB
LOW_RAM = 2048 * MIB
BIOS_HIGH = 2 * MIB


class Keystream:
    """AES-CTR: as random as needed, and no page comes twice."""

    def __init__(self):
        self._process = subprocess.Popen(
            ["openssl", "enc", "-aes-128-ctr", "-in", "/dev/zero",
             "-K", os.urandom(16).hex(), "-iv", "00" * 16],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def read(self, size):
        return self._process.stdout.read(size)

    def close(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


def fill_ranges(ram_bytes, share):
    """The parts of the RAM block to fill: the first @share of them."""
    low = min(ram_bytes, LOW_RAM) - BIOS_HIGH
    parts = [(BIOS_LOW, low)]
    if ram_bytes > LOW_RAM:
        parts.append((LOW_RAM, ram_bytes))
    left = int(ram_bytes * share) if share < 1 else ram_bytes
    for begin, end in parts:
        end = min(end, begin + left)
        left -= end - begin
        if end > begin:
            yield begin, end


class Machine(VsmCommands):
    """One QEMU, its disk and its host TPM in a folder."""

    def __init__(self, home, memory_mib, cache, vsm, options="", share=1.0):
        self.home = pathlib.Path(home)
        self.memory_mib = memory_mib
        self.cache = cache
        self.vsm = vsm
        self.options = options
        self.share = share
        self.tpm = HostTpm(self.home / "host", proxy=False)
        self.qmp = None
        self._process = None

    @property
    def disks(self):
        return [self.home / "disk.qcow2"]

    def create(self):
        self.home.mkdir(parents=True)
        paths.run([paths.qemu_img(), "create", "-q", "-f", "qcow2",
                   str(self.disks[0]), "64M"])
        self.tpm.start()
        return self

    def _argv(self):
        direct = self.cache == "none"
        blockdev = (f"qcow2,node-name=disk0,file.driver=file,"
                    f"file.filename={self.disks[0]}")
        if direct:
            blockdev += (",cache.direct=on,file.cache.direct=on,"
                         "file.aio=native")
        argv = [paths.qemu() if self.vsm else paths.stock_qemu(),
                "-machine", "q35", "-accel", "tcg", "-m",
                f"{self.memory_mib}M", "-rtc", "clock=vm",
                "-uuid", "11111111-2222-4333-8444-666666666666",
                "-nodefaults", "-no-user-config", "-display", "none",
                "-blockdev", blockdev,
                "-device", "virtio-blk-pci,drive=disk0",
                "-qmp", f"unix:{self.home / 'qmp'},server=on,wait=off"]
        if self.vsm:
            argv += ["-object", "vm-snapshot-manager,id=vsm0,"
                     f"tcti={self.tpm.tcti},"
                     f"state-dir={self.home / 'state'},"
                     f"secret={self.home / 'secret'},nv-burst=1000"
                     + self.options]
        return argv

    def start(self):
        """Starts QEMU and fills its RAM; nothing if it runs."""
        if self._process:
            return self
        (self.home / "qmp").unlink(missing_ok=True)
        with open(self.home / "stderr", "wb") as errors:
            self._process = subprocess.Popen(
                self._argv(), stdin=subprocess.DEVNULL, stdout=errors,
                stderr=errors)
        self.qmp = wait.until("QEMU's monitor", self._connect)
        self.qmp.timeout = 600
        time.sleep(3)    # the BIOS's way to "no bootable device"
        self.fill()
        return self

    def _connect(self):
        try:
            return Qmp(self.home / "qmp")
        except (FileNotFoundError, ConnectionRefusedError, Closed):
            if self._process.poll() is not None:
                raise AssertionError(
                    (self.home / "stderr").read_text()) from None
            return None

    def _ram_address(self):
        """Where the largest RAM block lies in QEMU's memory."""
        lines = [line.split() for line in
                 self.qmp.hmp("info ramblock").splitlines()]
        for words in lines:
            if words and words[0] in ("pc.ram", "mem0"):
                return int(words[-2] if words[-1] in ("ro", "rw")
                           else words[-1], 16)
        raise AssertionError("no RAM block pc.ram")

    def fill(self):
        stream = Keystream()
        memory = os.open(f"/proc/{self._process.pid}/mem", os.O_WRONLY)
        base = self._ram_address()
        try:
            for begin, end in fill_ranges(self.memory_mib * MIB, self.share):
                for at in range(begin, end, MIB):
                    os.pwrite(memory, stream.read(min(MIB, end - at)),
                              base + at)
        finally:
            os.close(memory)
            stream.close()

    def stop(self):
        """Ends QEMU; the files and the TPM stay."""
        if self._process:
            self.qmp.command("quit")
            self._process.wait(60)
            self.qmp.close()
            self._process = self.qmp = None

    def end(self):
        """Ends everything."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.tpm.kill()

    def forget_cache(self):
        """Drops the disk from the host's page cache, to make room."""
        disk = os.open(self.disks[0], os.O_RDONLY)
        os.posix_fadvise(disk, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(disk)

    # What the process costs

    def cpu_seconds(self, main_thread=False):
        """Of all its threads or of one, in user mode and in the kernel."""
        pid = self._process.pid
        stat = pathlib.Path(f"/proc/{pid}/task/{pid}/stat" if main_thread
                            else f"/proc/{pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, field):
        text = pathlib.Path(f"/proc/{self._process.pid}/status").read_text()
        for line in text.splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {field}")

    def watch_memory(self):
        """Forgets the peak so far; bytes resident now."""
        pathlib.Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        return self._status("VmRSS")

    def peak_memory(self):
        return self._status("VmHWM")
