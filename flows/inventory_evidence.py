"""Gathers the evidence about an order policy: evaluation, the demand it was played on, and certificate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flows.inventory_problem import Recorded
from flows.inventory_study import InventoryStudy
from models.inventory.graph_export import GraphRunner
from models.inventory.layout import Layout
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
from quaestor.simulation.network import OwnTerms
from quaestor.simulation.period import Stock
from quaestor.simulation.scenarios import SCENARIOS, PlainScenarios, scenarios_json
from quaestor.store import audit

CERTIFYING_CODE = ("models.smoothing", "models.inventory", "quaestor.certification", "quaestor.randomness")


KEPT_PRODUCTS, KEPT_RECORDS = 24, 60_000
"""Products whose held-out demand is kept with an iteration, so that its policy can be played again without torch: at
most so many, and no more than so many records of demand in all."""


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
    """Keeps the paired evaluation on the test weeks and some of their demand; False where both are there."""
    if all(
        has(settings.store, candidate.iteration_id, kind, incumbent.iteration_id) for kind in (SCENARIOS, EVALUATION)
    ):
        return False
    test = recorded.problem.test
    what = "products" if study.drawn is None else "scenarios"
    say(f"{study.system}: evaluating on {test.batch} {what} × {test.periods - study.windows.warmup} held-out periods")
    new, old = (deployed_costs(study, recorded, iteration, test) for iteration in (candidate, incumbent))
    others = {name: deployed_costs(study, recorded, iteration, test) for name, iteration in yardsticks.items()}
    first = study.windows.test[0] + study.windows.history + study.windows.warmup
    evaluation = evaluate_played(
        new,
        old,
        others,
        incumbent.iteration_id,
        "cost per store and period",
        f"{test.batch} {what} in held-out periods {first} to {study.windows.test[1] - 1}",
        study.gate.confidence,
        drawn=study.drawn is not None,
    )
    played_by = {name: iteration.iteration_id for name, iteration in yardsticks.items()}
    replayable = {"network_id": recorded.data["network_id"], "yardsticks": played_by}
    replayable |= scenarios_json(kept_scenarios(study, recorded))
    keep(settings.store, candidate.iteration_id, SCENARIOS, replayable, incumbent.iteration_id)
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


def kept_scenarios(study: InventoryStudy, recorded: Recorded) -> PlainScenarios:
    """A few products of the test window, evenly spread over all, as they are kept for the console."""
    test, windows = recorded.problem.test, study.windows
    records = test.demand.shape[1] * test.demand.shape[2]
    count = max(1, min(KEPT_PRODUCTS, KEPT_RECORDS // records, test.batch))
    rows = np.linspace(0, test.batch - 1, count).round().astype(np.int64)
    return PlainScenarios(
        products=tuple(recorded.panel.products[row] for row in rows),
        first_period=windows.test[0] + windows.history,
        history=windows.history,
        warmup=windows.warmup,
        recorded=study.drawn is None,
        demand=recorded.panel.units[rows][:, :, slice(*windows.test)],
        calendar=test.calendar.double().numpy(),
        opening=Stock(test.on_hand[rows].double().numpy(), test.in_transit[rows].double().numpy()),
        terms=own_terms(recorded.problem.layout, rows),
    )


def own_terms(layout: Layout, rows: NDArray[np.int64]) -> OwnTerms | None:
    """The terms of the scenarios with these numbers; None where all share the network's."""
    if layout.batch == 1:
        return None
    return OwnTerms(
        holding_cost=layout.holding_cost[rows].double().numpy(),
        underage_cost=layout.underage_cost[rows].double().numpy(),
        unit_cost=layout.unit_cost[rows].double().numpy(),
        lead_time=layout.lead_time[rows].numpy(),
    )
