"""The steps of a payments retraining, each complete in itself and harmless to repeat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from flows.studies import PaymentsStudy
from models.payments.alarms import generation_health
from models.payments.alignment import in_policy_order
from models.payments.calibration import calibration
from models.payments.evaluation import evaluate, predicted_rewards, target_probabilities
from models.payments.refit import Refit, fit_on, held_out, refit, rule_of_thumb
from models.smoothing.payments import biases, episode_rewards
from quaestor.certification.certificate import Subject
from quaestor.export.encoding import encode
from quaestor.export.from_iteration import GOLDEN_ROWS
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.policy import GRAPH, SPEC, load_policy
from quaestor.export.spec import spec_json
from quaestor.log.batch import MaturedBatch
from quaestor.log.manifest import TrainingManifest, training_manifest
from quaestor.log.maturity import judge, matured_batch
from quaestor.randomness import stream_seed
from quaestor.registry import iteration as registry
from quaestor.registry.certificates import current_certificate, issue_certificate
from quaestor.registry.code import code_digest
from quaestor.registry.iteration import Inputs, PolicyIteration
from quaestor.registry.judging import EVALUATION, HEALTH, has, keep
from quaestor.registry.promotion import promote
from quaestor.settings import Settings
from quaestor.store import audit, rounds

GOLDEN_ROUNDS = 64
GOLDEN_TIME = "2026-01-01T00:00:00Z"
SCREENED = 20
"""Episodes to find the worst of several attacks, before it is measured on fresh ones."""
CODE = ("models.payments", "quaestor.log", "quaestor.export", "quaestor.randomness")
"""What determines an iteration: changing anything else, such as a screen, retrains nothing."""
CERTIFYING_CODE = ("models.smoothing", "quaestor.certification", "quaestor.randomness")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Rounds:
    """What a retraining learns from."""

    batch: MaturedBatch
    manifest: TrainingManifest


def load_rounds(settings: Settings, study: PaymentsStudy, as_of: datetime) -> Rounds:
    """Matured rounds of the system within its memory, as of a moment."""
    with settings.store.read() as connection:
        decisions = rounds.decisions(connection, study.system)
        outcomes = rounds.outcomes(connection, study.system)
    judged = judge(decisions, outcomes, study.maturity, as_of)
    if study.memory_days is not None and len(judged):
        closed = judged.filter(pl.col("status") != "pending")["decided_at"].max()
        if isinstance(closed, datetime):
            judged = judged.filter(pl.col("decided_at") >= closed - timedelta(days=study.memory_days))
    batch = matured_batch(judged)
    return Rounds(batch, training_manifest(batch, judged, study.maturity, as_of))


def ensure_incumbent(settings: Settings, study: PaymentsStudy, actions: tuple[str, ...]) -> PolicyIteration:
    """The live iteration; where there is none, the team's rule over these actions becomes it."""
    with settings.store.read() as connection:
        live = audit.live(connection, study.system)
    return registry.get(settings.store, settings.data, live) if live else ensure_rule(settings, study, actions)


def ensure_rule(settings: Settings, study: PaymentsStudy, actions: tuple[str, ...]) -> PolicyIteration:
    """The team's rule over these actions as an iteration, made live where nothing is."""
    rule = study.incumbent
    configuration = {**asdict(rule), "actions": actions}
    nothing = {"digest": "none: a rule learns nothing"}
    inputs = Inputs(study.system, "rule_of_thumb", configuration, nothing, 0, code_digest(CODE))
    salt = inputs.digest()[:16]
    made = rule_of_thumb(study.system, actions, study.refit.default_action, rule.order, rule.epsilon, salt)
    golden = pl.DataFrame({"event_id": [f"golden-{number}" for number in range(GOLDEN_ROUNDS)]})
    iteration = _register(settings, inputs, made, golden, None)
    with settings.store.read() as connection:
        live = audit.live(connection, study.system)
    if live is None:
        promote(
            settings.store,
            iteration.iteration_id,
            settings.actor,
            "the rule in use before Quaestor",
            override=True,
        )
    return iteration


def train(
    settings: Settings, study: PaymentsStudy, loaded: Rounds, incumbent: PolicyIteration, say: Say
) -> tuple[PolicyIteration, bool]:
    """The candidate for these rounds, and whether it had to be trained: equal inputs are never trained twice."""
    configuration = {"refit": asdict(study.refit), "noise_scale": study.certificate.noise_scale}
    policy = f"{study.refit.oracle.kind} oracle, {study.refit.exploration.kind}"
    inputs = Inputs(study.system, policy, configuration, loaded.manifest.as_json(), study.refit.seed, code_digest(CODE))
    known = registry.find(settings.store, settings.data, inputs)
    if known is not None:
        return known, False
    say(f"{study.system}: fitting {policy} on {len(loaded.batch):,} matured rounds")
    made = refit(loaded.batch, study.refit, study.certificate.noise_scale, salt=inputs.digest()[:16])
    return _register(settings, inputs, made, _golden_rows(loaded.batch), incumbent.iteration_id), True


def evaluate_candidate(
    settings: Settings,
    study: PaymentsStudy,
    loaded: Rounds,
    candidate: PolicyIteration,
    incumbent: PolicyIteration,
    say: Say,
) -> bool:
    """Keeps the paired evaluation, calibration and health of a candidate; False where they are there already."""
    if has(settings.store, candidate.iteration_id, EVALUATION, incumbent.iteration_id):
        return False
    judged_on = loaded.batch.rows(held_out(loaded.batch.logged, study.refit.held_out))
    say(f"{study.system}: evaluating on {len(judged_on):,} held-out rounds")
    policies = payments_policy(candidate), payments_policy(incumbent)
    new, old = (target_probabilities(policy, judged_on.logged) for policy in policies)
    predicted = predicted_rewards(policies[0], judged_on)
    evaluation = evaluate(judged_on, new, old, predicted, incumbent.iteration_id, confidence=0.95)
    health = generation_health(judged_on.logged, new, old)
    alarms = {"alarms": list(health.alarms(study.alarms))}
    store, name = settings.store, candidate.iteration_id
    keep(store, name, "calibration", calibration(judged_on, predicted).as_json())
    keep(store, name, HEALTH, health.as_json() | alarms, incumbent.iteration_id)
    keep(store, name, EVALUATION, evaluation.as_json(), incumbent.iteration_id)
    return True


def certify_candidate(
    settings: Settings, study: PaymentsStudy, loaded: Rounds, candidate: PolicyIteration, say: Say
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


def payments_policy(iteration: PolicyIteration) -> PaymentsPolicy:
    """An iteration's policy, ready to run."""
    policy = load_policy(iteration.read(GRAPH), iteration.read(SPEC), iteration.iteration_id[:12])
    if not isinstance(policy, PaymentsPolicy):
        raise TypeError(f"{iteration.iteration_id[:12]} is not a payments policy")
    return policy


def _environment(
    study: PaymentsStudy, policy: PaymentsPolicy, replayed: MaturedBatch
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Eligibility and the reward model of the replayed rounds, (round, action of the policy)."""
    features = policy.spec.features
    model = fit_on(replayed, features, study.refit.oracle, stream_seed(study.certificate.seed, "reward model"))
    success = model.predict(encode(features, replayed.logged.context))
    eligible = in_policy_order(policy, replayed.logged, replayed.logged.eligible).astype(np.bool_)
    return eligible, in_policy_order(policy, replayed.logged, success).astype(np.float64)


def _register(
    settings: Settings, inputs: Inputs, made: Refit, golden: pl.DataFrame, parent_id: str | None
) -> PolicyIteration:
    timed = golden.with_columns(decided_at=pl.lit(GOLDEN_TIME))
    files = {GRAPH: made.graph, SPEC: spec_json(made.spec), GOLDEN_ROWS: timed.write_json().encode()}
    return registry.register(settings.store, settings.data, inputs, files, parent_id, settings.actor)


def _golden_rows(batch: MaturedBatch) -> pl.DataFrame:
    rows = batch.logged.rows(np.arange(min(GOLDEN_ROUNDS, len(batch))))
    names = np.array(rows.actions, dtype=object)
    sets = [names[row].tolist() for row in rows.eligible]
    return rows.context.with_columns(
        rows.event_ids.alias("event_id"), pl.Series("eligible", sets, dtype=pl.List(pl.String))
    )
