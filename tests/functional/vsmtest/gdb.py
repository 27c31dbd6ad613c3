"""A client of QEMU's gdb stub that changes one byte or one register.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re
import socket


class Gdb:
    """A connection; QEMU stops the vCPUs when it opens."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        self._socket.connect(str(path))
        self._buffer = b""

    def close(self):
        """Just hangs up: a detach would let the guest run."""
        self._socket.close()

    def _byte(self):
        while not self._buffer:
            self._buffer = self._socket.recv(4096)
            if not self._buffer:
                raise AssertionError("gdb stub closed the connection")
        first, self._buffer = self._buffer[:1], self._buffer[1:]
        return first

    def send(self, text):
        """One packet, and that it arrived; an answer may never come."""
        body = text.encode()
        self._socket.sendall(b"$" + body + b"#%02x" % (sum(body) & 0xff))
        while self._byte() != b"+":
            pass

    def packet(self, text):
        """One packet; the stub's answer."""
        self.send(text)
        while self._byte() != b"$":
            pass
        answer = b""
        while True:
            byte = self._byte()
            if byte == b"#":
                break
            answer += byte
        self._byte()
        self._byte()
        self._socket.sendall(b"+")
        return answer.decode("latin-1")

    def _ok(self, text):
        answer = self.packet(text)
        if answer != "OK":
            raise AssertionError(f"gdb stub: {text}: {answer!r}")

    def read_physical(self, address, count=1):
        """Bytes of guest physical memory."""
        self._ok("Qqemu.PhyMemMode:1")
        return bytes.fromhex(self.packet(f"m{address:x},{count:x}"))

    def write_physical(self, address, data):
        """Writes guest physical memory."""
        self._ok("Qqemu.PhyMemMode:1")
        self._ok(f"M{address:x},{len(data):x}:{data.hex()}")

    def flip_byte(self, address):
        """Inverts one byte of guest physical memory."""
        old = self.read_physical(address)[0]
        self.write_physical(address, bytes([old ^ 0xff]))

    def flip_register(self, number=3, thread=1):
        """Inverts the lowest bit of a 64-bit register (3: rdx)."""
        # only a client that reads the target's description gets registers
        self.packet("qXfer:features:read:target.xml:0,ffb")
        self._ok(f"Hg{thread:x}")
        old = bytes.fromhex(self.packet(f"p{number:x}"))
        new = bytes([old[0] ^ 1]) + old[1:]
        self._ok(f"P{number:x}={new.hex()}")

    def _number(self, name):
        """The register's number in the description that QEMU serves."""
        self.packet("qXfer:features:read:target.xml:0,ffb")
        text, part = "", "m"
        while part[0] == "m":
            part = self.packet("qXfer:features:read:i386-64bit.xml:"
                               f"{len(text):x},400")
            text += part[1:]
        text = re.sub("<!--.*?-->", "", text, flags=re.S)
        for number, part in enumerate(text.split("<reg ")[1:]):
            if f'name="{name}"' in part.split(">")[0]:
                return number
        raise AssertionError(f"gdb stub: no register {name}")

    def read_register(self, name, thread=1):
        """A 64-bit register."""
        number = self._number(name)
        self.packet("qXfer:features:read:target.xml:0,ffb")
        self._ok(f"Hg{thread:x}")
        return int.from_bytes(bytes.fromhex(self.packet(f"p{number:x}")),
                              "little")

    def write_register(self, name, value, thread=1):
        number = self._number(name)
        self._ok(f"Hg{thread:x}")
        self._ok(f"P{number:x}={value.to_bytes(8, 'little').hex()}")
