"""Gathers the evidence about an order policy: evaluation, pictures and certificate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.inventory_problem import Recorded
from flows.studies import InventoryStudy
from models.inventory.graph_export import GraphRunner
from models.inventory.pictures import picture, spread_rows
from models.inventory.scenarios import Scenarios
from models.smoothing.inventory_periods import period_costs
from models.smoothing.noise import NoiseScales
from quaestor.export.policy import GRAPH, SPEC
from quaestor.export.spec import InventorySpec, read_spec
from quaestor.randomness import stream_seed
from quaestor.registry import iteration as registry
from quaestor.registry.iteration import PolicyIteration
from quaestor.registry.judging import EVALUATION, has, keep
from quaestor.registry.played import evaluate_played
from quaestor.registry.promotion import promote
from quaestor.settings import Settings
from quaestor.store import audit

CERTIFYING_CODE = ("models.smoothing", "models.inventory", "quaestor.certification", "quaestor.randomness")


PICTURED = 3
"""Products whose stock and flow are kept for the console."""


def ensure_incumbent(
    settings: Settings, study: InventoryStudy, recorded: Recorded, yardsticks: dict[str, PolicyIteration]
) -> PolicyIteration:
    """The live iteration; where there is none, the yardstick of lowest dev cost becomes it."""
    with settings.store.read() as connection:
        live = audit.live(connection, study.system)
    if live is not None:
        return registry.get(settings.store, settings.data, live)
    dev = {
        name: float(scenario_costs(study, recorded, iteration, recorded.problem.dev).mean())
        for name, iteration in yardsticks.items()
    }
    best = min(dev, key=lambda name: dev[name])
    reason = f"the best classical policy ({best}) before the first iteration"
    promote(settings.store, yardsticks[best].iteration_id, settings.actor, reason, override=True)
    return yardsticks[best]


def evaluate_candidate(
    settings: Settings,
    study: InventoryStudy,
    recorded: Recorded,
    candidate: PolicyIteration,
    incumbent: PolicyIteration,
    yardsticks: dict[str, PolicyIteration],
    say: Callable[[str], None],
) -> bool:
    """Keeps the paired evaluation on the test weeks and what the rollouts looked like; False where it is there."""
    if has(settings.store, candidate.iteration_id, EVALUATION, incumbent.iteration_id):
        return False
    test = recorded.problem.test
    say(f"{study.system}: evaluating on {test.batch} products × {test.periods - study.windows.warmup} held-out weeks")
    new, old = (deployed_costs(study, recorded, iteration, test) for iteration in (candidate, incumbent))
    others = {name: deployed_costs(study, recorded, iteration, test) for name, iteration in yardsticks.items()}
    first = study.windows.test[0] + study.windows.history + study.windows.warmup
    evaluation = evaluate_played(
        new,
        old,
        others,
        incumbent.iteration_id,
        "cost per store and period",
        f"{test.batch} products in held-out periods {first} to {study.windows.test[1] - 1}",
        study.gate.confidence,
    )
    pictures = {
        "network_id": recorded.data["network_id"],
        "first_period": study.windows.test[0] + study.windows.history,
        "warmup": study.windows.warmup,
        "candidate": _pictures(recorded, candidate),
        "incumbent": _pictures(recorded, incumbent),
    }
    keep(settings.store, candidate.iteration_id, "plays", pictures, incumbent.iteration_id)
    keep(settings.store, candidate.iteration_id, EVALUATION, evaluation.as_json(), incumbent.iteration_id)
    return True


def scenario_costs(
    study: InventoryStudy, recorded: Recorded, iteration: PolicyIteration, scenarios: Scenarios
) -> NDArray[np.float64]:
    """An iteration's cost per store and period on each scenario, (batch,), as deployed."""
    return np.asarray(deployed_costs(study, recorded, iteration, scenarios).mean(axis=1))


def deployed_costs(
    study: InventoryStudy, recorded: Recorded, iteration: PolicyIteration, scenarios: Scenarios
) -> NDArray[np.float64]:
    """An iteration's cost per store on each scenario and counted period, (batch, period), as deployed: with its own
    noise, averaged over the study's noise draws."""
    return period_costs(
        recorded.problem.layout,
        graph_runner(iteration),
        scenarios,
        NoiseScales.by_place(recorded.problem.layout, recorded.problem.scale),
        inventory_spec(iteration).noise_scale,
        study.noise_draws,
        study.windows.warmup,
        stream_seed(study.hdpo.seed, "evaluation noise"),
    )


def graph_runner(iteration: PolicyIteration) -> GraphRunner:
    """An iteration's exported graph as an order policy for rollouts."""
    return GraphRunner(iteration.read(GRAPH), inventory_spec(iteration).window)


def inventory_spec(iteration: PolicyIteration) -> InventorySpec:
    """An iteration's spec."""
    spec = read_spec(iteration.read(SPEC), iteration.iteration_id[:12])
    if not isinstance(spec, InventorySpec):
        raise TypeError(f"{iteration.iteration_id[:12]} is not an inventory policy")
    return spec


def _pictures(recorded: Recorded, iteration: PolicyIteration) -> dict[str, Any]:
    test = recorded.problem.test
    rows = spread_rows(test, PICTURED)
    pictures = picture(recorded.problem.layout, graph_runner(iteration), test, rows)
    return {recorded.panel.products[row]: made for row, made in zip(rows, pictures, strict=True)}
