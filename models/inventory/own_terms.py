"""Puts a network on the costs and lead times that each scenario has at each store."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from models.inventory.layout import Layout, Terms, terms_of, with_terms


def on_terms_of_stores(layout: Layout, told: Mapping[str, NDArray[np.float64]]) -> Layout:
    """The layout with a row of terms for each scenario; what is not told stays the network's.

    told (scenario, store), by name: holding_cost and underage_cost are the store's; unit_cost and lead_time those of
    every edge into it. Raises ValueError for a lead time below 1 or above the layout's longest.
    """
    batch = len(next(iter(told.values())))
    own = {name: term.expand(batch, -1).clone() for name, term in vars(terms_of(layout)).items()}
    into = layout.target - layout.warehouses  # the store that an edge ends in; below 0 for other places
    to_store = into >= 0
    for name, values in told.items():
        given = torch.as_tensor(values).to(own[name].dtype)
        if name == "holding_cost":
            own[name][:, layout.warehouses :] = given
        elif name == "underage_cost":
            own[name] = given
        else:
            own[name][:, to_store] = given[:, into[to_store]]
    return with_terms(layout, Terms(**own))
