"""What plays come to: cost by cause and service level of each scenario, over the counted periods."""

from __future__ import annotations

import numpy as np

from quaestor.simulation.network import Floats
from quaestor.simulation.play import Played

CAUSES = ("holding", "underage", "purchase")


def costs_by_cause(played: Played, warmup: int) -> dict[str, Floats]:
    """Mean cost per store and counted period of each scenario, (batch,), by cause."""
    stores = played.demand.shape[2]
    return {cause: getattr(played, cause)[:, warmup:].sum(axis=2).mean(axis=1) / stores for cause in CAUSES}


def cost(played: Played, warmup: int) -> Floats:
    """Mean cost per store and counted period of each scenario, (batch,)."""
    return np.asarray(sum(costs_by_cause(played, warmup).values()))


def service_level(played: Played, warmup: int, store: int | None = None) -> Floats:
    """The share of demand that was served from stock at once (the fill rate), of each scenario, (batch,); of the
    whole network or one store. NaN where nothing was asked for."""
    stores = slice(None) if store is None else slice(store, store + 1)
    asked = np.maximum(played.demand[:, warmup:, stores], 0).sum(axis=(1, 2))
    missed = np.minimum(played.unmet, np.maximum(played.demand, 0))[:, warmup:, stores].sum(axis=(1, 2))
    with np.errstate(invalid="ignore"):
        return np.asarray(1 - missed / np.where(asked > 0, asked, np.nan))
