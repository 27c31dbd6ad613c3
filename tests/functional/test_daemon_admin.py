"""What is left of connections and daemons that ended, and the administration
of vsmd: who may, what it shows.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid

import pytest

from vsmtest import paths, peer, wait, wire
from vsmtest.host import refused, served

pytestmark = pytest.mark.in_process("starts daemons of its own")


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
    host.home.chmod(0o755)      # only the socket itself is in the way
    nobody = host.peer()
    nobody.call(peer.become, 65534)
    nobody.call(peer.connect_only, host.daemon.socket)
    with pytest.raises(ConnectionError, match="Permission denied"):
        nobody.call(peer.connect_only, host.daemon.admin)


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
client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
client.connect(sys.argv[1])
print(len(client.recv(4096) + client.recv(4096)), flush=True)
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


def assert_prometheus(text):
    """Its text format, of a host on which nothing was sealed yet."""
    line = re.compile(r'[a-z_]+(\{[a-z]+="[^"]+"(,[a-z]+="[^"]+")*\})? '
                      r'[0-9.]+')
    for each in text.splitlines():
        assert each.startswith("# ") or line.fullmatch(each), each
    assert "vsm_nv_writes_left 20" in text


def test_metrics_are_written_to_a_file(hosts, tmp_path):
    page = tmp_path / "vsm.prom"
    page.write_text("old")
    hosts(f"--metrics=file:{page}")
    wait.until("metrics", lambda: page.read_text() != "old")
    assert_prometheus(page.read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["vsm.prom"]


def test_metrics_are_prometheus_text(hosts):
    home = pathlib.Path(tempfile.mkdtemp(prefix="vsm-"))
    host = hosts(f"--metrics=unix:{home / 'metrics'}")
    good, name = host.vm()
    served(good, name)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(30)
    connection.connect(str(home / "metrics"))
    connection.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    page = b""
    while True:
        some = connection.recv(65536)
        if not some:
            break
        page += some
    head, _, text = page.decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 OK")
    assert_prometheus(text)
    assert 'vsm_requests_total{op="status",result="ok"} 1' in text
    shutil.rmtree(home)


def test_vm_of_a_user_that_runs_one(hosts):
    name = str(uuid.uuid4())
    host = hosts(f"--single-vm=65534={name}")
    os.chmod(host.home, 0o755)
    nobody = host.peer()
    nobody.call(peer.become_nobody)
    nobody.call(peer.connect, host.daemon.socket)
    served(nobody, name)
    refused("denied", host.peer(), peer.connect, host.daemon.socket)
