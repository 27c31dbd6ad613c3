"""vsmd as a service: systemd's protocols, units, documentation.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from vsmtest import paths, peer, wait, wire
from vsmtest.peer import Peer
from vsmtest.swtpm import HostTpm

pytestmark = pytest.mark.in_process("starts daemons of its own")

UNITS = paths.ROOT / "units"
SCORE = 1.1     # of systemd-analyze security; man/vsmd.8 states it


@pytest.fixture
def home():
    """A folder with a TPM that runs: (folder, TPM)."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vsm-"))
    (folder / "host").mkdir()
    tpm = HostTpm(folder / "host").start()
    yield folder, tpm
    tpm.kill()
    shutil.rmtree(folder, ignore_errors=True)


def argv(folder, tpm, *options):
    return [paths.vsmd(), f"--tcti={tpm.tcti}",
            f"--state-dir={folder / 'state'}", f"--secret={folder / 'secret'}",
            f"--listen={folder / 'sock'}", f"--admin={folder / 'admin'}",
            *options]


def listener(path, kind=socket.SOCK_SEQPACKET):
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(str(path))
    made.listen(100)
    return made


def test_activated_sockets_are_taken_and_readiness_is_told(home):
    folder, tpm = home
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(folder / "notify"))
    notify.settimeout(60)
    sockets = [listener(folder / "given"), listener(folder / "given-admin")]
    argument = argv(folder, tpm)

    def become():
        # out of the way: they may be 3 and 4 themselves, the other way round
        away = [fcntl.fcntl(each.fileno(), fcntl.F_DUPFD, 5)
                for each in sockets]
        for i, fd in enumerate(away):
            os.dup2(fd, 3 + i, inheritable=True)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="2",
                          LISTEN_FDNAMES="attester:admin",
                          NOTIFY_SOCKET=str(folder / "notify"))
        os.execv(argument[0], argument)

    pid = os.fork()
    if pid == 0:
        try:
            become()
        finally:
            os._exit(127)
    one = Peer()
    try:
        assert notify.recv(4096).startswith(b"READY=1")
        wire.Admin(folder / "given-admin").register(
            "3f2b0f5e-0c83-4a52-a1f4-9d8f6f7d9a01", one.pid)
        one.call(peer.connect, folder / "given")
        assert not (folder / "sock").exists()
        os.kill(pid, signal.SIGTERM)
        while b"STOPPING=1" not in notify.recv(4096):
            pass
    finally:
        one.end()
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_stream_socket_of_another_unit_is_refused(home):
    folder, tpm = home
    given = listener(folder / "given", socket.SOCK_STREAM)
    done = paths.run(
        ["bash", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=attester '
         f'exec "$@" 3<&{given.fileno()}', "bash", *argv(folder, tpm)],
        pass_fds=(given.fileno(),), check=False)
    assert done.returncode == 3
    assert "ListenSequentialPacket=" in done.stderr


def test_wrong_setting_ends_with_its_name(home):
    folder, tpm = home
    (folder / "conf").write_text("[vsmd]\nnv-burst=many\n")
    done = paths.run(argv(folder, tpm, f"--config={folder / 'conf'}"),
                     check=False)
    assert done.returncode == 3
    assert "nv-burst" in done.stderr and "number" in done.stderr
    done = paths.run(argv(folder, tpm, "--no-such-option"), check=False)
    assert done.returncode == 3 and "no-such-option" in done.stderr


def test_secret_for_a_credential_is_the_daemons(home):
    folder, tpm = home
    made = subprocess.run([paths.vsmd(), "--new-secret"], check=True,
                          stdout=subprocess.PIPE, timeout=60)
    assert len(made.stdout) == 45
    credentials = folder / "credentials"
    credentials.mkdir(mode=0o700)
    (credentials / "vsm.secret").write_bytes(made.stdout)
    (credentials / "vsm.secret").chmod(0o400)
    options = [each for each in argv(folder, tpm)
               if not each.startswith("--secret")]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            options, stderr=log, env=dict(
                os.environ, CREDENTIALS_DIRECTORY=str(credentials)))
    try:
        wait.until("readiness", lambda: b"ready" in (
            folder / "log").read_bytes() or process.poll() is not None, 60)
        assert process.poll() is None, (folder / "log").read_text()
        assert (folder / "state/host").exists()
    finally:
        process.kill()
        process.wait()


def test_memory_of_the_daemon_is_closed(home):
    """No core, and nobody of another user looks into it."""
    folder, tpm = home
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(argv(folder, tpm), stderr=log)
    try:
        wait.until("readiness", lambda: b"ready" in (
            folder / "log").read_bytes(), 60)
        limits = pathlib.Path(f"/proc/{process.pid}/limits").read_text()
        assert re.search(r"Max core file size\s+0\s+0", limits)
        # not dumpable: its /proc files are root's, whoever runs it
        looked = subprocess.run(
            ["setpriv", "--reuid=65534", "--clear-groups", "cat",
             f"/proc/{process.pid}/environ"], check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert looked.returncode != 0
    finally:
        process.kill()
        process.wait()


def test_unit_is_confined_as_stated():
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="vsm-"))
    text = (UNITS / "vsmd.service").read_text()
    (folder / "vsmd.service").write_text(
        text.replace("ExecStart=vsmd", "ExecStart=/bin/true"))
    out = paths.run(["systemd-analyze", "security", "--offline=true",
                     "--no-pager", str(folder / "vsmd.service")],
                    check=False).stdout
    shutil.rmtree(folder)
    found = re.search(r"exposure level for vsmd.service: ([0-9.]+)", out)
    assert found and float(found[1]) <= SCORE, out
    assert f"{SCORE} of 10" in (paths.ROOT / "man/vsmd.8").read_text()


def test_unit_denies_what_its_capability_could_do():
    text = (UNITS / "vsmd.service").read_text()
    assert re.search(r"^AmbientCapabilities=CAP_SYS_PTRACE$", text, re.M)
    assert re.search(r"^CapabilityBoundingSet=CAP_SYS_PTRACE$", text, re.M)
    denied = " ".join(re.findall(r"^SystemCallFilter=~(.*)$", text, re.M))
    for call in ("ptrace", "process_vm_readv", "process_vm_writev",
                 "pidfd_getfd"):
        assert call in denied.split()


def test_units_end_together_where_the_service_cannot_start():
    """Nobody waits at a socket that is never served."""
    for name in ("vsmd.service", "vsmd.socket", "vsmd-admin.socket"):
        assert "\nConditionSecurity=tpm2\n" in (UNITS / name).read_text()
    text = (UNITS / "vsmd.service").read_text()
    value = {key: int(re.search(rf"^{key}=(\d+)$", text, re.M)[1])
             for key in ("StartLimitIntervalSec", "StartLimitBurst",
                         "RestartSec")}
    # A start that fails at the TPM takes --command-timeout-ms, 10 s.
    assert (value["StartLimitBurst"] * (value["RestartSec"] + 10)
            < value["StartLimitIntervalSec"])


def test_manual_has_each_option():
    manual = (paths.ROOT / "man/vsmd.8").read_text().replace("\\-", "-")
    options = re.findall(r"^  (--\S+)\s{2,}(.+)$",
                         paths.run([paths.vsmd(), "--help"]).stdout, re.M)
    assert len(options) > 20
    for name, text in options:
        assert f".B {name}\n{text}.\n" in manual, name


def test_libvirt_hook_registers_a_domain_before_its_start(tmp_path):
    """The hook as libvirt calls it, with vsmctl's call looked at."""
    called = tmp_path / "called"
    (tmp_path / "vsmctl").write_text(f'#!/bin/sh\necho "$@" >> {called}\n')
    (tmp_path / "vsmctl").chmod(0o755)
    name = "3f2b0f5e-0c83-4a52-a1f4-9d8f6f7d9a01"
    domain = (f"<domain><name>vm1</name><uuid>{name}</uuid>"
              "<metadata><uuid>other</uuid></metadata></domain>")
    for operation in (("prepare", "begin"), ("start", "begin"),
                      ("release", "end")):
        paths.run([str(UNITS / "libvirt-hook"), "vm1", *operation, "-"],
                  input=domain, env=dict(
                      os.environ, PATH=f"{tmp_path}:{os.environ['PATH']}"))
    assert called.read_text().splitlines() == [
        f"vm register {name} --domain vm1", f"vm unregister {name}"]


def test_libvirt_hook_that_cannot_register_stops_no_domain(tmp_path):
    """A hook that fails keeps libvirt from starting any domain."""
    domain = ("<domain><name>vm1</name><uuid>3f2b0f5e-0c83-4a52-a1f4-"
              "9d8f6f7d9a01</uuid></domain>")
    hook = [str(UNITS / "libvirt-hook"), "vm1", "prepare", "begin", "-"]
    empty = dict(os.environ, PATH=str(tmp_path))
    done = paths.run(hook, input=domain, env=empty)     # no vsmctl at all
    assert "vm1" in done.stderr and "No such file" in done.stderr
    (tmp_path / "vsmctl").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "vsmctl").chmod(0o755)
    assert "exit code 3" in paths.run(hook, input=domain, env=empty).stderr
