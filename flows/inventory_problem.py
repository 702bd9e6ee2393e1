"""Reads the problem that a study poses: its network, and recorded or drawn demand."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from flows.inventory_study import DrawnDemand, InventoryStudy
from flows.inventory_terms import on_own_terms
from models.inventory.layout import layout_of
from models.inventory.network import read_network
from models.inventory.problem import Problem, problem_from_demand
from quaestor.errors import UsageError
from quaestor.log.censoring import uncensored
from quaestor.log.demand import DemandPanel, days_from_christmas, demand_panel
from quaestor.registry.canonical import canonical_json, digest_of
from quaestor.settings import Settings
from quaestor.store import demand, networks


@dataclass(frozen=True)
class Recorded:
    """The problem that demand poses, and what it was made of."""

    problem: Problem
    panel: DemandPanel
    data: dict[str, Any]


def load_problem(settings: Settings, study: InventoryStudy) -> Recorded:
    """Reads the network and its demand, and cuts them by the study's windows."""
    network = read_network(study.network)
    stores = tuple(store.name for store in network.stores)
    content = canonical_json(asdict(network))
    panel, keys = _panel(settings, study, stores)
    windows = study.windows
    if panel.periods < windows.test[1]:
        raise UsageError(
            f"The test window ends at period {windows.test[1]}, but only {panel.periods} periods are recorded."
        )
    calendar = days_from_christmas(panel.starts_on)[:, None] / 100 if panel.starts_on else np.zeros((panel.periods, 0))
    wanted = getattr(study.policy, "calendar", calendar.shape[1])
    if wanted != calendar.shape[1]:
        raise UsageError(f"policy.calendar is {wanted}, but the records give {calendar.shape[1]} calendar features.")
    layout, terms = layout_of(network), None
    if study.terms is not None:
        layout, terms = on_own_terms(layout, study.terms, keys)
    problem = problem_from_demand(
        network,
        layout,
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
        "digest": digest_of([panel.digest(), network_id, asdict(windows), *([terms] if terms else [])]),
        "demand": panel.digest(),
        "demand_system": None if study.drawn else study.demand or study.system,
        "network_id": network_id,
        "products": len(panel.products),
        "stores": len(stores),
        "periods": panel.periods,
        "windows": asdict(windows),
        "returns_clipped": panel.returns_clipped,
    }
    return Recorded(problem, panel, data)


def _panel(
    settings: Settings, study: InventoryStudy, stores: tuple[str, ...]
) -> tuple[DemandPanel, list[list[tuple[str, str]]]]:
    """Demand over the network's stores, and whose it is: (product, store) of each scenario and store."""
    if study.drawn is not None:
        panel = _drawn(study, study.drawn, stores)
        return panel, [[(product, store) for store in stores] for product in panel.products]
    with settings.store.read() as connection:
        records = demand.records(connection, study.demand or study.system)
    apart = study.scenario == "product and store"
    if apart and len(stores) != 1:
        raise UsageError(
            f"scenario = 'product and store' is for a network with one store, {study.network.name} has {len(stores)}."
        )
    panel = demand_panel(records, tuple(records["store"].unique().sort()) if apart else stores)
    if study.censored:
        panel = _uncensored(panel, study)
    if study.products is not None:
        count = min(study.products, len(panel.products))
        panel = panel.take(np.linspace(0, len(panel.products) - 1, count).round().astype(np.int64))
    keys = [[(product, store) for store in panel.stores] for product in panel.products]
    if not apart:
        return panel, keys
    return panel.by_store(stores[0]), [[key] for row in keys for key in row]


def _uncensored(panel: DemandPanel, study: InventoryStudy) -> DemandPanel:
    if panel.stocked_out is None:
        raise UsageError("censored = true, but no record is marked stocked_out; ingest demand with that column.")
    first, end = study.windows.train
    found, kept = uncensored(panel, first, end, study.hdpo.seed)
    if kept:
        logging.getLogger(__name__).warning(
            "%s: %d of %d stocked-out records stay as recorded: no demand as high was ever seen in full.",
            study.system,
            kept,
            int(panel.stocked_out.sum()),
        )
    return found


def _drawn(study: InventoryStudy, drawn: DrawnDemand, stores: tuple[str, ...]) -> DemandPanel:
    """Every scenario stands for a product; as many periods as the windows ask for."""
    if drawn.law.stores != len(stores):
        raise UsageError(f"drawn.law is for {drawn.law.stores} stores, the network has {len(stores)}.")
    digits = len(str(drawn.scenarios - 1))
    names = tuple(f"scenario-{number:0{digits}}" for number in range(drawn.scenarios))
    units = drawn.law.draw(drawn.scenarios, study.windows.test[1], drawn.seed)
    return DemandPanel(study.system, names, stores, (), units, 0)
