"""Software TPMs: the host's, which seals, and the guest's vTPM.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pathlib
import signal
import subprocess

from . import wait
from .paths import run
from .proxy import Proxy

# What firmware would have measured; any value but zero will do.
BOOT = {pcr: bytes([pcr + 1]) * 48 for pcr in range(8)}


class Swtpm:
    """A vTPM: swtpm behind a control socket, as QEMU's emulator wants it.

    QEMU opens the data channel itself, through the control socket.
    """

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.socket = self.home / "sock"
        self._process = None

    def _argv(self):
        return ["swtpm", "socket", "--tpm2",
                "--tpmstate", f"dir={self.home / 'nv'}",
                "--ctrl", f"type=unixio,path={self.socket}",
                "--log", f"file={self.home / 'log'}"]

    def _sockets(self):
        return [self.socket]

    def start(self):
        """Starts it and waits for its sockets."""
        (self.home / "nv").mkdir(parents=True, exist_ok=True)
        for path in self._sockets():
            path.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            self._argv(), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait.until("swtpm's sockets", lambda: all(
            path.exists() for path in self._sockets()), timeout=10)
        return self

    def running(self):
        return self._process is not None and self._process.poll() is None

    def kill(self):
        """As kill -9 would end it."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self):
        """An orderly end."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def freeze(self):
        """It stays connected and answers nothing."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self._process.pid, signal.SIGCONT)


class HostTpm(Swtpm):
    """The host's TPM, reached by TCTI.

    swtpm serves one client at a time.  With proxy=True a relay stands
    before it, so that the tests can use the TPM while QEMU does, and put
    faults on the wire.
    """

    def __init__(self, home, proxy=True):
        super().__init__(home)
        self.proxy = Proxy(self.home / "tpm", self.socket) if proxy else None
        self.boot = dict(BOOT)

    @property
    def tcti(self):
        return f"swtpm:path={self.home / 'tpm' if self.proxy else self.socket}"

    def _argv(self):
        return ["swtpm", "socket", "--tpm2",
                "--tpmstate", f"dir={self.home / 'nv'}",
                "--server", f"type=unixio,path={self.socket}",
                "--ctrl", f"type=unixio,path={self.socket}.ctrl",
                "--flags", "not-need-init,startup-clear",
                "--log", f"file={self.home / 'log'}"]

    def _sockets(self):
        return [self.socket, pathlib.Path(f"{self.socket}.ctrl")]

    def start(self, measure=True):
        """Starts it; measure: PCR 0-7 as after a measured boot."""
        super().start()
        if self.proxy:
            self.proxy.start()
        if measure:
            self.extend({pcr: self.boot[pcr] for pcr in self.boot})
        return self

    def kill(self):
        super().kill()
        if self.proxy:
            self.proxy.stop()

    def stop(self):
        super().stop()
        if self.proxy:
            self.proxy.stop()

    def tool(self, *argv, check=True):
        """Runs a tpm2-tools command against this TPM."""
        environment = dict(os.environ, TPM2TOOLS_TCTI=self.tcti,
                           TSS2_LOG="all+NONE")
        return run([str(word) for word in argv], check=check,
                   env=environment)

    def extend(self, values):
        """Extends PCRs of the SHA-384 bank: {pcr: 48 bytes}."""
        self.tool("tpm2_pcrextend", *[f"{pcr}:sha384={value.hex()}"
                                      for pcr, value in values.items()])

    def pcr(self, number):
        """A PCR of the SHA-384 bank, in hex."""
        out = self.tool("tpm2_pcrread", f"sha384:{number}").stdout
        return out.split("0x")[1].split()[0].lower()
