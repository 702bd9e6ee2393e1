"""Which rounds may teach: those whose attribution window has closed, each exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from quaestor.errors import UsageError
from quaestor.log.batch import ESTIMATED, LoggedBatch, MaturedBatch

MATURED, PENDING, EXPIRED = "matured", "pending", "expired"


@dataclass(frozen=True)
class MaturityParams:
    """attribution_hours: how long an outcome may take; default_reward: what a round without one is worth."""

    attribution_hours: float
    default_reward: float

    def __post_init__(self) -> None:
        if self.attribution_hours <= 0:
            raise ValueError(f"attribution_hours must be above 0, found {self.attribution_hours}.")
        if not 0 <= self.default_reward <= 1:
            raise ValueError(f"default_reward must be between 0 and 1, found {self.default_reward}.")


def judge(decisions: pl.DataFrame, outcomes: pl.DataFrame, params: MaturityParams, as_of: datetime) -> pl.DataFrame:
    """Adds to each decision its status, reward and whether that reward is the default (rules R6 and R7).

    pending: the window is still open at `as_of`; an early outcome does not count yet, or fast rewards would
    teach more than slow ones. matured: the window closed on an outcome. expired: it closed on none, or the
    outcome came late. Outcomes of a higher revision replace lower ones. Order and repeats of rows do not matter.
    """
    window = timedelta(hours=params.attribution_hours)
    known = decisions.filter(pl.col("decided_at") <= as_of)
    in_time = (
        outcomes.join(known.select("system", "event_id", "decided_at"), on=["system", "event_id"])
        .filter(pl.col("observed_at") <= pl.min_horizontal(pl.col("decided_at") + window, pl.lit(as_of)))
        .sort("system", "event_id", "revision")
        .group_by("system", "event_id", maintain_order=True)
        .agg(pl.col("reward").last())
    )
    closed = pl.col("decided_at") + window <= as_of
    return (
        known.unique(["system", "event_id"], keep="first", maintain_order=True)
        .join(in_time, on=["system", "event_id"], how="left")
        .with_columns(
            status=pl.when(~closed)
            .then(pl.lit(PENDING))
            .when(pl.col("reward").is_null())
            .then(pl.lit(EXPIRED))
            .otherwise(pl.lit(MATURED)),
            defaulted=pl.col("reward").is_null(),
            reward=pl.col("reward").fill_null(params.default_reward),
        )
        .sort("event_id")
    )


def matured_batch(judged: pl.DataFrame) -> MaturedBatch:
    """The rounds of one system that may teach, ordered by event id, as arrays.

    Rounds in which the policy failed and the default action was taken are left out (rule R3).
    `judged` comes from `judge` and holds the decisions' columns with features as numeric_… and category_….
    Raises UsageError when no round has matured.
    """
    rounds = judged.filter((pl.col("status") != PENDING) & ~pl.col("fallback"))
    if rounds.is_empty():
        raise UsageError(
            f"No round has matured: {len(judged):,} are pending or there are none. "
            "Ingest what came since, or wait for the window."
        )
    actions = tuple(rounds["eligible"].explode().unique().sort().to_list())
    number = {action: index for index, action in enumerate(actions)}
    exploded = rounds.select("eligible", row=pl.int_range(pl.len())).explode("eligible")
    eligible = np.zeros((len(rounds), len(actions)), dtype=np.bool_)
    codes = exploded["eligible"].replace_strict(number, return_dtype=pl.Int64).to_numpy()
    eligible[exploded["row"].to_numpy(), codes] = True
    probabilities = None
    if "propensities" in rounds.columns and rounds["propensities"].null_count() == 0:
        probabilities = np.zeros(eligible.shape)
        probabilities[exploded["row"].to_numpy(), codes] = rounds["propensities"].explode().to_numpy()
    features = [name for name in rounds.columns if name.startswith(("numeric_", "category_"))]
    logged = LoggedBatch(
        system=rounds["system"][0],
        actions=actions,
        event_ids=rounds["event_id"],
        decided_at=rounds["decided_at"],
        context=rounds.select(features),
        eligible=eligible,
        action=rounds["action"].replace_strict(number, return_dtype=pl.Int64).to_numpy(),
        propensity=rounds["propensity"].to_numpy(),
        iteration_ids=rounds["iteration_id"],
        probabilities=probabilities,
        estimated=bool(rounds["iteration_id"].str.starts_with(ESTIMATED).any()),
    )
    return MaturedBatch(logged, rounds["reward"].to_numpy(), rounds["defaulted"].to_numpy())
