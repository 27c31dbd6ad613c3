"""A relay before swtpm: several clients, and faults on the wire.

Commands of all clients go to the TPM one at a time, whole.  On demand the
relay answers nothing, hangs up, answers an error of its own, or keeps what
crossed it, so that a test can look for secrets.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pathlib
import socket
import struct
import threading

# TPM command codes that the tests name
NV_EXTEND = 0x136
NV_CERTIFY = 0x184
UNSEAL = 0x15e
QUOTE = 0x158
SIGN = 0x15d
CREATE = 0x153
PCR_EXTEND = 0x182


def _receive(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("closed")
        data += part
    return data


def _message(connection):
    """One TPM command or answer: tag, size, rest."""
    head = _receive(connection, 6)
    size, = struct.unpack(">I", head[2:])
    if not 10 <= size <= 1 << 16:
        raise ConnectionError(f"a TPM message of {size} bytes")
    return head + _receive(connection, size - 6)


class Proxy:
    """Listens at `path` and `path`.ctrl; swtpm is at `upstream`."""

    def __init__(self, path, upstream):
        self.path = pathlib.Path(path)
        self.upstream = str(upstream)
        self.commands = []          # command codes, in order
        self.wire = None            # a bytearray: keep what crosses
        self._errors = {}           # command code: [rc, times, skip] left
        self._lost = set()          # command codes whose answer is lost
        self._halved = {}           # command code: "command" or "answer"
        self._actions = {}          # (command code, after): [count, action]
        self._open = threading.Event()
        self._open.set()
        self._turn = threading.Lock()
        self._control_turn = threading.Lock()
        self._listeners = []
        self._clients = set()
        self._tpm = None

    # Faults

    def hold(self):
        """From now on nothing is answered."""
        self._open.clear()

    def release(self):
        self._open.set()

    def cut(self):
        """Hangs up on every client."""
        for client in list(self._clients):
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def fail(self, code, rc, times=1, skip=0):
        """The next commands of that code are answered with rc.

        skip: so many of them are done first.
        """
        self._errors[code] = [rc, times, skip]

    def lose_answer(self, code):
        """The next command of that code is done, its answer lost."""
        self._lost.add(code)

    def halve(self, code, what):
        """Of the next such command, or of its answer, half gets through.

        what: "command" or "answer"; the connections end with it.
        """
        self._halved[code] = what

    def act(self, code, action, count=1, after=False):
        """Calls action at the count-th command of that code.

        Before the TPM sees the command, or after it has done it but before
        the client gets the answer.  An action that returns True before ends
        the connection: the TPM never sees the command.
        """
        self._actions[code, after] = [count, action]

    def stall(self, code, count=1):
        """The count-th command of that code waits.

        Two events: that it came, and one to set to let it go on.
        """
        came, go = threading.Event(), threading.Event()

        def wait():
            came.set()
            go.wait(120)

        self.act(code, wait, count)
        return came, go

    def _error(self, code):
        """What the relay answers by itself; 0: the TPM is asked."""
        error = self._errors.get(code)
        if not error or not error[1]:
            return 0
        if error[2]:
            error[2] -= 1
            return 0
        error[1] -= 1
        return error[0]

    def _call(self, code, after):
        wanted = self._actions.get((code, after))
        if wanted:
            wanted[0] -= 1
            if wanted[0] == 0:
                del self._actions[code, after]
                return wanted[1]()
        return False

    # Relay

    def start(self):
        self._open.set()
        for path, serve in ((self.path, self._serve_data),
                            (pathlib.Path(f"{self.path}.ctrl"),
                             self._serve_control)):
            path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(path))
            listener.listen(16)
            self._listeners.append(listener)
            threading.Thread(target=self._accept, args=(listener, serve),
                             daemon=True).start()

    def stop(self):
        """Ends listening and all connections."""
        for listener in self._listeners:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        self._listeners = []
        for path in (self.path, pathlib.Path(f"{self.path}.ctrl")):
            path.unlink(missing_ok=True)
        self._open.set()
        self.cut()
        with self._turn:
            if self._tpm:
                self._tpm.close()
                self._tpm = None

    def _accept(self, listener, serve):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._client, args=(client, serve),
                             daemon=True).start()

    def _client(self, client, serve):
        self._clients.add(client)
        try:
            serve(client)
        except OSError:
            pass
        finally:
            self._clients.discard(client)
            client.close()

    def _ask_tpm(self, command, halved=False):
        with self._turn:
            try:
                if not self._tpm:
                    self._tpm = socket.socket(socket.AF_UNIX)
                    self._tpm.connect(self.upstream)
                if halved:
                    self._tpm.sendall(command[:len(command) // 2])
                    raise ConnectionError("half a command on purpose")
                self._tpm.sendall(command)
                return _message(self._tpm)
            except OSError:
                if self._tpm:
                    self._tpm.close()
                self._tpm = None
                raise

    def _serve_data(self, client):
        while True:
            command = _message(client)
            code, = struct.unpack(">I", command[6:10])
            self._open.wait()
            self.commands.append(code)
            if self._call(code, after=False):
                raise ConnectionError("command dropped on purpose")
            error = self._error(code)
            if error:
                client.sendall(struct.pack(">HII", 0x8001, 10, error))
                continue
            halved = self._halved.pop(code, None)
            answer = self._ask_tpm(command, halved == "command")
            if self.wire is not None:
                self.wire += command + answer
            self._call(code, after=True)
            if halved:
                client.sendall(answer[:len(answer) // 2])
                raise ConnectionError("half an answer on purpose")
            if code in self._lost:
                self._lost.discard(code)
                raise ConnectionError("answer lost on purpose")
            client.sendall(answer)

    def _serve_control(self, client):
        with self._control_turn, socket.socket(socket.AF_UNIX) as control:
            control.connect(f"{self.upstream}.ctrl")
            while True:
                request = client.recv(4096)
                if not request:
                    return
                control.sendall(request)
                client.sendall(control.recv(4096))
