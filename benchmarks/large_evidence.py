"""Evidence of the size that flows keep, for stores that are filled to be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np

from models.inventory.graph_export import inventory_graph
from models.inventory.layout import layout_of
from models.inventory.network import Network
from models.inventory.policies.build import build_policy
from models.inventory.policies.graph import GraphParams
from quaestor.certification.certificate import Certificate, CertificateParams, Reading, Subject, certify, estimate
from quaestor.clock import utc_now
from quaestor.export.policy import GRAPH, SPEC
from quaestor.export.spec import InventorySpec, spec_json
from quaestor.ope.interval import Interval
from quaestor.ope.weights import Overlap
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.judging import CERTIFICATE, EVALUATION, HEALTH
from quaestor.simulation.period import Stock
from quaestor.simulation.scenarios import PlainScenarios, scenarios_json

Kept = dict[str, tuple[bool, dict[str, Any]]]
"""Evidence by kind: whether it is against the incumbent, and its content."""

ACTIONS = ("card", "token", "retry", "challenge")
PRODUCTS, HISTORY, WARMUP, PERIODS = 24, 16, 16, 21


def _payments(incumbent: str, number: int) -> Kept:
    pairs = [[0.1 * n + 0.05, 0.1 * n + 0.06] for n in range(10)]
    by_action = {f"{name}_by_action": dict.fromkeys(ACTIONS, 0.1) for name in ("brier", "ece")}
    mix = {"card": 0.1, "token": 0.2, "retry": 0.3, "challenge": 0.4}
    health = {"action_mix": mix, "agreement": 0.8, "entropy": 0.9, "least_propensity": 0.01, "alarms": []}
    return {
        "calibration": (False, {"brier": 0.16, "ece": 0.005, **by_action, "curve": pairs}),
        HEALTH: (True, health),
        "truth": (False, {"share_of_gap": 0.9 + 0.0001 * number}),
        CERTIFICATE: (False, _certificate("reward", number).as_json()),
        EVALUATION: (True, _evaluation(incumbent, number, "reward").as_json()),
    }


def _inventory(incumbent: str, number: int) -> Kept:
    epochs = [{"number": n, "train_cost": 300.0 - n, "dev_cost": 250.0 - n} for n in range(1, 201)]
    return {
        "learning_curve": (False, {"epochs": epochs, "best": 180}),
        CERTIFICATE: (False, _certificate("cost", number).as_json()),
        EVALUATION: (True, _evaluation(incumbent, number, "cost").as_json()),
    }


EVIDENCE: dict[str, Callable[[str, int], Kept]] = {"payments": _payments, "inventory": _inventory}


def _evaluation(incumbent: str, number: int, quantity: str) -> Evaluation:
    value = 0.01 * (number % 7 - 3)
    gain = Interval(value, value - 0.02, value + 0.02, 0.95, "normal")
    around = dict.fromkeys(("ips", "snips", "dm", "cab"), gain)
    covered = Overlap(20_000, 5000.0, 40.0, 0.002, 1.0, 0.01, 3000) if quantity == "reward" else None
    return Evaluation(
        quantity="reward" if quantity == "reward" else "cost",
        unit="reward a round" if quantity == "reward" else "cost per store and period",
        estimator="doubly robust" if quantity == "reward" else "simulation",
        evaluated_on="20,000 held-out rounds",
        incumbent_id=incumbent,
        pairs=20_000,
        candidate=Interval(0.7 + value, 0.69 + value, 0.71 + value, 0.95, "normal"),
        incumbent=Interval(0.7, 0.69, 0.71, 0.95, "normal"),
        difference=gain,
        others=around,
        overlap=covered,
        incumbent_overlap=replace(covered, effective_size=20_000.0) if covered else None,
    )


def _certificate(quantity: str, number: int) -> Certificate:
    cap = 1.0 if quantity == "reward" else 300.0
    subject = Subject(
        system="checkout" if quantity == "reward" else "shops",
        quantity="reward" if quantity == "reward" else "cost",
        unit="reward a payment" if quantity == "reward" else "cost per store and period",
        episode="400 payments",
        environment="replayed contexts",
        noise="on every number, in its standard deviations",
        cap=cap,
        runner_digest="0" * 64,
        data_digest="1" * 64,
        not_covered=("changes to actions", "what the log does not hold"),
        readings=(Reading("amount", "euro", 40.0, 400),),
    )
    params = CertificateParams(noise_scale=0.1, budgets=(0.025, 0.05, 0.1), episodes=200, method="clopper-pearson")
    values = np.random.default_rng(number).normal(0.5 * cap, 0.02 * cap, params.episodes)
    now = utc_now()
    return Certificate(
        subject=subject,
        params=params,
        bounds=certify(values, subject, params),
        estimates=estimate(values, subject, params),
        attacked=(0.5 * cap,) * 3,
        attacks="the worst of 2 constant biases",
        nominal=float(values.mean()),
        unsmoothed=0.5 * cap,
        beyond_cap=0.0,
        episodes=params.episodes,
        costs_digest="2" * 64,
        code="bench",
        issued_at=now.isoformat(timespec="seconds"),
        expires_at=(now + timedelta(days=90)).isoformat(timespec="seconds"),
    )


def policy_files(network: Network, system: str) -> dict[str, bytes]:
    """The files of an untrained graph policy of a network."""
    layout = layout_of(network)
    policy = build_policy(GraphParams(calendar=0), layout, 6.0, 0)
    spec = InventorySpec(
        kind="inventory",
        system=system,
        places=tuple(place.name for place in network.places),
        stores=tuple(store.name for store in network.stores),
        edges=tuple((edge.source, edge.target) for edge in network.edges),
        lead=network.longest_lead_time,
        window=policy.window,
        calendar=(),
        noise_scale=0.03,
        salt="salt",
    )
    return {GRAPH: inventory_graph(policy, layout, policy.window, 0), SPEC: spec_json(spec)}


def scenarios_of(network: Network, network_id: str) -> dict[str, Any]:
    """Held-out demand of a network as it is kept with an iteration."""
    places, stores, periods = len(network.places), len(network.stores), HISTORY + WARMUP + PERIODS
    demand = np.random.default_rng(0).poisson(20.0, (PRODUCTS, stores, periods)).astype(np.float64)
    opening = Stock(np.full((PRODUCTS, places), 20.0), np.zeros((PRODUCTS, places, network.longest_lead_time)))
    names = tuple(f"P{number:03d}" for number in range(PRODUCTS))
    kept = PlainScenarios(names, 118, HISTORY, WARMUP, True, demand, np.zeros((periods, 0)), opening)
    return {"network_id": network_id, **scenarios_json(kept)}
