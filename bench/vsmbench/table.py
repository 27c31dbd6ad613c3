"""The tables, in Markdown.

SPDX-License-Identifier: GPL-2.0-or-later
"""
from . import figures, runtime
from .figures import median

COLUMNS = [("stock", "save"), ("vsm", "save"), ("stock", "load"),
           ("vsm", "load"), ("vsm", "rollback"), ("vsm", "verify"),
           ("vsm", "attest"), ("vsm", "attest-pause")]


def _rows(rows):
    out = ["| figure | reach | median | spread | rounds | reached |",
           "|---|---|---|---|---|---|"]
    for row in rows:
        mark = {True: "yes", False: "**no**", None: ""}[row.reached]
        out.append(f"| {row.name} | {row.reach} | {row.text()} | "
                   f"{row.spread()} | {row.rounds or ''} | {mark} |")
    return out


def _growth(results):
    head = [f"{side} {step}" for side, step in COLUMNS]
    out = ["| RAM, in use | cache | rounds | " + " | ".join(head) + " | save ratio | "
           "load ratio |", "|---" * (len(head) + 5) + "|"]
    for run in results["runs"]:
        sides = run["sides"]
        if not all(sides.get(side, {}).get(step) for side, step in COLUMNS):
            continue
        times = {column: median(sides[column[0]][column[1]])
                 for column in COLUMNS}
        out.append(
            f"| {run['memory-mib'] / 1024:g} GiB, {run['share']:.0%} "
            f"| {run['cache']} | {run['rounds']} | " +
            " | ".join(f"{times[column]:.2f}" for column in COLUMNS) +
            f" | {times['vsm', 'save'] / times['stock', 'save']:.2f} | "
            f"{times['vsm', 'load'] / times['stock', 'load']:.2f} |")
    return out


def _by_hand(results):
    out = ["| RAM | dump-guest-memory | openssl dgst -sha384 | tpm2_create | "
           "sum |", "|---|---|---|---|---|"]
    for run in results["runs"]:
        side = run["sides"].get("stock", {})
        if "hand" in side:
            out.append(f"| {run['memory-mib'] / 1024:g} GiB | " + " | ".join(
                f"{median(side[name]):.2f}" for name in
                ("hand-dump", "hand-hash", "hand-seal", "hand")) + " |")
    return out if len(out) > 2 else []


def _raw(results):
    out = ["| bare library, 4 KiB messages | GB/s | spread |", "|---|---|---|"]
    for name, values in results["raw"].items():
        if values:
            out.append(f"| {name[4:]} | {median(values):.2f} | "
                       f"{min(values):.2f} - {max(values):.2f} |")
    return out


def main_rows(results):
    """The table of the README."""
    return _rows(figures.main_table(results) + figures.more_rows(results) +
                 runtime.figures(results)) + runtime.tpm_commands(results)


def host_line(results):
    host = results["host"]
    return (f"{host['cpu']}, {host['processors']} processors, "
            f"{host['memory-mib'] // 1024} GiB, Linux {host['kernel']}, "
            f"{host['openssl']}, ipsec-mb {host['ipsec-mb']}, "
            f"{host['date'][:10]}.")


def markdown(results):
    """Everything."""
    size = results["main-mib"] / 1024
    out = [f"{size:g} GiB of RAM, all of it random; seconds, medians."
           " The spread is that of the rounds.", "", host_line(results), "",
           "**cache=writeback**", ""] + main_rows(results)
    direct = figures.main_table(results, "none")
    if direct:
        out += ["", "**cache=none**", ""] + _rows(direct)
    out += ["", "**How it grows** (seconds)", ""] + _growth(results)
    hand = _by_hand(results)
    if hand:
        out += ["", "**By hand** (seconds)", ""] + hand
    out += [""] + _raw(results)
    return "\n".join(out) + "\n"
