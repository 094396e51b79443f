"""The nightly job over 10,000, 100,000 and a million patients, as docs/gaps-by-patients.svg: seconds, both axes by tens.

    python -m tests.benchmarks.gaps_plot [--sizes 10000 100000 1000000]

Runs tests.benchmarks.find_gaps for each size in a database of its own (the million takes some ten minutes to make), prints
seconds for each million patients beside each other (the same or fewer to the right: no worse than linear), and draws them.
"""

import argparse
import math
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.find_gaps import NIGHTS

OUT = Path("docs/gaps-by-patients.svg")
WIDTH, HEIGHT, LEFT, BOTTOM, RIGHT = 560, 340, 56, 44, 110
COLOURS = dict(zip(NIGHTS, ("#1f5f8b", "#85827a", "#9b1c1c"), strict=True))
Seconds = dict[str, dict[int, float]]  # night → patients → seconds


def measured(patients: int) -> dict[str, float]:
    """Seconds of each night."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["-m", "tests.benchmarks.find_gaps", "--patients", str(patients), "--no-measures"]
        env = {"DATABASE_URL": f"sqlite:///{folder}/gaps.sqlite3"}
        done = subprocess.run(
            [sys.executable, *words], check=True, capture_output=True, text=True, env=env
        ).stdout
    return {name: float(re.search(rf"^{name} +([\d.]+) s", done, re.MULTILINE)[1]) for name in NIGHTS}


def place(patients: float, seconds: float) -> tuple[float, float]:
    """From 10,000 to a million patients, from a tenth of a second to a hundred."""
    across, up = (math.log10(patients) - 4) / 2, (math.log10(seconds) + 1) / 3
    return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - BOTTOM - 24)


def drawn(name: str, seconds: dict[int, float]) -> str:
    points = [place(patients, took) for patients, took in sorted(seconds.items())]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points)
    x, y = points[-1]
    told = f"{name}: {seconds[max(seconds)]:.0f} s"
    return (
        f'<g stroke="{COLOURS[name]}" fill="{COLOURS[name]}"><polyline points="{line}" fill="none" stroke-width="2"/>{dots}'
        f'<text x="{x + 8:.1f}" y="{y + 4:.1f}" stroke="none">{told}</text></g>'
    )


def draw(found: Seconds) -> str:
    left, right = place(1e4, 1)[0], place(1e6, 1)[0]
    grid = "".join(
        f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#d9d7d0"/>'
        f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{step:g} s</text>'
        for step in (0.1, 1, 10, 100)
        for y in (place(1e4, step)[1],)
    ) + "".join(
        f'<text x="{place(size, 1)[0]:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{size:,}</text>'
        for size in (10_000, 100_000, 1_000_000)
    )
    lines = "".join(drawn(name, seconds) for name, seconds in found.items())
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12"'
        f' fill="#1d1c1a"><rect width="100%" height="100%" fill="#ffffff"/>{grid}{lines}'
        f'<text x="{(left + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">patients</text></svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    sizes = parser.parse_args().sizes
    by_size = {size: measured(size) for size in sizes}
    found = {name: {size: by_size[size][name] for size in sizes} for name in NIGHTS}
    for name, seconds in found.items():
        each = ", ".join(
            f"{took:.1f} s for {size:,} ({1e6 * took / size:.1f} s a million)"
            for size, took in seconds.items()
        )
        print(f"{name}: {each}")
    OUT.write_text(draw(found))
    print(f"-> {OUT}")


if __name__ == "__main__":
    main()
