"""How far back a generation should look, and since when payments are not what they were.

An abrupt change rarely changes everything. So three answers are compared on the newest rounds: all windows alike, the
windows since a change alone, and all of them with effects of their own for what has changed since, whose variances
tell how much has.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from models.payments.actions import live_actions
from models.payments.alarms import by_iteration
from models.payments.features import fit_features
from models.payments.oracles.additive import AdditiveParams
from models.payments.oracles.additive_fit import fit_additive
from models.payments.pooling import pool
from models.payments.refit import RefitParams, training_set
from quaestor.export.encoding import encode
from quaestor.log.batch import MaturedBatch
from quaestor.log.held_out import held_out

JUDGE = AdditiveParams(sweeps=3, terms=0)
"""What memories are compared with, whatever the oracle: it is quick and calibrated."""
CLEARLY = 2.0
"""Standard errors by which another memory must predict better than the longest."""
LEAST = 2000
"""Rounds of a window, at least: with fewer the rounds of two iterations are one window."""


@dataclass(frozen=True)
class Memory:
    """windows: how many of the last ones teach. recent: how many of these lie after a change; 0 where none is seen."""

    windows: int
    recent: int = 0

    def of(self, windows: list[MaturedBatch]) -> list[MaturedBatch]:
        """The windows that teach."""
        return windows[-self.windows :]

    def since(self, windows: list[MaturedBatch]) -> datetime | None:
        """The first decision that teaches; None where all windows do."""
        first = windows[-self.windows].logged.decided_at.min()
        return first if isinstance(first, datetime) and self.windows < len(windows) else None

    def changed_at(self, windows: list[MaturedBatch]) -> datetime | None:
        """The first decision after the change."""
        if not self.recent:
            return None
        first = windows[-self.recent].logged.decided_at.min()
        return first if isinstance(first, datetime) else None


def memories(longest: int, before: Memory | None) -> list[Memory]:
    """What a generation may choose from: no change, one now, or the one that the generation before knew of.

    longest: how many windows there are. before: what it chose, None where it is not known; then a change may lie
    anywhere.
    """
    changes = range(1, longest) if before is None else sorted({1, before.recent + 1} if before.recent else {1})
    parted = [Memory(longest, recent) for recent in changes if recent < longest]
    return [Memory(longest), *parted, *(Memory(memory.recent) for memory in parted)]


def fitting_memory(windows: list[MaturedBatch], before: Memory | None, most: int, params: RefitParams) -> Memory:
    """The longest memory without a change, unless another one predicts the newest window clearly better; then the best.

    Each is fitted without the newest window's held-out rounds and judged on them, by log loss, paired with the
    best. What was forgotten once is not remembered again: at most one more window than before.
    """
    longest = min(len(windows), most, most if before is None else before.windows + 1)
    candidates = memories(longest, before)
    if len(candidates) == 1:
        return candidates[0]
    newest = windows[-1]
    judged = newest.rows(held_out(newest.logged, params.held_out))
    losses = [_losses(windows, memory, judged, params) for memory in candidates]
    best = int(np.argmin([loss.mean() for loss in losses]))
    worse = losses[0] - losses[best]
    return candidates[0 if worse.mean() <= CLEARLY * worse.std() / np.sqrt(len(worse)) else best]


def windows_of(batch: MaturedBatch) -> list[MaturedBatch]:
    """A batch in windows, in time order: the rounds that one iteration decided, with enough rounds each."""
    windows: list[MaturedBatch] = []
    for part in by_iteration(batch):
        if windows and min(len(windows[-1]), len(part)) < LEAST:
            windows[-1] = pool([windows[-1], part])
        else:
            windows.append(part)
    return windows


def _losses(
    windows: list[MaturedBatch], memory: Memory, judged: MaturedBatch, params: RefitParams
) -> NDArray[np.float64]:
    pooled = pool([window.rows(~held_out(window.logged, params.held_out)) for window in memory.of(windows)])
    features = fit_features(pooled.logged.context, params.features)
    actions = live_actions(pooled.logged.actions, params.actions)
    training = training_set(pooled, features, params, actions, memory.changed_at(windows))
    oracle = fit_additive(JUDGE, training, None)
    known = [number for number, name in enumerate(judged.logged.actions) if name in actions]
    kept = judged.rows(np.isin(judged.logged.action, known))
    place = np.array([actions.index(name) if name in actions else 0 for name in kept.logged.actions])
    predicted = oracle.predict(encode(features, kept.logged.context))
    chance = np.clip(predicted[np.arange(len(kept)), place[kept.logged.action]], 1e-6, 1 - 1e-6)
    return np.asarray(-kept.reward * np.log(chance) - (1 - kept.reward) * np.log(1 - chance))
