"""Several windows as one batch: rounds of every generation, each with the propensity it was decided with."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl

from quaestor.log.batch import LoggedBatch, MaturedBatch


def pool(batches: list[MaturedBatch]) -> MaturedBatch:
    """Several batches as one, each round with its own propensity; actions that only some batches know are allowed."""
    actions = tuple(sorted({name for batch in batches for name in batch.logged.actions}))
    return MaturedBatch(
        _joined([_among(batch.logged, actions) for batch in batches]),
        np.concatenate([batch.reward for batch in batches]),
        np.concatenate([batch.defaulted for batch in batches]),
    )


def _among(logged: LoggedBatch, actions: tuple[str, ...]) -> LoggedBatch:
    """The same rounds with their actions numbered among others."""
    if logged.actions == actions:
        return logged
    place = np.array([actions.index(name) for name in logged.actions])
    eligible = np.zeros((len(logged), len(actions)), dtype=np.bool_)
    eligible[:, place] = logged.eligible
    probabilities = None
    if logged.probabilities is not None:
        probabilities = np.zeros((len(logged), len(actions)))
        probabilities[:, place] = logged.probabilities
    return dataclasses.replace(
        logged, actions=actions, eligible=eligible, action=place[logged.action], probabilities=probabilities
    )


def _joined(logs: list[LoggedBatch]) -> LoggedBatch:
    full = [logged.probabilities for logged in logs]
    return dataclasses.replace(
        logs[0],
        event_ids=pl.concat([logged.event_ids for logged in logs]),
        decided_at=pl.concat([logged.decided_at for logged in logs]),
        context=pl.concat([logged.context for logged in logs], how="diagonal"),
        eligible=np.concatenate([logged.eligible for logged in logs]),
        action=np.concatenate([logged.action for logged in logs]),
        propensity=np.concatenate([logged.propensity for logged in logs]),
        iteration_ids=pl.concat([logged.iteration_ids for logged in logs]),
        probabilities=None if any(p is None for p in full) else np.concatenate([p for p in full if p is not None]),
    )
