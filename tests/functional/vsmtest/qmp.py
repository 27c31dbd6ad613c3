"""A QMP client: commands, events, jobs, HMP.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import itertools
import json
import socket
import time


class QmpError(Exception):
    """QEMU answered a command, or a job ended, with an error."""

    def __init__(self, text, error_class="GenericError"):
        super().__init__(text)
        self.text = text
        self.error_class = error_class


class Closed(Exception):
    """QEMU closed the monitor."""


class Qmp:
    """One QMP monitor.  Not for several threads."""

    _job_numbers = itertools.count(1)

    def __init__(self, path, timeout=60):
        self.timeout = timeout
        self.events = []
        self._buffer = b""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._greeting()
        self.command("qmp_capabilities")

    def _greeting(self):
        """An event may come before it: QEMU's monitor is not set up yet."""
        deadline = time.monotonic() + self.timeout
        while True:
            message = self._read(deadline)
            if message is None:
                raise AssertionError("no greeting from QEMU")
            if "QMP" in message:
                return
            self.events.append(message)

    def close(self):
        self._socket.close()

    def _read(self, deadline):
        """The next message; None when the deadline passes."""
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(1 << 16)
            except socket.timeout:
                return None
            except ConnectionError as error:
                raise Closed(str(error)) from error
            if not data:
                raise Closed("QEMU closed the monitor")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(line)

    def send(self, name, arguments=None):
        """Sends a command; the answer is for answer()."""
        message = {"execute": name}
        if arguments:
            message["arguments"] = arguments
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except ConnectionError as error:
            raise Closed(str(error)) from error

    def answer(self, timeout=None):
        """The answer to the command sent last; events are kept."""
        deadline = time.monotonic() + (timeout or self.timeout)
        while True:
            message = self._read(deadline)
            if message is None:
                raise AssertionError("no answer from QEMU within "
                                     f"{timeout or self.timeout} s")
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise QmpError(message["error"]["desc"],
                               message["error"]["class"])
            else:
                return message["return"]

    def command(self, name, /, **arguments):
        """One command and its answer; `_` in a name stands for `-`."""
        self.send(name, {key.replace("_", "-"): value
                         for key, value in arguments.items()
                         if value is not None})
        return self.answer()

    def hmp(self, line):
        """A human monitor command; its text, without the line end."""
        return self.command("human-monitor-command",
                            command_line=line).rstrip()

    def event(self, name, timeout=None, **data):
        """Waits for an event of that name with that data; takes it."""
        def matches(event):
            found = event.get("data", {})
            return event["event"] == name and all(
                found.get(key) == value for key, value in data.items())

        return self.any_event(matches, f"event {name} {data}",
                              timeout or self.timeout).get("data", {})

    def any_event(self, accept, what, timeout):
        """Waits for an event that accept(event) takes; takes it."""
        deadline = time.monotonic() + timeout
        while True:
            for event in self.events:
                if accept(event):
                    self.events.remove(event)
                    return event
            message = self._read(deadline)
            if message is None:
                raise AssertionError(f"no {what} within {timeout} s")
            self.events.append(message)

    def seen(self, name):
        """The events of that name so far; they stay in the list."""
        self.command("query-version")
        return [event.get("data", {}) for event in self.events
                if event["event"] == name]

    # Jobs

    def start_job(self, command, /, **arguments):
        """Starts a job command; returns the job's id."""
        job = f"job{next(self._job_numbers)}"
        self.command(command, job_id=job, **arguments)
        return job

    def job(self, job):
        """query-jobs' entry of one job, or None."""
        for entry in self.command("query-jobs"):
            if entry["id"] == job:
                return entry
        return None

    def finish_job(self, job, timeout=120):
        """Waits for the job's end, dismisses it, raises its error."""
        deadline = time.monotonic() + timeout
        entry = self.job(job)
        while entry and entry["status"] != "concluded":
            if time.monotonic() > deadline:
                raise AssertionError(f"job {job} still {entry['status']} "
                                     f"after {timeout} s")
            try:
                self.event("JOB_STATUS_CHANGE", timeout=1, id=job)
            except AssertionError:
                pass
            entry = self.job(job)
        if not entry:
            raise AssertionError(f"job {job} is gone")
        self.command("job-dismiss", id=job)
        if entry.get("error"):
            raise QmpError(entry["error"])
        return entry

    def run_job(self, command, /, timeout=120, **arguments):
        """Starts a job, waits for its end; returns its id."""
        job = self.start_job(command, **arguments)
        self.finish_job(job, timeout)
        return job
