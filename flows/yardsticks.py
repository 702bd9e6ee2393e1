"""The classical order policies that a candidate is held against, by name, and the best cost that is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from flows.inventory_study import InventoryStudy
from models.inventory.network import read_network
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import PolicyParams
from models.inventory.policies.capped_base_stock import CappedBaseStockParams
from models.inventory.policies.echelon_base_stock import EchelonBaseStockParams
from models.inventory.policies.newsvendor import NewsvendorParams
from models.inventory.policies.reorder_point import ReorderPointParams
from models.inventory.yardsticks.known import known_bound
from quaestor.registry.comparison import BOUND
from quaestor.registry.judging import has, keep
from quaestor.settings import Settings

REFERENCE = "newsvendor, learned quantile"
"""Whose dev cost a certificate's cap is declared from."""


def yardstick_params(study: InventoryStudy) -> dict[str, PolicyParams]:
    """The classical policies of a study: they follow recorded demand, and know the law of drawn demand."""
    past = study.windows.history
    fixed: dict[str, PolicyParams] = {}
    if any(edge.order_cost for edge in read_network(study.network).edges):
        fixed = {"(s, S)": ReorderPointParams(window=past if study.drawn is None else 0)}
    classical: dict[str, PolicyParams] = {REFERENCE: NewsvendorParams(quantile="learned", window=past)}
    if study.drawn is None:
        if study.terms is None:  # otherwise there is no one ratio of costs
            classical["newsvendor"] = NewsvendorParams(window=past)
        return classical | {"base stock": BaseStockParams(window=past)} | fixed
    classical["base stock"] = BaseStockParams(window=0)
    classical["capped base stock"] = CappedBaseStockParams(window=0)
    classical["echelon base stock"] = EchelonBaseStockParams(window=0)
    return classical | fixed


def keep_bound(settings: Settings, study: InventoryStudy, candidate_id: str, say: Callable[[str], None]) -> None:
    """Keeps the best long-run cost that is known of a study's network and law of demand, if one is."""
    if study.drawn is None or has(settings.store, candidate_id, BOUND):
        return
    say(f"{study.system}: looking for the best cost that is known (a lower bound of a network takes minutes)")
    found = known_bound(read_network(study.network), study.drawn.law)
    if found is not None:
        keep(settings.store, candidate_id, BOUND, asdict(found))
