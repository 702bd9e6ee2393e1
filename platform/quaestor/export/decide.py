"""Decisions for frames of input: payments rows give decision records, inventory rows give orders."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.clock import utc_now
from quaestor.errors import UsageError
from quaestor.export.encoding import eligible_matrix, unfit
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
    event_ids = rows["event_id"].cast(pl.String)
    if event_ids.null_count() or event_ids.n_unique() != len(rows) or (event_ids == "").any():
        raise UsageError("Every row needs an event_id of its own.")
    actions = policy.spec.actions
    eligible = np.ones((len(rows), len(actions)), dtype=np.bool_)
    if "eligible" in rows.columns:
        sets = rows["eligible"]
        eligible = eligible_matrix(sets.str.split("|") if sets.dtype == pl.String else sets, actions)
    contexts = policy.encode(rows)
    choice = policy.choose(contexts, eligible, event_ids.to_list(), unfit(policy.spec.features, rows, contexts))
    names = pl.Series(actions, dtype=pl.String)
    features = [pl.col(n) for n in rows.columns if n.startswith("category_")]
    features += [_storable(n) for n in rows.columns if n.startswith("numeric_")]
    return pl.DataFrame(
        {
            "system": pl.repeat(policy.spec.system, len(rows), eager=True),
            "event_id": event_ids,
            "decided_at": _times(rows),
            "iteration_id": pl.repeat(iteration_id, len(rows), eager=True),
            "eligible": _sets(names, eligible),
            "propensities": _lists(choice.probabilities, eligible),
            "action": names.gather(choice.action),
            "propensity": choice.probabilities[np.arange(len(rows)), choice.action],
            "fallback": choice.fallback,
        }
    ).with_columns(rows.select(features).select(n for n in rows.columns if n.startswith(("numeric_", "category_"))))


def _storable(name: str) -> pl.Expr:
    """A number as the store takes it: infinities, which only a fallback row can hold, become unknown."""
    value = pl.col(name).cast(pl.Float64)
    return pl.when(value.is_finite()).then(value).alias(name)


def _sets(names: pl.Series, eligible: NDArray[np.bool_]) -> pl.Series:
    """The eligible actions of each row, by name; few distinct sets make up most logs."""
    packed = np.packbits(eligible, axis=1)
    width = packed.shape[1]
    keys = np.zeros((len(packed), -(-width // 8) * 8), dtype=np.uint8)
    keys[:, :width] = packed
    words = keys.view(np.uint64)
    if words.shape[1] == 1:
        _, first, inverse = np.unique(words[:, 0], return_index=True, return_inverse=True)
    else:
        _, first, inverse = np.unique(words, axis=0, return_index=True, return_inverse=True)
    sets = [names.gather(np.flatnonzero(eligible[row])).to_list() for row in first]
    return pl.Series("eligible", sets, dtype=pl.List(pl.String)).gather(inverse.ravel())


def _lists(probabilities: NDArray[np.float64], eligible: NDArray[np.bool_]) -> pl.Series:
    """The probabilities of the eligible actions of each row, in the order of the actions."""
    row = np.repeat(np.arange(len(eligible), dtype=np.uint32), eligible.sum(axis=1))
    flat = pl.DataFrame({"row": row, "propensities": probabilities[eligible]}).with_columns(pl.col("row").set_sorted())
    return flat.group_by("row", maintain_order=True).agg("propensities")["propensities"]


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
        return pl.repeat(utc_now(), len(rows), dtype=pl.Datetime("us"), eager=True).dt.replace_time_zone("UTC")
    times = rows["decided_at"]
    if times.dtype == pl.String:
        written = times.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)  # RFC 3339, the fast way
        times = rows.select(zoned_time(pl.col("decided_at"))).to_series() if written.null_count() else written
    if not isinstance(times.dtype, pl.Datetime) or times.dtype.time_zone is None or times.null_count():
        raise UsageError("decided_at must be a time with a zone in every row, such as 2026-01-31T09:30:00Z.")
    return times.dt.convert_time_zone("UTC").dt.cast_time_unit("us")


def _require(rows: pl.DataFrame, columns: tuple[str, ...]) -> None:
    for name in columns:
        if name not in rows.columns:
            raise UsageError(f"The input needs a column {name!r}; found {', '.join(rows.columns[:10])}.")
