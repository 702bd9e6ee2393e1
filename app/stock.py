"""Turns inventory evidence into frames: learning curve, network, stock and flow through time, cost by cause."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import polars as pl

Quantity: TypeAlias = Literal["on_hand", "in_transit", "ordered", "shipped", "demand", "unmet"]

LAYERS = {"supplier": 0, "warehouse": 1, "store": 2}
CAUSES = ("holding", "underage", "purchase")
EDGES_DRAWN = 1_000
EPOCHS_DRAWN = 1_000


def learning(curve: dict[str, Any]) -> pl.DataFrame:
    """Cost by epoch on the training and on the dev periods: epoch, on, cost; of a long curve every n-th epoch."""
    names = {"train_cost": "training periods", "dev_cost": "dev periods"}
    drawn = curve["epochs"][:: every(len(curve["epochs"]))]
    rows = [(epoch["number"], on, epoch[name]) for epoch in drawn for name, on in names.items()]
    return pl.DataFrame(rows, schema={"epoch": pl.Int64, "on": pl.String, "cost": pl.Float64}, orient="row")


def every(epochs: int) -> int:
    """Every how many epochs one is drawn."""
    return -(-epochs // EPOCHS_DRAWN)


def nodes(network: dict[str, Any], place: str | None = None) -> pl.DataFrame:
    """Where nodes are drawn, suppliers left, stores right: name, kind, x, y, chosen, holding_cost, underage_cost.

    Of a network with more edges than can be told apart, only the chosen place and its neighbours are drawn.
    """
    rows = []
    for kind, layer in LAYERS.items():
        members = [node for node in network["nodes"] if node["kind"] == kind]
        for number, node in enumerate(members, 1):
            height = 1 - number / (len(members) + 1)
            costs = (float(node.get("holding_cost", 0)), float(node.get("underage_cost", 0)))
            rows.append((node["name"], kind, float(layer), height, node["name"] == place, *costs))
    schema = {
        "name": pl.String,
        "kind": pl.String,
        "x": pl.Float64,
        "y": pl.Float64,
        "chosen": pl.Boolean,
        "holding_cost": pl.Float64,
        "underage_cost": pl.Float64,
    }
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    if len(network["edges"]) <= EDGES_DRAWN:
        return frame
    ends = {end for edge in _drawn(network, place) for end in (edge["source"], edge["target"])}
    return frame.filter(pl.col("name").is_in(ends | {str(place)}))


def edges(network: dict[str, Any], place: str | None = None) -> pl.DataFrame:
    """Who supplies whom: source, target, lead_time, unit_cost, x, y, x2, y2, chosen.

    Of a network with more edges than can be told apart, only those of the chosen place are drawn.
    """
    drawn = _drawn(network, place)
    frame = pl.DataFrame(
        [(edge["source"], edge["target"], edge["lead_time"], float(edge.get("unit_cost", 0))) for edge in drawn],
        schema={"source": pl.String, "target": pl.String, "lead_time": pl.Int64, "unit_cost": pl.Float64},
        orient="row",
    )
    at = nodes(network, place).select("name", "x", "y")
    return (
        frame.join(at, left_on="source", right_on="name")
        .join(at.rename({"x": "x2", "y": "y2"}), left_on="target", right_on="name")
        .with_columns(chosen=(pl.col("source") == pl.lit(place)) | (pl.col("target") == pl.lit(place)))
    )


def places(network: dict[str, Any]) -> tuple[str, ...]:
    """Warehouses, then stores, in the order of every list of places."""
    return tuple(node["name"] for kind in ("warehouse", "store") for node in network["nodes"] if node["kind"] == kind)


def stores(network: dict[str, Any]) -> tuple[str, ...]:
    """Stores, in the order of every list of stores."""
    return tuple(node["name"] for node in network["nodes"] if node["kind"] == "store")


def trace(plays: dict[str, Any], network: dict[str, Any], product: str, place: str, quantity: Quantity) -> pl.DataFrame:
    """One quantity at one place through time under both policies: period, who, units.

    Demand is the same for both and comes once. Empty where the place does not have the quantity.
    """
    over = stores(network) if quantity in ("demand", "unmet") else places(network)
    supplies = {edge["source"] for edge in network["edges"]}
    rows: list[tuple[int, str, float]] = []
    if place in over and (quantity != "shipped" or place in supplies):
        for who in ("candidate", "incumbent"):
            shown = "recorded" if quantity == "demand" else who
            path = plays[who].get(product, {}).get(quantity, [])
            rows += [(plays["first_period"] + t, shown, units[over.index(place)]) for t, units in enumerate(path)]
    schema = {"period": pl.Int64, "who": pl.String, "units": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").unique(["period", "who"], maintain_order=True)


def cost_split(plays: dict[str, Any], product: str) -> pl.DataFrame:
    """One product's cost over the counted periods and the whole network: cause, who, cost; `total` is their sum."""
    rows = []
    for who in ("candidate", "incumbent"):
        play = plays[who].get(product, {})
        costs = [sum(play.get(cause, [])[plays["warmup"] :]) for cause in CAUSES]
        rows += [(cause, who, cost) for cause, cost in zip(CAUSES, costs, strict=True)]
        rows.append(("total", who, sum(costs)))
    return pl.DataFrame(rows, schema={"cause": pl.String, "who": pl.String, "cost": pl.Float64}, orient="row")


def _drawn(network: dict[str, Any], place: str | None) -> list[dict[str, Any]]:
    edges: list[dict[str, Any]] = network["edges"]
    if len(edges) <= EDGES_DRAWN:
        return edges
    return [edge for edge in edges if place in (edge["source"], edge["target"])][:EDGES_DRAWN]
