"""vsmd under a user of its own, with the capabilities of its unit alone.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import ctypes
import os
import pathlib
import shutil

import pytest

from test_daemon_isolation import executable_files, map_executable
from vsmtest import peer, wait, wire
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


def become(state, user):
    """Another user, whose memory is closed as QEMU closes its own."""
    del state
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    assert ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0  # PR_SET_DUMPABLE


def status_of(pid):
    return dict(line.split(":", 1) for line in pathlib.Path(
        f"/proc/{pid}/status").read_text().splitlines())


def test_daemon_of_its_own_user_serves_vms_of_another(hosts):
    host = hosts()
    status = status_of(host.daemon.pid())
    assert set(status["Uid"].split()) == {str(DAEMON_USER)}
    good, name = host.vm(connect=False)
    good.call(become, VM_USER)
    # what the capabilities are for: its files in /proc are root's
    assert os.stat(f"/proc/{good.pid}/maps").st_uid == 0
    good.call(peer.connect, host.daemon.socket)
    assert served(good, name)[:2] == ("daemon", "daemon")
    snapshot = good.call(peer.seal, name, "one")
    good.call(peer.ask, wire.CHECK_BEGIN,
              (wire.vm(name), 2, "tag:one", bytes(16), None, None))
    good.call(peer.ask, wire.ABORT)
    good.call(peer.ask, wire.REMOVE, (snapshot,))


def test_replaced_library_of_another_users_vm(hosts):
    """Measured before, it counts on; never measured, it is refused."""
    host = hosts()
    measured, name = host.vm(connect=False)
    late, _ = host.vm(connect=False)
    for process in (measured, late):
        path = host.home / f"library{process.pid}"
        process.call(map_executable, path, 1)
        os.chmod(path, 0o644)
        process.call(become, VM_USER)
    measured.call(peer.connect, host.daemon.socket)
    before = served(measured, name)[12]
    for process in (measured, late):
        path = host.home / f"library{process.pid}"
        path.unlink()
        path.write_bytes(b"another")
        assert f"{path} (deleted)" in executable_files(process.pid)
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
