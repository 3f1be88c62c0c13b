"""`make plots`: draws bench/results.json, as `make bench` left it, into docs/."""

import json
import pathlib
import sys
from xml.sax.saxutils import escape

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLOURS = {"copy": "#b8c0cc", "floor": "#7d8896", "java": "#d9a441", "worker": "#2f6db3"}
WIDTH, LEFT, RIGHT, BAR, GAP = 720, 110, 150, 16, 14


def bars(title, groups, unit):
    """`groups`: [(name, {side: (length, text)})]; the lengths as ratios to floor's."""
    longest = max(length for _, sides in groups for length, _ in sides.values())
    scale = (WIDTH - LEFT - RIGHT) / max(longest, 1.0)
    shapes, y = [], 46
    for name, sides in groups:
        shapes.append(f'<text x="{LEFT - 10}" y="{y + BAR * len(sides) / 2 + 4:.0f}" '
                      f'text-anchor="end" font-weight="bold">{escape(name)}</text>')
        for side, (length, text) in sides.items():
            shapes.append(f'<rect x="{LEFT}" y="{y}" width="{length * scale:.1f}" '
                          f'height="{BAR - 2}" fill="{COLOURS[side]}"/>')
            shapes.append(f'<text x="{LEFT + length * scale + 5:.1f}" y="{y + BAR - 4}">'
                          f'{escape(f"{side} {text}")}</text>')
            y += BAR
        y += GAP
    line = LEFT + scale
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 12}" '
            'font-family="sans-serif" font-size="12" fill="#333">\n'
            f'<rect width="{WIDTH}" height="{y + 12}" fill="#fff"/>\n'
            f'<text x="10" y="22" font-size="15">{escape(title)}</text>\n'
            + "\n".join(shapes)
            + f'\n<path d="M{line:.1f} 38V{y}" stroke="#333" stroke-dasharray="3 3"/>'
            f'<text x="{line:.1f}" y="{y + 8}" text-anchor="middle">{escape(unit)}</text>\n</svg>\n')


def draw(found, key, text):
    return [(mix, {side: (row[key], text(row)) for side, row in sides.items()
                   if side in COLOURS and key in row})
            for mix, sides in found.items()]


def main():
    found = json.loads((ROOT / "bench" / "results.json").read_text())["throughput"]
    plots = {
        "throughput": bars("Requests a second, exactly once; longer is better", draw(
            found, "of_floor", lambda r: f"{r['per_second'] / 1000:.1f}k/s"), "the floor's"),
        "cpu": bars("CPU for a request; shorter is better", draw(
            found, "cpu_of_floor", lambda r: f"{r['cpu_us']:.1f} µs"), "the floor's"),
    }
    for name, svg in plots.items():
        (ROOT / "docs" / f"performance-{name}.svg").write_text(svg)
    return 0


if __name__ == "__main__":
    sys.exit(main())
