"""How far back a generation should look: as far as older rounds still help to predict the newest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.payments.actions import live_actions
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
"""Standard errors by which a shorter memory must predict better."""


def fitting_memory(windows: list[MaturedBatch], longest: int, params: RefitParams) -> int:
    """How many of the last windows to learn from: the most that do not predict the newest window clearly worse.

    Candidates are 1, 2, 4, … up to `longest`. Each is fitted without the newest window's held-out rounds and judged
    on them, by log loss, paired with the best.
    """
    most = min(longest, len(windows))
    candidates = sorted({*(2**k for k in range(most.bit_length()) if 2**k <= most), most})
    if candidates == [1]:
        return 1
    newest = windows[-1]
    judged = newest.rows(held_out(newest.logged, params.held_out))
    losses = [_losses(windows[-memory:], judged, params) for memory in candidates]
    best = int(np.argmin([loss.mean() for loss in losses]))
    for memory, loss in sorted(zip(candidates, losses, strict=True), key=lambda pair: -pair[0]):
        worse = loss - losses[best]
        if worse.mean() <= CLEARLY * worse.std() / np.sqrt(len(worse)):
            return memory
    return candidates[best]


def _losses(windows: list[MaturedBatch], judged: MaturedBatch, params: RefitParams) -> NDArray[np.float64]:
    pooled = pool([window.rows(~held_out(window.logged, params.held_out)) for window in windows])
    features = fit_features(pooled.logged.context, params.features)
    actions = live_actions(pooled.logged.actions, params.actions)
    oracle = fit_additive(JUDGE, training_set(pooled, features, params, actions), None)
    known = [number for number, name in enumerate(judged.logged.actions) if name in actions]
    kept = judged.rows(np.isin(judged.logged.action, known))
    place = np.array([actions.index(name) if name in actions else 0 for name in kept.logged.actions])
    predicted = oracle.predict(encode(features, kept.logged.context))
    chance = np.clip(predicted[np.arange(len(kept)), place[kept.logged.action]], 1e-6, 1 - 1e-6)
    return np.asarray(-kept.reward * np.log(chance) - (1 - kept.reward) * np.log(1 - chance))
