"""A host without QEMU: TPM, daemon, and processes that are VMs to it.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pathlib
import re
import shutil
import tempfile
import time
import uuid

import pytest

from . import paths, peer, wire
from .daemon import Daemon
from .peer import Peer
from .swtpm import HostTpm

UNIT = paths.ROOT / "units/vsmd.service"


def unit_prefix(user, threads=None):
    """Words that start a program as the unit would: that user, the unit's
    capabilities and no other."""
    names = re.search(r"^AmbientCapabilities=(.*)$", UNIT.read_text(),
                      re.M)[1].split()
    added = ",".join(["-all"] + ["+" + name.lower().removeprefix("cap_")
                                 for name in names])
    prefix = ["prlimit", f"--nproc={threads}"] if threads else []
    return prefix + ["setpriv", f"--reuid={user}", f"--regid={user}",
                     "--clear-groups", f"--inh-caps={added}",
                     f"--ambient-caps={added}", f"--bounding-set={added}",
                     "--no-new-privs"]


class Host:
    """A TPM and a daemon, and processes that are VMs to it."""

    def __init__(self, *options, user=None, threads=None):
        """user: another one than root, with the unit's capabilities alone;
        threads: how many that user may have."""
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="vsm-"))
        self.options = options
        self.secret = self.home / "secret"
        self.tpm = HostTpm(self.home / "host")
        (self.home / "host").mkdir()
        self.tpm.start()
        self.daemon = Daemon(self.home / "daemon")
        if user is not None:
            self.give_to(user, threads)
        self.admin = wire.Admin(self.daemon.admin)
        self.peers = []
        self.start()

    def give_to(self, user, threads):
        """The daemon runs as that user, as its unit starts it."""
        os.chmod(self.home, 0o755)
        for name in ("daemon", "state", "secrets"):
            (self.home / name).mkdir(mode=0o700)
            os.chown(self.home / name, user, user)
        os.chmod(self.home / "daemon", 0o755)
        self.secret = self.home / "secrets/secret"
        os.chmod(self.home / "host", 0o755)
        for name in ("tpm", "tpm.ctrl"):
            os.chmod(self.home / "host" / name, 0o666)
        self.daemon.prefix = unit_prefix(user, threads)

    def start(self):
        self.daemon.start(self.tpm.tcti, self.home / "state",
                          self.secret, self.options)

    def peer(self):
        """A process that is no VM."""
        made = Peer()
        self.peers.append(made)
        return made

    def vm(self, connect=True):
        """A process that root registered: (it, its uuid)."""
        made, name = self.peer(), str(uuid.uuid4())
        self.admin.register(name, made.pid)
        if connect:
            made.call(peer.connect, self.daemon.socket)
        return made, name

    def end(self):
        for each in self.peers:
            each.end()
        self.daemon.kill()
        self.tpm.kill()
        shutil.rmtree(self.home, ignore_errors=True)


def refused(code, process, function, *arguments):
    """The call is refused with that code; the text."""
    with pytest.raises(wire.Refused) as caught:
        process.call(function, *arguments)
    assert caught.value.code == code, caught.value
    return caught.value.text


def served(process, name):
    """Its request is answered, and soon; the status."""
    started = time.monotonic()
    body = process.call(peer.ask, wire.STATUS, wire.vm(name))
    assert time.monotonic() - started < 10
    return wire.decode(wire.STATUS_ANSWER, body)
