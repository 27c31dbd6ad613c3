"""The flows of an unpatched libvirt, on a real one.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json

import pytest

from vsmtest.libvirt import Domain, Libvirt
from vsmtest.vsmctl import MATCH, MISMATCH, UNTRUSTED, USAGE, vsmctl

pytestmark = pytest.mark.in_process("in QEMU there")


@pytest.fixture(scope="module")
def libvirt():
    daemon = Libvirt()
    try:
        yield daemon.start()
    finally:
        daemon.stop()


@pytest.fixture
def domain(libvirt, machines):
    """A running domain whose guest holds "golden"."""
    made = Domain(libvirt, machines.new(devices=()).create()).define()
    try:
        made.virsh("start")
        made.connect()
        made.serial.wait_ready()
        made.serial.ask("mem golden")
        yield made
    finally:
        made.end()


def tags(domain):
    listed = json.loads(domain.ctl("list", "--json", check=MATCH).stdout)
    return [entry["tag"] for entry in listed]


def test_libvirts_snapshot_is_sealed_attested_and_rolled_back(domain):
    domain.virsh("suspend")
    domain.virsh("snapshot-create-as", "good")
    assert tags(domain) == ["good"]
    domain.ctl("attest", "tag:good", check=MATCH)
    domain.virsh("resume")
    domain.serial.ask("mem changed")
    assert "pc.ram" in domain.ctl("attest", "good", check=MISMATCH).stdout
    domain.ctl("rollback", "good", check=MATCH)
    assert domain.serial.ask("memget") == "golden"
    assert domain.state() == "running"


def test_libvirts_revert_is_verified_and_attests_match(domain):
    domain.virsh("suspend")
    domain.virsh("snapshot-create-as", "good")
    domain.virsh("resume")
    domain.serial.ask("mem changed")
    domain.virsh("snapshot-revert", "good")
    domain.connect()
    assert domain.state() == "paused"
    domain.ctl("attest", "tag:good", check=MATCH)
    domain.virsh("resume")
    assert domain.serial.ask("memget") == "golden"
    domain.virsh("snapshot-delete", "good")
    assert tags(domain) == []


def test_libvirts_user_sees_why_a_snapshot_is_refused(domain):
    domain.guest.tpm.freeze()
    done = domain.virsh("snapshot-create-as", "good", check=False)
    domain.guest.tpm.thaw()
    assert done.returncode != 0 and "TPM" in done.stderr
    assert domain.state() == "running"
    assert domain.serial.ask("memget") == "golden"
    domain.virsh("snapshot-create-as", "good")
    assert tags(domain) == ["good"]


def test_damaged_snapshot_is_refused_through_libvirt(domain):
    domain.virsh("snapshot-create-as", "good")
    image = domain.guest.image
    image.flip("good", image.ram_page("good"))
    done = domain.ctl("rollback", "good", check=UNTRUSTED)
    assert "first difference at byte" in done.stderr
    assert domain.state() == "running"
    assert domain.serial.ask("memget") == "golden"
    done = domain.virsh("snapshot-revert", "good", check=False)
    assert done.returncode != 0
    assert "first difference at byte" in done.stderr
    assert domain.state() == "shut off"


def test_domain_that_is_not_there_is_named(libvirt):
    done = vsmctl("status", "--connect", "qemu:///system", "--domain",
                  "nosuch", check=USAGE)
    assert "nosuch" in done.stderr
