"""A small store as flows would leave it, made through Quaestor's own functions and without any training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from quaestor.certification.certificate import CertificateParams, Subject
from quaestor.log.ingest import ingest_file
from quaestor.log.manifest import PROPENSITY_EDGES
from quaestor.ope.interval import Interval
from quaestor.ope.weights import Overlap
from quaestor.registry import iteration as registry
from quaestor.registry.certificates import issue_certificate
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.gate import GateParams
from quaestor.registry.iteration import Inputs
from quaestor.registry.judging import CERTIFICATE, EVALUATION, HEALTH, judge_iteration, keep
from quaestor.registry.promotion import promote
from quaestor.settings import Settings
from quaestor.simulation.scenarios import SCENARIOS
from quaestor.store import networks
from tests.app.shops import NETWORK, kept_scenarios, policy_files
from tests.quaestor.events import decision, outcome, write

HOSTILE = "![x](http://evil.example/x.png) <img src=http://evil.example onerror=1> :red[y]"
ACTIONS = ("card", "token")


@dataclass(frozen=True)
class Filled:
    """The ids of what is in the store: a payments rule and two generations, an inventory base stock and candidate,
    and an iteration of a hostile name that was never evaluated."""

    rule: str
    first: str
    second: str
    base_stock: str
    graph: str
    hostile: str


def fill(settings: Settings, folder: Path) -> Filled:
    """Fills the store that the settings point at; event files are written to `folder`."""
    ingest(settings, folder)
    rule = register(settings, "cards", "rule_of_thumb", {"digest": "none: a rule learns nothing"}, None)
    promote(settings.store, rule, "tester", "the rule in use", override=True)
    first = generation(settings, rule, rule, 0.14, 0.01, share_of_gap=0.911)
    promote(settings.store, first, "tester", "agreed")
    second = generation(settings, first, first, 0.001, 0.006, share_of_gap=0.927)
    files = policy_files((40.0, 15.0, 20.0))
    base_stock = register(settings, "shops", "base_stock", stocked(), None, "yardstick", files)
    promote(settings.store, base_stock, "tester", "the best classical policy", override=True)
    hostile = register(settings, "bazaar", HOSTILE, rounds(), None)
    graph = inventory(settings, base_stock)
    return Filled(rule, first, second, base_stock, graph, hostile)


def ingest(settings: Settings, folder: Path) -> None:
    """120 decisions over five days, 90 of them answered within the hour, and one answer to an unknown decision."""
    start = datetime.now(UTC) - timedelta(days=5)
    times = [start + timedelta(hours=number) for number in range(120)]
    decisions = [decision(number, system="cards", decided_at=at) for number, at in enumerate(times)]
    outcomes = [
        outcome(number, system="cards", observed_at=times[number] + timedelta(hours=1))
        for number in range(120)
        if number % 4
    ]
    outcomes.append(outcome(999, system="cards", observed_at=times[-1]))
    ingest_file(settings.store, "decisions", write(folder, "decisions.parquet", decisions))
    ingest_file(settings.store, "outcomes", write(folder, "outcomes.parquet", outcomes))


def generation(
    settings: Settings, parent_id: str, incumbent_id: str, gain: float, reach: float, share_of_gap: float
) -> str:
    """A judged payments iteration with all its evidence."""
    name = register(settings, "cards", f"logistic oracle, gain {gain:g}", rounds(), parent_id)
    by_action = {"brier_by_action": {"card": 0.15, "token": 0.17}, "ece_by_action": {"card": 0.004, "token": 0.009}}
    pairs = [[0.1 * n + 0.05, 0.1 * n + 0.06] for n in range(10)]
    mix = {"action_mix": {"card": 0.3, "token": 0.7}, "agreement": 0.8, "entropy": 0.9, "least_propensity": 0.01}
    keep(settings.store, name, "calibration", {"brier": 0.16, "ece": 0.005, **by_action, "curve": pairs})
    keep(settings.store, name, HEALTH, {**mix, "alarms": []}, incumbent_id)
    keep(settings.store, name, "truth", {"share_of_gap": share_of_gap})
    keep(settings.store, name, EVALUATION, payments_evaluation(incumbent_id, gain, reach).as_json(), incumbent_id)
    certify(settings, name, payments_subject())
    judge_iteration(settings.store, "cards", name, incumbent_id, GateParams(), "tester")
    return name


def inventory(settings: Settings, incumbent_id: str) -> str:
    """A judged inventory iteration with all its evidence."""
    name = register(settings, "shops", "graph", stocked(), incumbent_id, files=policy_files((60.0, 20.0, 30.0)))
    with settings.store.write() as connection:
        networks.add(connection, "network", "two-shops", registry.canonical_json(NETWORK))
    epochs = [{"number": n, "train_cost": 300.0 - n, "dev_cost": 250.0 - n} for n in range(1, 21)]
    keep(settings.store, name, "learning_curve", {"epochs": epochs, "best": 18})
    keep(settings.store, name, SCENARIOS, kept_scenarios(incumbent_id), incumbent_id)
    keep(settings.store, name, EVALUATION, inventory_evaluation(incumbent_id).as_json(), incumbent_id)
    certify(settings, name, inventory_subject())
    judge_iteration(settings.store, "shops", name, incumbent_id, GateParams(), "tester")
    return name


def register(
    settings: Settings,
    system: str,
    policy: str,
    data: dict[str, Any],
    parent_id: str | None,
    role: str = "candidate",
    files: dict[str, bytes] | None = None,
) -> str:
    """Registers an iteration, of one tiny file where none are given, and returns its id."""
    inputs = Inputs(system, policy, {"role": role, "name": policy}, data, 0, "code")
    content = files or {"policy.onnx": b"made up"}
    made = registry.register(settings.store, settings.data, inputs, content, parent_id, "tester")
    return made.iteration_id


def certify(settings: Settings, iteration_id: str, subject: Subject) -> None:
    """Issues a certificate over made-up episodes in the middle of [0, cap]."""
    params = CertificateParams(noise_scale=0.1, budgets=(0.025, 0.05, 0.1), episodes=400)
    values = np.random.default_rng(0).normal(0.5 * subject.cap, 0.02 * subject.cap, params.episodes)
    middle = 0.5 * subject.cap
    issue_certificate(
        settings.store, settings.data, iteration_id, subject, params, values,
        unsmoothed=middle, attacked=(middle, middle, middle), attacks="the worst of 2 constant biases", code="test",
    )  # fmt: skip


def expire(settings: Settings, iteration_id: str, certificate: dict[str, Any]) -> None:
    """Keeps a newer certificate that has run out."""
    keep(settings.store, iteration_id, CERTIFICATE, {**certificate, "expires_at": "2020-01-01T00:00:00"})


def interval(value: float, reach: float) -> Interval:
    """A 95 % interval of this value and reach."""
    return Interval(value, value - reach, value + reach, 0.95, "normal")


def payments_evaluation(incumbent_id: str, gain: float, reach: float) -> Evaluation:
    """An evaluation read from a log with good overlap."""
    overlap = Overlap(20_000, 5000.0, 40.0, 0.002, 1.0, 0.01, 3000)
    return Evaluation(
        quantity="reward",
        unit="reward a round",
        estimator="doubly robust",
        evaluated_on="20,000 held-out rounds",
        incumbent_id=incumbent_id,
        pairs=20_000,
        candidate=interval(0.66 + gain, 0.013),
        incumbent=interval(0.66, 0.006),
        difference=interval(gain, reach),
        others={"ips": interval(gain, 2 * reach), "snips": interval(gain, 1.5 * reach)},
        overlap=overlap,
        incumbent_overlap=replace(overlap, effective_size=20_000.0),
    )


def inventory_evaluation(incumbent_id: str) -> Evaluation:
    """A simulated evaluation in which the candidate costs 21 less."""
    return Evaluation(
        quantity="cost",
        unit="cost per store and period",
        estimator="simulation",
        evaluated_on="72 products in held-out periods 150 to 170",
        incumbent_id=incumbent_id,
        pairs=72,
        candidate=interval(212.0, 66.0),
        incumbent=interval(233.0, 72.0),
        difference=interval(-21.0, 6.5),
        others={"to base stock": interval(-21.0, 6.5), "to newsvendor": interval(-56.0, 17.0)},
    )


def payments_subject() -> Subject:
    """Whose certificate a payments iteration has."""
    return Subject(
        system="cards",
        quantity="reward",
        unit="reward a payment",
        episode="400 payments",
        environment="replayed contexts",
        noise="on every number, in its standard deviations",
        cap=1.0,
        runner_digest="0" * 64,
        data_digest="1" * 64,
        not_covered=("changes to actions",),
    )


def inventory_subject() -> Subject:
    """Whose certificate an inventory iteration has."""
    return replace(payments_subject(), system="shops", quantity="cost", unit="cost per store and period", cap=300.0)


def rounds() -> dict[str, Any]:
    """The manifest of what a payments iteration learnt from."""
    return {
        "digest": "rounds",
        "as_of": "2026-03-04T00:00:00",
        "attribution_hours": 72.0,
        "default_reward": 0.0,
        "defaulted_share": 0.02,
        "rounds": 80_000,
        "actions": {"card": 20_000, "token": 60_000},
        "propensity_histogram": [0] * (len(PROPENSITY_EDGES) - 2) + [80_000],
    }


def stocked() -> dict[str, Any]:
    """The manifest of what an inventory iteration learnt from."""
    return {"digest": "demand", "network_id": "network", "periods": 171, "products": 72}
