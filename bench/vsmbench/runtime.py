"""The runtime scope: how long it pauses a busy guest, and what a watch costs.

A Linux guest with 2 vCPUs that writes files without end, as the functional
tests boot it; so this needs tests/guest/build-guest, which it calls.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import time

from vsmtest.guest import Config, Guest

from .figures import Figure, median
from .rounds import say

MIB = 1 << 20
SMALL_MIB = 1024
LOOKS = 6


def _boot(memory_mib, options=""):
    """A busy guest with the snapshot "clean", and nothing absent in RAM."""
    guest = Guest(Config(memory_mib=memory_mib, vcpus=2,
                         options="pause-percent=0" + options))
    guest.start()
    guest.snapshot_save("clean")
    guest.serial.ask("run")
    return guest


def _attest(guest, rounds, scope):
    answers = [guest.attest("clean", scope=scope).verdict
               for _ in range(rounds)]
    results = {answer["result"] for answer in answers}
    if scope == "runtime" and results != {"match"}:
        raise AssertionError(f"a busy guest answers {sorted(results)}")
    return {"pause-ms": [answer["pause-ms"] for answer in answers],
            "bytes-hashed": answers[0]["bytes-hashed"]}


def _commands(guest, action):
    """TPM commands that @action sends."""
    before = len(guest.tpm.proxy.commands)
    action()
    return len(guest.tpm.proxy.commands) - before


def _attestations(memory_mib, rounds):
    guest = _boot(memory_mib)
    try:
        found = {"runtime": _attest(guest, rounds, "runtime")}
        # A page that was never written is not hashed: write nearly all.
        guest.serial.ask("sh mount -o remount,size=90% /tmp")
        guest.serial.ask("sh dd if=/dev/urandom of=/tmp/fill bs=1M "
                         f"count={memory_mib * 17 // 20}", timeout=900)
        found["full"] = _attest(guest, min(3, rounds), "full")
        guest.stop()
        found["tpm-commands"] = {
            "seal": _commands(guest, lambda: guest.savevm("counted")),
            "attest": _commands(guest, lambda: guest.attest("counted")),
        }
    finally:
        guest.cleanup()
    return found


def _watch(seconds):
    """What the watch costs: the sum of its pauses, from the trace."""
    guest = _boot(SMALL_MIB, f",watch={seconds},watch-snapshot=tag:clean")
    try:
        guest.qmp.command("trace-event-set-state", name="vsm_watch_look",
                          enable=True)
        begin = time.monotonic()
        time.sleep(LOOKS * seconds)
        took = time.monotonic() - begin
        pauses = [int(line.rsplit("pause ", 1)[1].split()[0])
                  for line in guest.stderr().splitlines()
                  if "vsm_watch_look" in line]
    finally:
        guest.cleanup()
    if not pauses:
        raise AssertionError("the watch did not look")
    return {"interval-s": seconds, "seconds": took, "pause-ms": pauses}


def measure(main_mib, rounds):
    """{memory in MiB: what was found} and the watch."""
    found = {"sizes": {}}
    for memory_mib in sorted({SMALL_MIB, main_mib}):
        say(f"runtime scope, {memory_mib} MiB")
        found["sizes"][str(memory_mib)] = _attestations(memory_mib,
                                                        2 * rounds)
    say("runtime scope, watch")
    found["watch"] = _watch(10)
    return found


def figures(results):
    """Rows of the table."""
    found = results.get("runtime")
    if not found:
        return []
    small = found["sizes"][str(SMALL_MIB)]["runtime"]
    large = found["sizes"][str(results["main-mib"])]
    pauses = small["pause-ms"]
    hashed = 100 * small["bytes-hashed"] / (SMALL_MIB * MIB)
    full = median(large["full"]["pause-ms"])
    shares = [pause / full for pause in large["runtime"]["pause-ms"]]
    watch = found["watch"]
    costs = [100 * pause / 1000 / watch["interval-s"]
             for pause in watch["pause-ms"]]
    cost = sum(watch["pause-ms"]) / 10 / watch["seconds"]
    return [
        Figure("runtime scope: pause of a busy guest, 1 GiB, ms", "<= 150",
               median(pauses), min(pauses), max(pauses),
               median(pauses) <= 150, len(pauses)),
        Figure("runtime scope: pause / that of a full attest, "
               f"{results['main-mib'] / 1024:g} GiB", "<= 0.10",
               median(shares), min(shares), max(shares),
               median(shares) <= 0.10, len(shares)),
        Figure("runtime scope: bytes hashed, % of 1 GiB", "<= 5", hashed,
               hashed, hashed, hashed <= 5),
        Figure(f"watch every {watch['interval-s']} s: % of the guest's time",
               "< 1", cost, min(costs), max(costs), cost < 1, len(costs))]


def tpm_commands(results):
    """One line, or none."""
    found = results.get("runtime")
    if not found:
        return []
    counted = found["sizes"][str(SMALL_MIB)]["tpm-commands"]
    return ["", f"TPM commands: {counted['seal']} for a save, "
            f"{counted['attest']} for an attestation, counted on the wire."]
