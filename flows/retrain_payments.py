"""The flow that refits a payments policy, judges it, and exports it when the gate lets it through."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from prefect import flow

from flows import payments_case, payments_evidence, payments_training
from flows.alone import alone, policies_of
from flows.conclude import STEPS, conclude, iteration, judge
from flows.export import export_one
from flows.outcome import Retrained, publish
from flows.payments_study import PaymentsStudy, read_payments_study
from flows.plan import plan_payments
from flows.rollouts import shared_out
from flows.runner import task_runner
from flows.tasks import Progress, say, step
from quaestor.settings import Settings


@step("refit the policy")
def refit(study: PaymentsStudy, as_of: datetime, incumbent_id: str | None) -> tuple[str, str, bool]:
    """Trains the candidate; returns the incumbent's id, the candidate's, and whether it is new."""
    settings = Settings()
    loaded = payments_training.load_rounds(settings, study, as_of)
    if incumbent_id is None:
        incumbent = payments_training.ensure_incumbent(settings, study, loaded.batch.logged.actions)
    else:
        incumbent = iteration(incumbent_id)
    candidate, new = payments_training.train(settings, study, loaded, incumbent, say)
    return incumbent.iteration_id, candidate.iteration_id, new


@step("evaluate the candidate")
def evaluate(study: PaymentsStudy, as_of: datetime, candidate_id: str, incumbent_id: str) -> bool:
    """Evaluates candidate against incumbent on held-out rounds."""
    settings = Settings()
    loaded = payments_training.load_rounds(settings, study, as_of)
    return payments_evidence.evaluate_candidate(
        settings, study, loaded, iteration(candidate_id), iteration(incumbent_id), say
    )


@step("certify the candidate")
def certify(study: PaymentsStudy, as_of: datetime, candidate_id: str, share: bool = False) -> bool:
    """Certifies the candidate by policy smoothing; share: its episodes are played by all workers of the flow."""
    settings, loaded = Settings(), payments_training.load_rounds(Settings(), study, as_of)
    found = iteration(candidate_id)
    if not share:
        return payments_case.certify_candidate(settings, study, loaded, found, say)
    return payments_case.certify_candidate(settings, study, loaded, found, say, shared_out(study, candidate_id, as_of))


def retrain(study: PaymentsStudy, moment: datetime) -> Retrained:
    """The same as the flow, as one plain function: for many small systems in one task."""
    with alone(policies_of(study.system)):
        incumbent, candidate, trained = refit.fn(study, moment, None)
        return conclude(
            study.system,
            incumbent,
            candidate,
            trained,
            evaluate=lambda: evaluate.fn(study, moment, candidate, incumbent),
            certify=lambda: certify.fn(study, moment, candidate),
            judge=lambda: judge.fn(study.system, candidate, incumbent, study.gate),
            export=lambda: export_one.fn(candidate),
        )


LONGEST = 6 * 3600
"""Seconds after which a run is given up; what it had finished is found by the next one."""


@flow(name="retrain-payments", log_prints=True, timeout_seconds=LONGEST, task_runner=task_runner())
def run_retrain_payments(
    study: Path, as_of: datetime | None = None, incumbent_id: str | None = None, dry_run: bool = False
) -> Retrained:
    """Refits, evaluates, certifies, judges and, if the gate says promote, exports; a person promotes.

    as_of: what is known at this moment in UTC, by default when a file was last brought in. incumbent_id: whom to
    compare with, the live iteration by default. Whatever was done before with the same inputs is found and not done
    again. dry_run: only say what would be done.
    """
    params = read_payments_study(study)
    moment = payments_training.moment_of(Settings(), as_of)
    if dry_run:
        plan = plan_payments(params, moment, incumbent_id)
        say(plan.sentence())
        return plan.as_retrained()
    with alone(policies_of(params.system)):
        progress = Progress(f"retrain-{params.system}", STEPS)
        incumbent, candidate, trained = refit(params, moment, incumbent_id)
        made = conclude(
            params.system,
            incumbent,
            candidate,
            trained,
            evaluate=lambda: evaluate(params, moment, candidate, incumbent),
            certify=lambda: certify(params, moment, candidate, share=True),
            judge=lambda: judge(params.system, candidate, incumbent, params.gate),
            export=lambda: export_one(candidate),
            advance=progress.advance,
        )
        return made if made.stage == "live" else publish(made, "payments")
