"""Certifying episodes shared out over the workers of a flow: each episode's chance follows from its number, so that
whoever plays it plays the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from prefect import task
from prefect.cache_policies import NO_CACHE

from flows import payments_case, payments_training
from flows.certifying import Case
from flows.conclude import iteration
from flows.payments_study import PaymentsStudy
from flows.runner import workers
from quaestor.settings import Settings

if TYPE_CHECKING:
    from flows.inventory_study import InventoryStudy

FEWEST = 50
"""Episodes that are worth a task of their own."""

_CASES: dict[tuple[str, float, datetime | None], Case] = {}
"""What this worker has made ready to play: one case at a time, for it holds the data."""


@task(name="play episodes", cache_policy=NO_CACHE)
def play(
    study: PaymentsStudy | InventoryStudy,
    iteration_id: str,
    cap: float,
    as_of: datetime | None,
    seed: int,
    first: int,
    count: int,
) -> NDArray[np.float64]:
    """The values (count,) of the episodes from the `first`-th on, as a worker of its own plays them."""
    key = (iteration_id, cap, as_of)
    if key not in _CASES:
        _CASES.clear()
        _CASES[key] = _case(study, iteration_id, cap, as_of)
    return _CASES[key].play(seed, first, count)


def shared_out(
    study: PaymentsStudy | InventoryStudy, iteration_id: str, as_of: datetime | None
) -> Callable[[Case], Case]:
    """What turns a case into one whose episodes all workers of the flow play; with one worker it stays as it is."""

    def share(case: Case) -> Case:
        many = workers()
        if many == 1:
            return case

        def played(seed: int, first: int, count: int) -> NDArray[np.float64]:
            draws = study.certificate.draws  # episodes of one trace are played together
            each = draws * math.ceil(max(FEWEST, count / many) / draws)
            futures = [
                play.submit(study, iteration_id, case.subject.cap, as_of, seed, start, min(each, first + count - start))
                for start in range(first, first + count, each)
            ]
            return np.concatenate([future.result() for future in futures])

        return replace(case, play=played)

    return share


def _case(study: PaymentsStudy | InventoryStudy, iteration_id: str, cap: float, as_of: datetime | None) -> Case:
    settings, candidate = Settings(), iteration(iteration_id)
    if not isinstance(study, PaymentsStudy):
        from flows.inventory_case import inventory_case
        from flows.inventory_problem import load_problem

        return inventory_case(study, load_problem(settings, study), candidate, cap)
    if as_of is None:
        raise ValueError("a payments case is played as of a moment.")
    return payments_case.payments_case(study, payments_training.load_rounds(settings, study, as_of), candidate)
