"""`python -m tests.simulation [--seeds N] [--first SEED] [--jobs N] [--plant BUG]`: names the seeds that fail."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.simulation.many import KEPT, keep_failed, simulate_many
from tests.simulation.plants import PLANTS


def main(given: Sequence[str] | None = None) -> int:
    """Simulates; new failing seeds are added to the file of those that are run for ever."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many new seeds")
    parser.add_argument("--first", type=int, default=int(time.time()) * 1000, help="the first of them; by the clock")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--plant", choices=sorted(PLANTS), help="a bug to put in, which must be found")
    parser.add_argument("--log", action="store_true", help="print what happened in each failing run")
    options = parser.parse_args(given)
    started = time.monotonic()
    failed = simulate_many(range(options.first, options.first + options.seeds), options.jobs, options.plant)
    for failure in failed:
        print(f"seed {failure.seed}: {failure.said}")
        if options.log:
            print("\n".join(f"    {line}" for line in failure.log))
    print(f"{options.seeds} seeds from {options.first}: {len(failed)} violations in {time.monotonic() - started:.0f} s")
    if failed and options.plant is None:
        keep_failed(failed)
        print(f"The failing seeds are kept in {KEPT}.")
    return 1 if bool(failed) != bool(options.plant) else 0


if __name__ == "__main__":
    sys.exit(main())
