"""Many seeds in several processes, and the file of those that ever failed."""

from __future__ import annotations

import shutil
import tempfile
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tests.simulation.plants import PLANTS

KEPT = Path(__file__).with_name("failed_seeds.txt")


@dataclass(frozen=True)
class Failure:
    """A seed in which an invariant did not hold, what was said, and what had happened until then."""

    seed: int
    said: str
    log: tuple[str, ...]


def simulate_one(seed: int, plant: str | None = None) -> Failure | None:
    """Simulates one seed in a folder of its own, in memory where the machine has such a file system."""
    from tests.simulation.run import Run

    folder = _place() / f"{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    run = Run(seed, folder, PLANTS[plant] if plant else None)
    try:
        run.simulate()
    except Exception as error:
        said = "".join(traceback.format_exception(error)) if not isinstance(error, AssertionError) else str(error)
        return Failure(seed, said, tuple(run.world.log))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return None


def simulate_many(seeds: Iterable[int], jobs: int = 1, plant: str | None = None) -> list[Failure]:
    """Simulates seeds, in several processes where asked; returns the failures in the order of their seeds."""
    if jobs == 1:
        found = [simulate_one(seed, plant) for seed in seeds]
    else:
        with get_context("spawn").Pool(jobs) as pool:
            found = pool.starmap(simulate_one, [(seed, plant) for seed in seeds], chunksize=5)
    return [failure for failure in found if failure is not None]


def kept_seeds() -> list[int]:
    """Every seed that ever failed."""
    return [int(line.split()[0]) for line in KEPT.read_text().splitlines() if line and not line.startswith("#")]


def keep_failed(failed: Iterable[Failure]) -> None:
    """Adds failing seeds to the file, each with what it said first."""
    known = set(kept_seeds())
    with KEPT.open("a") as file:
        for failure in failed:
            if failure.seed not in known:
                file.write(f"{failure.seed} {failure.said.splitlines()[-1][:150]}\n")


_PLACES: list[tempfile.TemporaryDirectory[str]] = []


def _place() -> Path:
    if not _PLACES:
        memory = Path("/dev/shm")
        _PLACES.append(
            tempfile.TemporaryDirectory(prefix="quaestor-simulation-", dir=memory if memory.is_dir() else None)
        )
    return Path(_PLACES[0].name)
