"""Made-up evidence and iterations, for gates, registry and bundles."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from models.payments.refit import Refit, RefitParams, refit
from quaestor.certification.certificate import Certificate, CertificateParams, Subject
from quaestor.export.from_iteration import GOLDEN_ROWS
from quaestor.export.policy import GRAPH, SPEC
from quaestor.export.spec import spec_json
from quaestor.ope.interval import Interval
from quaestor.ope.weights import Overlap
from quaestor.registry import iteration as registry
from quaestor.registry.certificates import issue_certificate
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.gate import GateParams
from quaestor.registry.iteration import Inputs, PolicyIteration
from quaestor.registry.judging import EVALUATION, judge_iteration, keep
from quaestor.settings import Settings
from tests.rounds import bandit

GOOD_OVERLAP = Overlap(20_000, 5000.0, 40.0, 0.002, 1.0, 0.01, 3000)
GATE = GateParams(certified_budget=0.1, certified_loss=0.5)


def interval(value: float, reach: float) -> Interval:
    """A 95 % interval of this value and reach."""
    return Interval(value, value - reach, value + reach, 0.95, "normal")


def evaluation(difference: float = 0.02, reach: float = 0.005, **changes: Any) -> Evaluation:
    """An evaluation read from a log with good overlap."""
    made = Evaluation(
        quantity="reward",
        unit="reward a round",
        estimator="doubly robust",
        evaluated_on="20,000 held-out rounds",
        incumbent_id="incumbent",
        pairs=20_000,
        candidate=interval(0.8 + difference, 0.006),
        incumbent=interval(0.8, 0.006),
        difference=interval(difference, reach),
        others={"ips": interval(difference, 2 * reach)},
        overlap=GOOD_OVERLAP,
        incumbent_overlap=GOOD_OVERLAP,
    )
    return replace(made, **changes)


SUBJECT = Subject(
    system="bandit",
    quantity="reward",
    unit="reward a payment",
    episode="400 payments",
    environment="replayed contexts",
    noise="on every number",
    cap=1.0,
    runner_digest="0" * 64,
    data_digest="1" * 64,
    not_covered=("changes to actions",),
)
CERTIFICATE_PARAMS = CertificateParams(noise_scale=0.1, budgets=(0.05, 0.1, 0.2), episodes=500)


def certify(settings: Settings, iteration_id: str, seed: int = 0) -> Certificate:
    """A kept certificate over made-up episodes with mean reward 0.8."""
    values = np.random.default_rng(seed).normal(0.8, 0.02, CERTIFICATE_PARAMS.episodes)
    graph = registry.get(settings.store, settings.data, iteration_id).files[GRAPH]
    return issue_certificate(
        settings.store, settings.data, iteration_id, replace(SUBJECT, runner_digest=graph), CERTIFICATE_PARAMS, values,
        unsmoothed=0.81, attacked=(0.79, 0.78, 0.77), attacks="constant biases", code="test",
    )  # fmt: skip


def policy(seed: int = 0) -> Refit:
    """A fitted payments policy over the bandit's actions."""
    return refit(bandit(600, seed).batch, RefitParams(default_action="a0"), 0.1, salt=f"salt {seed}")


def register(
    settings: Settings,
    made: Refit,
    name: str = "logistic",
    parent_id: str | None = None,
    refit: dict[str, object] | None = None,
) -> PolicyIteration:
    """Registers a policy with eight golden rows; refit: what its study says of refits."""
    golden = pl.DataFrame(
        {
            "event_id": [f"g{n}" for n in range(8)],
            "decided_at": ["2026-01-01T00:00:00Z"] * 8,
            "eligible": [["a0", "a1"], ["a2"]] * 4,
            "numeric_x": [None, *np.linspace(-2, 2, 7).tolist()],
            "category_level": ["L0", "never seen", None, "L1"] * 2,
        }
    )
    configuration = {"name": name} | ({} if refit is None else {"refit": refit})
    inputs = Inputs("bandit", name, configuration, {"digest": "data"}, 0, "code")
    files = {GRAPH: made.graph, SPEC: spec_json(made.spec), GOLDEN_ROWS: golden.write_json().encode()}
    return registry.register(settings.store, settings.data, inputs, files, parent_id, settings.actor)


def approved(settings: Settings, seed: int = 0, name: str = "logistic") -> PolicyIteration:
    """A registered policy that the gate lets through."""
    iteration = register(settings, policy(seed), name)
    certify(settings, iteration.iteration_id)
    keep(settings.store, iteration.iteration_id, EVALUATION, evaluation().as_json(), "incumbent")
    judge_iteration(settings.store, "bandit", iteration.iteration_id, "incumbent", GATE, "tester")
    return iteration


LONG_AFTER = datetime(2100, 1, 1)
