"""Many VMs on one TPM: each is served, none waits for ever.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import os
import random
import threading
import time
import uuid

import pytest

from vsmtest.qmp import QmpError
from vsmtest.vsm import Refused

pytestmark = pytest.mark.daemon_only

TAGS = ("a", "b")

# What a busy host may answer instead of doing it: said with the time to wait,
# and changes nothing.
LIMITS = ("busy", "limit")
WAIT_AFTER_LIMIT_S = 1.0

# Waiting of the VM that waited most, for that of the one that waited least.
UNFAIR = 3.0


class Vm(threading.Thread):
    """A machine that does something at random again and again."""

    def __init__(self, guest, seed, until):
        super().__init__()
        self.guest = guest
        self.random = random.Random(seed)
        self.until = until
        self.tags = {}                  # tag: what RAM held
        self.waits = []                 # (what, seconds)
        self.limits = []
        self.failure = None

    def run(self):
        try:
            while time.monotonic() < self.until:
                self.step(self.random.choice(
                    ("save", "attest", "verify", "rollback")))
        except BaseException as error:  # pylint: disable=broad-except
            self.failure = error

    def step(self, what):
        tag = self.random.choice(TAGS)
        if what != "save" and tag not in self.tags:
            what = "save"
        begin = time.monotonic()
        try:
            getattr(self, what)(tag)
        except Refused as error:
            if error.code not in LIMITS:
                raise
            self.limits.append(str(error))
            time.sleep(WAIT_AFTER_LIMIT_S)
        else:
            self.waits.append((what, time.monotonic() - begin))
        assert self.guest.status() == "running"

    def save(self, tag):
        text = f"{tag}{self.random.randrange(10 ** 6)}"
        self.guest.serial.ask(f"mem {text}")
        self.guest.qmp.events.clear()
        try:
            self.guest.savevm(tag)
        except QmpError:
            events = self.guest.qmp.seen("VSM_REFUSED")
            if events:
                raise Refused(events[-1]) from None
            raise
        self.tags[tag] = text

    def attest(self, tag):
        answer = self.guest.attest(f"tag:{tag}")
        assert answer.result == "mismatch"      # it ran on
        assert answer.claims["vm"]["uuid"] == self.guest.config.uuid

    def verify(self, tag):
        assert self.guest.verify(f"tag:{tag}").result == "match"

    def rollback(self, tag):
        assert self.guest.rollback(f"tag:{tag}").result == "match"
        assert self.guest.serial.ask("memget") == self.tags[tag]

    def mean(self):
        return sum(seconds for _, seconds in self.waits) / len(self.waits)

    def line(self):
        """Count, mean and longest wait of each operation, as a table row."""
        cells = []
        for what in ("save", "attest", "verify", "rollback"):
            mine = [seconds for name, seconds in self.waits if name == what]
            cells.append(f"{what} {len(mine):3d} x {sum(mine) / len(mine):5.2f}"
                         f" s, max {max(mine):5.2f} s" if mine
                         else f"{what}   0")
        return f"{self.guest.config.name}: {'; '.join(cells)}; " \
               f"limits {len(self.limits)}"


@pytest.fixture
def host(machines, request):
    """Machines on one TPM, one store, one daemon: a list, all running."""
    seconds = request.config.getoption("many_vms_seconds")
    first = machines.new(memory_mib=96, name="vm0", devices=(),
                         options="nv-burst=100000").create()
    made = [first]
    for number in range(1, 8 if seconds >= 300 else 3):
        guest = machines.new(memory_mib=96, name=f"vm{number}", devices=(),
                             uuid=str(uuid.UUID(int=number + 1)))
        guest.tpm, guest.daemon = first.tpm, first.daemon
        made.append(guest)
    for guest in made:
        guest.start()
    return made, seconds


def test_many_vms_share_one_tpm_fairly(host, record_property):
    guests, seconds = host
    seed = int.from_bytes(os.urandom(4), "big")
    until = time.monotonic() + seconds
    vms = [Vm(guest, seed + number, until)
           for number, guest in enumerate(guests)]
    for vm in vms:
        vm.start()
    for vm in vms:
        vm.join()
    record_property("figures", "\n    ".join(
        [f"{len(vms)} VMs for {seconds} s, seed {seed}"] +
        [vm.line() for vm in vms]))
    for vm in vms:
        assert vm.failure is None, (vm.guest.config.name, seed, vm.failure)
        assert len(vm.waits) >= 4
        assert sorted(vm.guest.vsm_tags()) == sorted(vm.tags)
    means = [vm.mean() for vm in vms]
    assert max(means) <= UNFAIR * min(means)
