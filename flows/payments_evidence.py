"""Gathers the evidence about a payments policy: evaluation, calibration, health and certificate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from flows.payments_training import Rounds, payments_policy
from flows.studies import PaymentsStudy
from models.payments.alarms import generation_health
from models.payments.calibration import calibration
from models.payments.refit import fit_on
from models.smoothing.payments import biases, episode_rewards
from quaestor.certification.certificate import Subject
from quaestor.export.encoding import encode
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.policy import GRAPH
from quaestor.export.replay import in_policy_order, predicted_rewards, target_probabilities
from quaestor.log.batch import MaturedBatch
from quaestor.log.held_out import held_out
from quaestor.randomness import stream_seed
from quaestor.registry.certificates import current_certificate, issue_certificate
from quaestor.registry.code import code_digest
from quaestor.registry.iteration import PolicyIteration
from quaestor.registry.judging import EVALUATION, HEALTH, has, keep
from quaestor.registry.off_policy import evaluate_off_policy
from quaestor.registry.realised import keep_realised
from quaestor.registry.served import store_checks
from quaestor.settings import Settings

CERTIFYING_CODE = ("models.smoothing", "quaestor.certification", "quaestor.randomness")


SCREENED = 20
"""Episodes to find the worst of several attacks, before it is measured on fresh ones."""


def evaluate_candidate(
    settings: Settings,
    study: PaymentsStudy,
    loaded: Rounds,
    candidate: PolicyIteration,
    incumbent: PolicyIteration,
    say: Callable[[str], None],
) -> bool:
    """Keeps the paired evaluation, calibration and health of a candidate; False where they are there already."""
    if has(settings.store, candidate.iteration_id, EVALUATION, incumbent.iteration_id):
        return False
    judged_on = loaded.batch.rows(held_out(loaded.batch.logged, study.refit.held_out))
    say(f"{study.system}: evaluating on {len(judged_on):,} held-out rounds")
    policies = payments_policy(candidate), payments_policy(incumbent)
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
    health = generation_health(judged_on.logged, new, old)
    alarms = {"alarms": list(health.alarms(study.alarms))}
    store, name = settings.store, candidate.iteration_id
    keep(store, name, "calibration", calibration(judged_on, predicted).as_json())
    keep(store, name, HEALTH, health.as_json() | alarms, incumbent.iteration_id)
    keep(store, name, EVALUATION, evaluation.as_json(), incumbent.iteration_id)
    keep_realised(store, loaded.batch)
    return True


def certify_candidate(
    settings: Settings, study: PaymentsStudy, loaded: Rounds, candidate: PolicyIteration, say: Callable[[str], None]
) -> bool:
    """Keeps the candidate's certificate; False where there is one for these inputs already."""
    policy = payments_policy(candidate)
    replayed = loaded.batch.rows(held_out(loaded.batch.logged, study.refit.held_out))
    params = study.certificate
    subject = Subject(
        system=study.system,
        quantity="reward",
        unit="reward a payment",
        episode=f"{study.payments_per_episode:,} payments drawn from the held-out rounds",
        environment=f"replayed contexts; rewards from a {study.refit.oracle.kind} reward model of the held-out rounds",
        noise="on every numeric feature of every payment, in its standard deviations; fresh for each payment",
        cap=1.0,
        runner_digest=candidate.files[GRAPH],
        data_digest=loaded.manifest.digest,
        not_covered=(
            "changes to categories, to eligibility, to actions or to outcomes",
            "the difference between the reward model and the world",
        ),
    )

    if current_certificate(settings.store, candidate.iteration_id, subject, params) is not None:
        return False
    contexts = policy.encode(replayed.logged.context)
    eligible, success = _environment(study, policy, replayed)

    def play(
        episodes: int, stream: str, shift: NDArray[np.float64] | None = None, smoothed: bool = True
    ) -> NDArray[np.float64]:
        seed = stream_seed(params.seed, candidate.iteration_id, stream)
        length = study.payments_per_episode
        return episode_rewards(policy, contexts, eligible, success, length, episodes, seed, shift, smoothed)

    say(f"{study.system}: certifying over {params.episodes:,} episodes of {study.payments_per_episode:,} payments")
    values = play(params.episodes, "certificate")
    tried = max(100, params.episodes // 20)
    directions = biases(len(policy.spec.features.numeric), 1.0, study.payments_per_episode)
    largest = max(params.budgets)
    worst = min(directions, key=lambda step: float(play(SCREENED, "screen", largest * step).mean()))
    attacked = [float(play(tried, "attack", budget * worst).mean()) for budget in params.budgets]
    issue_certificate(
        settings.store,
        settings.data,
        candidate.iteration_id,
        subject,
        params,
        values=values,
        unsmoothed=float(play(tried, "attack", smoothed=False).mean()),
        attacked=attacked,
        attacks=f"the worst of {len(directions)} constant biases of one number in every payment, {tried:,} episodes",
        code=code_digest(CERTIFYING_CODE),
    )
    return True


def _environment(
    study: PaymentsStudy, policy: PaymentsPolicy, replayed: MaturedBatch
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Eligibility and the reward model of the replayed rounds, (round, action of the policy)."""
    features = policy.spec.features
    model = fit_on(replayed, features, study.refit.oracle, stream_seed(study.certificate.seed, "reward model"))
    success = model.predict(encode(features, replayed.logged.context))
    eligible = in_policy_order(policy, replayed.logged, replayed.logged.eligible).astype(np.bool_)
    return eligible, in_policy_order(policy, replayed.logged, success).astype(np.float64)
