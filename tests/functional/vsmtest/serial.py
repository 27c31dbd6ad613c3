"""The guest's end of the serial line: one command, one answer.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import socket
import time


class Serial:
    """ttyS0 of a guest made by tests/guest/build-guest."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._buffer = b""
        self.log = []

    def close(self):
        self._socket.close()

    def line(self, timeout):
        """The next line from the guest."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._socket.recv(4096)
            except socket.timeout:
                data = b""
            if not data:
                tail = "\n".join(self.log[-10:])
                raise AssertionError(f"guest silent for {timeout} s; last "
                                     f"lines:\n{tail}")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        text = line.decode(errors="replace").strip()
        self.log.append(text)
        return text

    def wait_ready(self, timeout=300):
        """Waits for the end of the boot, minutes on a busy machine."""
        while not self.line(timeout).startswith("READY"):
            pass

    def write(self, line):
        """Sends a line, waits for nothing."""
        self._socket.sendall(line.encode() + b"\n")

    def ask(self, line, timeout=30):
        """One command; the words after "OK <command>"."""
        self.write(line)
        while True:
            answer = self.line(timeout)
            if answer.startswith("OK "):
                return answer.partition(" ")[2].partition(" ")[2]
            if answer.startswith("ERR "):
                raise AssertionError(f"guest: {line}: {answer}")
