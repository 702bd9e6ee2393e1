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
from models.payments.features import fit_features
from models.payments.oracles.additive import AdditiveParams
from models.payments.oracles.additive_fit import fit_additive
from models.payments.pooling import pool
from models.payments.refit import RefitParams, training_set
from models.payments.windows import Window
from quaestor.export.encoding import encode
from quaestor.log.batch import MaturedBatch

JUDGE = AdditiveParams(sweeps=3, terms=0)
"""What memories are compared with, whatever the oracle: it is quick and calibrated."""
CLEARLY = 2.0
"""Standard errors by which a less likely memory must predict better."""


@dataclass(frozen=True)
class Memory:
    """windows: how many of the last ones teach. recent: how many of these lie after a change; 0 where none is seen."""

    windows: int
    recent: int = 0

    def taught(self, windows: list[Window]) -> MaturedBatch:
        """The rounds that teach."""
        return pool([window.taught for window in windows[-self.windows :]])

    def since(self, windows: list[Window]) -> datetime | None:
        """The first decision that teaches; None where all windows do."""
        return windows[-self.windows].begins_at if self.windows < len(windows) else None

    def changed_at(self, windows: list[Window]) -> datetime | None:
        """The first decision after the change."""
        return windows[-self.recent].begins_at if self.recent else None


def memories(longest: int, before: Memory | None) -> list[list[Memory]]:
    """What a generation may choose from, the likeliest first: what the generation before believed, one window later;
    then a change now. Forgetting what lies before a change comes after telling it apart.

    longest: how many windows there are. before: what it chose, None where it is not known; then a change may lie
    anywhere, and those alike are one group.
    """
    whole, now = [[Memory(longest)]], [[Memory(longest, 1)], [Memory(1)]]
    if longest == 1:
        return whole
    if before is None:
        places = range(1, longest)
        return [*whole, [Memory(longest, place) for place in places], [Memory(place) for place in places]]
    since = (before.recent or before.windows) + 1
    if since >= longest:
        return [*whole, *now]
    parted, forgotten = Memory(longest, since), Memory(since)
    if before.recent:
        return [[parted], *whole, now[0], [forgotten], now[1]]
    return [[forgotten], [parted], *whole, *now]


def fitting_memory(windows: list[Window], before: Memory | None, most: int, params: RefitParams) -> Memory:
    """The likeliest memory, unless another one predicts the newest window clearly better, and so on down the list.

    Each is fitted without the newest window's held-out rounds and judged on them, by log loss, paired.
    """
    first, *others = memories(min(len(windows), most), before)
    (taken,) = first
    if not others:
        return taken
    loss = _losses(windows, taken, params)
    for group in others:
        losses = [_losses(windows, memory, params) for memory in group]
        best = int(np.argmin([found.mean() for found in losses]))
        gained = loss - losses[best]
        if gained.mean() > CLEARLY * gained.std() / np.sqrt(len(gained)):
            taken, loss = group[best], losses[best]
    return taken


def _losses(windows: list[Window], memory: Memory, params: RefitParams) -> NDArray[np.float64]:
    pooled, judged = memory.taught(windows), windows[-1].judged
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
