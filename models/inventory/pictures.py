"""What a rollout looked like, as plain numbers that a console can draw without torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from models.inventory.feasibility import sum_by_node
from models.inventory.layout import Layout
from models.inventory.observation import observe
from models.inventory.rollout import OrderPolicy, Play, rollout
from models.inventory.scenarios import Scenarios


def spread_rows(scenarios: Scenarios, count: int) -> list[int]:
    """`count` row numbers spread evenly over the scenarios."""
    return torch.linspace(0, scenarios.batch - 1, count).round().long().tolist()


def picture(layout: Layout, policy: OrderPolicy, scenarios: Scenarios, rows: list[int]) -> list[dict[str, Any]]:
    """What each of these rows' rollouts looked like, without noise."""
    plays: list[Play] = []
    with torch.no_grad():
        rollout(layout, policy, scenarios.rows(torch.tensor(rows)), plays=plays)
    return [play_record(layout, plays, number) for number in range(len(rows))]


def play_record(layout: Layout, plays: list[Play], row: int) -> dict[str, Any]:
    """One scenario's stock and flow by period, each list (period, place) in units unless said otherwise.

    on_hand and in_transit at the start of the period, ordered by and shipped from each place, demand and
    unmet (period, store), cost (period) by cause.
    """

    def table(tensors: list[Tensor]) -> list[list[float]]:
        return [[round(float(value), 2) for value in tensor[row]] for tensor in tensors]

    stores = slice(layout.warehouses, layout.places)
    return {
        "on_hand": table([play.before.on_hand for play in plays]),
        "in_transit": table([play.before.in_transit.sum(dim=2) for play in plays]),
        "ordered": table([sum_by_node(layout.target, play.orders, layout.nodes)[:, : layout.places] for play in plays]),
        "shipped": table([sum_by_node(layout.source, play.orders, layout.nodes)[:, : layout.places] for play in plays]),
        "demand": table([play.demand for play in plays]),
        "unmet": table([(play.demand - play.before.on_hand[:, stores].clamp(min=0)).clamp(min=0) for play in plays]),
        "holding": [round(float(play.cost.holding[row]), 2) for play in plays],
        "underage": [round(float(play.cost.underage[row]), 2) for play in plays],
        "purchase": [round(float(play.cost.purchase[row]), 2) for play in plays],
    }


def opening_observations(scenarios: Scenarios, window: int, count: int) -> list[dict[str, Any]]:
    """What a policy sees in the first period of the first `count` scenarios, by input name, as nested lists."""
    first = observe(scenarios, scenarios.start, 0, window, None)
    return [
        {
            "on_hand": first.on_hand[row].tolist(),
            "in_transit": first.in_transit[row].tolist(),
            "past_demand": first.past_demand[row].tolist(),
            "calendar": first.calendar[row].tolist(),
        }
        for row in range(count)
    ]
