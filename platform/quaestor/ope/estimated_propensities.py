"""Propensities for logs that lack them: estimated, marked as such, and never enough to promote by themselves."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from quaestor.errors import UsageError
from quaestor.log.batch import ESTIMATED
from quaestor.ope.design import design
from quaestor.randomness import event_keys, uniforms

FOLDS = 3
LEVELS = 50
TAUGHT_AT_MOST = 200_000

Array = NDArray[np.float64]


def with_estimated_propensities(decisions: pl.DataFrame, strength: float = 1.0) -> pl.DataFrame:
    """Decisions (event_id, eligible, action, features) with propensity and propensities, cross-fitted.

    A multinomial logistic regression of the action on the features, over the eligible actions, with a penalty of
    `strength` rounds. Right only if the log's policy drew by these features alone, which nothing in the log can
    show; the logging policy's name, iteration_id, says that they are estimates. Raises UsageError where a column
    is missing, propensities are there already, or an action was not eligible.
    """
    _refuse(decisions)
    actions = decisions["eligible"].explode().unique().sort().to_list()
    eligible = np.column_stack([decisions["eligible"].list.contains(name).to_numpy() for name in actions])
    number = {name: index for index, name in enumerate(actions)}
    action = decisions["action"].replace_strict(number, return_dtype=pl.Int64).to_numpy()
    context = decisions.select(name for name in decisions.columns if name.startswith(("numeric_", "category_")))
    keys = event_keys("estimated propensities", "", decisions["event_id"].cast(pl.String).to_list())
    fold = (uniforms(keys, 1)[:, 0] * FOLDS).astype(np.int64)
    probabilities = np.empty(eligible.shape)
    for part in range(FOLDS):
        judged, others = np.flatnonzero(fold == part), np.flatnonzero(fold != part)[:TAUGHT_AT_MOST]
        if len(judged) and not len(others):
            raise UsageError(f"{len(decisions)} decisions are too few to estimate propensities from.")
        taught, asked = design(context[others], context[judged], LEVELS)
        weights = _fit(taught, eligible[others], action[others], strength)
        probabilities[judged] = np.exp(_log_probabilities(asked @ weights, eligible[judged]))
    named = pl.lit(ESTIMATED)
    if "iteration_id" in decisions.columns:
        named = pl.concat_str([named, pl.col("iteration_id").fill_null("unknown")], separator=": ")
    lists = [
        [float(row[number[name]]) for name in own]
        for row, own in zip(probabilities, decisions["eligible"], strict=True)
    ]
    return decisions.with_columns(
        iteration_id=named,
        propensity=pl.Series(probabilities[np.arange(len(action)), action]),
        propensities=pl.Series(lists, dtype=pl.List(pl.Float64)),
    )


def _refuse(decisions: pl.DataFrame) -> None:
    missing = [name for name in ("event_id", "eligible", "action") if name not in decisions.columns]
    if missing:
        raise UsageError(f"Decisions need the columns {', '.join(missing)} to estimate propensities from.")
    if "propensity" in decisions.columns and decisions["propensity"].null_count() < len(decisions):
        raise UsageError("These decisions have propensities; estimates would only be worse. Ingest them as they are.")
    if not isinstance(decisions.schema["eligible"], pl.List):
        raise UsageError(
            f"eligible must be a list of actions in each row, found {decisions.schema['eligible']}; use parquet."
        )
    possible = decisions.select(pl.col("eligible").list.contains(pl.col("action")).fill_null(False)).to_series()
    if not possible.all():
        raise UsageError(f"{(~possible).sum():,} decisions took an action that was not eligible; correct them first.")


def _fit(taught: Array, eligible: NDArray[np.bool_], action: NDArray[np.int64], strength: float) -> Array:
    """Weights (column, action) that make the actions taken likeliest."""
    rounds, shape = len(action), (taught.shape[1], eligible.shape[1])
    chosen = np.zeros(eligible.shape)
    chosen[np.arange(rounds), action] = 1.0

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(shape)
        log_probability = _log_probabilities(taught @ weights, eligible)
        value = -log_probability[np.arange(rounds), action].sum() + strength / 2 * np.square(weights).sum()
        slope = taught.T @ (np.exp(log_probability) - chosen) + strength * weights
        return float(value) / rounds, slope.ravel() / rounds

    found = minimize(loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 300})
    return np.asarray(found.x).reshape(shape)


def _log_probabilities(scores: Array, eligible: NDArray[np.bool_]) -> Array:
    masked = np.where(eligible, scores, -np.inf)
    return np.asarray(masked - logsumexp(masked, axis=1, keepdims=True))
