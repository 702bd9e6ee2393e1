"""The steps of an inventory retraining, each complete in itself and harmless to repeat."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flows.studies import InventoryStudy
from models.inventory.checkpoint import checkpoint_bytes, read_checkpoint
from models.inventory.graph_export import GraphRunner, inventory_graph
from models.inventory.hdpo import Checkpoint, HDPOParams, train
from models.inventory.network import read_network
from models.inventory.pictures import play_record
from models.inventory.policies.base_stock import BaseStockParams
from models.inventory.policies.build import PolicyParams, build_policy
from models.inventory.policies.newsvendor import NewsvendorParams
from models.inventory.problem import Problem, problem_from_demand
from models.inventory.rollout import Play, rollout
from models.inventory.scenarios import Scenarios
from models.smoothing.inventory import biases, episode_costs
from quaestor.atomic import write_file
from quaestor.certification.certificate import Subject
from quaestor.errors import UsageError
from quaestor.export.from_iteration import GOLDEN_ROWS
from quaestor.export.policy import GRAPH, SPEC
from quaestor.export.spec import InventorySpec, read_spec, spec_json
from quaestor.log.demand import DemandPanel, days_from_christmas, demand_panel
from quaestor.ope.interval import paired_interval
from quaestor.randomness import stream_seed
from quaestor.registry import iteration as registry
from quaestor.registry.canonical import canonical_json, digest_of
from quaestor.registry.certificates import current_certificate, issue_certificate
from quaestor.registry.code import code_digest
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.iteration import Inputs, PolicyIteration
from quaestor.registry.judging import EVALUATION, has, keep
from quaestor.registry.promotion import promote
from quaestor.settings import Settings
from quaestor.store import audit, demand, networks

CODE = ("models.inventory", "quaestor.log.demand", "quaestor.export.spec", "quaestor.randomness")
"""What determines an iteration: changing anything else, such as a screen, retrains nothing."""
CERTIFYING_CODE = ("models.smoothing", "models.inventory", "quaestor.certification", "quaestor.randomness")
PICTURED = 3
SCREENED = 4

Say = Callable[[str], None]

YARDSTICKS: dict[str, PolicyParams] = {
    "newsvendor": NewsvendorParams(),
    "newsvendor, learned quantile": NewsvendorParams(quantile="learned"),
    "base stock": BaseStockParams(),
}


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


def train_policy(
    settings: Settings,
    study: InventoryStudy,
    recorded: Recorded,
    params: PolicyParams,
    hdpo: HDPOParams,
    noise_scale: float,
    role: str,
    parent_id: str | None,
    say: Say,
) -> tuple[PolicyIteration, bool]:
    """Trains and registers a policy, or finds it: equal inputs are never trained twice, and an interrupted
    training goes on where it stopped."""
    configuration = {"policy": asdict(params), "hdpo": asdict(hdpo), "noise_scale": noise_scale, "role": role}
    inputs = Inputs(study.system, params.kind, configuration, recorded.data, hdpo.seed, code_digest(CODE))
    known = registry.find(settings.store, settings.data, inputs)
    if known is not None:
        return known, False
    problem = recorded.problem
    policy = build_policy(params, problem.layout, problem.typical_demand, stream_seed(hdpo.seed, "weights"))
    final: Checkpoint | None = None
    if any(parameter.requires_grad for parameter in policy.parameters()):
        path = settings.checkpoints / f"{inputs.digest()}.pt"
        resume = read_checkpoint(path.read_bytes()) if path.exists() else None
        if resume:
            say(f"{study.system}: {params.kind} goes on after epoch {len(resume.curve)}")

        def on_epoch(checkpoint: Checkpoint) -> None:
            write_file(path, checkpoint_bytes(checkpoint))
            epoch = checkpoint.curve[-1]
            if epoch.number % max(1, hdpo.epochs // 8) == 0 or epoch.number == hdpo.epochs:
                say(
                    f"{study.system}: {params.kind} epoch {epoch.number}/{hdpo.epochs}, "
                    f"dev cost {epoch.dev_cost:.2f} per store and period"
                )

        warmup = study.windows.warmup
        final = train(policy, problem.layout, problem.train, problem.dev, hdpo, warmup, resume, on_epoch)
        path.unlink(missing_ok=True)
    window, calendar = policy.window, problem.train.calendar.shape[1]
    spec = _spec(study, recorded, window, calendar, noise_scale, inputs.digest()[:16])
    files = {
        GRAPH: inventory_graph(policy, problem.layout, window, calendar),
        SPEC: spec_json(spec),
        GOLDEN_ROWS: canonical_json(_golden_rows(recorded, window)).encode(),
    }
    iteration = registry.register(settings.store, settings.data, inputs, files, parent_id, settings.actor)
    if final is not None:
        curve = [asdict(epoch) for epoch in final.curve]
        keep(
            settings.store,
            iteration.iteration_id,
            "learning_curve",
            {"epochs": curve, "best": final.best_epoch},
        )
    return iteration, True


def train_yardsticks(
    settings: Settings, study: InventoryStudy, recorded: Recorded, say: Say
) -> dict[str, PolicyIteration]:
    """Every classical policy, fitted by the same gradients on the same weeks."""
    trained = {}
    for name, params in YARDSTICKS.items():
        trained[name], _ = train_policy(
            settings, study, recorded, params, study.yardsticks, 0.0, "yardstick", None, lambda _: None
        )
        say(f"{study.system}: yardstick {name} ready")
    return trained


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
    say: Say,
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
    say: Say,
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
    return GraphRunner(iteration.read(GRAPH), inventory_spec(iteration).window, torch.get_num_threads())


def inventory_spec(iteration: PolicyIteration) -> InventorySpec:
    """An iteration's spec."""
    spec = read_spec(iteration.read(SPEC), iteration.iteration_id[:12])
    if not isinstance(spec, InventorySpec):
        raise TypeError(f"{iteration.iteration_id[:12]} is not an inventory policy")
    return spec


def _spec(
    study: InventoryStudy, recorded: Recorded, window: int, calendar: int, noise_scale: float, salt: str
) -> InventorySpec:
    network = recorded.problem.network
    return InventorySpec(
        kind="inventory",
        system=study.system,
        places=tuple(place.name for place in network.places),
        stores=tuple(store.name for store in network.stores),
        edges=tuple((edge.source, edge.target) for edge in network.edges),
        lead=network.longest_lead_time,
        window=window,
        calendar=("days_from_christmas_in_hundreds",)[:calendar],
        noise_scale=noise_scale,
        salt=salt,
    )


def _golden_rows(recorded: Recorded, window: int) -> list[dict[str, Any]]:
    """The first observations of the first products in the test weeks."""
    test, rows = recorded.problem.test, min(8, recorded.problem.test.batch)
    now = test.history
    return [
        {
            "product": recorded.panel.products[row],
            "period": now,
            "on_hand": _plain(test.on_hand[row]),
            "in_transit": _plain(test.in_transit[row]),
            "past_demand": _plain(test.demand[row, :, now - window : now]),
            "calendar": _plain(test.calendar[now]),
            "scale": _plain(recorded.problem.scale[row]),
        }
        for row in range(rows)
    ]


def _plain(tensor: torch.Tensor) -> Any:
    return tensor.double().tolist()


def _pictures(recorded: Recorded, iteration: PolicyIteration) -> dict[str, Any]:
    plays: list[Play] = []
    rows = torch.linspace(0, recorded.problem.test.batch - 1, PICTURED).round().long()
    with torch.no_grad():
        rollout(recorded.problem.layout, graph_runner(iteration), recorded.problem.test.rows(rows), plays=plays)
    names = [recorded.panel.products[int(row)] for row in rows]
    return {name: play_record(recorded.problem.layout, plays, number) for number, name in enumerate(names)}
