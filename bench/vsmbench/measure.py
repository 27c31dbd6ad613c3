"""One measurement each: what is done, and what is noted of it.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import subprocess
import time

from vsmtest import paths

TAG = "bench"


def _timed(function, *arguments):
    begin = time.monotonic()
    value = function(*arguments)
    return time.monotonic() - begin, value


def _step(machine, name, function, *arguments):
    """Wall time, CPU time, and the most memory beside what was there."""
    before = machine.watch_memory()
    cpu = machine.cpu_seconds()
    main = machine.cpu_seconds(True)
    seconds, value = _timed(function, *arguments)
    return {name: seconds, f"{name}-cpu": machine.cpu_seconds() - cpu,
            f"{name}-main": machine.cpu_seconds(True) - main,
            f"{name}-extra": max(0, machine.peak_memory() - before)}, value


def save(machine):
    """savevm onto clusters that exist: the old snapshot is deleted first."""
    machine.qmp.hmp(f"delvm {TAG}")
    return _step(machine, "save", machine.savevm, TAG)[0]


def load(machine):
    return _step(machine, "load", machine.loadvm, TAG)[0]


def rollback(machine):
    """vsm-rollback of the running machine, with a report."""
    values, answer = _step(machine, "rollback", machine.rollback, TAG)
    assert answer.result == "match", answer.raw
    return values


def verify(machine):
    values, answer = _step(machine, "verify", machine.verify, TAG)
    assert answer.result == "match", answer.raw
    return {**values, "verify-bytes": answer.raw["verdict"]["bytes-hashed"]}


def attest(machine):
    """A running machine is no match for its past; its measure is the same."""
    values, answer = _step(machine, "attest", machine.attest, TAG)
    return {**values, "attest-pause": answer.raw["verdict"]["pause-ms"] / 1e3,
            "attest-bytes": answer.raw["verdict"]["bytes-hashed"]}


def by_hand(machine):
    """RAM alone: dumped, hashed, the digest sealed; with standard tools."""
    dump = machine.home / "dump"
    machine.qmp.command("stop")
    dumped, _ = _timed(lambda: machine.qmp.command(
        "dump-guest-memory", paging=False, protocol=f"file:{dump}"))
    hashed, done = _timed(lambda: paths.run(
        ["openssl", "dgst", "-sha384", "-binary", "-out",
         str(machine.home / "digest"), str(dump)], timeout=600))
    assert done.returncode == 0
    sealed, _ = _timed(_seal, machine)
    size = dump.stat().st_size
    dump.unlink()
    machine.qmp.command("cont")
    return {"hand-dump": dumped, "hand-hash": hashed, "hand-seal": sealed,
            "hand-bytes": size, "hand": dumped + hashed + sealed}


def _seal(machine):
    home = machine.home
    machine.tpm.tool("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c",
                     home / "primary.ctx")
    machine.tpm.tool("tpm2_create", "-C", home / "primary.ctx", "-i",
                     home / "digest", "-u", home / "sealed.pub", "-r",
                     home / "sealed.priv")
    machine.tpm.tool("tpm2_flushcontext", "-t")


def raw(tool, mib=512):
    """GB/s of the bare libraries on 4 KiB messages: {line: GB/s}."""
    done = subprocess.run([tool, "--raw", "1", str(mib)], check=True,
                          stdout=subprocess.PIPE, text=True)
    speeds = {}
    for line in done.stdout.splitlines():
        name, _, speed = line.rpartition(" ")
        speeds["raw-" + name] = float(speed)
    return speeds
