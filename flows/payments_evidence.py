"""Gathers the evidence about a payments policy: evaluation, calibration and health."""

from __future__ import annotations

from collections.abc import Callable

from flows.payments_study import PaymentsStudy
from flows.payments_training import Rounds, payments_policy
from models.payments.alarms import by_iteration, generation_health, negative_rates
from models.payments.calibration import calibration
from models.payments.refit import cost_predictions
from models.payments.trade_off import trade_off_curve
from quaestor.export.replay import predicted_rewards, target_probabilities
from quaestor.log.held_out import held_out
from quaestor.registry.iteration import PolicyIteration
from quaestor.registry.judging import EVALUATION, HEALTH, SEGMENTS, TRADE_OFF, has, keep
from quaestor.registry.net_of_cost import RealisedCosts, known_costs, net_of_cost
from quaestor.registry.off_policy import evaluate_off_policy
from quaestor.registry.realised import keep_realised
from quaestor.registry.segments import by_segment
from quaestor.registry.served import store_checks
from quaestor.settings import Settings


def evaluate_candidate(
    settings: Settings,
    study: PaymentsStudy,
    loaded: Rounds,
    candidate: PolicyIteration,
    incumbent: PolicyIteration,
    say: Callable[[str], None],
) -> bool:
    """Keeps a candidate's paired evaluation, segments, calibration and health; False where they are there already."""
    if has(settings.store, candidate.iteration_id, EVALUATION, incumbent.iteration_id):
        return False
    judged_on = loaded.batch.rows(held_out(loaded.batch.logged, study.refit.held_out))
    realised = None
    policies = payments_policy(candidate), payments_policy(incumbent)
    if loaded.costs is not None:
        known, spent = known_costs(judged_on, loaded.costs)
        judged_on = judged_on.rows(known)
        cost = cost_predictions(loaded.costs, judged_on.logged, policies[0].spec.features, study.refit)
        realised = RealisedCosts(spent, cost)
    say(f"{study.system}: evaluating on {len(judged_on):,} held-out rounds")
    new, old = (target_probabilities(policy, judged_on.logged) for policy in policies)
    predicted = predicted_rewards(policies[0], judged_on)
    evaluation = evaluate_off_policy(
        judged_on,
        new,
        old,
        predicted,
        incumbent.iteration_id,
        study.gate.confidence,
        store_checks(settings.store, settings.data, judged_on.logged),
    )
    over_budget: tuple[str, ...] = ()
    if study.refit.objective is not None:
        evaluation, side = net_of_cost(evaluation, judged_on, new, old, predicted, study.refit.objective, realised)
        over_budget = side.alarms(study.refit.objective)
    health = generation_health(judged_on.logged, new, old, negative_rates(by_iteration(loaded.batch)))
    alarms = {"alarms": [*health.alarms(study.alarms), *over_budget]}
    store, name = settings.store, candidate.iteration_id
    keep(store, name, "calibration", calibration(judged_on, predicted).as_json())
    keep(store, name, HEALTH, health.as_json() | alarms, incumbent.iteration_id)
    parted = by_segment(judged_on, new, old, predicted, study.gate.confidence)
    keep(store, name, SEGMENTS, parted.as_json(), incumbent.iteration_id)
    if study.refit.objective is not None:
        spends = None if realised is None else realised.predicted
        curve = trade_off_curve(judged_on, new, old, predicted, study.refit.objective, study.gate.confidence, spends)
        keep(store, name, TRADE_OFF, curve.as_json(), incumbent.iteration_id)
    keep_realised(store, loaded.batch)
    keep(store, name, EVALUATION, evaluation.as_json(), incumbent.iteration_id)  # last: it says that all is there
    return True
