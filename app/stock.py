"""Turns replays and inventory evidence into frames: network, stock and flow through time, cost, service, learning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import numpy as np
import polars as pl

from app.replays import BASE_STOCK, CANDIDATE, Replay
from app.style import word_of
from quaestor.ope.interval import paired_interval
from quaestor.simulation.figures import cost, costs_by_cause, service_level
from quaestor.simulation.network import Floats, PlainNetwork
from quaestor.simulation.play import Played

Quantity: TypeAlias = Literal["on_hand", "in_transit", "ordered", "shipped", "demand", "unmet"]

EDGES_DRAWN = 1_000
EPOCHS_DRAWN = 1_000
PERIODS_DRAWN = 1_500
CONFIDENCE = 0.95

_INTERVAL = {"value": pl.Float64, "lower": pl.Float64, "upper": pl.Float64}


def learning(curve: dict[str, Any]) -> pl.DataFrame:
    """Cost by epoch on the training and on the dev periods: epoch, on, cost; of a long curve every n-th epoch."""
    names = {"train_cost": "training periods", "dev_cost": "dev periods"}
    drawn = curve["epochs"][:: every(len(curve["epochs"]))]
    rows = [(epoch["number"], on, epoch[name]) for epoch in drawn for name, on in names.items()]
    return pl.DataFrame(rows, schema={"epoch": pl.Int64, "on": pl.String, "cost": pl.Float64}, orient="row")


def every(epochs: int) -> int:
    """Every how many epochs one is drawn."""
    return -(-epochs // EPOCHS_DRAWN)


def depths(network: PlainNetwork) -> list[int]:
    """Edges on the longest path from a supplier to each node: how far to the right it is drawn."""
    depth = [0] * network.nodes
    for _ in range(network.nodes):
        for source, target in zip(network.source.tolist(), network.target.tolist(), strict=True):
            depth[target] = max(depth[target], depth[source] + 1)
    return depth


def nodes(replay: Replay, content: dict[str, Any], who: str, product: int | None, place: str | None) -> pl.DataFrame:
    """Where nodes are drawn, suppliers left: name, kind, x, y, chosen, on_hand (mean units of the counted periods;
    null for a supplier), holding_cost, underage_cost.

    Of a network with more edges than can be told apart, only the chosen place and its neighbours are drawn.
    """
    network, depth = replay.network, depths(replay.network)
    names = (*network.places, *network.suppliers)
    told = {node["name"]: node for node in content["nodes"]}
    stock = dict(zip(network.places, _counted(replay, replay.played[who].on_hand, product).tolist(), strict=True))
    shown = {end for edge in _drawn(network, place) for end in _ends(network, edge)} | {place}
    rows = []
    for layer in range(max(depth) + 1):
        members = [name for name, far in zip(names, depth, strict=True) if far == layer and name in shown]
        for number, name in enumerate(members, 1):
            node = told[name]
            costs = (float(node.get("holding_cost", 0)), float(node.get("underage_cost", 0)))
            height = 1 - number / (len(members) + 1)
            rows.append((name, node["kind"], float(layer), height, name == place, stock.get(name), *costs))
    schema = {
        "name": pl.String, "kind": pl.String, "x": pl.Float64, "y": pl.Float64, "chosen": pl.Boolean,
        "on_hand": pl.Float64, "holding_cost": pl.Float64, "underage_cost": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row")


def edges(replay: Replay, drawn: pl.DataFrame, who: str, product: int | None, place: str | None) -> pl.DataFrame:
    """Who supplies whom among the drawn nodes: source, target, lead_time, unit_cost, flow (mean units a counted
    period), x, y, x2, y2, chosen."""
    network = replay.network
    flow = _counted(replay, replay.played[who].orders, product)
    rows = [
        (*_ends(network, edge), int(network.lead_time[edge]), float(network.unit_cost[edge]), float(flow[edge]))
        for edge in _drawn(network, place)
    ]
    schema = {
        "source": pl.String, "target": pl.String, "lead_time": pl.Int64, "unit_cost": pl.Float64, "flow": pl.Float64,
    }  # fmt: skip
    at = drawn.select("name", "x", "y")
    return (
        pl.DataFrame(rows, schema=schema, orient="row")
        .join(at, left_on="source", right_on="name", maintain_order="left")
        .join(at.rename({"x": "x2", "y": "y2"}), left_on="target", right_on="name", maintain_order="left")
        .with_columns(chosen=(pl.col("source") == pl.lit(place)) | (pl.col("target") == pl.lit(place)))
    )


def trace(replay: Replay, product: int | None, place: str, quantity: Quantity) -> pl.DataFrame:
    """One quantity at one place through time under every policy: period, who, units; the sum over products where
    none is named. Demand is the same for all and comes once. Empty where the place does not have the quantity."""
    first = replay.scenarios.first_period
    rows: list[tuple[int, str, float]] = []
    for who, played in replay.played.items():
        path = _path(replay.network, played, place, quantity)
        if path is None or (quantity == "demand" and rows):
            continue
        units = (path.sum(axis=0) if product is None else path[product])[:PERIODS_DRAWN]
        shown = "demand" if quantity == "demand" else who
        rows += [(first + period, shown, value) for period, value in enumerate(units.tolist())]
    return pl.DataFrame(rows, schema={"period": pl.Int64, "who": pl.String, "units": pl.Float64}, orient="row")


def cost_split(replay: Replay) -> pl.DataFrame:
    """Mean cost per store and counted period over the kept products: cause, who, value, lower, upper."""
    rows = []
    for who, played in replay.played.items():
        split = costs_by_cause(played, replay.scenarios.warmup)
        for cause, costs in (*split.items(), ("total", cost(played, replay.scenarios.warmup))):
            rows.append((cause, who, *_around(costs)))
    return pl.DataFrame(rows, schema={"cause": pl.String, "who": pl.String, **_INTERVAL}, orient="row")


def service(replay: Replay, place: str) -> pl.DataFrame:
    """The share of demand served from stock, of the network and of a place that sees demand: where, who, value, lower,
    upper; over the kept products for which anything was asked."""
    network, rows = replay.network, []
    where = {"the whole network": None} | ({place: network.stores.index(place)} if place in network.stores else {})
    for name, store in where.items():
        for who, played in replay.played.items():
            level = service_level(played, replay.scenarios.warmup, store)
            if (known := level[~np.isnan(level)]).size:
                rows.append((name, who, *_around(known)))
    return pl.DataFrame(rows, schema={"where": pl.String, "who": pl.String, **_INTERVAL}, orient="row")


def by_product(replay: Replay) -> pl.DataFrame:
    """What the means are taken over: product, policy, its cost by cause, in all, and its share of demand served."""
    warmup, frames = replay.scenarios.warmup, []
    for who, played in replay.played.items():
        causes = {f"{cause} cost": values for cause, values in costs_by_cause(played, warmup).items()}
        frames.append(
            pl.DataFrame(
                {
                    "product": list(replay.scenarios.products),
                    "policy": who,
                    **causes,
                    "cost": cost(played, warmup),
                    "served": service_level(played, warmup),
                }
            )
        )
    return pl.concat(frames)


def compared(replays: Iterable[tuple[str, Replay]]) -> pl.DataFrame:
    """The candidate's gain in cost over each other policy, paired by product: label, value, lower, upper, word."""
    rows = []
    for terms, replay in replays:
        own = replay.played.get(CANDIDATE)
        for who, played in replay.played.items():
            if own is not None and who != CANDIDATE and len(replay.scenarios.products) > 1:
                warmup = replay.scenarios.warmup
                value, lower, upper = _around(cost(played, warmup) - cost(own, warmup))
                rows.append((f"{terms}, over {_the(who)}", value, lower, upper, str(word_of(lower, upper))))
    return pl.DataFrame(rows, schema={"label": pl.String, **_INTERVAL, "word": pl.String}, orient="row")


def beside(usual: Replay, other: Replay) -> pl.DataFrame:
    """Each policy's mean cost and service level on both terms: policy, and two figures for each, with intervals."""
    rows = []
    for who in other.played:
        told: dict[str, str] = {"policy": who}
        for terms, replay in (("as it is", usual), ("what if", other)):
            warmup = replay.scenarios.warmup
            if who in replay.played:
                told[f"cost, {terms}"] = _told(cost(replay.played[who], warmup), "{:,.4g}")
                level = service_level(replay.played[who], warmup)
                told[f"service, {terms}"] = _told(level[~np.isnan(level)], "{:.1%}")
        rows.append(told)
    return pl.DataFrame(rows)


def _told(values: Floats, form: str) -> str:
    if not values.size:
        return "nothing was asked for"
    value, lower, upper = (form.format(figure) for figure in _around(values))
    return value if len(values) < 2 else f"{value} ({lower} to {upper})"


def _the(who: str) -> str:
    return who if who == BASE_STOCK else f"the {who}"


def _around(values: Floats) -> tuple[float, float, float]:
    """The mean over products with its interval; one product has none, and its value stands alone."""
    if len(values) < 2:
        return float(values[0]), float(values[0]), float(values[0])
    found = paired_interval(values, CONFIDENCE)
    return found.value, found.lower, found.upper


def _counted(replay: Replay, values: Floats, product: int | None) -> Floats:
    """The mean over the counted periods of values (product, period, …), summed over products or of one."""
    chosen = values.sum(axis=0) if product is None else values[product]
    return np.asarray(chosen[replay.scenarios.warmup :].mean(axis=0))


def _path(network: PlainNetwork, played: Played, place: str, quantity: Quantity) -> Floats | None:
    number = network.places.index(place)
    if quantity in ("demand", "unmet"):
        return getattr(played, quantity)[:, :, network.stores.index(place)] if place in network.stores else None
    if quantity == "ordered":
        return np.asarray(played.orders[:, :, network.target == number].sum(axis=2))
    if quantity == "shipped":
        out = network.source == number
        return np.asarray(played.orders[:, :, out].sum(axis=2)) if out.any() else None
    return np.asarray(getattr(played, quantity)[:, :, number])


def _ends(network: PlainNetwork, edge: int) -> tuple[str, str]:
    names = (*network.places, *network.suppliers)
    return names[int(network.source[edge])], names[int(network.target[edge])]


def _drawn(network: PlainNetwork, place: str | None) -> list[int]:
    numbers = list(range(len(network.source)))
    if len(numbers) <= EDGES_DRAWN:
        return numbers
    return [edge for edge in numbers if place in _ends(network, edge)][:EDGES_DRAWN]
