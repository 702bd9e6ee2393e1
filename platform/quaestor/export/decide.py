"""Decisions for rows of input: payments rows give decision records, inventory rows give orders."""

from __future__ import annotations

import numpy as np
import polars as pl

from quaestor.clock import utc_now
from quaestor.errors import UsageError
from quaestor.export.encoding import eligible_matrix
from quaestor.export.inventory_policy import InventoryPolicy
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.policy import Policy
from quaestor.log.columns import zoned_time


def decide(policy: Policy, rows: pl.DataFrame, iteration_id: str) -> pl.DataFrame:
    """Decides every row; the same rows give the same decisions.

    Payments rows have event_id, features as numeric_… and category_…, and optionally eligible (a list; all
    actions where absent) and decided_at. The result is in the format that ingest takes. Inventory rows have
    product, period and the policy's inputs as nested lists; the result has one row an edge. Raises UsageError
    for a missing column.
    """
    if isinstance(policy, InventoryPolicy):
        return _orders(policy, rows)
    return _payments(policy, rows, iteration_id)


def _payments(policy: PaymentsPolicy, rows: pl.DataFrame, iteration_id: str) -> pl.DataFrame:
    _require(rows, ("event_id",))
    if rows["event_id"].null_count() or rows["event_id"].n_unique() != len(rows):
        raise UsageError("Every row needs an event_id of its own.")
    actions = policy.spec.actions
    if "eligible" in rows.columns:
        sets = rows["eligible"]
        if sets.dtype == pl.String:
            sets = sets.str.split("|")
        eligible = eligible_matrix(sets, actions)
    else:
        eligible = np.ones((len(rows), len(actions)), dtype=np.bool_)
    event_ids = rows["event_id"].cast(pl.String)
    choice = policy.choose(policy.encode(rows), eligible, event_ids.to_list())
    names = np.array(actions, dtype=object)
    taken = choice.probabilities[np.arange(len(rows)), choice.action]
    features = [name for name in rows.columns if name.startswith(("numeric_", "category_"))]
    return pl.DataFrame(
        {
            "system": [policy.spec.system] * len(rows),
            "event_id": event_ids,
            "decided_at": _times(rows),
            "iteration_id": [iteration_id] * len(rows),
            "eligible": [names[row].tolist() for row in eligible],
            "propensities": [p[row].tolist() for p, row in zip(choice.probabilities, eligible, strict=True)],
            "action": names[choice.action].tolist(),
            "propensity": taken,
            "fallback": choice.fallback,
        },
        schema_overrides={
            "eligible": pl.List(pl.String),
            "propensities": pl.List(pl.Float64),
            "action": pl.String,
        },
    ).with_columns(rows.select(features))


def _orders(policy: InventoryPolicy, rows: pl.DataFrame) -> pl.DataFrame:
    shapes = policy.shapes()
    _require(rows, ("product", "period", *shapes))
    inputs = {name: _nested(rows, name, shape) for name, shape in shapes.items()}
    products = rows["product"].cast(pl.String).to_list()
    orders = policy.orders(products, rows["period"].cast(pl.Int64).to_list(), inputs)
    edges = policy.spec.edges
    return pl.DataFrame(
        {
            "system": [policy.spec.system] * orders.size,
            "product": np.repeat(np.array(products, dtype=object), len(edges)).tolist(),
            "period": np.repeat(rows["period"].to_numpy(), len(edges)),
            "source": [edge[0] for edge in edges] * len(rows),
            "target": [edge[1] for edge in edges] * len(rows),
            "units": orders.ravel(),
        }
    )


def _nested(rows: pl.DataFrame, name: str, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.array(rows[name].to_list(), dtype=np.float64).reshape(len(rows), *shape)
    except (ValueError, TypeError):
        raise UsageError(f"{name!r} must hold {' × '.join(map(str, shape))} numbers in every row.") from None


def _times(rows: pl.DataFrame) -> pl.Series:
    if "decided_at" not in rows.columns:
        return pl.Series([utc_now()] * len(rows), dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")
    times = rows["decided_at"]
    if times.dtype == pl.String:
        times = rows.select(zoned_time(pl.col("decided_at"))).to_series()
    if not isinstance(times.dtype, pl.Datetime) or times.dtype.time_zone is None or times.null_count():
        raise UsageError("decided_at must be a time with a zone in every row, such as 2026-01-31T09:30:00Z.")
    return times.dt.convert_time_zone("UTC")


def _require(rows: pl.DataFrame, columns: tuple[str, ...]) -> None:
    for name in columns:
        if name not in rows.columns:
            raise UsageError(f"The input needs a column {name!r}; found {', '.join(rows.columns[:10])}.")
