"""Builds an order policy from its parameters: the one place that lists the family's members."""

from __future__ import annotations

import torch

from models.inventory.layout import Layout
from models.inventory.policies.base_stock import BaseStockParams, BaseStockPolicy
from models.inventory.policies.capped_base_stock import CappedBaseStockParams, CappedBaseStockPolicy
from models.inventory.policies.echelon_base_stock import EchelonBaseStockParams, EchelonBaseStockPolicy
from models.inventory.policies.graph import GraphParams, GraphPolicy
from models.inventory.policies.mlp import MLPParams, MLPPolicy
from models.inventory.policies.newsvendor import NewsvendorParams, NewsvendorPolicy
from models.inventory.policies.reorder_point import ReorderPointParams, ReorderPointPolicy

OrderModule = (
    GraphPolicy
    | MLPPolicy
    | BaseStockPolicy
    | CappedBaseStockPolicy
    | EchelonBaseStockPolicy
    | ReorderPointPolicy
    | NewsvendorPolicy
)
PolicyParams = (
    GraphParams
    | MLPParams
    | BaseStockParams
    | CappedBaseStockParams
    | EchelonBaseStockParams
    | ReorderPointParams
    | NewsvendorParams
)


def build_policy(params: PolicyParams, layout: Layout, typical_demand: float, seed: int) -> OrderModule:
    """A freshly initialised policy; `typical_demand` is a store's mean demand, in units a period."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        match params:
            case GraphParams():
                policy: OrderModule = GraphPolicy(params, typical_demand, layout.longest_lead_time)
            case MLPParams():
                policy = MLPPolicy(params, layout, typical_demand)
            case BaseStockParams():
                policy = BaseStockPolicy(params, layout, typical_demand)
            case CappedBaseStockParams():
                policy = CappedBaseStockPolicy(params, layout, typical_demand)
            case EchelonBaseStockParams():
                policy = EchelonBaseStockPolicy(params, layout, typical_demand)
            case ReorderPointParams():
                policy = ReorderPointPolicy(params, layout, typical_demand)
            case NewsvendorParams():
                policy = NewsvendorPolicy(params, layout)
    return policy.to(layout.holding_cost.dtype)
