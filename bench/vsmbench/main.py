"""Runs the benchmark and writes its JSON, table and plot.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys

from vsmtest import paths

from . import measure, plot, table
from .rounds import Bench, say

SPARSE = [("vsm", measure.attest)]
SAVE_FIRST = [("vsm", measure.save), ("vsm", measure.attest)]
SAVE_LOAD = [("stock", measure.save), ("vsm", measure.save),
             ("stock", measure.load), ("vsm", measure.load)]
BY_HAND = [("stock", measure.by_hand)]


def _command(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True,
                          check=False).stdout.strip()


def _host():
    cpu = "unknown"
    with open("/proc/cpuinfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo", encoding="ascii") as lines:
        memory = int(next(lines).split()[1]) >> 10
    return {"cpu": cpu, "processors": os.cpu_count(), "memory-mib": memory,
            "kernel": platform.release(),
            "openssl": _command("openssl", "version"),
            "ipsec-mb": _command("dpkg-query", "-Wf", "${Version}",
                                 "libipsec-mb-dev"),
            "qemu": _command(paths.qemu(), "--version").split("\n")[0],
            "load-at-start": os.getloadavg()[0],
            "date": datetime.datetime.now().isoformat(timespec="minutes")}


def _arguments():
    parser = argparse.ArgumentParser(
        prog="bench/run", description="Measures sealed saves, verified loads, "
        "attestation against stock QEMU, and prints a table with medians and "
        "spread.")
    parser.add_argument("--sizes", default="1,2,4,8",
                        help="guest RAM in GiB (default: %(default)s)")
    parser.add_argument("--caches", default="writeback,none",
                        help="cache modes (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5,
                        help="of 4 GiB, which the table shows; other sizes "
                        "have at most 3 (default: %(default)s)")
    parser.add_argument("--only", choices=["compare", "openssl", "sparse",
                                           "hand", "raw"],
                        help="a part of it")
    parser.add_argument("--folder", default="/var/tmp",
                        help="for the disks, twice the largest RAM and half "
                        "as much again (default: %(default)s)")
    parser.add_argument("--out", type=pathlib.Path,
                        help="folder of results.json, table.md, plot.svg "
                        "(default: build/bench)")
    parser.add_argument("--show", type=pathlib.Path, metavar="JSON",
                        help="only print the table of an earlier run, and "
                        "draw its plot")
    parser.add_argument("--no-build", action="store_true",
                        help="take the programs that are there")
    return parser.parse_args()


def _run(options, raw_tool):
    bench = Bench(options.folder, raw_tool)
    sizes = [int(float(size) * 1024) for size in options.sizes.split(",")]
    main = 4096 if 4096 in sizes else sizes[-1]
    results = {"host": _host(), "main-mib": main, "runs": []}

    def part(kind):
        return options.only in (None, kind)

    def add(*arguments, **more):
        results["runs"].append(bench.compare(*arguments, **more))
        _write(options.out, results, bench)

    if part("raw"):
        bench.measure_raw(options.rounds)
    for cache in options.caches.split(","):
        for size in sizes:
            if part("compare"):
                rounds = options.rounds if size == main else min(
                    3, options.rounds)
                add(f"{size} MiB, cache={cache}", size, cache, rounds)
    few = min(3, options.rounds)
    if part("openssl"):
        add("OpenSSL alone", main, "writeback", few, steps=SAVE_LOAD,
            options=",hash=openssl")
    if part("sparse"):
        add("10 % of RAM in use", main, "writeback", options.rounds,
            steps=SAVE_FIRST, share=0.1)
    if part("hand"):
        for size in sizes:
            if size <= main:
                add(f"by hand, {size} MiB", size, "writeback",
                    few if size == main else 1, steps=BY_HAND)
    results["raw"] = bench.raw
    return results


def _write(out, results, bench):
    """After each part: a run that is cut off has left what it has."""
    results["raw"] = bench.raw
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "results.json", "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
        file.write("\n")


def main():
    options = _arguments()
    build = pathlib.Path(os.environ["VSM_BUILD"])
    options.out = options.out or build / "bench"
    if options.show:
        with open(options.show, encoding="utf-8") as file:
            results = json.load(file)
        options.out.mkdir(parents=True, exist_ok=True)
    else:
        results = _run(options, os.environ.get("VSM_BENCH_HASH", str(build / "libvsm/bench/bench-hash")))
        with open(options.out / "results.json", "w",
                  encoding="utf-8") as file:
            json.dump(results, file, indent=1)
            file.write("\n")
    text = table.markdown(results)
    (options.out / "table.md").write_text(text, encoding="utf-8")
    (options.out / "plot.svg").write_text(plot.svg(results),
                                          encoding="utf-8")
    print(text)
    say(f"in {options.out}: results.json, table.md, plot.svg")


if __name__ == "__main__":
    sys.exit(main())
