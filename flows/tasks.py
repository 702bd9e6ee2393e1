"""How every task is run: again when the store was busy, never from a cache, with its progress in the log."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE

from quaestor.errors import QuaestorError, StoreBusyError


class _Sentence(logging.Filter):
    """Lets what we refuse on purpose appear as its sentence, without a trace."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, QuaestorError):
            record.msg, record.args, record.exc_info, record.exc_text = str(error), None, None, None
        return True


for _handler in logging.getLogger("prefect").handlers:
    _handler.addFilter(_Sentence())

P = ParamSpec("P")
R = TypeVar("R")


def step(name: str) -> Callable[[Callable[P, R]], Any]:
    """A task that waits and tries again when another process holds the store.

    Steps find what is done already by their inputs' digests, so that running one again is harmless.
    """
    return task(
        name=name,
        retries=3,
        retry_delay_seconds=[2, 10, 30],
        retry_condition_fn=_was_busy,
        cache_policy=NO_CACHE,
    )


def say(message: str) -> None:
    """A line of progress in the run's log."""
    get_run_logger().info(message)


def artifact_key(name: str) -> str:
    """A name as Prefect lets artifacts be called: small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class Progress:
    """A bar on the run's page that fills by `steps` equal steps."""

    def __init__(self, name: str, steps: int) -> None:
        self._steps, self._done = max(steps, 1), 0
        key = artifact_key(f"{name}-progress")
        self._artifact = cast(UUID, create_progress_artifact(0.0, key=key, description=name)) if steps else None

    def advance(self) -> None:
        """One step is done."""
        self._done += 1
        if self._artifact is not None:
            update_progress_artifact(self._artifact, progress=100.0 * self._done / self._steps)


def _was_busy(_task: Any, _run: Any, state: Any) -> bool:
    return isinstance(state.result(raise_on_failure=False), StoreBusyError)
