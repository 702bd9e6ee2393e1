"""What runs the tasks of a flow over many systems: this process, or a Ray cluster, by one setting."""

from __future__ import annotations

import os
from typing import Any

from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from quaestor.settings import Settings


def task_runner() -> TaskRunner[Any]:
    """The runner that QUAESTOR_RUNNER names: one task after another here, or Ray with one task to a core."""
    settings = Settings()
    if settings.runner == "here":
        return ThreadPoolTaskRunner(max_workers=1)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from prefect_ray import RayTaskRunner  # type: ignore[import-untyped]

    known = {name: value for name, value in os.environ.items() if name.startswith(("QUAESTOR_", "PREFECT_"))}
    surroundings = {**known, "QUAESTOR_DATA": str(settings.data.absolute()), "OMP_NUM_THREADS": "1"}
    init: dict[str, Any] = {"runtime_env": {"env_vars": surroundings}, "log_to_driver": False}
    if settings.ray_address is None:
        init |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
    return RayTaskRunner(address=settings.ray_address, init_kwargs=init)


def workers() -> int:
    """How many tasks are at work at once, once the runner is there."""
    if Settings().runner == "here":
        return 1
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))
