"""Evaluates a candidate against the incumbent on the same simulated or recorded demand."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from quaestor.ope.bootstrap import block_bootstrap_interval
from quaestor.ope.interval import Interval, paired_interval
from quaestor.registry.comparison import YARDSTICK
from quaestor.registry.evaluation import Evaluation

FEWEST_PERIODS = 8
"""Fewer counted periods than this hold no blocks to speak of; series alone are the sample then."""


def evaluate_played(
    candidate: NDArray[np.float64],
    incumbent: NDArray[np.float64],
    others: Mapping[str, NDArray[np.float64]],
    incumbent_id: str,
    unit: str,
    evaluated_on: str,
    confidence: float = 0.95,
    drawn: bool = False,
) -> Evaluation:
    """Costs (series, period) of both policies on common demand and noise, and their paired difference.

    Recorded periods depend on each other and are shared by all series, so that intervals are by block bootstrap over
    time and over series; drawn series are independent, and are the sample. others: costs of further policies on the
    same, by name. Raises ValueError when shapes differ.
    """
    if candidate.shape != incumbent.shape or any(cost.shape != candidate.shape for cost in others.values()):
        raise ValueError("costs must be of the same series and periods for every policy.")
    difference = candidate - incumbent
    interval = partial(_by_series if drawn else _interval, confidence=confidence)
    beside = {f"{YARDSTICK}{name}": interval(candidate - cost) for name, cost in others.items()}
    return Evaluation(
        quantity="cost",
        unit=unit,
        estimator="simulation",
        evaluated_on=evaluated_on,
        incumbent_id=incumbent_id,
        pairs=len(candidate),
        candidate=interval(candidate),
        incumbent=interval(incumbent),
        difference=interval(difference),
        others=beside | {"to the incumbent, paired by series alone": _by_series(difference, confidence)},
    )


def _by_series(costs: NDArray[np.float64], confidence: float) -> Interval:
    """The mean of (series, period) with each series as one observation."""
    return paired_interval(costs.mean(axis=1), confidence)


def _interval(costs: NDArray[np.float64], confidence: float) -> Interval:
    if costs.shape[1] < FEWEST_PERIODS:
        return _by_series(costs, confidence)
    return block_bootstrap_interval(costs, confidence)
