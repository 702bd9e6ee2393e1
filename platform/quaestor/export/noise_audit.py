"""Rung 6 of the ladder: whether a deployment added the noise that the certificate is about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.certification.ladder import Finding, noise_finding
from quaestor.errors import UsageError
from quaestor.export.bundle import Bundle
from quaestor.export.inventory_policy import NOISES, InventoryPolicy
from quaestor.export.payments_policy import PaymentsPolicy


def audit_noise(bundle: Bundle, records: Path) -> Finding:
    """Whether the noise logged under `records` (draws/*.parquet, of this bundle's iteration) is the one that follows
    from the bundle's salt for each event, and whether it is distributed as certified.

    Raises UsageError where the folder holds no draws at all.
    """
    paths = sorted((records / "draws").glob("*.parquet"))
    if not paths:
        raise UsageError(f"No draws under {records}; give the folder that `quaestor serve --records` wrote to.")
    draws = pl.concat([pl.read_parquet(path) for path in paths], how="diagonal")
    own = draws.filter(pl.col("iteration_id") == bundle.iteration_id)
    if not len(own):
        return Finding(6, False, f"{len(draws):,} draws were logged, none of them by {bundle.iteration_id[:12]}.")
    policy = bundle.policy
    told, noise, strange = _payments(policy, own) if isinstance(policy, PaymentsPolicy) else _orders(policy, own)
    if strange.any():
        return Finding(
            6, False,
            f"The noise logged for {told[int(strange.argmax())]} is not what the bundle's salt gives for it; so it is "
            f"with {int(strange.sum()):,} of {len(own):,} draws.",
        )  # fmt: skip
    return noise_finding(noise)


_Seen = tuple[list[str], NDArray[np.float64], NDArray[np.bool_]]
"""What each draw is for, the entries of noise that are independent of each other, and which draws are strange."""


def _payments(policy: PaymentsPolicy, draws: pl.DataFrame) -> _Seen:
    draws = draws.unique("event_id", maintain_order=True)
    keys = policy.keys(draws["event_id"].to_list())
    logged = _table(draws, "noise", (len(policy.spec.features.numeric),))
    strange = (logged != policy.noise(keys)).any(axis=1) | (draws["seed"].to_numpy() != keys)
    return draws["event_id"].to_list(), logged.ravel(), strange


def _orders(policy: InventoryPolicy, draws: pl.DataFrame) -> _Seen:
    draws = draws.unique(("product", "period"), maintain_order=True)
    products, periods = draws["product"].to_list(), draws["period"].to_list()
    strange = np.zeros(len(draws), dtype=np.bool_)
    entries = []
    for name, expected in policy.noise(products, periods).items():
        logged = _table(draws, name, expected.shape[1:])
        strange |= (logged != expected).reshape(len(draws), -1).any(axis=1)
        # A demand record keeps its noise in later windows: only the newest of each is an entry of its own.
        entries.append((logged[:, :, -1:] if name == NOISES[2] else logged).ravel())
    told = [f"{product} in period {period}" for product, period in zip(products, periods, strict=True)]
    return told, np.concatenate(entries), strange


def _table(draws: pl.DataFrame, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A column of nested lists as (draw, …); NaN where a list has another shape or is missing."""
    found = np.full((len(draws), *shape), np.nan)
    for row, value in enumerate(draws[name].to_list() if name in draws.columns else []):
        try:
            array = np.array(value, dtype=np.float64)
        except (TypeError, ValueError):
            continue
        if array.size == found[row].size:
            found[row] = array.reshape(shape)
    return found
