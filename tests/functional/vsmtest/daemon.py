"""vsmd, between a machine's QEMU and its host's TPM.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pathlib
import signal
import subprocess

from . import paths, wait
from .vsmctl import vsmctl

# Properties of the object that are the daemon's, by its option
HOST_OPTIONS = ("pcrs", "allow-unmeasured-boot", "nv-burst",
                "nv-interval-ms", "operator-key", "command-timeout-ms")


def split_options(text):
    """An object's properties: (the object's own, the daemon's argv)."""
    own, host = [], []
    for item in filter(None, text.split(",")):
        name, _, value = item.partition("=")
        if name not in HOST_OPTIONS:
            own.append(item)
        elif value == "on":
            host.append(f"--{name}")
        else:
            host.append(f"--{name}={value}")
    return ",".join(own), host


READY = "message=ready"


class Daemon:
    """One vsmd.  Its folder has both sockets."""

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.socket = self.home / "vsmd.sock"
        self.admin = self.home / "admin.sock"
        # Tests are in a hurry; rates have tests of their own.
        self.rates = ["--seal-interval-ms=0", "--attest-interval-ms=0"]
        self.prefix = []    # words before its own: another user, limits
        self._process = None

    def start(self, tcti, state_dir, secret, options=()):
        """Starts it; Exited with its words if it does not stay."""
        self.home.mkdir(mode=0o755, parents=True, exist_ok=True)
        argv = [*self.prefix, paths.vsmd(), f"--tcti={tcti}",
                f"--state-dir={state_dir}", f"--secret={secret}",
                f"--listen={self.socket}", f"--admin={self.admin}",
                *self.rates, *options]
        for path in (self.socket, self.admin):
            path.unlink(missing_ok=True)
        before = len(self.log())
        with open(self.home / "log", "ab") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        # Its sockets are there before the TPM was asked.
        wait.until("vsmd to be ready", lambda: not self.running() or
                   READY in self.log()[before:], timeout=90)
        if not self.running():
            raise Exited(self.log()[before:])
        return self

    def log(self):
        """All that it wrote, of each start."""
        path = self.home / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def pid(self):
        return self._process.pid

    def running(self):
        return self._process is not None and self._process.poll() is None

    def register(self, uuid, pid):
        """That process is that VM."""
        self.ctl("vm", "register", uuid, "--pid", pid, check=0)

    def ctl(self, *argv, check=None):
        """vsmctl on the admin socket."""
        return vsmctl(*argv, f"--daemon={self.admin}", check=check)

    def stop(self):
        """An orderly end."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self):
        """As kill -9 would end it."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self):
        """It stays connected and answers nothing."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self):
        os.kill(self._process.pid, signal.SIGCONT)


class Exited(Exception):
    """vsmd ended by itself; the text is what it wrote."""
