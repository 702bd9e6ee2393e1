"""What a policy takes and gives, in words, units and ranges: the part of a manifest that a caller reads."""

from __future__ import annotations

from typing import Any

from quaestor.export.encoding import VERSION, CategoryFeature, NumericFeature
from quaestor.export.spec import InventorySpec, PaymentsSpec, Spec

NOT_DECLARED = "not declared"


def input_schema(spec: Spec) -> dict[str, Any]:
    """The inputs and outputs of a policy as plain values; a bundle's manifest must repeat them."""
    return _inventory(spec) if isinstance(spec, InventorySpec) else _payments(spec)


def _payments(spec: PaymentsSpec) -> dict[str, Any]:
    return {
        "transformation": {"name": "quaestor.export.encoding", "version": VERSION},
        "row": {
            "event_id": "text, not empty, one for each payment",
            "eligible": "a list of at least one action; all actions where absent",
            "decided_at": "a time with a zone; now where absent",
        },
        "actions": list(spec.actions),
        "default_action": spec.default_action,
        "numeric": {f"numeric_{feature.name}": _number(feature) for feature in spec.features.numeric},
        "category": {f"category_{feature.name}": _category(feature) for feature in spec.features.category},
        "noise": f"standard normal × {spec.noise_scale:g} × standard deviation, on every number, inside the graph",
        "fallback": "the default action, or the first eligible one, with propensity 1 and fallback = true",
    }


def _number(feature: NumericFeature) -> dict[str, Any]:
    return {
        "unit": feature.unit or NOT_DECLARED,
        "lowest": feature.lowest,
        "highest": feature.highest,
        "outside": "fallback",
        "missing": f"{feature.missing!r} stands in" if feature.when_missing == "stand_in" else "fallback",
        "standard_deviation": feature.spread,
    }


def _category(feature: CategoryFeature) -> dict[str, Any]:
    unseen = "fallback" if feature.when_unseen == "fallback" else "code 0, as any other"
    return {"levels": len(feature.levels), "unseen_or_missing": unseen}


def _inventory(spec: InventorySpec) -> dict[str, Any]:
    places, stores = len(spec.places), len(spec.stores)

    def tensor(shape: list[int], what: str, unit: str = "units of the product") -> dict[str, Any]:
        return {"shape": shape, "unit": unit, "what": what, "outside": "refused: every value must be a finite number"}

    money, edges = "money a unit and period", len(spec.edges)
    own = {
        "holding_cost": tensor([places], "what a unit that stays costs at each place", money),
        "underage_cost": tensor([stores], "what a unit that was asked for and not there costs at each store", money),
        "unit_cost": tensor([edges], "what a unit costs on each edge", "money a unit"),
        "lead_time": tensor([edges], "periods until an order arrives on each edge, whole and at least 1", "periods"),
    }
    return {
        "transformation": {"name": "none: the graph takes observations as they are", "version": VERSION},
        "row": {"product": "text", "period": "a whole number"},
        "places": list(spec.places),
        "stores": list(spec.stores),
        "edges": [list(edge) for edge in spec.edges],
        "tensors": {
            "on_hand": tensor([places], "stock at each place, below 0 where orders are owed"),
            "in_transit": tensor([places, spec.lead], "what arrives in 1, 2, … periods"),
            "past_demand": tensor([stores, spec.window], "demand at each store, the latest period last"),
            "calendar": tensor([len(spec.calendar)], f"features of the period: {', '.join(spec.calendar)}", "none"),
            "scale": tensor([places], "mean demand through each place, in which noise is measured"),
            **(own if spec.own_terms else {}),
        },
        "orders": "units on each edge, never more than the supplying place has",
        "noise": f"standard normal × {spec.noise_scale:g} × scale, on stock and demand, outside the graph",
    }
