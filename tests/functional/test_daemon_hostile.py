"""What a hostile client of vsmd cannot do: keep others from being served, by
broken messages, by silence or by floods.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re
import struct
import time

import pytest

from vsmtest import peer, wait, wire
from vsmtest.host import Host, refused, served

pytestmark = pytest.mark.in_process("starts daemons of its own")


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
    with pytest.raises((wire.Refused, ConnectionError)) as caught:
        bad.call(peer.send, BROKEN[what])   # it may be closed at the header
        bad.call(peer.message)
    assert getattr(caught.value, "code", "protocol") in ("protocol", "limit")
    assert bad.call(peer.is_closed)
    served(good, name)


@pytest.mark.parametrize("cut", [0, wire.HEADER.size + 1])
def test_packet_of_two_parts_closes_the_connection(broken_host, cut):
    """Header and body in one packet, or a body that ends within one."""
    good, name, bad = broken_host
    bad.call(peer.connect, good.daemon_socket)
    with pytest.raises((wire.Refused, ConnectionError)) as caught:
        bad.call(send_packets, wire.frame(wire.STATUS, VM) + b"more", cut)
        bad.call(peer.message)
    assert getattr(caught.value, "code", "protocol") == "protocol"
    assert bad.call(peer.is_closed)
    served(good, name)


def send_packets(state, data, cut):
    """The header and one byte of the body by themselves, if cut; the rest in
    one packet."""
    connection = state["wire"].socket
    if cut:
        connection.send(data[:wire.HEADER.size])
        connection.send(data[wire.HEADER.size:cut])
    connection.send(data[cut:])


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
    state["wire"].socket.sendmsg([data[:wire.HEADER.size]], [
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
