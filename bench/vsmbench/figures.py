"""What the measurements mean: ratios with their spread, and what to reach.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import dataclasses
import statistics
from typing import Optional


@dataclasses.dataclass
class Figure:
    """A median and its lowest and highest round."""
    name: str
    reach: str          # as it is printed
    middle: float
    low: float
    high: float
    reached: Optional[bool] = None
    rounds: int = 0

    def text(self):
        return f"{self.middle:.2f}"

    def spread(self):
        return f"{self.low:.2f} - {self.high:.2f}"


def median(values):
    return statistics.median(values)


def ratio(name, reach, above, below, at_most=None, at_least=None):
    """The medians' ratio; the spread is of the ratios round by round, or of
    @above against the other's median where the rounds are not the same."""
    if len(above) == len(below):
        each = [a / b for a, b in zip(above, below)]
    else:
        each = [a / median(below) for a in above]
    middle = median(above) / median(below)
    reached = None
    if at_most is not None:
        reached = middle <= at_most
    if at_least is not None:
        reached = middle >= at_least
    return Figure(name, reach, middle, min(each), max(each), reached,
                  len(above))


def find(results, **wanted):
    """The first run with these properties, or None."""
    for run in results["runs"]:
        if all(run.get(key.replace("_", "-")) == value
               for key, value in wanted.items()):
            return run
    return None


def main_run(results, cache="writeback"):
    """Stock against VSM at the main size; by name, since by hand has the same
    properties."""
    return find(results, name=f"{results['main-mib']} MiB, cache={cache}")


def _speed(run, seconds, byte_count):
    """GB/s of each round."""
    side = run["sides"]["vsm"]
    return [b / s / 1e9 for b, s in zip(side[byte_count], side[seconds])]


def _extra(run):
    """Most memory beside the RAM in any step, against what is allowed."""
    side = run["sides"]["vsm"]
    ram = run["memory-mib"] << 20
    allowed = 0.013 * ram + (32 << 20)
    worst = {name: max(side[name]) for name in side if name.endswith("extra")}
    name = max(worst, key=worst.get)
    percent = 100 * worst[name] / ram
    return Figure(f"peak extra memory ({name[:-6]}), % of guest RAM",
                  f"<= {100 * allowed / ram:.2f}", percent,
                  100 * min(worst.values()) / ram, percent,
                  worst[name] <= allowed, len(side[name]))


def main_table(results, cache="writeback"):
    """The figures of one cache mode at the main size."""
    run = main_run(results, cache)
    out = []
    if run:
        out += _against_stock(run) + _against_raw(results, run)
        out.append(_extra(run))
    return out


def _against_stock(run):
    stock, vsm = run["sides"]["stock"], run["sides"]["vsm"]
    return [
        ratio("sealed savevm / stock savevm", "<= 0.80", vsm["save"],
              stock["save"], at_most=0.80),
        ratio("verified loadvm / stock loadvm", "<= 0.60", vsm["load"],
              stock["load"], at_most=0.60),
        ratio("rollback of a running VM / stock loadvm", "<= 0.70",
              vsm["rollback"], stock["load"], at_most=0.70)]


def _against_raw(results, run):
    raw = results["raw"]
    if not raw.get("raw-ipsec-mb-all"):
        return []
    verify = _speed(run, "verify", "verify-bytes")
    pause = _speed(run, "attest-pause", "attest-bytes")
    one, every = ([median(raw[f"raw-ipsec-mb-{n}"])] * len(verify)
                  for n in ("1", "all"))
    out = [
        ratio("vsm-verify / raw ipsec-mb, one thread", ">= 0.80", verify, one,
              at_least=0.80),
        ratio("vsm-verify / raw ipsec-mb, as many threads", "", verify,
              every),
        ratio("full attest / raw ipsec-mb, as many threads", ">= 0.90", pause,
              every, at_least=0.90)]
    hand = find(results, memory_mib=results["main-mib"],
                name=f"by hand, {results['main-mib']} MiB")
    if hand:
        side = hand["sides"]["stock"]
        dgst = [median(b / s / 1e9 for b, s in
                       zip(side["hand-bytes"], side["hand-hash"]))]
        out.append(ratio("full attest / openssl dgst -sha384, one core",
                         ">= 5", pause, dgst * len(pause), at_least=5))
    return out


def more_rows(results):
    """The figures that have runs of their own."""
    out = []
    full = main_run(results)
    sparse = find(results, share=0.1, memory_mib=results["main-mib"])
    if sparse and full:
        above = sparse["sides"]["vsm"]["attest-pause"]
        below = full["sides"]["vsm"]["attest-pause"]
        out.append(ratio("attest pause, 10 % of RAM in use / all", "<= 0.20",
                         above, below, at_most=0.20))
    run = find(results, options=",hash=openssl")
    if run:
        for step in ("save", "load"):
            out.append(ratio(f"OpenSSL alone: {step} / stock", "<= 1.30",
                             run["sides"]["vsm"][step],
                             run["sides"]["stock"][step], at_most=1.30))
    hand = find(results, name=f"by hand, {results['main-mib']} MiB")
    if hand and full:
        out.append(ratio("sealed savevm / dump, hash and seal by hand", "",
                         full["sides"]["vsm"]["save"],
                         hand["sides"]["stock"]["hand"]))
    return out
