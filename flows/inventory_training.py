"""Trains and registers order policies: the candidate, and the classical policies it is held against."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from flows import smoothed_training
from flows.inventory_problem import Recorded
from flows.inventory_study import InventoryStudy
from flows.smoothed_training import train_for_certificate
from flows.yardsticks import yardstick_params
from models.inventory.checkpoint import checkpoint_bytes, read_checkpoint
from models.inventory.graph_export import inventory_graph
from models.inventory.hdpo import Checkpoint, HDPOParams, train
from models.inventory.observation import opening_observations
from models.inventory.policies.build import PolicyParams, build_policy
from models.smoothing.training import SmoothedTrainingParams
from quaestor.atomic import write_file
from quaestor.export.from_iteration import GOLDEN_ROWS
from quaestor.export.inventory_policy import TERMS
from quaestor.export.policy import GRAPH, SPEC
from quaestor.export.spec import InventorySpec, spec_json
from quaestor.randomness import stream_seed
from quaestor.registry import iteration as registry
from quaestor.registry.canonical import canonical_json
from quaestor.registry.code import code_digest
from quaestor.registry.iteration import Inputs, PolicyIteration
from quaestor.settings import Settings

CODE = ("models.inventory", "quaestor.log.demand", "quaestor.export.spec", "quaestor.randomness")
"""What determines an iteration: changing anything else, such as a screen, retrains nothing."""


GOLDEN_ROUNDS = 8


def policy_inputs(
    study: InventoryStudy,
    recorded: Recorded,
    params: PolicyParams,
    hdpo: HDPOParams,
    noise_scale: float,
    role: str,
    smoothing: SmoothedTrainingParams | None = None,
) -> Inputs:
    """What determines a policy of a study on this demand."""
    configuration = {"policy": asdict(params), "hdpo": asdict(hdpo), "noise_scale": noise_scale, "role": role}
    code = CODE if smoothing is None else CODE + smoothed_training.CODE
    if smoothing is not None:
        configuration["smoothing"] = asdict(smoothing)
    return Inputs(study.system, params.kind, configuration, recorded.data, hdpo.seed, code_digest(code))


def train_policy(
    settings: Settings,
    study: InventoryStudy,
    recorded: Recorded,
    params: PolicyParams,
    hdpo: HDPOParams,
    noise_scale: float,
    role: str,
    parent_id: str | None,
    say: Callable[[str], None],
    smoothing: SmoothedTrainingParams | None = None,
) -> tuple[PolicyIteration, bool]:
    """Trains and registers a policy, or finds it: equal inputs are never trained twice, and an interrupted
    training goes on where it stopped. smoothing: how it is then trained on under the certificate's noise."""
    inputs = policy_inputs(study, recorded, params, hdpo, noise_scale, role, smoothing)
    known = registry.find(settings.store, settings.data, inputs)
    if known is not None:
        return known, False
    problem = recorded.problem
    policy = build_policy(params, problem.layout, problem.typical_demand, stream_seed(hdpo.seed, "weights"))
    learnt: dict[str, Any] = {}
    path = settings.checkpoints / f"{inputs.digest()}.pt"
    if any(parameter.requires_grad for parameter in policy.parameters()):
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
        learnt["learning_curve"] = {"epochs": [asdict(epoch) for epoch in final.curve], "best": final.best_epoch}
        if smoothing is not None:
            say(f"{study.system}: {smoothing.steps} steps under the noise of the certificate")
            learnt["smoothed_training"] = found = train_for_certificate(study, problem, policy, smoothing)
            price = found["price_percent"]
            say(f"{study.system}: the price of smoothing was {price['before']:.1f} % and is {price['after']:.1f} %")
    window, calendar = policy.window, problem.train.calendar.shape[1]
    spec = _spec(study, recorded, window, calendar, noise_scale, inputs.digest()[:16])
    files = {
        GRAPH: inventory_graph(policy, problem.layout, window, calendar),
        SPEC: spec_json(spec),
        GOLDEN_ROWS: canonical_json(_golden_rows(study, recorded, window)).encode(),
    }
    iteration = registry.register(settings.store, settings.data, inputs, files, parent_id, settings.actor, learnt)
    path.unlink(missing_ok=True)  # only now: killed before, the next run goes on from here
    return iteration, True


def train_yardsticks(
    settings: Settings, study: InventoryStudy, recorded: Recorded, say: Callable[[str], None]
) -> dict[str, PolicyIteration]:
    """Every classical policy, fitted by the same gradients on the same weeks."""
    trained = {}
    for name, params in yardstick_params(study).items():
        trained[name], _ = train_policy(
            settings, study, recorded, params, study.yardsticks, 0.0, "yardstick", None, lambda _: None
        )
        say(f"{study.system}: yardstick {name} ready")
    return trained


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
        own_terms=recorded.problem.layout.batch > 1,
    )


def _golden_rows(study: InventoryStudy, recorded: Recorded, window: int) -> list[dict[str, Any]]:
    """The first observations of the first products in the test weeks."""
    problem = recorded.problem
    observed = opening_observations(problem.test, window, min(GOLDEN_ROUNDS, problem.test.batch))
    period = study.windows.test[0] + study.windows.history
    layout = problem.layout
    own = [
        {name: getattr(layout, name)[row].tolist() for name in TERMS} if layout.batch > 1 else {}
        for row in range(len(observed))
    ]
    return [
        {"product": product, "period": period, "scale": scale, **row, **terms}
        for product, scale, row, terms in zip(
            recorded.panel.products, problem.scale.tolist(), observed, own, strict=False
        )
    ]
