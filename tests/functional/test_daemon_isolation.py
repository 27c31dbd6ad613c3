"""What a hostile client of vsmd cannot do: reach another VM's snapshots, or be
another VM or another program.

The clients are processes of their own that speak the wire format; daemon and
TPM are real.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import hashlib
import os
import pathlib
import re
import signal
import time
import uuid

import pytest

from vsmtest import paths, peer, wait, wire
from vsmtest.host import refused, served

pytestmark = pytest.mark.in_process("starts daemons of its own")


# Another VM's snapshots

def test_another_vms_snapshot_is_not_reached(host):
    good, good_name = host.vm()
    bad, bad_name = host.vm()
    snapshot = good.call(peer.seal, good_name, "one")
    texts = []
    for asked in ("tag:one", f"id:{snapshot}", "one", snapshot):
        for purpose in (1, 2, 4):
            texts.append(refused("not-found", bad, peer.ask, wire.CHECK_BEGIN, (
                wire.vm(bad_name), purpose, asked, None, None, None)))
    texts.append(refused("not-found", bad, peer.ask, wire.REMOVE, (snapshot,)))
    assert bad.call(peer.ids) == []
    assert not any(good_name in text for text in texts)
    # dropping debris of that id finds nothing of its own, either
    try:
        bad.call(peer.ask, wire.FORGET, (snapshot,))
    except wire.Refused:
        pass
    assert good.call(peer.ids) == [snapshot]
    good.call(peer.ask, wire.CHECK_BEGIN, (
        wire.vm(good_name), 2, "tag:one", bytes(16), None, None))


def test_forged_uuid_is_denied(host):
    good, good_name = host.vm()
    bad, bad_name = host.vm()
    good.call(peer.seal, good_name, "one")
    forged = wire.vm(good_name)
    refused("denied", bad, peer.ask, wire.STATUS, forged)
    refused("denied", bad, peer.ask, wire.SEAL_BEGIN,
            (forged, "two", False, 1000))
    refused("denied", bad, peer.ask, wire.CHECK_BEGIN,
            (forged, 2, "tag:one", None, None, None))
    served(bad, bad_name)
    served(good, good_name)


# Another process

def test_unknown_process_is_turned_away(host):
    good, name = host.vm()
    stranger = host.peer()
    assert "vsmctl vm register" in refused("denied", stranger, peer.connect,
                                           host.daemon.socket)
    served(good, name)


def test_second_process_of_a_live_vm_is_busy(host):
    good, name = host.vm()
    other = host.peer()
    with pytest.raises(wire.Refused) as caught:
        host.admin.register(name, other.pid)
    assert caught.value.code == "busy"
    served(good, name)
    good.call(peer.hang_up)
    good.call(peer.connect, host.daemon.socket)
    served(good, name)


def test_unregistered_vm_is_not_served_any_more(host):
    good, name = host.vm()
    bad, bad_name = host.vm()
    bad.call(peer.ask, wire.SEAL_BEGIN,
             (wire.vm(bad_name), "one", False, 1000))
    host.admin.unregister(bad_name)
    assert not host.admin.status()[1].get(bad_name, {}).get("connected")
    with pytest.raises((wire.Refused, ConnectionError)):
        bad.call(peer.ask, wire.STATUS, wire.vm(bad_name))
    assert bad.call(peer.is_closed)
    refused("denied", bad, peer.connect, host.daemon.socket)
    served(good, name)
    # the VM's next process is served at once
    other = host.peer()
    host.admin.register(bad_name, other.pid)
    other.call(peer.connect, host.daemon.socket)
    served(other, bad_name)
    assert other.call(peer.ids) == []


def send_and_never_read(state, data):
    """Until the daemon stands still in an answer."""
    state["wire"].socket.settimeout(0.2)
    try:
        while True:
            state["wire"].send(data)
    except OSError:
        pass


def connect_beside(state, path, seconds):
    """A second connection of this process, after that time."""
    time.sleep(seconds)
    state["second"] = wire.connect(path)


def test_unregistering_does_not_wait_for_a_successor(hosts):
    """Whom --single-vm names still, the daemon serves again at once."""
    name = str(uuid.uuid4())
    host = hosts(f"--single-vm=65534={name}", "--message-timeout-ms=1500")
    os.chmod(host.home, 0o755)
    nobody = host.peer()
    nobody.call(peer.become_nobody)
    host.admin.register(name, nobody.pid)
    nobody.call(peer.connect, host.daemon.socket)
    served(nobody, name)
    nobody.call(send_and_never_read, wire.frame(wire.ABORT, wire.encode(
        "()", ())))
    nobody._pipe.send((connect_beside, (host.daemon.socket, 0.3)))
    started = time.monotonic()
    host.admin.unregister(name)
    assert 0.3 < time.monotonic() - started < 2
    assert nobody._pipe.poll(30)
    assert nobody._pipe.recv()[0] == "done"
    assert host.admin.status()[1][name]["connected"]


def test_child_of_a_vm_is_not_the_vm(host):
    """Connect, fork, exec the genuine binary: the child's messages are not
    those of the process that was measured."""
    good, name = host.vm()
    bad, bad_name = host.vm()
    qemu = [paths.qemu(), "-machine", "none", "-display", "none",
            "-nodefaults"]
    bad._pipe.send((peer.fork_and_exec, (qemu,)))
    assert bad._pipe.poll(30)
    bad._pipe.recv()
    wait.until("the exec", lambda: os.readlink(
        f"/proc/{bad.pid}/exe") == os.path.realpath(paths.qemu()), timeout=20)
    with pytest.raises((wire.Refused, ConnectionError)) as caught:
        bad.call(peer.ask, wire.STATUS, wire.vm(bad_name))
    assert getattr(caught.value, "code", "denied") == "denied"
    assert bad.call(peer.is_closed)
    served(good, name)


def test_message_sent_before_the_measurement_is_refused(host):
    """Send first, exec the genuine binary afterwards: the daemon then measures
    a program that did not write what was sent."""
    bad, bad_name = host.vm(connect=False)
    qemu = [paths.qemu(), "-machine", "none", "-display", "none",
            "-nodefaults"]
    host.daemon.freeze()
    bad.call(peer.connect_only, host.daemon.socket)
    bad.call(peer.send, wire.frame(wire.STATUS, wire.encode(
        wire.TYPES[wire.STATUS], wire.vm(bad_name))))
    bad._pipe.send((peer.fork_and_exec, (qemu,)))
    assert bad._pipe.poll(30)
    bad._pipe.recv()
    wait.until("the exec", lambda: os.readlink(
        f"/proc/{bad.pid}/exe") == os.path.realpath(paths.qemu()), timeout=20)
    host.daemon.thaw()
    refused("protocol", bad, peer.hello)
    assert bad.call(peer.is_closed)


def test_ended_vms_number_is_not_the_vm(host):
    bad, name = host.vm(connect=False)
    os.kill(bad.pid, signal.SIGKILL)
    bad._process.join()
    assert host.admin.status()[1][name]["pid"] == 0
    other = host.peer()
    refused("denied", other, peer.connect, host.daemon.socket)


# The hypervisor is measured, not stated

def test_hypervisor_digest_is_what_the_daemon_measured(host):
    good, name = host.vm()
    status = served(good, name)
    assert status[:2] == ("daemon", "daemon")
    digests = sorted({hashlib.sha384(pathlib.Path(path).read_bytes()).digest()
                      for path in peer.executable_files(good.pid)})
    expected = hashlib.sha384(b"".join(digests)).digest()
    assert bytes(status[12]) == expected


def test_huge_executable_file_keeps_nobody_waiting(host):
    good, name = host.vm()
    bad, bad_name = host.vm()
    late, _ = host.vm(connect=False)
    for process in (bad, late):
        process.call(peer.map_executable, host.home / f"huge{process.pid}",
                     1 << 20)
    for _ in range(3):
        bad._pipe.send((peer.ask, (wire.STATUS, wire.vm(bad_name))))
        served(good, name)
        kind, number, text = bad._pipe.recv()
        assert (kind, wire.NAMES[number]) == ("refused", "limit")
        assert "1024 MiB" in text
    assert "1024 MiB" in refused("limit", late, peer.connect,
                                 host.daemon.socket)
    # a file under the limit takes its time, and that of no other
    for process in (bad, late):
        process.end()
    slow, slow_name = host.vm()
    slow.call(peer.map_executable, host.home / "slow", 900)
    slow._pipe.send((peer.ask, (wire.STATUS, wire.vm(slow_name))))
    longest = 0
    begin = time.monotonic()
    while not slow._pipe.poll(0):
        started = time.monotonic()
        good.call(peer.ask, wire.STATUS, wire.vm(name))
        longest = max(longest, time.monotonic() - started)
    assert slow._pipe.recv()[0] == "done"
    assert longest < (time.monotonic() - begin) / 2


def bytes_read(pid):
    """What that process read so far, from files and sockets."""
    text = pathlib.Path(f"/proc/{pid}/io").read_text()
    return int(re.search(r"^rchar: (\d+)$", text, re.M)[1])


def test_files_that_are_mapped_in_turn_are_read_within_bounds(host):
    """Equal content: the digest does not grow, but each file is read anew."""
    good, name = host.vm()
    bad, bad_name = host.vm()
    before = bytes_read(host.daemon.pid())
    texts = []
    for turn in range(12):
        bad.call(peer.map_executable, host.home / f"file{turn % 2}", 500)
        try:
            bad.call(peer.ask, wire.STATUS, wire.vm(bad_name))
        except wire.Refused as error:
            assert error.code == "busy", error
            texts.append(error.text)
        bad.call(peer.unmap)
    assert bytes_read(host.daemon.pid()) - before < 2.5 * (1 << 30)
    assert len(texts) > 5
    assert all(re.search(r"mapped files .* try again in \d+ s", text)
               for text in texts), texts
    served(good, name)
    # a new connection gives no new share
    bad.call(peer.hang_up)
    refused("busy", bad, peer.connect, host.daemon.socket)


def test_file_that_was_mapped_stays_in_the_digest(host):
    good, name = host.vm()
    before = served(good, name)[12]
    good.call(peer.map_executable, host.home / "file", 1)
    during = served(good, name)[12]
    good.call(peer.unmap)
    assert before != during == served(good, name)[12]


MEASURED = "(masma(smstttumaymay)tttums)"


def check(process, name, meanwhile=None):
    """A check of the snapshot "one", with a report."""
    process.call(peer.ask, wire.CHECK_BEGIN,
                 (wire.vm(name), 2, "tag:one", bytes(16), None, None))
    process.call(peer.ask, wire.PUT, (1, 0, peer.MANIFEST))
    if meanwhile:
        process.call(*meanwhile)
    process.call(peer.ask, wire.CHECK_FINISH,
                 (None, None, 0, 0, 0, 0, None), MEASURED)


def test_file_mapped_in_a_transaction_ends_it_in_nothing(host):
    """The hypervisor that a report names, or that is sealed, is the one that
    there still is at the end."""
    good, name = host.vm()
    snapshot = good.call(peer.seal, name, "one")
    check(good, name)
    good.call(peer.seal_finish, name, "two")
    good.call(peer.map_executable, host.home / "late", 1)
    assert "/late" in refused("hypervisor", good, peer.ask, wire.COMMIT)
    good.call(peer.ask, wire.ABORT)
    good.call(peer.hang_up)
    good.call(peer.unmap)
    good.call(peer.connect, host.daemon.socket)
    records = good.call(peer.ids)
    assert len(records) == 2 and records[0] == snapshot     # and debris
    check(good, name)
    with pytest.raises(wire.Refused) as caught:
        check(good, name, (peer.map_executable, host.home / "later", 2))
    assert caught.value.code == "hypervisor"
    assert "/later" in caught.value.text


def test_stated_hypervisor_is_no_message(host):
    good, name = host.vm()
    stated = wire.encode("((smsmsmsb)ay)", (wire.vm(name), bytes(48)))
    good.call(peer.send, wire.frame(wire.STATUS, stated))
    refused("protocol", good, peer.message)
    assert good.call(peer.is_closed)
