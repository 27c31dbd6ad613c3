"""README.md and docs/performance.md show what was measured, and say it once.

What lies between two marker lines is replaced; all else is written by hand.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import json
import re

from vsmtest import paths

from . import model, plot, table


def _replace(path, name, lines):
    text = path.read_text(encoding="utf-8")
    begin, end = f"<!-- bench: {name} -->", "<!-- bench: end -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.S)
    if not pattern.search(text):
        raise AssertionError(f"{path}: no lines '{begin}' and '{end}'")
    block = "\n".join([begin, ""] + lines + ["", end])
    path.write_text(pattern.sub(lambda _: block, text), encoding="utf-8")


def update(results):
    """Writes all that is made from a run's results."""
    docs = paths.ROOT / "docs"
    (docs / "performance.svg").write_text(plot.svg(results), encoding="utf-8")
    with open(docs / "performance.json", "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    _replace(paths.ROOT / "README.md", "table",
             table.main_rows(results) + ["", table.host_line(results)])
    _replace(docs / "performance.md", "tables",
             table.markdown(results).rstrip().split("\n"))
    _replace(docs / "performance.md", "model", model.rows(results))
