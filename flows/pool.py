"""What the deployments need on a Prefect server: a pool with its queues, and no run that waits for a dead process.

`python -m flows.pool pool | resume`, with the server's address in PREFECT_API_URL.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry

from flows.serve import POOL

QUEUES = {"events": 2, "training": 1}
"""How many runs of each kind are at work at once: a training has the machine, events pass it by."""


def make_pool(client: SyncPrefectClient) -> None:
    """Makes the pool and its queues, or sets their limits again."""
    limit = sum(QUEUES.values())
    try:
        client.read_work_pool(POOL)
        client.update_work_pool(POOL, WorkPoolUpdate(concurrency_limit=limit))
    except ObjectNotFound:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process", concurrency_limit=limit))
    for name, limit in QUEUES.items():
        try:
            queue = client.read_work_queue_by_name(name, work_pool_name=POOL)
        except ObjectNotFound:
            queue = client.create_work_queue(name, work_pool_name=POOL)
        client.update_work_queue(queue.id, concurrency_limit=limit)


def resume_interrupted(client: SyncPrefectClient) -> list[str]:
    """Sets runs of this machine going again whose process is dead; returns a line for each.

    What such a run had done is found by the digests of its inputs, and a training goes on from its checkpoint.
    """
    unfinished = FlowRunFilter.model_validate({"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}})
    lines = []
    for run in client.read_flow_runs(flow_run_filter=unfinished, limit=200):
        if run.work_pool_name == POOL and not _may_be_alive(run):
            client.set_flow_run_state(run.id, AwaitingRetry(), force=True)
            lines.append(f"{run.name} was interrupted ({run.state_name}) and goes on.")
    return lines


def _may_be_alive(run: FlowRun) -> bool:
    """Whether the process of a run is there, or is another machine's to know of."""
    if run.infrastructure_pid is None:  # nobody on this machine is about to start it: our worker is down
        return "QUAESTOR_OWN_SERVER" not in os.environ
    host, _, number = run.infrastructure_pid.rpartition(":")
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(number), 0)
        return "Z" not in Path(f"/proc/{number}/stat").read_text().rpartition(")")[2]
    except (ProcessLookupError, PermissionError):  # nobody, or somebody else by now
        return False
    except OSError:  # no /proc here
        return True


if __name__ == "__main__":
    with get_client(sync_client=True) as connected:
        if sys.argv[1:] == ["pool"]:
            make_pool(connected)
        elif sys.argv[1:] == ["resume"]:
            print(*resume_interrupted(connected), sep="\n")
        else:
            sys.exit("expected: pool or resume")
