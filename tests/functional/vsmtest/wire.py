"""vsmd's wire format, written from docs/protocol.md and not from its code: a
client for tests, which can also break every rule.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import socket
import struct

import gi
from gi.repository import GLib

del gi

MAGIC = b"VSM1"
HEADER = struct.Struct(">4sIHH")
LIMIT = 1024 * 1024
PACKET = 65536

HELLO, STATUS, LIST, SEAL_BEGIN, PUT, SEAL_FINISH, COMMIT = range(7)
CHECK_BEGIN, GET, CHECK_FINISH, ABORT, REMOVE, FORGET = range(7, 13)
ADMIN_STATUS, ADMIN_REGISTER, ADMIN_UNREGISTER, ADMIN_LIST = range(64, 68)
ADMIN_KEYS, ADMIN_METRICS = 68, 69
ANSWER, ERROR = 0x8000, 0xffff

VM = "smsmsmsb"
CONTAINER = "ymsuutttma(stb)"
RECORD = f"smssmsxayayaymsayaymsmaymaymsuay({CONTAINER})bbms"
RECORDS = f"(ua({RECORD}))"
STATUS_ANSWER = "(sssssssmsubbbayayay)"
TYPES = {
    STATUS: f"({VM})",
    LIST: "(u)",
    SEAL_BEGIN: f"(({VM})sbt)",
    PUT: "(ytay)",
    SEAL_FINISH: f"(({CONTAINER})ms)",
    CHECK_BEGIN: f"(({VM})usmaymsms)",
    GET: "(ytu)",
    REMOVE: "(s)",
    FORGET: "(s)",
}

# VsmError, as include/vsm/error.h numbers it
CODES = {name: number for number, name in enumerate(
    ["invalid", "limit", "format", "not-found", "not-sealed", "busy",
     "cancelled", "unsupported", "tampered", "replayed", "boot", "hypervisor",
     "config", "tpm", "tpm-absent", "timeout", "store", "no-space", "denied",
     "connection", "protocol", "in-doubt"], start=1)}
NAMES = {number: name for name, number in CODES.items()}


class Refused(Exception):
    """The daemon answered with an error."""

    def __init__(self, number, text):
        super().__init__(f"{NAMES.get(number, number)}: {text}")
        self.number = number
        self.text = text
        self.code = NAMES.get(number, number)


class Hung(Exception):
    """No answer in time."""


def encode(kind, value):
    """A GVariant in little-endian normal form."""
    return GLib.Variant(kind, value).get_data_as_bytes().get_data()


def decode(kind, data):
    """The Python form of a GVariant."""
    return GLib.Variant.new_from_bytes(
        GLib.VariantType(kind), GLib.Bytes.new(data), False).unpack()


def vm(uuid, config="x", name=None):
    """VsmVm."""
    return (uuid, name, None, config, True)


def frame(operation, body=b"", version=1, magic=MAGIC, length=None):
    """A whole message; length: another one than the body's."""
    return HEADER.pack(magic, len(body) if length is None else length,
                       operation, version) + body


class Wire:
    """One connection."""

    def __init__(self, path, timeout=30):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        """The packets of a message."""
        body = data[HEADER.size:]
        for packet in [data[:HEADER.size]] + [
                body[at:at + PACKET] for at in range(0, len(body), PACKET)]:
            self.socket.sendall(packet)

    def receive(self, count):
        """Exactly count bytes; ConnectionError at the end."""
        data = b""
        while len(data) < count:
            try:
                some = self.socket.recv(count - len(data))
            except socket.timeout as error:
                raise Hung from error
            except ConnectionResetError:
                # told once, before the packets that came earlier
                some = self.socket.recv(count - len(data))
            if not some:
                raise ConnectionError("closed by the daemon")
            data += some
        return data

    def message(self):
        """The next message: (operation, body); Refused for an error."""
        magic, length, operation, version = HEADER.unpack(
            self.receive(HEADER.size))
        assert (magic, version) == (MAGIC, 1) and length <= LIMIT
        body = self.receive(length)
        if operation == ERROR:
            raise Refused(*decode("(us)", body))
        return operation, body

    def hello(self):
        """Takes the greeting; Refused for who is turned away."""
        operation, body = self.message()
        assert operation == HELLO | ANSWER, operation
        return decode("(s)", body)[0]

    def ask(self, operation, value=None, kind=None):
        """A request and the body of its answer."""
        kind = kind or TYPES.get(operation)
        self.send(frame(operation, encode(kind, value) if kind else
                        encode("()", ())))
        answer, body = self.message()
        assert answer == operation | ANSWER, (answer, operation)
        return body

    def closed(self, timeout=30):
        """Whether the daemon closes now; what it still says is passed over."""
        self.socket.settimeout(timeout)
        try:
            while self.socket.recv(4096):
                pass
        except ConnectionError:
            return True
        except socket.timeout:
            return False
        return True


def connect(path, timeout=30):
    """A connection that was greeted."""
    wire = Wire(path, timeout)
    try:
        wire.hello()
    except BaseException:
        wire.close()
        raise
    return wire


class Admin:
    """Root's questions."""

    def __init__(self, path):
        self.path = path

    def ask(self, operation, kind="()", value=(), answer="()"):
        with Wire(self.path) as wire:
            return decode(answer, wire.ask(operation, value, kind))

    def register(self, uuid, pid=0, domain=""):
        self.ask(ADMIN_REGISTER, "(sus)", (uuid, pid, domain))

    def unregister(self, uuid):
        self.ask(ADMIN_UNREGISTER, "(s)", (uuid,))

    def status(self):
        """(the daemon's dictionary, {uuid: the VM's})"""
        daemon, vms = self.ask(ADMIN_STATUS, answer="(a{sv}aa{sv})")
        return daemon, {each["uuid"]: each for each in vms}

    def metrics(self):
        return self.ask(ADMIN_METRICS, answer="(s)")[0]
