"""What a hostile client of vsmd cannot do: reach another VM's snapshots, be
another VM or another program, or keep others from being served.

The clients are processes of their own that speak the wire format; daemon and
TPM are real.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import hashlib
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import uuid

import pytest

from vsmtest import paths, peer, wait, wire
from vsmtest.host import Host, refused, served

pytestmark = pytest.mark.in_process("starts daemons of its own")


@pytest.fixture
def hosts():
    """Makes hosts with options of their own."""
    made = []

    def new(*options):
        made.append(Host(*options))
        return made[-1]

    yield new
    for host in made:
        host.end()


@pytest.fixture
def host(hosts):
    return hosts("--message-timeout-ms=2000")


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
    nobody.call(become_nobody)
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

def executable_files(pid):
    """The process's executable and the files that it has mapped executable."""
    files = {os.readlink(f"/proc/{pid}/exe")}
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        fields = line.split(None, 5)
        if "x" in fields[1] and len(fields) == 6 and fields[5][0] == "/":
            files.add(fields[5])
    return files


def test_hypervisor_digest_is_what_the_daemon_measured(host):
    good, name = host.vm()
    status = served(good, name)
    assert status[:2] == ("daemon", "daemon")
    digests = sorted({hashlib.sha384(pathlib.Path(path).read_bytes()).digest()
                      for path in executable_files(good.pid)})
    expected = hashlib.sha384(b"".join(digests)).digest()
    assert bytes(status[12]) == expected


def map_executable(state, path, megabytes):
    """Maps the start of a sparse file of that length executable."""
    import mmap
    with open(path, "w+b") as file:
        file.truncate(megabytes << 20)
        state.setdefault("maps", []).append(
            mmap.mmap(file.fileno(), 4096, mmap.MAP_PRIVATE,
                      mmap.PROT_READ | mmap.PROT_EXEC))


def test_huge_executable_file_keeps_nobody_waiting(host):
    good, name = host.vm()
    bad, bad_name = host.vm()
    late, _ = host.vm(connect=False)
    for process in (bad, late):
        process.call(map_executable, host.home / f"huge{process.pid}", 1 << 20)
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
    slow.call(map_executable, host.home / "slow", 900)
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
        bad.call(map_executable, host.home / f"file{turn % 2}", 500)
        try:
            bad.call(peer.ask, wire.STATUS, wire.vm(bad_name))
        except wire.Refused as error:
            assert error.code == "busy", error
            texts.append(error.text)
        bad.call(unmap)
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
    good.call(map_executable, host.home / "file", 1)
    during = served(good, name)[12]
    good.call(unmap)
    assert before != during == served(good, name)[12]


def unmap(state):
    state.pop("maps")[0].close()


def test_stated_hypervisor_is_no_message(host):
    good, name = host.vm()
    stated = wire.encode("((smsmsmsb)ay)", (wire.vm(name), bytes(48)))
    good.call(peer.send, wire.frame(wire.STATUS, stated))
    refused("protocol", good, peer.message)
    assert good.call(peer.is_closed)


# Broken messages

VM = wire.encode(wire.TYPES[wire.STATUS],
                 wire.vm("3f2b0f5e-0c83-4a52-a1f4-9d8f6f7d9a01"))
BROKEN = {
    "another magic": wire.frame(wire.STATUS, VM, magic=b"VSM2"),
    "another version": wire.frame(wire.STATUS, VM, version=2),
    "no such operation": wire.frame(63, VM),
    "operation of the admin socket": wire.frame(wire.ADMIN_KEYS, b""),
    "an answer": wire.frame(wire.STATUS | wire.ANSWER, VM),
    "an error": wire.frame(wire.ERROR, wire.encode("(us)", (1, "x"))),
    "the greeting": wire.frame(wire.HELLO, b""),
    "over the limit": wire.frame(wire.PUT, b"", length=wire.LIMIT + 1),
    "far over the limit": wire.frame(wire.PUT, b"", length=0xffffffff),
    "no body": wire.frame(wire.STATUS),
    "cut body": wire.frame(wire.STATUS, VM[:-3]),
    "longer body": wire.frame(wire.STATUS, VM + b"\0\0\0"),
    "another type": wire.frame(wire.STATUS, wire.encode("(tt)", (1, 2))),
    "body where none belongs": wire.frame(wire.ABORT, VM),
    "no part of that number": wire.frame(
        wire.PUT, wire.encode(wire.TYPES[wire.PUT], (99, 0, b"x"))),
    "garbage": b"\xff\xfe" * 64,
    "text": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_message_closes_the_connection(broken_host, what):
    good, name, bad = broken_host
    bad.call(peer.connect, good.daemon_socket)
    bad.call(peer.send, BROKEN[what])
    with pytest.raises((wire.Refused, ConnectionError)) as caught:
        bad.call(peer.message)
    assert getattr(caught.value, "code", "protocol") in ("protocol", "limit")
    assert bad.call(peer.is_closed)
    served(good, name)


@pytest.fixture(scope="module")
def broken_host():
    made = Host("--message-timeout-ms=2000")
    try:
        good, name = made.vm()
        good.daemon_socket = made.daemon.socket
        yield good, name, made.vm(connect=False)[0]
    finally:
        made.end()


def test_wrong_order_is_refused_and_changes_nothing(host):
    bad, name = host.vm()
    for operation, value in ((wire.PUT, (1, 0, b"x")), (wire.COMMIT, None),
                             (wire.GET, (1, 0, 10)),
                             (wire.SEAL_FINISH, ((1, "a", 1, 2, 3, 4, 5, None),
                                                 "none"))):
        refused("invalid", bad, peer.ask, operation, value)
    bad.call(peer.ask, wire.ABORT)
    begin = (wire.SEAL_BEGIN, (wire.vm(name), "one", False, 1000))
    bad.call(peer.ask, *begin)
    refused("busy", bad, peer.ask, *begin)
    refused("busy", bad, peer.ask, wire.CHECK_BEGIN,
            (wire.vm(name), 2, "one", None, None, None))
    refused("invalid", bad, peer.ask, wire.PUT, (1, 5, b"x"))
    refused("limit", bad, peer.ask, wire.PUT, (1, 0, bytes(2000)))
    bad.call(peer.ask, wire.ABORT)
    assert bad.call(peer.ids) == []


# Waiting for nobody

def test_thousand_connections_and_others_are_served(hosts):
    host = hosts("--max-connections=16")
    good, name = host.vm()
    stranger = host.peer()
    bad, _ = host.vm(connect=False)
    for process, most in ((stranger, 0), (bad, 1)):
        process.call(peer.connect_many, host.daemon.socket, 1000)
        served(good, name)
        assert process.call(peer.greeted) <= most
    served(good, name)
    assert host.admin.status()[0]["connections"] <= 2


def test_client_that_never_reads_ends_and_others_are_served(host):
    good, name = host.vm()
    bad, bad_name = host.vm()
    request = wire.frame(wire.STATUS, wire.encode(wire.TYPES[wire.STATUS],
                                                  wire.vm(bad_name)))
    sent = bad.call(peer.flood, request, 20000, timeout=120)
    served(good, name)
    assert sent < 20000
    wait.until("the end of it", lambda: not host.admin.status()[1][bad_name]
               ["connected"], timeout=20)


def test_client_that_never_writes_ends(hosts):
    host = hosts("--message-timeout-ms=2000", "--request-timeout-ms=6000")
    good, name = host.vm()
    served(good, name)
    bad, bad_name = host.vm()
    half, half_name = host.vm()
    half.call(peer.ask, wire.STATUS, wire.vm(half_name))
    half.call(peer.send, b"VSM1\0")
    wait.until("their ends", lambda: not any(
        host.admin.status()[1][one]["connected"]
        for one in (bad_name, half_name)), timeout=20)
    served(good, name)
    assert bad.call(peer.is_closed) and half.call(peer.is_closed)


def test_descriptors_that_come_along_are_refused(host):
    bad, name = host.vm()
    bad.call(send_descriptor, wire.frame(wire.STATUS, VM))
    with pytest.raises((wire.Refused, ConnectionError)):
        bad.call(peer.message)
    assert bad.call(peer.is_closed)


def send_descriptor(state, data):
    """The message with a descriptor, as SCM_RIGHTS."""
    import socket
    state["wire"].socket.sendmsg([data], [
        (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", 0))])


def test_frozen_tpm_is_a_clear_error_in_bounded_time(hosts):
    host = hosts("--command-timeout-ms=60000", "--request-timeout-ms=1500")
    first, first_name = host.vm()
    second, second_name = host.vm()
    host.tpm.freeze()
    try:
        started = time.monotonic()
        first._pipe.send((peer.ask, (wire.STATUS, wire.vm(first_name))))
        time.sleep(0.2)
        with pytest.raises(wire.Refused) as caught:
            second.call(peer.ask, wire.STATUS, wire.vm(second_name))
        assert caught.value.code in ("busy", "timeout")
        kind, number, _ = first._pipe.recv()
        assert (kind, wire.NAMES[number]) == ("refused", "timeout")
        assert time.monotonic() - started < 10
        assert second.call(peer.ids) == []      # needs no TPM
    finally:
        host.tpm.thaw()
    wait.until("the TPM again", lambda: answers(first, first_name), timeout=30)
    served(second, second_name)


def answers(process, name):
    try:
        return served(process, name)
    except wire.Refused:
        return None


# Limits of a VM

def test_rate_of_one_vm_is_busy_with_the_time_and_others_go_on(hosts):
    host = hosts("--seal-interval-ms=60000", "--attest-interval-ms=60000")
    bad, bad_name = host.vm()
    good, good_name = host.vm()
    begin = (wire.SEAL_BEGIN, (wire.vm(bad_name), "one", False, 1000))
    check = (wire.CHECK_BEGIN,
             (wire.vm(bad_name), 2, "one", None, None, None))
    bad.call(peer.ask, *begin)
    bad.call(peer.ask, wire.ABORT)
    assert re.search(r"try again in \d+ s",
                     refused("busy", bad, peer.ask, *begin))
    refused("not-found", bad, peer.ask, *check)
    assert "try again in" in refused("busy", bad, peer.ask, *check)
    # a new connection gives no new rate
    bad.call(peer.hang_up)
    bad.call(peer.connect, host.daemon.socket)
    refused("busy", bad, peer.ask, *begin)
    good.call(peer.seal, good_name, "one")


def test_nv_budget_is_kept_over_a_restart(hosts):
    host = hosts("--nv-burst=2", "--nv-interval-ms=600000")
    good, name = host.vm()
    good.call(peer.seal, name, "one")
    good.call(peer.seal, name, "two")
    host.daemon.stop()
    host.start()
    good.call(peer.connect, host.daemon.socket)
    assert "try again in" in refused(
        "busy", good, peer.ask, wire.SEAL_BEGIN,
        (wire.vm(name), "three", False, 1000))
    assert host.admin.status()[0]["nv-left"] == 0


def test_flood_of_writes_leaves_other_vms_theirs(hosts):
    host = hosts("--nv-burst=6", "--nv-interval-ms=600000")
    bad, bad_name = host.vm()
    good, good_name = host.vm()
    with pytest.raises(wire.Refused) as caught:
        for _ in range(10):
            snapshot = bad.call(peer.seal, bad_name, "one")
            bad.call(peer.ask, wire.REMOVE, (snapshot,))
    assert caught.value.code == "busy"
    assert "try again in" in caught.value.text
    good.call(peer.seal, good_name, "one")


def test_flood_of_lists_is_slowed_down(host):
    good, name = host.vm()
    bad, bad_name = host.vm()
    started = time.monotonic()
    for _ in range(30):
        bad.call(peer.ids)
        bad.call(peer.ask, wire.FORGET, (32 * "0",))
    assert time.monotonic() - started > 1
    started = time.monotonic()
    for _ in range(60):
        bad.call(peer.ask, wire.STATUS, wire.vm(bad_name))
    assert time.monotonic() - started > 1
    served(good, name)


def test_recipient_that_is_not_allowed_is_denied(hosts):
    host = hosts("--recipient=" + 43 * "A")
    good, name = host.vm()
    good.call(peer.seal, name, "one")
    jwk = (peer.FIXTURES / "recipient-v1.jwk").read_text()
    assert "recipients" in refused("denied", good, peer.ask, wire.CHECK_BEGIN, (
        wire.vm(name), 2, "one", bytes(16), jwk, None))


# Ends

def test_closed_connection_leaves_no_half_save(host):
    bad, name = host.vm()
    bad.call(peer.ask, wire.SEAL_BEGIN, (wire.vm(name), "one", False, 1 << 20))
    bad.call(peer.ask, wire.PUT, (1, 0, bytes(1000)))
    bad.call(peer.hang_up)
    bad.call(peer.connect, host.daemon.socket)
    assert bad.call(peer.ids) == []
    assert host.admin.status()[1][name]["debris"] == 0


def test_killed_daemon_knows_its_vms_again(host):
    good, name = host.vm()
    snapshot = good.call(peer.seal, name, "one")
    good.call(peer.ask, wire.SEAL_BEGIN, (wire.vm(name), "two", False, 1000))
    host.daemon.kill()
    host.start()
    good.call(peer.connect, host.daemon.socket)
    assert good.call(peer.ids) == [snapshot]
    served(good, name)


def test_store_of_the_daemon_is_refused_in_process(host):
    host.daemon.stop()
    done = subprocess.run(
        [paths.vsmctl(), "setup", f"--tcti={host.tpm.tcti}",
         f"--state-dir={host.home / 'state'}",
         f"--secret={host.home / 'secret'}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert done.returncode != 0 and "daemon" in done.stdout


# Administration

def test_only_root_administers(host):
    mode = os.stat(host.daemon.admin).st_mode & 0o777
    assert mode == 0o600
    nobody = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups",
         paths.vsmctl(), "status", f"--daemon={host.daemon.admin}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert nobody.returncode != 0 and "cannot connect" in nobody.stdout


def test_status_is_one_screen(host):
    good, name = host.vm()
    good.call(peer.seal, name, "one")
    refused("not-found", good, peer.ask, wire.REMOVE, (32 * "0",))
    out = host.daemon.ctl("status", check=0).stdout
    for text in ("swtpm", "sha384", "boot approved", "NV writes", name,
                 "1 snapshots", "no sealed snapshot"):
        assert text in out.replace("SW   TPM", "swtpm"), text
    assert len(out.splitlines()) <= 24


CLIENT = """
import socket, sys
sys.stdin.readline()
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
print(len(client.recv(4096)), flush=True)
sys.stdin.read()
"""


def test_executable_of_any_name_is_shown(host):
    """Its path is no UTF-8."""
    folder = os.fsencode(host.home) + b"/\xff"
    os.mkdir(folder)
    program = os.path.join(folder, b"python")
    shutil.copy(os.path.realpath(sys.executable), program)
    name = str(uuid.uuid4())
    with subprocess.Popen(
            [program, "-c", CLIENT, host.daemon.socket], text=True,
            env={**os.environ, "PYTHONHOME": sys.base_prefix},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        host.admin.register(name, process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        assert int(process.stdout.readline()) > 12
        vm = host.admin.status()[1][name]
        assert vm["hypervisor"] == f"{host.home}/\ufffd/python"
        assert "/python" in host.daemon.ctl("status", "--json",
                                            check=0).stdout
        process.stdin.close()
    assert "CRITICAL" not in host.daemon.log()


def test_metrics_are_prometheus_text(hosts):
    home = pathlib.Path(tempfile.mkdtemp(prefix="vsm-"))
    host = hosts(f"--metrics=unix:{home / 'metrics'}")
    good, name = host.vm()
    served(good, name)
    connection = wire.Wire(home / "metrics")
    connection.send(b"GET /metrics HTTP/1.1\r\n\r\n")
    page = b""
    while True:
        some = connection.socket.recv(65536)
        if not some:
            break
        page += some
    head, _, text = page.decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK")
    line = re.compile(r'[a-z_]+(\{[a-z]+="[^"]+"(,[a-z]+="[^"]+")*\})? '
                      r'[0-9.]+')
    for each in text.splitlines():
        assert each.startswith("# ") or line.fullmatch(each), each
    assert 'vsm_requests_total{op="status",result="ok"} 1' in text
    assert "vsm_nv_writes_left 20" in text
    shutil.rmtree(home)


def test_vm_of_a_user_that_runs_one(hosts):
    name = str(uuid.uuid4())
    host = hosts(f"--single-vm=65534={name}")
    os.chmod(host.home, 0o755)
    nobody = host.peer()
    nobody.call(become_nobody)
    nobody.call(peer.connect, host.daemon.socket)
    served(nobody, name)
    refused("denied", host.peer(), peer.connect, host.daemon.socket)


def become_nobody(state):
    del state
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
