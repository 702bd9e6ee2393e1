"""Reads the problem that recorded demand poses."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from flows.studies import InventoryStudy
from models.inventory.network import read_network
from models.inventory.problem import Problem, problem_from_demand
from quaestor.errors import UsageError
from quaestor.log.demand import DemandPanel, days_from_christmas, demand_panel
from quaestor.registry.canonical import canonical_json, digest_of
from quaestor.settings import Settings
from quaestor.store import demand, networks


@dataclass(frozen=True)
class Recorded:
    """The problem that recorded demand poses, and what it was made of."""

    problem: Problem
    panel: DemandPanel
    data: dict[str, Any]


def load_problem(settings: Settings, study: InventoryStudy) -> Recorded:
    """Reads the network and the recorded demand, and cuts them by the study's windows."""
    network = read_network(study.network)
    stores = tuple(store.name for store in network.stores)
    content = canonical_json(asdict(network))
    with settings.store.read() as connection:
        records = demand.records(connection, study.demand or study.system)
    panel = demand_panel(records, stores)
    if study.products is not None:
        count = min(study.products, len(panel.products))
        panel = panel.take(np.linspace(0, len(panel.products) - 1, count).round().astype(np.int64))
    windows = study.windows
    if panel.periods < windows.test[1]:
        raise UsageError(
            f"The test window ends at period {windows.test[1]}, but only {panel.periods} periods are recorded."
        )
    calendar = days_from_christmas(panel.starts_on)[:, None] / 100 if panel.starts_on else np.zeros((panel.periods, 0))
    wanted = getattr(study.policy, "calendar", calendar.shape[1])
    if wanted != calendar.shape[1]:
        raise UsageError(f"policy.calendar is {wanted}, but the records give {calendar.shape[1]} calendar features.")
    problem = problem_from_demand(
        network,
        panel.units,
        calendar,
        (windows.train, windows.dev, windows.test),
        windows.history,
        study.hdpo.seed,
    )
    network_id = digest_of(json.loads(content))
    with settings.store.write() as connection:
        networks.add(connection, network_id, network.name, content)
    data = {
        "digest": digest_of([panel.digest(), network_id, asdict(windows)]),
        "demand": panel.digest(),
        "network_id": network_id,
        "products": len(panel.products),
        "stores": len(stores),
        "periods": panel.periods,
        "windows": asdict(windows),
        "returns_clipped": panel.returns_clipped,
    }
    return Recorded(problem, panel, data)
