"""VSM's commands over QMP, as a mixin of Guest.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import base64
import json
import os

from . import wait
from .qmp import QmpError


def b64url(data):
    """Base64url without padding, as JOSE wants it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Refused(QmpError):
    """A VSM job was refused or failed, as VSM_REFUSED told."""

    def __init__(self, data):
        super().__init__(data["message"])
        self.code = data["code"]
        self.vm_changed = data["vm-changed"]


class Answer:
    """What query-vsm-report gives for a finished job."""

    def __init__(self, raw, nonce):
        self.raw = raw
        self.nonce = nonce          # bytes
        self.report = raw["report"]
        self.verdict = raw.get("verdict")   # None with a recipient

    @property
    def result(self):
        return self.verdict["result"]

    @property
    def claims(self):
        """The report's claims, their signature not looked at."""
        return json.loads(unb64url(self.report.split(".")[1]))

    @property
    def findings(self):
        return self.verdict["findings"]

    def found(self, kind=None, where=""):
        """The findings of that kind whose place holds that text."""
        return [finding for finding in self.findings
                if kind in (None, finding["kind"]) and
                where in finding["where"]]

    def ram_ranges(self):
        """[(block, offset, bytes)] of RAM that differs."""
        return [(finding["where"], finding["offset"], finding["bytes"])
                for finding in self.found("ram")]


class VsmCommands:
    """Needs self.qmp and self.status()."""

    def devices(self):
        """Node names of the disks, the vmstate's first."""
        return [f"disk{number}" for number in range(len(self.disks))]

    # QEMU's own commands

    def snapshot_save(self, tag, **options):
        return self.qmp.run_job("snapshot-save", tag=tag, vmstate="disk0",
                                devices=self.devices(), **options)

    def snapshot_load(self, tag, **options):
        return self.qmp.run_job("snapshot-load", tag=tag, vmstate="disk0",
                                devices=self.devices(), **options)

    def snapshot_delete(self, tag, **options):
        return self.qmp.run_job("snapshot-delete", tag=tag,
                                devices=self.devices(), **options)

    def savevm(self, tag):
        self._hmp_ok(f"savevm {tag}")

    def loadvm(self, tag):
        self._hmp_ok(f"loadvm {tag}")

    def delvm(self, tag):
        self._hmp_ok(f"delvm {tag}")

    def _hmp_ok(self, line):
        text = self.qmp.hmp(line)
        if "Error" in text:
            raise QmpError(text)

    def qcow2_tags(self, disk=0):
        """Tags in the snapshot table of a disk."""
        return [entry.name for entry in
                type(self.image)(self.disks[disk]).entries()]

    # VSM's

    def vsm_status(self):
        return self.qmp.command("query-vsm")

    def vsm_snapshots(self):
        return self.qmp.command("query-vsm-snapshots")

    def vsm_tags(self):
        return sorted(entry["tag"] for entry in self.vsm_snapshots())

    def vsm_snapshot(self, tag):
        """query-vsm-snapshots' entry of that tag."""
        for entry in self.vsm_snapshots():
            if entry["tag"] == tag:
                return entry
        raise AssertionError(f"no sealed snapshot '{tag}'")

    def start_vsm(self, command, snapshot, nonce=None, **options):
        """Starts vsm-attest, vsm-verify or vsm-rollback: (job, nonce)."""
        nonce = os.urandom(32) if nonce is None else nonce
        if command == "vsm-attest":
            options.setdefault("scope", "full")
        return self.qmp.start_job(command, snapshot=snapshot,
                                  nonce=b64url(nonce), **options), nonce

    def finish_vsm(self, job, nonce, timeout=120):
        """Waits for the end of such a job; its answer, or Refused."""
        def ours(event):
            data = event.get("data", {})
            if event["event"] in ("VSM_ATTESTED", "VSM_ROLLED_BACK"):
                return data["answer"]["job-id"] == job
            return (event["event"] == "VSM_REFUSED" and
                    data.get("job-id") == job)

        event = self.qmp.any_event(ours, f"end of job {job}", timeout)
        if event["event"] == "VSM_REFUSED":
            raise Refused(event["data"])
        answer = Answer(self.qmp.command("query-vsm-report", job_id=job),
                        nonce)
        assert answer.raw == event["data"]["answer"]
        return answer

    def _vsm(self, command, snapshot, **options):
        return self.finish_vsm(*self.start_vsm(command, snapshot, **options))

    def attest(self, snapshot, **options):
        return self._vsm("vsm-attest", snapshot, **options)

    def attest_runtime(self, snapshot, **options):
        """What must not change in a running guest."""
        return self.attest(snapshot, scope="runtime", **options)

    def verify(self, snapshot, **options):
        return self._vsm("vsm-verify", snapshot, **options)

    def rolled_back(self, timeout=30):
        """Waits until the guest was, by itself, and runs."""
        self.qmp.event("VSM_ROLLED_BACK", timeout)
        wait.until("the guest runs", lambda: self.status() == "running")

    def rollback(self, snapshot, **options):
        return self._vsm("vsm-rollback", snapshot, **options)
