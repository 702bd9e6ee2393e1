"""What the deployments need on a Prefect server: a pool with its queues, and no run that waits for a dead process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Cancelled

POOL = "quaestor"
QUEUES = {"events": 2, "training": 1}
"""How many runs of each kind are at work at once: a training has the machine, events pass it by."""
STARTUP = timedelta(minutes=1)
"""A run that has waited so long for its process was forgotten by whoever was about to start it."""
TRIES, FRESH = 3, timedelta(hours=1)
"""A run that crashed goes on by itself so often, and so soon after: its process was killed, or lost its server."""


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


def interrupted(client: SyncPrefectClient, worker_lives: bool) -> list[FlowRun]:
    """The runs of this machine that are unfinished though their process is dead, and those that crashed lately.

    worker_lives: a run that waits for its process may be one that our worker is just starting.
    """
    now = datetime.now(UTC)
    unfinished = _runs(client, {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}})
    crashed = _runs(client, {"state": {"type": {"any_": ["CRASHED"]}}, "end_time": {"after_": now - FRESH}})
    dead = [run for run in unfinished if not _is_alive(run) and not (worker_lives and _is_starting(run, now))]
    return dead + [run for run in crashed if run.run_count < TRIES]


def resume(client: SyncPrefectClient, runs: Iterable[FlowRun]) -> list[str]:
    """Sets runs going again, which frees what they hold of limits; returns a line for each.

    What such a run had done is found by the digests of its inputs, and a training goes on from its checkpoint. One that
    somebody was cancelling ends instead.
    """
    lines = []
    for run in runs:
        cancelling = run.state is not None and run.state.is_cancelling()
        client.set_flow_run_state(run.id, Cancelled() if cancelling else AwaitingRetry(), force=True)
        lines.append(f"{run.name} was interrupted ({run.state_name}) and {'ends' if cancelling else 'goes on'}.")
    return lines


class Lookout:
    """Sets interrupted runs going again while a worker is at work: those that are found as they were a look ago, since
    the worker needs a moment to say itself that a process ended."""

    def __init__(self) -> None:
        self._suspects: set[tuple[UUID, UUID | None]] = set()

    def look(self, client: SyncPrefectClient) -> list[str]:
        """Looks once; returns a line for each run that goes on."""
        found = {(run.id, run.state_id): run for run in interrupted(client, worker_lives=True)}
        sure = [run for seen, run in found.items() if seen in self._suspects]
        self._suspects = set(found)
        return resume(client, sure)


def _runs(client: SyncPrefectClient, which: dict[str, object]) -> list[FlowRun]:
    """The runs of our pool that are this machine's to know of."""
    found = client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(which), limit=200)
    return [run for run in found if run.work_pool_name == POOL and _is_ours(run)]


def _is_ours(run: FlowRun) -> bool:
    host = (run.infrastructure_pid or "").rpartition(":")[0]
    if not host:  # Prefect's process workers name no machine; if the server is ours, it is nobody else's
        return "QUAESTOR_OWN_SERVER" in os.environ
    return host == socket.gethostname()


def _is_starting(run: FlowRun, now: datetime) -> bool:
    """Whether a run may be without a process, or name that of an earlier try, because it is just being started."""
    return run.state is not None and run.state.is_pending() and now - run.state.timestamp < STARTUP


def _is_alive(run: FlowRun) -> bool:
    if run.infrastructure_pid is None:
        return False
    number = run.infrastructure_pid.rpartition(":")[2]
    try:
        os.kill(int(number), 0)
        return "Z" not in Path(f"/proc/{number}/stat").read_text().rpartition(")")[2]
    except (ProcessLookupError, PermissionError):  # nobody, or somebody else by now
        return False
    except OSError:  # no /proc here
        return True
