"""What more CPUs and more RAM would give: a model of a few constants.

A step is bound by the thread that makes or parses the stream, or by all CPUs
together, or by a device.  So a GiB costs
    max (CPU time of the main thread, CPU time of all threads / CPUs, 1 / device)
seconds.  CPU times are those of the main run, per GiB; the model's answer for
this machine is compared with the slope that was measured.

SPDX-License-Identifier: GPL-2.0-or-later
"""
from .figures import find, main_run, median

STEPS = [("save", "sealed savevm"), ("load", "verified loadvm"),
         ("verify", "vsm-verify"), ("attest", "attest")]
CPUS = 64
GIB = 1024


def _slope(points):
    """Seconds a GiB, by least squares; None with one size."""
    n = len(points)
    if n < 2:
        return None
    x = sum(point[0] for point in points) / n
    y = sum(point[1] for point in points) / n
    return (sum((a - x) * (b - y) for a, b in points) /
            sum((a - x) ** 2 for a, _ in points))


def _measured(results, step):
    """
    Slope over the sizes up to the main one, with the page cache: what is
    larger goes beyond what the host lets wait for its disk, which then bounds
    a save, with VSM or without.
    """
    points = [(run["memory-mib"] / 1024, median(run["sides"]["vsm"][step]))
              for run in results["runs"]
              if run["cache"] == "writeback" and run["share"] == 1.0 and
              run["memory-mib"] <= results["main-mib"] and
              not run["options"] and run["sides"].get("vsm", {}).get(step)]
    return _slope(points)


def _text(value):
    return "" if value is None else f"{value:.3f}"


def rows(results):
    """The table of the model."""
    run = main_run(results)
    if not run:
        return []
    side, size = run["sides"]["vsm"], run["memory-mib"] / 1024
    cpus = results["host"]["processors"]
    out = [f"| step | main thread, s/GiB | all threads, s/GiB | model, {cpus} "
           f"CPUs, s/GiB | measured slope to {size:g} GiB, s/GiB | "
           f"model, {CPUS} CPUs, s/GiB | 1 TiB, minutes |", "|---" * 7 + "|"]
    for step, name in STEPS:
        main = median(side[f"{step}-main"]) / size
        every = median(side[f"{step}-cpu"]) / size
        here, there = max(main, every / cpus), max(main, every / CPUS)
        out.append(f"| {name} | {main:.3f} | {every:.3f} | {here:.3f} | "
                   f"{_text(_measured(results, step))} | {there:.3f} | "
                   f"{there * GIB / 60:.1f} |")
    one = find(results, options=",hash-threads=1")
    if one:
        single = median(one["sides"]["vsm"]["attest-pause"])
        full = median(side["attest-pause"])
        out += ["", f"Attest pause with one hashing thread {single:.2f} s, "
                f"with {cpus} {full:.2f} s: {single / full:.2f} times, where "
                f"the model says {cpus:.2f}."]
    return out
