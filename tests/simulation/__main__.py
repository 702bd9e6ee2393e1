"""`python -m tests.simulation [--seeds N] [--first SEED] [--jobs N] [--plant BUG] [--json PATH]`: which seeds fail."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.simulation.many import KEPT, keep_failed, simulate_many
from tests.simulation.plants import PLANTS


def main(given: Sequence[str] | None = None) -> int:
    """Simulates; new failing seeds are added to the file of those that are run for ever."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many new seeds")
    parser.add_argument("--first", type=int, default=int(time.time()) * 1000, help="the first of them; by the clock")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--plant", choices=sorted(PLANTS), help="a bug to put in, which must be found")
    parser.add_argument("--json", type=Path, metavar="PATH", help="add what came of it to the JSON rows of a file")
    parser.add_argument("--log", action="store_true", help="print what happened in each failing run")
    options = parser.parse_args(given)
    started = time.monotonic()
    failed = simulate_many(range(options.first, options.first + options.seeds), options.jobs, options.plant)
    for failure in failed:
        print(f"seed {failure.seed}: {failure.said}")
        if options.log:
            print("\n".join(f"    {line}" for line in failure.log))
    taken = time.monotonic() - started
    print(f"{options.seeds} seeds from {options.first}: {len(failed)} violations in {taken:.0f} s")
    if options.json is not None:
        rows = json.loads(options.json.read_text()) if options.json.exists() else []
        row = {
            "first": options.first,
            "seeds": options.seeds,
            "plant": options.plant,
            "failed": [f.seed for f in failed],
        }
        options.json.write_text(json.dumps([*rows, {**row, "seconds": round(taken)}], indent=1) + "\n")
    if failed and options.plant is None:
        keep_failed(failed)
        print(f"The failing seeds are kept in {KEPT}.")
    return 1 if bool(failed) != bool(options.plant) else 0


if __name__ == "__main__":
    sys.exit(main())
