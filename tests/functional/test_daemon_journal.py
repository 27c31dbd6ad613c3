"""vsmd as systemd starts it: its log goes to the journal, with its fields.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import sys

import pytest

from vsmtest import paths

pytestmark = pytest.mark.in_process("starts daemons of its own")

# In a mount namespace of its own: sockets where the journal's are, and the
# program at one end of a stream to it, as systemd does.  Prints its messages
# (systemd.io, JOURNAL_NATIVE_PROTOCOL: a datagram each, as lines or, where a
# value has lines of its own, with its length).
JOURNAL = r"""
import json, pathlib, socket, struct, subprocess, sys

folder = pathlib.Path("/run/systemd/journal")
folder.mkdir(parents=True)
stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
stream.bind(str(folder / "stdout"))
stream.listen()
messages = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
messages.bind(str(folder / "socket"))
messages.settimeout(30)
end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
end.connect(str(folder / "stdout"))
code = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL,
                      stderr=end.fileno(), timeout=60).returncode
end.close()
taken, _ = stream.accept()
plain = taken.makefile().read()

def fields(data):
    found = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size, = struct.unpack("<Q", data[:8])
            value, data = data[8:8 + size], data[9 + size:]
        found[name.decode()] = value.decode()
    return found

heard = []
messages.setblocking(False)
try:
    while True:
        heard.append(fields(messages.recv(65536)))
except BlockingIOError:
    pass
print(json.dumps({"code": code, "plain": plain, "messages": heard}))
"""



def journal_of(*argv):
    """What the journal gets of a program that ends by itself."""
    done = paths.run(
        ["unshare", "--mount", "sh", "-c",
         'mount -t tmpfs tmpfs /run && exec "$@"', "sh",
         sys.executable, "-c", JOURNAL, *map(str, argv)])
    return json.loads(done.stdout)


def test_fields_reach_the_journal_and_no_value_makes_one(tmp_path):
    state = tmp_path / "gone\nPRIORITY=0" / "state"
    heard = journal_of(
        paths.vsmd(), f"--tcti=swtpm:path={tmp_path / 'tpm'}",
        f"--state-dir={state}", f"--secret={tmp_path / 'secret'}",
        f"--listen={tmp_path / 'sock'}", f"--admin={tmp_path / 'admin'}")
    assert heard["code"] != 0
    assert heard["plain"] == ""         # nothing twice
    message = heard["messages"][-1]
    assert message["SYSLOG_IDENTIFIER"] == "vsmd"
    assert message["PRIORITY"] == "4"
    assert message["VSM_REASON"] == "not-found"
    assert str(state) in message["VSM_ERROR"]       # as it is, whole
    # who reads the message alone has all of it, in one line
    assert message["MESSAGE"].startswith(
        f"vsmd cannot start: REASON {message['VSM_REASON']}, ERROR ")
    assert "\n" not in message["MESSAGE"]
