"""Demand behind sales that ended with the stock: the rest is drawn from what the series itself shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from quaestor.log.demand import DemandPanel
from quaestor.randomness import generator

Floats = NDArray[np.float64]
Marks = NDArray[np.bool_]


def uncensored(panel: DemandPanel, first: int, end: int, seed: int) -> tuple[DemandPanel, int]:
    """The panel with every stocked-out record replaced by a draw from its series' law of demand, given that demand was
    at least what was sold; and how many records stay as recorded, because no such demand was ever seen in full.

    The law of a series is the product-limit estimate from its periods `first` to `end` (past the last), so that later
    ones teach nothing (Kaplan and Meier 1958, "Nonparametric estimation from incomplete observations"; for lost sales,
    Huh, Levi, Rusmevichientong and Orlin 2011, "Adaptive data-driven inventory control with censored demand"). It
    takes the series' level to be steady. Equal inputs give equal draws.
    """
    if panel.stocked_out is None:
        return panel, 0
    units, kept = panel.units.copy(), 0
    chance = generator(seed, "demand behind stock-outs").random(units.shape)
    for row in np.ndindex(units.shape[:2]):
        marked = panel.stocked_out[row]
        if not marked.any():
            continue
        values, masses = product_limit(panel.units[row][first:end], marked[first:end])
        for period in np.flatnonzero(marked):
            least = panel.units[row][period]
            possible = masses * (values >= least)
            if possible.sum() <= 0:
                kept += 1
                continue
            place = np.searchsorted(possible.cumsum(), chance[(*row, period)] * possible.sum(), side="right")
            units[(*row, period)] = values[min(place, len(values) - 1)]
    return replace(panel, units=units, stocked_out=None), kept


def product_limit(units: Floats, stocked_out: Marks) -> tuple[Floats, Floats]:
    """The values of demand that were seen in full and their probabilities, (value,), from records of which some are
    only known to be at least what they say.

    What is beyond the largest full record, where some are censored there, has no value; the probabilities then sum to
    less than 1.
    """
    values = np.unique(units[~stocked_out])
    full, least = np.sort(units[~stocked_out]), np.sort(units[stocked_out])
    exactly = np.searchsorted(full, values, "right") - np.searchsorted(full, values, "left")
    # A record that ended without stock at v says that demand was v or more: it tells nothing of v itself.
    as_much = len(full) - np.searchsorted(full, values, "left")
    more = len(least) - np.searchsorted(least, values, "right")
    ends = exactly / (as_much + more)
    survives = np.concatenate(([1.0], np.cumprod(1.0 - ends)[:-1])) if len(values) else np.zeros(0)
    return values, survives * ends
