"""The flow that retrains an order policy, judges it, and exports it when the gate lets it through."""

from __future__ import annotations

from pathlib import Path

from prefect import flow

from flows import inventory_case, inventory_evidence, inventory_training
from flows.alone import alone, policies_of
from flows.conclude import STEPS, conclude, iteration, judge
from flows.export import export_one
from flows.inventory_problem import Recorded, load_problem
from flows.inventory_study import InventoryStudy, read_inventory_study
from flows.outcome import Retrained, publish
from flows.plan import plan_inventory
from flows.rollouts import shared_out
from flows.runner import task_runner
from flows.tasks import Progress, say, step
from flows.yardsticks import REFERENCE, keep_bound
from quaestor.settings import Settings


@step("train the yardsticks")
def train_yardsticks(study: InventoryStudy) -> tuple[str, dict[str, str]]:
    """Trains the classical policies; returns the incumbent's id and theirs by name."""
    settings = Settings()
    recorded = load_problem(settings, study)
    yardsticks = inventory_training.train_yardsticks(settings, study, recorded, say)
    incumbent = inventory_evidence.ensure_incumbent(settings, study, recorded, yardsticks)
    return incumbent.iteration_id, {name: found.iteration_id for name, found in yardsticks.items()}


@step("train the candidate")
def train_candidate(study: InventoryStudy, incumbent_id: str) -> tuple[str, bool]:
    """Trains the study's policy by HDPO; returns its id and whether it is new."""
    settings = Settings()
    recorded = load_problem(settings, study)
    candidate, new = inventory_training.train_policy(
        settings,
        study,
        recorded,
        study.policy,
        study.hdpo,
        study.certificate.noise_scale,
        "candidate",
        incumbent_id,
        say,
        study.smoothing,
    )
    return candidate.iteration_id, new


@step("evaluate the candidate")
def evaluate(study: InventoryStudy, candidate_id: str, incumbent_id: str, yardsticks: dict[str, str]) -> bool:
    """Evaluates candidate against incumbent on held-out weeks."""
    settings = Settings()
    recorded = load_problem(settings, study)
    named = {name: iteration(iteration_id) for name, iteration_id in yardsticks.items()}
    evaluated = inventory_evidence.evaluate_candidate(
        settings, study, recorded, iteration(candidate_id), iteration(incumbent_id), named, say
    )
    keep_bound(settings, study, candidate_id, say)
    return evaluated


@step("certify the candidate")
def certify(study: InventoryStudy, candidate_id: str, reference_id: str, share: bool = False) -> bool:
    """Certifies the candidate by policy smoothing; share: its episodes are played by all workers of the flow."""
    settings, found = Settings(), iteration(candidate_id)
    recorded = load_problem(settings, study)
    cost = reference_cost(study, recorded, reference_id)
    if not share:
        return inventory_case.certify_candidate(settings, study, recorded, found, cost, say)
    return inventory_case.certify_candidate(
        settings, study, recorded, found, cost, say, shared_out(study, candidate_id, None)
    )


def reference_cost(study: InventoryStudy, recorded: Recorded, reference_id: str) -> float:
    """The reference policy's cost on the dev weeks, from which the cap is declared."""
    return float(
        inventory_evidence.scenario_costs(study, recorded, iteration(reference_id), recorded.problem.dev).mean()
    )


def retrain(study: InventoryStudy) -> Retrained:
    """The same as the flow, as one plain function: for many small systems in one task."""
    with alone(policies_of(study.system)):
        incumbent, yardsticks = train_yardsticks.fn(study)
        candidate, trained = train_candidate.fn(study, incumbent)
        return conclude(
            study.system,
            incumbent,
            candidate,
            trained,
            evaluate=lambda: evaluate.fn(study, candidate, incumbent, yardsticks),
            certify=lambda: certify.fn(study, candidate, yardsticks[REFERENCE]),
            judge=lambda: judge.fn(study.system, candidate, incumbent, study.gate),
            export=lambda: export_one.fn(candidate),
        )


LONGEST = 24 * 3600
"""Seconds after which a run is given up; the next one goes on from its checkpoint."""


@flow(name="retrain-inventory", log_prints=True, timeout_seconds=LONGEST, task_runner=task_runner())
def run_retrain_inventory(study: Path, dry_run: bool = False) -> Retrained:
    """Trains yardsticks and candidate, evaluates, certifies, judges and, if the gate says promote, exports.

    Whatever was done before with the same inputs is found and not done again; interrupted training goes on. dry_run:
    only say what would be done.
    """
    params = read_inventory_study(study)
    if dry_run:
        plan = plan_inventory(params)
        say(plan.sentence())
        return plan.as_retrained()
    with alone(policies_of(params.system)):
        progress = Progress(f"retrain-{params.system}", STEPS)
        incumbent, yardsticks = train_yardsticks(params)
        candidate, trained = train_candidate(params, incumbent)
        made = conclude(
            params.system,
            incumbent,
            candidate,
            trained,
            evaluate=lambda: evaluate(params, candidate, incumbent, yardsticks),
            certify=lambda: certify(params, candidate, yardsticks[REFERENCE], share=True),
            judge=lambda: judge(params.system, candidate, incumbent, params.gate),
            export=lambda: export_one(candidate),
            advance=progress.advance,
        )
        return made if made.stage == "live" else publish(made, "inventory")
