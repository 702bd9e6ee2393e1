"""Learning from rounds whose window is still open: each counts by how likely its outcome was to be known by now.

An outcome of a round of age t is known with probability P(delay ≤ t). Weighting what is known by the inverse of it
removes the bias towards quick outcomes (Chapelle 2014, "Modeling delayed feedback in display advertising"; as
importance weights: Yasui, Morishita, Fujita and Shibata 2020).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.log.batch import MaturedBatch
from quaestor.log.manifest import content_digest
from quaestor.log.maturity import EXPIRED, MATURED, PENDING, MaturityParams, judge, matured_batch

ROUNDS = 100
"""Closed rounds of an action from which its delays are read; with fewer, those of all actions are."""
LEAST = 0.02
"""Rounds so young that a smaller share of outcomes is known are left out: their weights would be wild."""


@dataclass(frozen=True)
class EarlyBatch:
    """Rounds with what is known of them before their windows close.

    batch: closed rounds, and open ones with their outcome so far or the default. weight (round,): how much each
    counts; closed rounds count 1. open: how many have an open window.
    """

    batch: MaturedBatch
    weight: NDArray[np.float64]
    open: int

    def digest(self) -> str:
        """Of every round's content and weight."""
        return hashlib.sha256(content_digest(self.batch).encode() + self.weight.tobytes()).hexdigest()

    def since(self, first: datetime | None) -> EarlyBatch:
        """The rounds decided from a moment on; all of them where it is None."""
        if first is None:
            return self
        kept = np.flatnonzero((self.batch.logged.decided_at >= first).to_numpy())
        return EarlyBatch(self.batch.rows(kept), self.weight[kept], self.open)


def early_batch(decisions: pl.DataFrame, outcomes: pl.DataFrame, params: MaturityParams, as_of: datetime) -> EarlyBatch:
    """Everything known at a moment, weighted so that open rounds teach what they will teach once closed.

    An open round with an outcome counts 1 / P(delay ≤ age), with the delays of closed rounds of its action; one without
    counts, at the default reward, as the probability that none will come within the window given that none has by now.
    """
    judged = judge(decisions, outcomes, params, as_of)
    window = timedelta(hours=params.attribution_hours)
    closed = judged.filter(pl.col("status") != PENDING)
    waiting = judged.filter(pl.col("status") == PENDING).select("system", "event_id")
    young = decisions.join(waiting, on=["system", "event_id"], how="semi")
    # Judged as if the windows of open rounds closed now, so that revisions and repeats count as they always do.
    known = judge(young, outcomes.filter(pl.col("observed_at") <= as_of), params, as_of + window)
    everything = pl.concat([closed, known], how="diagonal").sort("event_id")
    batch = matured_batch(everything)
    age = (pl.lit(as_of) - pl.col("decided_at")).dt.total_microseconds() / 3.6e9
    rounds = everything.filter(~pl.col("fallback")).select("action", "status", age=age)
    weight = _weights(rounds, closed, outcomes, params)
    used = np.flatnonzero(weight > 0)
    is_open = rounds["age"].to_numpy()[used] < params.attribution_hours
    return EarlyBatch(batch.rows(used), weight[used], int(is_open.sum()))


def _weights(
    rounds: pl.DataFrame, closed: pl.DataFrame, outcomes: pl.DataFrame, params: MaturityParams
) -> NDArray[np.float64]:
    first = outcomes.group_by("system", "event_id").agg(pl.col("observed_at").min())
    answered = closed.join(first, on=["system", "event_id"], how="left").with_columns(
        delay=(pl.col("observed_at") - pl.col("decided_at")).dt.total_microseconds() / 3.6e9
    )
    age, status, action = (rounds[name].to_numpy() for name in ("age", "status", "action"))
    weight = np.ones(len(rounds))
    for name in np.unique(action):
        own = answered.filter(pl.col("action") == name)
        if len(own) < ROUNDS:
            own = answered
        delays = np.sort(own.filter(pl.col("status") == MATURED)["delay"].to_numpy())
        never = int((own["status"] == EXPIRED).sum()) / max(len(own), 1)
        rows = np.flatnonzero((action == name) & (age < params.attribution_hours))
        if not len(delays):
            weight[rows] = 0.0
            continue
        arrived = np.searchsorted(delays, age[rows], side="right") / len(delays)
        absent = never / np.maximum(never + (1 - never) * (1 - arrived), 1e-12)
        weight[rows] = np.where(status[rows] == MATURED, 1 / np.maximum(arrived, LEAST), absent)
        weight[rows[arrived < LEAST]] = 0.0
    return weight
