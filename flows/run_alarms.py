"""Alarms about runs, as the Prefect server knows them: failed, late, or silent for too long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort

from quaestor.alerts.alarm import Alarm
from quaestor.alerts.limits import Runs

FINISHED = ("COMPLETED", "FAILED", "CRASHED")
"""Ends that say whether a deployment works; a run that was left out because one was at work is CANCELLED."""


def run_alarms(client: SyncPrefectClient, limits: Runs, now: datetime) -> Iterator[Alarm]:
    """Every alarm about the runs of deployments whose schedule is not paused; now in UTC, without a zone."""
    for deployment in client.read_deployments(limit=200):
        flow = client.read_flow(deployment.flow_id)
        name = f"{flow.name}/{deployment.name}"
        yield from _failed(client, deployment, name)
        yield from _late(client, deployment, name, limits, now)
        yield from _silent(client, deployment, name, limits, now)


def _failed(client: SyncPrefectClient, deployment: DeploymentResponse, name: str) -> Iterator[Alarm]:
    last = _newest(client, deployment, FINISHED)
    if last is not None and last.state is not None and not last.state.is_completed():
        message = (last.state.message or "").strip().splitlines()
        said = f": {message[-1]}" if message else ""
        yield Alarm(
            "failed run", name, "last run", "stop", f"The last run of {name} ({last.name}) {last.state_name}{said}"
        )


def _late(
    client: SyncPrefectClient, deployment: DeploymentResponse, name: str, limits: Runs, now: datetime
) -> Iterator[Alarm]:
    before = (now - timedelta(minutes=limits.late_minutes)).replace(tzinfo=UTC)
    waiting = FlowRunFilter.model_validate(
        {
            "deployment_id": {"any_": [deployment.id]},
            "state": {"type": {"any_": ["SCHEDULED"]}},
            "expected_start_time": {"before_": before},
        }
    )
    late = client.read_flow_runs(flow_run_filter=waiting, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=1)
    if late and late[0].expected_start_time is not None:
        due = late[0].expected_start_time
        yield Alarm(
            "late run",
            name,
            "waiting",
            "watch",
            f"A run of {name} was due at {due:%Y-%m-%d %H:%M} UTC and has not started: is a worker there, and free?",
        )


def _silent(
    client: SyncPrefectClient, deployment: DeploymentResponse, name: str, limits: Runs, now: datetime
) -> Iterator[Alarm]:
    scheduled = not deployment.paused and any(schedule.active for schedule in deployment.schedules)
    if not scheduled or deployment.created is None:
        return
    planned = _planned(client, deployment)
    age = now.replace(tzinfo=UTC) - deployment.created
    if len(planned) < 2:
        if age > timedelta(minutes=limits.late_minutes):
            yield Alarm(
                "late run", name, "silent", "stop", f"No run of {name} is planned, though its schedule is active."
            )
        return
    allowed = limits.silent * max(later - earlier for earlier, later in pairwise(planned))
    done = _newest(client, deployment, ("COMPLETED",))
    since = done.end_time if done is not None and done.end_time else deployment.created
    if now.replace(tzinfo=UTC) - since > allowed:
        what = "has completed no run since it was deployed at" if done is None else "last completed a run at"
        yield Alarm("late run", name, "silent", "stop", f"{name} {what} {since:%Y-%m-%d %H:%M} UTC.")


def _planned(client: SyncPrefectClient, deployment: DeploymentResponse) -> list[datetime]:
    """When the next runs of a deployment are due, soonest first."""
    waiting = FlowRunFilter.model_validate(
        {"deployment_id": {"any_": [deployment.id]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    )
    found = client.read_flow_runs(flow_run_filter=waiting, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=10)
    return [run.expected_start_time for run in found if run.expected_start_time is not None]


def _newest(client: SyncPrefectClient, deployment: DeploymentResponse, states: tuple[str, ...]) -> FlowRun | None:
    ended = FlowRunFilter.model_validate(
        {"deployment_id": {"any_": [deployment.id]}, "state": {"type": {"any_": list(states)}}}
    )
    found = client.read_flow_runs(flow_run_filter=ended, sort=FlowRunSort.END_TIME_DESC, limit=1)
    return found[0] if found else None
