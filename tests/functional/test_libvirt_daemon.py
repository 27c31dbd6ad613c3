"""Domains of a real libvirt that vsmd knows by their names.

Where systemd does not run, the scope that it makes for a domain is made by the
test (vsmtest/scope.py); all else is as on a host.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pathlib
import shlex

import pytest

from vsmtest import paths, wire
from vsmtest.libvirt import Domain, Libvirt
from vsmtest.scope import PARTITION, Scope, systemd_runs
from vsmtest.vsmctl import MATCH, MISMATCH

pytestmark = pytest.mark.daemon_only

HOOKS = pathlib.Path("/etc/libvirt/hooks/qemu.d")


class Hook:
    """Our hook where libvirt looks for it, and the daemon that it asks."""

    def __init__(self, folder):
        self.folder = folder
        self.socket = folder / "admin-socket"   # its path, when there is one
        self._path = HOOKS / "vsm-test"
        self._made = []

    def install(self):
        """vsmctl as the hook finds it asks the test's daemon."""
        (self.folder / "vsmctl").write_text(
            "#!/bin/sh\n"
            f"socket=$(cat {shlex.quote(str(self.socket))}) || exit 3\n"
            f"exec {shlex.quote(paths.vsmctl())} \"$@\""
            " --daemon=\"$socket\"\n")
        (self.folder / "vsmctl").chmod(0o755)
        self._made = [path for path in (HOOKS, HOOKS.parent)
                      if not path.exists()]
        HOOKS.mkdir(parents=True, exist_ok=True)
        self._path.write_text(
            "#!/bin/sh\n"
            f"PATH={shlex.quote(str(self.folder))}:$PATH"
            f" exec {shlex.quote(str(paths.ROOT / 'units/libvirt-hook'))}"
            " \"$@\"\n")
        self._path.chmod(0o755)

    def remove(self):
        self._path.unlink(missing_ok=True)
        for path in self._made:
            path.rmdir()


@pytest.fixture(scope="module")
def hook(tmp_path_factory):
    return Hook(tmp_path_factory.mktemp("hook"))


@pytest.fixture(scope="module")
def libvirt(hook):
    daemon = Libvirt()
    try:
        # libvirtd looks for hooks once, when it begins
        yield daemon.start(hook.install)
    finally:
        daemon.stop()
        hook.remove()


@pytest.fixture
def domain(libvirt, hook, machines):
    """A domain that is off; its scope is there; the hook asks its daemon."""
    guest = machines.new(devices=()).create()
    guest.start_daemon()
    made = Domain(libvirt, guest)
    scope = None
    if not systemd_runs():
        scope = Scope(made.name)
        try:
            scope.make()
        except OSError as error:
            pytest.skip(f"no control group can be made for a domain: {error}")
        made.emulator = scope.emulator(guest.home, paths.qemu())
        made.resource = PARTITION.format(scope.name)
    hook.socket.write_text(str(guest.daemon.admin))
    try:
        yield made.define()
    finally:
        hook.socket.unlink(missing_ok=True)
        made.end()
        if scope:
            scope.remove()


def registered(domain):
    """What the daemon knows of the domain; {} when nothing."""
    listed = wire.Admin(domain.guest.daemon.admin).status()[1]
    return listed.get(domain.guest.config.uuid, {})


def register(domain):
    """As root does it by hand."""
    domain.guest.daemon.ctl("vm", "register", domain.guest.config.uuid,
                            "--domain", domain.name, check=0)


def start(domain):
    if not domain.libvirt.ours:
        register(domain)    # that libvirtd has no hook of ours
    domain.virsh("start")
    domain.connect()
    domain.serial.wait_ready()
    domain.serial.ask("mem golden")


def test_domain_attests_by_its_name(domain):
    assert "domain" not in registered(domain)
    start(domain)
    known = registered(domain)
    assert known["domain"] == domain.name and known["connected"]
    assert "pid" not in known
    domain.virsh("suspend")
    domain.virsh("snapshot-create-as", "good")
    domain.ctl("attest", "tag:good", check=MATCH)
    domain.virsh("resume")
    domain.serial.ask("mem changed")
    domain.ctl("attest", "tag:good", check=MISMATCH)
    domain.virsh("destroy")
    if domain.libvirt.ours:
        assert "domain" not in registered(domain)


def test_reverted_domain_is_another_process_and_the_same_vm(domain):
    start(domain)
    domain.virsh("suspend")
    domain.virsh("snapshot-create-as", "good")
    domain.virsh("resume")
    domain.serial.ask("mem changed")
    domain.virsh("snapshot-revert", "good")
    domain.connect()
    assert domain.state() == "paused"
    domain.ctl("attest", "tag:good", check=MATCH)
    assert registered(domain)["domain"] == domain.name
    domain.virsh("resume")
    assert domain.serial.ask("memget") == "golden"


def test_domain_that_is_not_registered_is_told_the_remedy(domain, hook):
    hook.socket.unlink()    # the hook reaches no daemon, and says so
    done = domain.virsh("start", check=False)
    assert done.returncode != 0
    assert "libvirt domain that is not registered" in done.stderr
    assert "vsmctl vm register UUID --domain NAME" in done.stderr
    register(domain)
    domain.virsh("start")
    assert registered(domain)["connected"]


def test_name_of_another_domain_does_not_let_one_in(domain, hook):
    hook.socket.unlink()
    domain.guest.daemon.ctl("vm", "register", domain.guest.config.uuid,
                            "--domain", domain.name + "x", check=0)
    done = domain.virsh("start", check=False)
    assert done.returncode != 0
    assert "libvirt domain that is not registered" in done.stderr


def test_domain_outside_of_a_scope_is_not_known_by_its_name(domain):
    if systemd_runs():
        pytest.skip("systemd makes a scope for each domain")
    domain.emulator, domain.resource = None, ""
    domain.define()
    done = domain.virsh("start", check=False)
    assert done.returncode != 0
    assert "is no VM that is known here" in done.stderr
