"""A payments policy as it is certified: replayed contexts, a fitted reward model, and attacks on the numbers seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from flows.certifying import Case, certify_case
from flows.payments_study import PaymentsStudy
from flows.payments_training import Rounds, payments_policy
from models.payments.refit import fit_on
from models.smoothing.payments import PaymentsAttack, Replay, Steepest, biases, episode_rewards
from quaestor.certification.certificate import AttackTried, Reading, Subject
from quaestor.export.encoding import encode
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.policy import GRAPH
from quaestor.export.replay import in_policy_order
from quaestor.log.batch import MaturedBatch
from quaestor.log.held_out import held_out
from quaestor.randomness import stream_seed
from quaestor.registry.canonical import digest_of
from quaestor.registry.iteration import PolicyIteration
from quaestor.settings import Settings

SCREENED = 20
"""Episodes in which constant biases are compared, before the worst meets fresh ones."""
ATTACKED = 100
"""Fresh episodes of each attack that is reported."""
RANDOM_TRIES = 8


def certify_candidate(
    settings: Settings,
    study: PaymentsStudy,
    loaded: Rounds,
    candidate: PolicyIteration,
    say: Callable[[str], None],
    share: Callable[[Case], Case] = lambda case: case,
) -> bool:
    """Keeps the candidate's certificate; False where there is one for these inputs already. share: who else plays the
    case's episodes."""
    case = payments_case(study, loaded, candidate)
    return certify_case(settings, candidate.iteration_id, share(case), study.certificate, say)


def payments_case(study: PaymentsStudy, loaded: Rounds, candidate: PolicyIteration) -> Case:
    """The candidate on payments drawn from the held-out rounds."""
    policy, params, length = payments_policy(candidate), study.certificate, study.payments_per_episode
    replay = _replay(study, policy, loaded.batch.rows(held_out(loaded.batch.logged, study.refit.held_out)))

    def play(seed: int, first: int, count: int) -> NDArray[np.float64]:
        return episode_rewards(policy, replay, length, count, seed, draws=params.draws, first=first)

    def measured(found: PaymentsAttack, seed: int, episodes: int) -> NDArray[np.float64]:
        return episode_rewards(policy, replay, length, episodes, seed, found)

    def attack(budgets: tuple[float, ...], seed: int) -> tuple[AttackTried, ...]:
        features, screen = len(policy.spec.features.numeric), stream_seed(seed, "screen")
        largest = biases(features, max(budgets), RANDOM_TRIES, seed)
        worst = min(largest, key=lambda name: float(measured(largest[name], screen, SCREENED).mean()))
        tried = []
        for budget in budgets:
            named = {
                f"constant: {worst}": biases(features, budget, RANDOM_TRIES, seed)[worst],
                "gradient, knowing the episode's payments": Steepest(budget, params.noise_scale),
            }
            for name, each in named.items():
                values = measured(each, stream_seed(seed, "attack", name), ATTACKED)
                error = float(values.std(ddof=1) / len(values) ** 0.5)
                tried.append(AttackTried(name, budget, float(values.mean()), error, ATTACKED))
        return tuple(tried)

    def unsmoothed() -> float:
        return float(episode_rewards(policy, replay, length, ATTACKED, 0, smoothed=False).mean())

    return Case(_subject(study, policy, loaded, candidate), play, attack, unsmoothed)


def _subject(study: PaymentsStudy, policy: PaymentsPolicy, loaded: Rounds, candidate: PolicyIteration) -> Subject:
    length = study.payments_per_episode
    return Subject(
        system=study.system,
        quantity="reward",
        unit="reward a payment",
        episode=f"{length:,} payments drawn from the held-out rounds",
        environment=f"replayed contexts; rewards from a {study.refit.oracle.kind} reward model of the held-out rounds",
        noise="on every numeric feature of every payment, in its standard deviations; fresh for each payment",
        cap=1.0,
        runner_digest=candidate.files[GRAPH],
        data_digest=loaded.manifest.digest,
        not_covered=(
            "changes to categories, to eligibility, to actions or to outcomes",
            "the difference between the reward model and the world",
        ),
        readings=tuple(
            Reading(feature.name, f"{feature.name} as logged", feature.spread, length)
            for feature in policy.spec.features.numeric
        ),
        data_window=f"the last {study.refit.held_out:.0%} of the matured rounds",
        configuration_digest=digest_of([length, asdict(study.refit), asdict(study.certificate)]),
    )


def _replay(study: PaymentsStudy, policy: PaymentsPolicy, rounds: MaturedBatch) -> Replay:
    """Contexts, eligibility and the reward model of the replayed rounds, actions in the policy's order."""
    features = policy.spec.features
    contexts = encode(features, rounds.logged.context)
    model = fit_on(rounds, features, study.refit.oracle, stream_seed(study.certificate.seed, "reward model"))
    eligible = in_policy_order(policy, rounds.logged, rounds.logged.eligible).astype(np.bool_)
    success = in_policy_order(policy, rounds.logged, model.predict(contexts)).astype(np.float64)
    return Replay(policy.encode(rounds.logged.context), eligible, success)
