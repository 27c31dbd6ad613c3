"""Processes of their own that talk to vsmd, as a hypervisor's or a hostile one
would.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import ctypes
import mmap
import multiprocessing
import os
import pathlib
import signal

from . import wire

FIXTURES = pathlib.Path(__file__).resolve().parents[2] / "fixtures"
# Read here: a peer may become a user to whom the checkout is closed.
MANIFEST = (FIXTURES / "manifest-v1.bin").read_bytes()
STREAM = (FIXTURES / "stream-v1.bin").read_bytes()
FORK = multiprocessing.get_context("fork")


def _serve(pipe):
    """Runs in the process: functions that are sent, on one state."""
    state = {}
    os.setsid()
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            os._exit(0)
        try:
            answer = ("done", function(state, *arguments))
        except wire.Refused as error:
            answer = ("refused", error.number, error.text)
        except wire.Hung:
            answer = ("hung",)
        except OSError as error:
            answer = ("closed", str(error))
        pipe.send(answer)


class Peer:
    """A process; call() runs a function of this module in it."""

    def __init__(self):
        self._pipe, theirs = FORK.Pipe()
        self._process = FORK.Process(target=_serve, args=(theirs,),
                                     daemon=True)
        self._process.start()
        theirs.close()
        self.pid = self._process.pid

    def call(self, function, *arguments, timeout=60):
        self._pipe.send((function, arguments))
        if not self._pipe.poll(timeout):
            raise wire.Hung(f"{function.__name__} in process {self.pid}")
        kind, *rest = self._pipe.recv()
        if kind == "refused":
            raise wire.Refused(*rest)
        if kind == "hung":
            raise wire.Hung(function.__name__)
        if kind == "closed":
            raise ConnectionError(*rest)
        return rest[0]

    def end(self):
        """It and what it forked."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.join()
        self._pipe.close()


# What a peer does; state is its own.

def become(state, user):
    """Another user, whose memory is closed as QEMU closes its own."""
    del state
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    assert ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0  # PR_SET_DUMPABLE


def connect(state, path, timeout=30):
    """Connects and takes the greeting."""
    state["wire"] = wire.connect(path, timeout)


def connect_only(state, path, timeout=30):
    state["wire"] = wire.Wire(path, timeout)


def hello(state):
    return state["wire"].hello()


def hang_up(state):
    state.pop("wire").close()


def ask(state, operation, value=None, kind=None):
    return state["wire"].ask(operation, value, kind)


def send(state, data):
    state["wire"].send(data)


def message(state):
    return state["wire"].message()


def is_closed(state):
    return state["wire"].closed()


def connect_many(state, path, count):
    """So many connections, all kept."""
    state["many"] = [wire.Wire(path, 60) for _ in range(count)]


def greeted(state):
    """How many of them are greeted and open."""
    count = 0
    for connection in state["many"]:
        try:
            connection.hello()
            count += not connection.closed(1)
        except (wire.Refused, ConnectionError):
            pass
    return count


def flood(state, data, count):
    """Sends and never reads; how often all of it went out."""
    state["wire"].socket.settimeout(5)
    for done in range(count):
        try:
            state["wire"].send(data)
        except OSError:
            return done
    return count


def fork_and_exec(state, argv):
    """The process becomes that program; its child goes on with the socket."""
    del state
    if os.fork():
        os.execv(argv[0], argv)


def seal(state, uuid, tag, config="x"):
    """A whole save; its id."""
    snapshot = seal_finish(state, uuid, tag, config)
    state["wire"].ask(wire.COMMIT)
    return snapshot


def seal_finish(state, uuid, tag, config="x"):
    """A save up to its commit; its id.  The documents are the fixtures'."""
    connection = state["wire"]
    _, _, length, runs, skeleton, *_ = wire.decode("(sqtutayayay)", STREAM)
    parts = {1: MANIFEST, 2: STREAM, 3: bytes(24 * runs),
             4: bytes(48 * ((length - skeleton) // 4096)),
             6: bytes(48 * ((skeleton + 4095) // 4096))}
    (snapshot,) = wire.decode("(s)", connection.ask(
        wire.SEAL_BEGIN, (wire.vm(uuid, config), tag, False, 1 << 24)))
    for part, data in parts.items():
        for at in range(0, len(data), 1 << 19):
            connection.ask(wire.PUT, (part, at, data[at:at + (1 << 19)]))
    connection.ask(wire.SEAL_FINISH, (
        (1, tag, 1, 2, 3, 4, length, [("disk0", 1 << 20, True)]),
        "no scope"))
    return snapshot


def ids(state):
    """The ids that LIST gives."""
    total, records = wire.decode(wire.RECORDS,
                                 state["wire"].ask(wire.LIST, (0,)))
    assert total == len(records)
    return [record[0] for record in records]


def become_nobody(state):
    """Gives root up for the user 65534."""
    del state
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def map_executable(state, path, megabytes):
    """Maps the start of a sparse file of that length executable."""
    with open(path, "w+b") as file:
        file.truncate(megabytes << 20)
        state.setdefault("maps", []).append(
            mmap.mmap(file.fileno(), 4096, mmap.MAP_PRIVATE,
                      mmap.PROT_READ | mmap.PROT_EXEC))


def unmap(state):
    state.pop("maps")[0].close()


def executable_files(pid):
    """The process's executable and the files that it has mapped executable."""
    files = {os.readlink(f"/proc/{pid}/exe")}
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        fields = line.split(None, 5)
        if "x" in fields[1] and len(fields) == 6 and fields[5][0] == "/":
            files.add(fields[5])
    return files
