"""An order policy as it is certified: episodes on recorded demand, and attacks on what the policy sees of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import numpy as np
from numpy.typing import NDArray

from flows.certifying import Case, certify_case
from flows.inventory_problem import Recorded
from flows.inventory_study import InventoryStudy
from models.inventory.graph_export import GraphRunner
from models.smoothing.aimed_attacks import Adversary
from models.smoothing.inventory import Attack, episode_costs
from models.smoothing.inventory_attacks import Replanned, biases, random_directions
from models.smoothing.noise import NoiseScales
from models.smoothing.torch_graph import TorchGraph
from quaestor.certification.certificate import AttackTried, Reading, Subject
from quaestor.export.policy import GRAPH, SPEC
from quaestor.export.spec import read_spec
from quaestor.randomness import stream_seed
from quaestor.registry.canonical import digest_of
from quaestor.registry.iteration import PolicyIteration
from quaestor.settings import Settings

SCREENED = 2
"""Episodes in which constant biases and random directions are compared, before the worst meets fresh ones."""
ATTACKED, FEWEST_ATTACKED, MOST_ATTACKED = 600_000, 4, 20
"""Products × periods × edges in the fresh episodes of each attack that is reported, and how many these may be."""
RANDOM_TRIES = 8
AIMED = 100_000
"""Products × periods × edges that attacks by many gradients work on. Of a larger study these are the products whose
readings the first gradient finds to matter most: an attack may leave the others in peace."""


def certify_candidate(
    settings: Settings,
    study: InventoryStudy,
    recorded: Recorded,
    candidate: PolicyIteration,
    reference_cost: float,
    say: Callable[[str], None],
    share: Callable[[Case], Case] = lambda case: case,
) -> bool:
    """Keeps the candidate's certificate; False where there is one for these inputs already.

    reference_cost: the reference policy's dev cost, from which the cap is declared before any episode is played.
    share: who else plays the case's episodes.
    """
    case = inventory_case(study, recorded, candidate, round(study.cap_multiple * reference_cost, 2))
    return certify_case(settings, candidate.iteration_id, share(case), study.certificate, say)


def inventory_case(study: InventoryStudy, recorded: Recorded, candidate: PolicyIteration, cap: float) -> Case:
    """The candidate on the recorded demand of the test window; one episode is every product at once."""
    problem, params, warmup = recorded.problem, study.certificate, study.windows.warmup
    subject = _subject(study, recorded, candidate, cap)
    window = read_spec(candidate.read(SPEC), candidate.iteration_id[:12]).window  # type: ignore[union-attr]
    runner = GraphRunner(candidate.read(GRAPH), window)
    scales = NoiseScales.by_place(problem.layout, problem.scale)
    costs = partial(episode_costs, problem.layout, runner, problem.test, scales)

    def play(seed: int, first: int, count: int) -> NDArray[np.float64]:
        return costs(params.noise_scale, count, warmup, seed, first=first).mean(axis=1)

    def measured(attack: Attack, seed: int, episodes: int) -> NDArray[np.float64]:
        """Episode values under an attack, in [0, cap], few episodes at a time: an attack may hold their gradients."""
        rows = max(2 * problem.test.batch, 256)
        values = costs(params.noise_scale, episodes, warmup, seed, attack, rows_at_once=rows)
        return np.clip(values.mean(axis=1), 0.0, subject.cap)

    def attack(budgets: tuple[float, ...], seed: int) -> tuple[AttackTried, ...]:
        layout, test, largest, sigma = problem.layout, problem.test, max(budgets), params.noise_scale
        size = test.periods * layout.edges
        episodes = min(max(ATTACKED // (test.batch * size), FEWEST_ATTACKED), MOST_ATTACKED)
        graph = TorchGraph(candidate.read(GRAPH), window)
        screen = stream_seed(seed, "screen")
        blind = biases(layout, test, 1.0, True) | random_directions(layout, test, 1.0, True, RANDOM_TRIES, seed)
        at_largest = {name: found.stretched(largest) for name, found in blind.items()}
        worst = max(at_largest, key=lambda name: float(measured(at_largest[name], screen, SCREENED).mean()))

        adversary = Adversary(layout, graph, test, scales, sigma, largest, warmup)
        target = adversary.target(max(1, AIMED // size), seed)
        steep, count = adversary.uphill(target, seed), len(target.rows)
        where = "" if target.wide is None else f", on the {count} products it moves most"
        tried = []
        for budget in budgets:
            share = budget / largest if largest else 0.0
            planning = stream_seed(seed, "adaptive")
            named: dict[str, Attack] = {
                f"constant: {worst}": blind[worst].stretched(budget),
                f"gradient through the simulator{where}": target.aim(steep.stretched(share)),
                f"adaptive{where}": target.aim(Replanned(graph, sigma, budget, count, warmup, planning, 2, 1)),
            }
            if target.wide is not None:
                named["gradient through the simulator"] = target.wide.stretched(share)
            for name, each in named.items():
                values = measured(each, stream_seed(seed, "attack", name), episodes)
                error = float(values.std(ddof=1) / len(values) ** 0.5)
                tried.append(AttackTried(name, budget, float(values.mean()), error, episodes))
        return tuple(tried)

    def unsmoothed() -> float:
        return float(costs(0.0, 1, warmup, 0, rows_at_once=problem.test.batch).mean())

    return Case(subject, play, attack, unsmoothed)


def _subject(study: InventoryStudy, recorded: Recorded, candidate: PolicyIteration, cap: float) -> Subject:
    problem, warmup = recorded.problem, study.windows.warmup
    test, layout = problem.test, problem.layout
    weeks = test.periods - warmup
    typical = float(problem.scale[:, layout.warehouses :].median())
    readings = (
        Reading("a store's stock reading", "units", typical, test.batch * test.periods * layout.stores),
        Reading("a store's demand record", "units", typical, test.batch * layout.stores * test.demand.shape[2]),
    )
    return Subject(
        system=study.system,
        quantity="cost",
        unit="cost per store and period",
        episode=f"{test.batch} products over {weeks} held-out periods, all at once, after {warmup} of warm-up",
        environment="the simulator of the network on recorded demand",
        noise="on every reading of stock and of what is in transit and on every demand record, in mean demand a period "
        "through the place; stock is read anew each period, a demand record keeps its noise",
        cap=cap,
        runner_digest=candidate.files[GRAPH],
        data_digest=recorded.data["digest"],
        not_covered=(
            "changes to demand itself, to deliveries or to the orders after they are decided",
            "the calendar and what else is seen without noise",
            "the difference between the simulator and the world, and demand other than recorded",
            f"cost above the cap of {cap:g}",
        ),
        readings=readings,
        data_window=f"periods {study.windows.test[0]} to {study.windows.test[1] - 1}",
        configuration_digest=digest_of([asdict(study.windows), asdict(study.certificate), study.cap_multiple]),
    )
