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
import time

from vsmtest import paths

from . import documents, measure, plot, runtime, table
from .rounds import Bench, say

BEGIN = time.monotonic()

ALONE = [("vsm", measure.save), ("vsm", measure.attest)]
SAVE_LOAD = [("stock", measure.save), ("vsm", measure.save),
             ("stock", measure.load), ("vsm", measure.load)]
BY_HAND = [("stock", measure.by_hand)]
PARTS = ["compare", "openssl", "sparse", "hand", "threads", "runtime", "big"]


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
            "kernel": ".".join(platform.release().split(".")[:2]),
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
                        help="of the main part, 4 GiB with the page cache; "
                        "the others have fewer (default: %(default)s)")
    parser.add_argument("--only", choices=PARTS,
                        help="a part of it; the others stay as the results in "
                        "--out have them")
    parser.add_argument("--folder", default="/var/tmp",
                        help="for the disks, twice the largest RAM and half "
                        "as much again (default: %(default)s)")
    parser.add_argument("--out", type=pathlib.Path,
                        help="folder of results.json, table.md, plot.svg "
                        "(default: build/bench)")
    parser.add_argument("--show", type=pathlib.Path, metavar="JSON",
                        help="measure nothing: the table of an earlier run")
    parser.add_argument("--documents", action="store_true",
                        help="write table and plot into README.md and docs/ "
                        "and the results beside them")
    parser.add_argument("--no-build", action="store_true",
                        help="take the programs that are there")
    return parser.parse_args()


def _plan(options, sizes, main):
    """(part, name, RAM, cache, rounds, more), what matters most first."""
    rounds, few = options.rounds, min(2, options.rounds)
    caches = options.caches.split(",")
    yield ("compare", f"{main} MiB, cache={caches[0]}", main, caches[0],
           rounds, {"raw": True})
    yield ("sparse", "10 % of RAM in use", main, "writeback",
           rounds, {"steps": ALONE, "share": 0.1})
    yield ("hand", f"by hand, {main} MiB", main, "writeback", few,
           {"steps": BY_HAND})
    yield ("openssl", "OpenSSL alone", main, "writeback", rounds,
           {"steps": SAVE_LOAD, "options": ",hash=openssl"})
    yield ("threads", "one hashing thread", main, "writeback", few,
           {"steps": ALONE, "options": ",hash-threads=1"})
    for cache in caches:
        for size in sizes:
            if (size, cache) != (main, caches[0]):
                count = few
                if size == main:
                    count += 1
                elif size > main:
                    count = 1
                yield ("compare", f"{size} MiB, cache={cache}", size, cache,
                       min(count, rounds), {})
    yield ("big", "16 GiB, 10 % in use", 16384, "writeback", 1,
           {"share": 0.1})


def _put(runs, new):
    """In the place of an earlier run of that name, or at the end."""
    for index, run in enumerate(runs):
        if run["name"] == new["name"]:
            runs[index] = new
            return
    runs.append(new)


def _run(options, raw_tool):
    bench = Bench(options.folder, raw_tool)
    sizes = [int(float(size) * 1024) for size in options.sizes.split(",")]
    main = 4096 if 4096 in sizes else sizes[-1]
    results = {"host": _host(), "main-mib": main, "runs": []}
    before = options.out / "results.json"

    if options.only and before.exists():
        host = results["host"]["cpu"]
        results = json.loads(before.read_text(encoding="utf-8"))
        if results["host"]["cpu"] != host:
            sys.exit(f"bench/run: {before} is of another machine "
                     f"({results['host']['cpu']}): give another --out, or "
                     "leave --only away")
        bench.raw.update(results["raw"])
    for part, name, size, cache, rounds, more in _plan(options, sizes, main):
        if options.only in (None, part):
            if more.get("raw"):
                bench.raw.clear()
            _put(results["runs"],
                 bench.compare(name, size, cache, rounds, **more))
            _write(options.out, results, bench)
    if options.only in (None, "runtime"):
        results["runtime"] = runtime.measure(results["main-mib"],
                                             options.rounds)
        _write(options.out, results, bench)
    if not options.only:
        results["host"]["load-at-end"] = os.getloadavg()[0]
        results["host"]["minutes"] = round((time.monotonic() - BEGIN) / 60, 1)
    results["raw"] = bench.raw
    return results


def _raw_tool(build):
    """The program that measures the bare hash libraries."""
    tool = pathlib.Path(os.environ.get(
        "VSM_BENCH_HASH", build / "libvsm" / "bench" / "bench-hash"))
    if not tool.exists():
        sys.exit(f"bench/run: {tool} is missing: run it without --no-build "
                 "once, or: ninja -C build/libvsm bench/bench-hash")
    return str(tool)


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
        results = _run(options, _raw_tool(build))
        with open(options.out / "results.json", "w",
                  encoding="utf-8") as file:
            json.dump(results, file, indent=1)
            file.write("\n")
    text = table.markdown(results)
    (options.out / "table.md").write_text(text, encoding="utf-8")
    (options.out / "plot.svg").write_text(plot.svg(results),
                                          encoding="utf-8")
    if options.documents:
        documents.update(results)
    print(text)
    say(f"in {options.out}: results.json, table.md, plot.svg")


if __name__ == "__main__":
    sys.exit(main())
