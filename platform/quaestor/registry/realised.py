"""What evaluations promised, beside what was realised once a policy decided (rule R15)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from quaestor.log.batch import MaturedBatch
from quaestor.ope.interval import normal_interval
from quaestor.ope.on_policy import on_policy
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.judging import EVALUATION, REALISED, keep
from quaestor.store import Connection, Store, evidence, iterations
from quaestor.study import parse


@dataclass(frozen=True)
class Realised:
    """The mean reward of an iteration's own matured rounds with a 95 % interval, and from when to when they were."""

    rounds: int
    value: float
    lower: float
    upper: float
    first: str
    last: str

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        return asdict(self)


_COMPARED: dict[str, pl.DataType | type[pl.DataType]] = {
    "system": pl.String, "iteration_id": pl.String, "role": pl.String, "estimator": pl.String,
    "evaluated_at": pl.Datetime("us"), "estimated": pl.Float64, "estimated_lower": pl.Float64,
    "estimated_upper": pl.Float64, "realised": pl.Float64, "realised_lower": pl.Float64, "realised_upper": pl.Float64,
    "rounds": pl.Int64, "agrees": pl.Boolean,
}  # fmt: skip


def realised(batch: MaturedBatch) -> dict[str, Realised]:
    """What each iteration that decided two or more of the rounds earned in them, by its id."""
    found = {}
    for iteration_id in batch.logged.iteration_ids.drop_nulls().unique().sort().to_list():
        own = batch.rows((batch.logged.iteration_ids == iteration_id).fill_null(False).to_numpy())
        if len(own) < 2:
            continue
        interval = normal_interval(on_policy(own))
        first, last = (str(moment) for moment in (own.logged.decided_at.min(), own.logged.decided_at.max()))
        found[iteration_id] = Realised(len(own), interval.value, interval.lower, interval.upper, first, last)
    return found


def keep_realised(store: Store, batch: MaturedBatch) -> list[str]:
    """Keeps what the registered iterations among those that decided the rounds earned, and returns their ids; the
    same rounds again change nothing."""
    kept = []
    for iteration_id, figures in realised(batch).items():
        with store.read() as connection:
            known = iterations.exists(connection, iteration_id)
        if known:
            keep(store, iteration_id, REALISED, figures.as_json())
            kept.append(iteration_id)
    return kept


def estimates_and_outcomes(connection: Connection, system: str | None = None) -> pl.DataFrame:
    """Every estimate of a value that has since been realised, oldest first.

    Columns: system, iteration_id, role (candidate or incumbent), estimator, evaluated_at, estimated,
    estimated_lower, estimated_upper, realised, realised_lower, realised_upper, rounds, agrees: whether the two
    differ by no more than their joint 95 % reach. What an incumbent earned may be older than its estimate.
    """
    outcomes: dict[str, Realised] = {}
    for row in evidence.of_kind(connection, REALISED).iter_rows(named=True):
        outcomes[row["iteration_id"]] = parse(Realised, json.loads(row["content"]), "realised")
    rows = []
    for row in evidence.of_kind(connection, EVALUATION).iter_rows(named=True):
        evaluation = parse(Evaluation, json.loads(row["content"]), "evaluation")
        sides = {"candidate": (row["iteration_id"], evaluation.candidate)}
        sides["incumbent"] = (evaluation.incumbent_id, evaluation.incumbent)
        for role, (iteration_id, interval) in sides.items():
            outcome = outcomes.get(iteration_id)
            if outcome is None or (system is not None and row["system"] != system):
                continue
            reach = np.hypot(interval.upper - interval.lower, outcome.upper - outcome.lower) / 2
            rows.append(
                (
                    row["system"], iteration_id, role, evaluation.estimator, row["created_at"], interval.value,
                    interval.lower, interval.upper, outcome.value, outcome.lower, outcome.upper, outcome.rounds,
                    bool(abs(interval.value - outcome.value) <= reach),
                )
            )  # fmt: skip
    return pl.DataFrame(rows, schema=_COMPARED, orient="row")
