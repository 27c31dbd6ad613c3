"""The order of the measurements.

Stock and VSM take turns at each step, and who begins changes with each round:
other load on the machine hits both.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import collections
import shutil
import sys
import tempfile

from . import measure
from .machine import MIB, Machine

# Room that is left to everything else while machines run.
RESERVE = 3 << 30

STEPS = [
    ("stock", measure.save), ("vsm", measure.save),
    ("stock", measure.load), ("vsm", measure.load),
    ("vsm", measure.rollback), ("vsm", measure.verify),
    ("vsm", measure.attest),
]


def say(text):
    print(text, file=sys.stderr, flush=True)


def _available():
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def _order(steps, first):
    """The steps, with the side @first before the other at each turn."""
    steps = list(steps)
    for i in range(len(steps) - 1):
        if (steps[i][1] is steps[i + 1][1] and steps[i][0] != first):
            steps[i], steps[i + 1] = steps[i + 1], steps[i]
    return steps


def _grouped(steps):
    """All steps of one machine, then all of the other."""
    return sorted(steps, key=lambda step: step[0] != steps[0][0])


class Bench:
    """Runs what it is told and gathers {side: {figure: [values]}}."""

    def __init__(self, folder, raw_tool):
        self.folder = folder
        self.raw_tool = raw_tool
        self.raw = collections.defaultdict(list)

    def measure_raw(self, rounds=1):
        for _ in range(rounds):
            for name, speed in measure.raw(self.raw_tool).items():
                self.raw[name].append(speed)

    def compare(self, name, memory_mib, cache, rounds, steps=STEPS,
                options="", share=1.0, raw=False):
        """One size and one cache mode, stock against VSM.

        raw: the bare libraries, too, once a round.
        """
        home = tempfile.mkdtemp(prefix="vsm-bench-", dir=self.folder)
        machines = {side: Machine(f"{home}/{side}", memory_mib, cache,
                                  side != "stock", options, share)
                    for side in {step[0] for step in steps}}
        # All RAM, since a save reads it and not each host has a page of zeros
        # to share; and with the page cache what is in use again, on disk.
        need = int(memory_mib * MIB * len(machines) *
                   (1 if cache == "none" else 1 + share))
        alone = need + RESERVE > _available()
        lines = {side: collections.defaultdict(list) for side in machines}
        try:
            for machine in machines.values():
                machine.create()
            # the first save of each allocates its clusters
            for turn in range(-1, rounds):
                self._round(name, turn, machines, steps, alone, lines)
                if raw and turn >= 0:
                    self.measure_raw()
        finally:
            for machine in machines.values():
                machine.end()
            shutil.rmtree(home, ignore_errors=True)
        return {"name": name, "memory-mib": memory_mib, "cache": cache,
                "share": share, "options": options, "alone": alone,
                "rounds": rounds, "sides": lines}

    def _round(self, name, turn, machines, steps, alone, lines):
        order = _order(steps, "vsm" if turn % 2 else "stock")
        if turn < 0:
            order = [step for step in order if step[1] is measure.save]
        if alone:
            order = _grouped(order)
        say(f"{name}: " + (f"round {turn + 1}" if turn >= 0 else "start"))
        for side, step in order:
            for other, machine in machines.items():
                if alone and other != side and machine.qmp:
                    machine.stop()
                    machine.forget_cache()
            fresh = not machines[side].qmp
            machine = machines[side].start()
            if fresh and turn >= 0 and step is measure.save:
                step(machine)    # whoever reads RAM first populates it
            values = step(machine)
            if turn >= 0:
                for figure, value in values.items():
                    lines[side][figure].append(value)
                say(f"    {side} " + ", ".join(
                    f"{figure} {value:.2f}" for figure, value in
                    values.items() if value < 1e5))
