"""Many small networks retrained by one flow: one process against Ray, and whether a network costs more among more.

Each network is retrained as a large one is: yardsticks and candidate trained, exported and registered, evaluated,
certified, judged. `overhead` is the share of the workers' time that did not go into networks: Prefect, Ray, waiting for
the last batch. `speed_up` compares networks a second with one process. `writer_seconds_per_network` is how long a
network holds the store for writing: what cannot be shared out while there is one file.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks import Row, options, report
from benchmarks.worlds.networks import write_networks

WORKERS = 2
WARM = 4
"""Networks that are retrained before the clock starts: a worker's first import of torch takes seconds."""


def main() -> None:
    """Measures 100 and 1,000 networks on Ray and 100 in one process; --quick 8 and 16."""
    parser = options(__doc__)
    parser.add_argument("--networks", type=int, nargs=2, metavar=("FEW", "MANY"), help="how many")
    arguments = parser.parse_args()
    few, many = arguments.networks or ((8, 16) if arguments.quick else (100, 1000))
    os.environ |= {"OMP_NUM_THREADS": "1", "PREFECT_LOGGING_LEVEL": "ERROR", "RAY_USAGE_STATS_ENABLED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["PREFECT_HOME"] = str(root / "prefect")
        (root / "prefect").mkdir()
        from flows.server import local_server  # Prefect reads its surroundings when it is first imported

        with local_server() as url:
            os.environ["PREFECT_API_URL"] = url
            rows = [measured(root, "here", few), measured(root, "ray", few), measured(root, "ray", many)]
    alone = rows[0]["networks_per_s"]
    for row in rows:
        row["speed_up"] = row["networks_per_s"] / alone
        row["growth"] = row["seconds_per_network"] / rows[1]["seconds_per_network"] if row["runner"] == "ray" else None
    report(rows, arguments.json)


def measured(root: Path, runner: str, count: int) -> Row:
    """One run of the flow over `count` networks of a store of their own."""
    os.environ |= {"QUAESTOR_RUNNER": runner, "QUAESTOR_DATA": str(root / f"{runner}-{count}")}
    import torch

    from flows.retrain_many import run_retrain_many
    from flows.runner import task_runner
    from quaestor.log.ingest import ingest_file
    from quaestor.settings import Settings

    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    studies, warm = root / f"{runner}-{count}-studies", root / f"{runner}-{count}-warm"
    ingest_file(Settings().store, "demand", write_networks(studies, count + WARM, seed=0))
    warm.mkdir()
    for path in sorted(studies.glob("*.toml"))[: 2 * WARM]:
        path.rename(warm / path.name)
    engine: Any = task_runner()
    started = time.perf_counter()
    if runner == "ray":
        import ray

        ray.init(num_cpus=WORKERS, **engine.init_kwargs)
    retrain = run_retrain_many.with_options(task_runner=engine)
    retrain(warm, batch=1)
    start_up = time.perf_counter() - started
    started = time.perf_counter()
    with writer_clock() as written:
        done = retrain(studies)
    wall = time.perf_counter() - started
    if runner == "ray":
        ray.shutdown()
    workers = WORKERS if runner == "ray" else 1
    spent = sum(each.seconds for each in done)
    return {
        "runner": runner,
        "workers": workers,
        "networks": len(done),
        "seconds": wall,
        "networks_per_s": len(done) / wall,
        "seconds_per_network": spent / len(done),
        "overhead": 1 - spent / (workers * wall),
        "writer_seconds_per_network": sum(written) / len(done) if runner == "here" else None,
        "start_up_s": start_up,
    }


@contextmanager
def writer_clock() -> Iterator[list[float]]:
    """The seconds that each transaction of this process holds the store for writing, one after another."""
    from quaestor.store import Store

    plain, held = Store.write, []

    @contextmanager
    def timed(store: Store) -> Iterator[Any]:
        started = time.perf_counter()
        with plain(store) as connection:
            yield connection
        held.append(time.perf_counter() - started)

    with patch.object(Store, "write", timed):
        yield held


if __name__ == "__main__":
    main()
