"""The plot: seconds against guest RAM, as SVG; no library is needed.

SPDX-License-Identifier: GPL-2.0-or-later
"""
from .figures import median

WIDTH, HEIGHT = 380, 300
LEFT, TOP, RIGHT, BOTTOM = 48, 40, 16, 44
SERIES = [("stock", "save", "#999999", "stock savevm", ""),
          ("vsm", "save", "#0b6e4f", "sealed savevm", ""),
          ("stock", "load", "#999999", "stock loadvm", "5 4"),
          ("vsm", "load", "#0b6e4f", "verified loadvm", "5 4"),
          ("vsm", "attest-pause", "#c8553d", "attest, paused", "")]


def _nice(top):
    """A round number at or above @top."""
    for step in (0.5, 1, 2, 5, 10, 20, 50, 100, 200):
        if top <= step:
            return step
    return top


def _points(results, cache, side, step):
    for run in results["runs"]:
        values = run["sides"].get(side, {}).get(step)
        if (values and run["cache"] == cache and run["share"] == 1.0 and
                not run["options"] and "vsm" in run["sides"]):
            yield (run["memory-mib"] / 1024, median(values), min(values),
                   max(values))


class _Chart:
    def __init__(self, left, cache, results):
        self.left = left
        self.cache = cache
        self.lines = [(series, sorted(_points(results, cache, *series[:2])))
                      for series in SERIES]
        every = [point for _, line in self.lines for point in line]
        self.x_max = max((point[0] for point in every), default=1)
        self.y_max = _nice(max((point[3] for point in every), default=1))

    def x(self, value):
        return self.left + LEFT + value / self.x_max * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        return HEIGHT - BOTTOM - value / self.y_max * (HEIGHT - TOP - BOTTOM)

    def axes(self):
        yield (f'<text x="{self.left + LEFT}" y="22" font-weight="bold">'
               f'cache={self.cache}</text>')
        for i in range(6):
            value = self.y_max * i / 5
            yield (f'<line x1="{self.x(0):.1f}" x2="{self.x(self.x_max):.1f}"'
                   f' y1="{self.y(value):.1f}" y2="{self.y(value):.1f}"'
                   ' stroke="#dddddd"/>')
            yield (f'<text x="{self.x(0) - 6:.1f}" y="{self.y(value) + 4:.1f}"'
                   f' text-anchor="end">{value:g}</text>')
        for size in sorted({point[0] for _, line in self.lines
                            for point in line}):
            yield (f'<text x="{self.x(size):.1f}" y="{HEIGHT - BOTTOM + 16}"'
                   f' text-anchor="middle">{size:g}</text>')
        yield (f'<text x="{self.x(self.x_max / 2):.1f}" y="{HEIGHT - 10}"'
               ' text-anchor="middle">guest RAM, GiB; seconds</text>')

    def curves(self):
        for (_, _, colour, _, dash), line in self.lines:
            path = " ".join(f"{self.x(size):.1f},{self.y(middle):.1f}"
                            for size, middle, _, _ in line)
            yield (f'<polyline points="{path}" fill="none" stroke="{colour}"'
                   f' stroke-width="2" stroke-dasharray="{dash}"/>')
            for size, middle, low, high in line:
                yield (f'<line x1="{self.x(size):.1f}" '
                       f'x2="{self.x(size):.1f}" y1="{self.y(low):.1f}" '
                       f'y2="{self.y(high):.1f}" stroke="{colour}"/>')
                yield (f'<circle cx="{self.x(size):.1f}" '
                       f'cy="{self.y(middle):.1f}" r="3" fill="{colour}"/>')


def _legend(left):
    for i, (_, _, colour, name, dash) in enumerate(SERIES):
        y = TOP + 12 + 16 * i
        yield (f'<line x1="{left + LEFT + 10}" x2="{left + LEFT + 36}" '
               f'y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2" '
               f'stroke-dasharray="{dash}"/>')
        yield f'<text x="{left + LEFT + 42}" y="{y + 4}">{name}</text>'


def svg(results):
    """The whole picture: one chart for each cache mode."""
    caches = [cache for cache in ("writeback", "none")
              if any(run["cache"] == cache for run in results["runs"])]
    width = WIDTH * max(1, len(caches))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
           f'height="{HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{HEIGHT}" fill="white"/>']
    for i, cache in enumerate(caches):
        chart = _Chart(i * WIDTH, cache, results)
        out += list(chart.axes()) + list(chart.curves())
        out += list(_legend(i * WIDTH))
    return "\n".join(out + ["</svg>"]) + "\n"
