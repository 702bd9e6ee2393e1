"""Whether a log is what it seems: each round once, rewards complete, clocks right."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl

from quaestor.log.batch import MaturedBatch
from quaestor.ope.diagnosis import Diagnosis

TOLERATED = 0.001
"""The share of broken rounds that is taken for noise."""
ERRORS = 4.0
NEWEST = 0.1


def duplicates_check(batch: MaturedBatch) -> Diagnosis:
    """Whether rounds repeat under other event ids, as a shard that was loaded twice does.

    Equal moment, context, action, propensity and reward count as a repeat. Where moments are so coarse, or
    features so few, that different rounds look alike, nothing can be said.
    """
    logged = batch.logged
    frame = logged.context.with_columns(
        decided_at=logged.decided_at, action=logged.action, propensity=logged.propensity, reward=batch.reward
    )
    repeated = float(len(batch) - frame.n_unique()) / len(batch)
    told_apart = logged.decided_at.n_unique() / len(batch)
    if repeated <= TOLERATED:
        return Diagnosis("duplicates", "ok", "No round repeats another one.")
    if told_apart + repeated < 1 - TOLERATED and not any(c.startswith("numeric_") for c in logged.context.columns):
        return Diagnosis("duplicates", "watch", "Moments and features are too coarse to tell repeated rounds apart.")
    return Diagnosis(
        "duplicates",
        "stop",
        f"{repeated:.1%} of rounds repeat another one in moment, features, action and reward under another event id: "
        "a file was loaded twice, and intervals are too narrow.",
    )


def late_rewards_check(batch: MaturedBatch) -> Diagnosis:
    """Whether the newest rounds lack outcomes that are still to come and count as the default meanwhile."""
    at = batch.logged.decided_at.cast(pl.Int64).to_numpy()
    newest = at > np.quantile(at, 1 - NEWEST)
    if not 0 < newest.sum() < len(batch):
        return Diagnosis("late rewards", "ok", "All rounds are of one moment.")
    defaulted = batch.defaulted.astype(np.float64)
    if _drop(-defaulted, newest) > ERRORS:
        return Diagnosis(
            "late rewards",
            "stop",
            f"{defaulted[newest].mean():.1%} of the newest tenth of rounds have no outcome, "
            f"{defaulted[~newest].mean():.1%} of the others: late rewards count as the default. "
            "Wait, or lengthen attribution_hours.",
        )
    if _drop(batch.reward, newest) > ERRORS:
        recent, before = batch.reward[newest].mean(), batch.reward[~newest].mean()
        return Diagnosis(
            "late rewards",
            "stop" if recent < before / 2 else "watch",
            f"The newest tenth of rounds earned {recent:.4g} a round, the others {before:.4g}: outcomes that are still "
            "to come may be recorded as 0, or the world has changed.",
        )
    return Diagnosis("late rewards", "ok", "The newest rounds have as many outcomes as the others.")


def clock_check(decisions: pl.DataFrame, outcomes: pl.DataFrame, now: datetime) -> Diagnosis:
    """Whether clocks agree: no outcome before its decision, no decision in the future.

    decisions: event_id, decided_at; outcomes: event_id, observed_at; of one system, times in UTC.
    """
    joined = outcomes.join(decisions.select("event_id", "decided_at"), on="event_id")
    early = int((joined["observed_at"] < joined["decided_at"]).sum()) / max(len(joined), 1)
    future = int((decisions["decided_at"] > now).sum()) / max(len(decisions), 1)
    found = []
    if early > TOLERATED:
        found.append(f"{early:.1%} of outcomes were observed before their decision was made")
    if future > TOLERATED:
        found.append(f"{future:.1%} of decisions are dated after now ({now:%Y-%m-%d %H:%M} UTC)")
    if found:
        said = " and ".join(found)
        return Diagnosis("clocks", "stop", f"Clocks disagree: {said}. Rounds may mature too early or too late.")
    return Diagnosis("clocks", "ok", "No outcome precedes its decision, and no decision lies in the future.")


def _drop(values: np.ndarray, newest: np.ndarray) -> float:
    """By how many standard errors the newest values lie below the others."""
    recent, before = values[newest], values[~newest]
    pooled = values.var() * (1 / len(recent) + 1 / len(before))
    return float((before.mean() - recent.mean()) / np.sqrt(pooled)) if pooled > 0 else 0.0
