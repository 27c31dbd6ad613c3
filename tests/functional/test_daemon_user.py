"""vsmd under a user of its own, with the capabilities of its unit alone.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import uuid

import pytest

from vsmtest import paths, peer, wait, wire
from vsmtest.host import Host, refused, served

pytestmark = [
    pytest.mark.in_process("starts daemons of its own"),
    pytest.mark.skipif(not shutil.which("setpriv"),
                       reason="setpriv is not installed"),
]

DAEMON_USER, VM_USER = 54321, 54322     # nobody else's


@pytest.fixture
def hosts():
    """Makes hosts whose daemon is no root."""
    made = []

    def new(*options, threads=None):
        made.append(Host(*options, user=DAEMON_USER, threads=threads))
        return made[-1]

    yield new
    for host in made:
        host.end()


def status_of(pid):
    return dict(line.split(":", 1) for line in pathlib.Path(
        f"/proc/{pid}/status").read_text().splitlines())


def test_daemon_of_its_own_user_serves_vms_of_another(hosts):
    host = hosts()
    status = status_of(host.daemon.pid())
    assert set(status["Uid"].split()) == {str(DAEMON_USER)}
    good, name = host.vm(connect=False)
    good.call(peer.become, VM_USER)
    # what the capabilities are for: its files in /proc are root's
    assert os.stat(f"/proc/{good.pid}/maps").st_uid == 0
    good.call(peer.connect, host.daemon.socket)
    assert served(good, name)[:2] == ("daemon", "daemon")
    snapshot = good.call(peer.seal, name, "one")
    good.call(peer.ask, wire.CHECK_BEGIN,
              (wire.vm(name), 2, "tag:one", bytes(16), None, None))
    good.call(peer.ask, wire.ABORT)
    good.call(peer.ask, wire.REMOVE, (snapshot,))


class Qemu:
    """A QEMU of that user, which registers itself as the VM; over QMP."""

    def __init__(self, host, user, name):
        words = [paths.vsmctl(), "vm", "register", name,
                 f"--daemon={host.daemon.admin}", "--pid"]
        qemu = ["setpriv", f"--reuid={user}", f"--regid={user}",
                "--clear-groups", paths.qemu(), "-machine", "none",
                "-nodefaults", "-no-user-config", "-display", "none",
                "-uuid", name, "-qmp", "stdio", "-object",
                "vm-snapshot-manager,id=vsm0,"
                f"attester=unix:{host.daemon.socket}"]
        self.process = subprocess.Popen(
            ["sh", "-c", " ".join(words) + ' $$ && exec "$@"', "sh", *qemu],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert "QMP" in json.loads(self.process.stdout.readline())
        self.command("qmp_capabilities")

    def command(self, name):
        self.process.stdin.write(json.dumps({"execute": name}) + "\n")
        self.process.stdin.flush()
        while True:
            answer = json.loads(self.process.stdout.readline())
            if "event" not in answer:
                return answer["return"]

    def end(self):
        self.process.kill()
        self.process.wait()


def closed_to_others(path):
    """Whether a folder on the way is, such as root's home."""
    return not all(parent.stat().st_mode & 0o001
                   for parent in pathlib.Path(path).resolve().parents)


def test_qemu_of_another_user_is_measured(hosts):
    """It closes its memory, and the daemon is neither root nor its user."""
    if closed_to_others(paths.qemu()):
        pytest.skip(f"{paths.qemu()}: other users cannot reach it; set "
                    "VSM_BUILD to a folder that all may enter")
    host = hosts()
    name = str(uuid.uuid4())
    qemu = Qemu(host, VM_USER, name)
    try:
        pid = qemu.process.pid
        assert set(status_of(pid)["Uid"].split()) == {str(VM_USER)}
        assert os.stat(f"/proc/{pid}/maps").st_uid == 0     # not dumpable
        status = json.dumps(qemu.command("query-vsm"))
        digests = sorted({hashlib.sha384(
            pathlib.Path(path).read_bytes()).digest()
            for path in peer.executable_files(pid)})
        assert hashlib.sha384(b"".join(digests)).hexdigest() in status
        assert host.admin.status()[1][name]["connected"]
    finally:
        qemu.end()


def test_replaced_library_of_another_users_vm(hosts):
    """Measured before, it counts on; never measured, it is refused."""
    host = hosts()
    measured, name = host.vm(connect=False)
    late, _ = host.vm(connect=False)
    for process in (measured, late):
        path = host.home / f"library{process.pid}"
        process.call(peer.map_executable, path, 1)
        os.chmod(path, 0o644)
        process.call(peer.become, VM_USER)
    measured.call(peer.connect, host.daemon.socket)
    before = served(measured, name)[12]
    for process in (measured, late):
        path = host.home / f"library{process.pid}"
        path.unlink()
        path.write_bytes(b"another")
        assert f"{path} (deleted)" in peer.executable_files(process.pid)
    assert served(measured, name)[12] == before
    assert "replaced on disk" in refused("hypervisor", late, peer.connect,
                                         host.daemon.socket)


def test_no_thread_for_a_connection_is_busy_and_the_daemon_lives(hosts):
    host = hosts(threads=6)
    good, name = host.vm()
    served(good, name)
    others = [host.vm(connect=False) for _ in range(8)]
    codes = set()
    for other, _ in others:
        try:
            other.call(peer.connect, host.daemon.socket)
        except wire.Refused as error:
            assert "thread" in error.text
            codes.add(error.code)
    assert codes == {"busy"}
    served(good, name)
    for other, _ in others:
        other.end()
    wait.until("a place", lambda: host.admin.status()[0]["connections"] == 1,
               timeout=20)
    again, again_name = host.vm()
    served(again, again_name)
