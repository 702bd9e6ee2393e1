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
from models.smoothing.inventory import biases, episode_costs
from quaestor.certification.certificate import Subject
from quaestor.export.policy import GRAPH, SPEC
from quaestor.export.spec import InventorySpec, read_spec
from quaestor.ope.interval import paired_interval
from quaestor.randomness import stream_seed
from quaestor.registry import iteration as registry
from quaestor.registry.certificates import current_certificate, issue_certificate
from quaestor.registry.code import code_digest
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.iteration import PolicyIteration
from quaestor.registry.judging import EVALUATION, has, keep
from quaestor.registry.promotion import promote
from quaestor.settings import Settings
from quaestor.store import audit

CERTIFYING_CODE = ("models.smoothing", "models.inventory", "quaestor.certification", "quaestor.randomness")


PICTURED = 3
"""Products whose stock and flow are kept for the console."""


SCREENED = 4
"""Episodes to find the worst of several attacks, before it is measured on fresh ones."""


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
    new = scenario_costs(study, recorded, candidate, test)
    old = scenario_costs(study, recorded, incumbent, test)
    others = {
        f"to {name}": paired_interval(new - scenario_costs(study, recorded, iteration, test))
        for name, iteration in yardsticks.items()
    }
    first = study.windows.test[0] + study.windows.history + study.windows.warmup
    evaluation = Evaluation(
        quantity="cost",
        unit="cost per store and period",
        estimator="simulation",
        evaluated_on=f"{test.batch} products in held-out periods {first} to {study.windows.test[1] - 1}",
        incumbent_id=incumbent.iteration_id,
        pairs=test.batch,
        candidate=paired_interval(new),
        incumbent=paired_interval(old),
        difference=paired_interval(new - old),
        others=others,
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


def certify_candidate(
    settings: Settings,
    study: InventoryStudy,
    recorded: Recorded,
    candidate: PolicyIteration,
    reference: PolicyIteration,
    say: Callable[[str], None],
) -> bool:
    """Keeps the candidate's certificate; False where there is one for these inputs already.

    The cap is declared from the reference policy's dev cost, before any episode is played.
    """
    problem, params, warmup = recorded.problem, study.certificate, study.windows.warmup
    cap = round(study.cap_multiple * float(scenario_costs(study, recorded, reference, problem.dev).mean()), 2)
    weeks = problem.test.periods - warmup
    subject = Subject(
        system=study.system,
        quantity="cost",
        unit="cost per store and period",
        episode=f"{problem.test.batch} products over {weeks} held-out periods, all at once, after {warmup} of warm-up",
        environment="the simulator of the network on recorded demand",
        noise="on every reading of stock and every demand record, in mean demand a period through the place; stock is "
        "read anew each period, a demand record keeps its noise",
        cap=cap,
        runner_digest=candidate.files[GRAPH],
        data_digest=recorded.data["digest"],
        not_covered=(
            "changes to demand itself, to deliveries or to the orders after they are decided",
            "the difference between the simulator and the world, and demand other than recorded",
            f"cost above the cap of {cap:g}",
        ),
    )
    if current_certificate(settings.store, candidate.iteration_id, subject, params) is not None:
        return False
    runner = graph_runner(candidate)
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        if done * 4 // params.episodes > (done - count) * 4 // params.episodes:
            say(f"{study.system}: {done} of {params.episodes} certifying episodes played")

    def play(
        episodes: int, stream: str, noise_scale: float = params.noise_scale, **options: Any
    ) -> NDArray[np.float64]:
        seed = stream_seed(params.seed, candidate.iteration_id, stream)
        costs = episode_costs(
            problem.layout,
            runner,
            problem.test,
            problem.scale,
            noise_scale,
            episodes,
            warmup,
            seed,
            **options,
        )
        return costs.mean(axis=1)

    say(f"{study.system}: certifying over {params.episodes} episodes of {problem.test.batch} products")
    values = play(params.episodes, "certificate", on_progress=progress)
    largest = biases(problem.layout, problem.test, problem.scale, max(params.budgets))
    worst = max(largest, key=lambda name: float(play(SCREENED, "screen", shift=largest[name]).mean()))
    attacked = [
        float(play(SCREENED, "attack", shift=biases(problem.layout, problem.test, problem.scale, budget)[worst]).mean())
        for budget in params.budgets
    ]
    issue_certificate(
        settings.store,
        settings.data,
        candidate.iteration_id,
        subject,
        params,
        values=values,
        unsmoothed=float(play(1, "unsmoothed", noise_scale=0.0).mean()),
        attacked=attacked,
        attacks=f"the worst of {len(largest)} constant biases ({worst}), {SCREENED} episodes",
        code=code_digest(CERTIFYING_CODE),
    )
    return True


def scenario_costs(
    study: InventoryStudy, recorded: Recorded, iteration: PolicyIteration, scenarios: Scenarios
) -> NDArray[np.float64]:
    """An iteration's cost per store and period on each scenario, (batch,), as deployed: with its own noise,
    averaged over the study's noise draws."""
    spec = inventory_spec(iteration)
    costs = episode_costs(
        recorded.problem.layout,
        graph_runner(iteration),
        scenarios,
        recorded.problem.scale,
        spec.noise_scale,
        study.noise_draws if spec.noise_scale else 1,
        study.windows.warmup,
        stream_seed(study.hdpo.seed, "evaluation noise"),
    )
    return np.asarray(costs.mean(axis=0))


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
