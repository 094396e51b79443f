"""How fast import_fhir reads: python tests/benchmarks/import_fhir.py [--copies 12] [--database URL]

Repeats the real histories of ENGAGE_DATA/fhir/bulk100 under other ids (each copy is 100 more patients), imports them into an
empty database, once more unchanged, and prints resources per second and the peak memory of a third, and of all, of it.
"""

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ENGAGE_DATA", str(ROOT.parent / "shared" / "data"))) / "fhir" / "bulk100"
TARGET = 10_000


def repeat(target: Path, copies: int) -> int:
    """Writes the copies; ids change in their first characters only, in references as well. Gives the resources."""
    target.mkdir()
    total = 0
    for path in sorted(DATA.glob("*.gz")):
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        total += len(lines) * copies
        with (target / path.name.removesuffix(".gz")).open("w") as out:
            for copy in range(copies):
                out.writelines(renamed(line, copy) + "\n" for line in lines)
    return total


def renamed(line: str, copy: int) -> str:
    """Every id and reference gets the copy's number in front."""
    return (
        line.replace('"id":"', f'"id":"{copy:03d}-')
        .replace("Patient/", f"Patient/{copy:03d}-")
        .replace("Encounter/", f"Encounter/{copy:03d}-")
        .replace("Organization/", f"Organization/{copy:03d}-")
        .replace("Practitioner/", f"Practitioner/{copy:03d}-")
    )


def run(folder: Path, database: str, var: str) -> tuple[float, float, float, str]:
    """Seconds, peak memory in MB, seconds of processor time, and what the import printed."""
    code = (
        "import re,sys,time,django; from pathlib import Path; django.setup();"
        "from engage.records import actions; t=time.time(); peak=[0]; status=Path('/proc/self/status');"
        # Memory of its own: pages of the database file that happen to be mapped are not.
        "own=lambda n: peak.append(int(re.search(r'RssAnon:\\s+(\\d+)', status.read_text())[1]));"
        "s=actions.import_paths([Path(sys.argv[1])], source='bench', progress=own); seconds=time.time()-t;"
        "print(seconds, max(peak)/1024, time.process_time());"
        "print(s.lines()[-1], 'rejected', s.rejected)"
    )
    env = os.environ | {
        "DATABASE_URL": database,
        "ENGAGE_VAR": var,
        "DJANGO_SETTINGS_MODULE": "engage.settings",
    }
    out = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    seconds, memory, busy = (float(x) for x in out[0].split())
    return seconds, memory, busy, out[1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--copies", type=int, default=12)
    parser.add_argument("--database", help="an empty database (default: a new SQLite file)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        few = repeat(here / "few", max(1, options.copies // 3))
        many = repeat(here / "many", options.copies)
        database = options.database or f"sqlite:///{here / 'bench.sqlite3'}"
        env = os.environ | {"DATABASE_URL": database, "ENGAGE_VAR": name}
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "-v0", "--skip-checks"], env=env, cwd=ROOT, check=True
        )
        for label, folder, count in (
            ("a third", "few", few),
            ("all", "many", many),
            ("all again", "many", many),
        ):
            started = time.time()
            seconds, memory, busy, said = run(here / folder, database, name)
            print(
                f"{label:10} {count:>9,} resources {seconds:7.1f} s {count / seconds:>9,.0f}/s  peak {memory:,.0f} MB"
            )
            print(f"           {said}  (process {time.time() - started:.1f} s, {busy:.1f} s of them busy)")
        print(
            f"target: {TARGET:,}/s, memory flat (of it up to 64 MB are SQLite's page cache);",
            f"load {os.getloadavg()[0]:.1f}, cores {os.cpu_count()}",
        )


if __name__ == "__main__":
    main()
