"""Who is a domain of libvirt to vsmd: a process that stands in its scope.

The scope is made here as systemd-machined makes it, the process is a client of
the tests; test_libvirt_daemon.py has a real libvirt and QEMU.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import uuid

import pytest

from vsmtest import peer, wait
from vsmtest.host import Host, refused, served
from vsmtest.scope import Scope

pytestmark = pytest.mark.in_process("starts daemons of its own")

NAME = f"vsm-test-{os.getpid()}"


@pytest.fixture
def host():
    made = Host()
    yield made
    made.end()


@pytest.fixture
def scopes(host):
    """Makes scopes; they go when the processes in them have ended."""
    made = []

    def new(domain=NAME, **options):
        scope = Scope(domain, **options)
        try:
            made.append(scope.make())
        except OSError as error:
            pytest.skip(f"no control group can be made: {error}")
        return made[-1]

    yield new
    for each in host.peers:
        each.end()
    host.peers.clear()
    for scope in made:
        wait.until("an empty scope", lambda one=scope: one.remove())


def test_process_in_a_domains_scope_is_its_vm(host, scopes):
    name = str(uuid.uuid4())
    host.admin.register(name, domain=NAME)
    process = host.peer()
    scopes().enter(process.pid)
    process.call(peer.connect, host.daemon.socket)
    served(process, name)
    known = host.admin.status()[1][name]
    assert known["domain"] == NAME and known["connected"]


def test_next_process_of_a_domain_is_the_same_vm(host, scopes):
    """As after a revert: libvirt ends QEMU and starts another."""
    name = str(uuid.uuid4())
    host.admin.register(name, domain=NAME)
    for number in (1, 2):
        process = host.peer()
        scopes(number=number).enter(process.pid)
        process.call(peer.connect, host.daemon.socket)
        served(process, name)
        process.end()


def test_process_in_the_scope_of_an_unknown_domain_is_turned_away(host,
                                                                  scopes):
    host.admin.register(str(uuid.uuid4()), domain=NAME + "x")
    process = host.peer()
    scopes().enter(process.pid)
    text = refused("denied", process, peer.connect, host.daemon.socket)
    assert "libvirt domain that is not registered" in text
    assert "--domain NAME" in text


def test_process_outside_of_all_scopes_is_no_domain(host, scopes):
    name = str(uuid.uuid4())
    host.admin.register(name, domain=NAME)
    scopes()
    text = refused("denied", host.peer(), peer.connect, host.daemon.socket)
    assert "is no VM that is known here" in text


def test_scope_elsewhere_is_no_domain(host, scopes):
    """Where a user may make groups: below his own, not in machine.slice."""
    host.admin.register(str(uuid.uuid4()), domain=NAME)
    process = host.peer()
    scopes(below=f"vsm-user-{os.getpid()}.slice").enter(process.pid)
    refused("denied", process, peer.connect, host.daemon.socket)
