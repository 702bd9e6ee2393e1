"""Reads matured rounds, and trains and registers payments policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from flows.payments_study import PaymentsStudy
from models.payments.memory import Memory, fitting_memory
from models.payments.oracles.additive import AdditiveOracle
from models.payments.oracles.additive_state import ORACLE, oracle_from, state_of
from models.payments.refit import Refit, RefitParams, refit, refit_from_store, rule_of_thumb
from models.payments.windows import windows_of
from quaestor.clock import utc_now
from quaestor.export.from_iteration import GOLDEN_ROWS
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.policy import GRAPH, SPEC, load_policy
from quaestor.export.spec import spec_json
from quaestor.log.batch import MaturedBatch
from quaestor.log.delay import EarlyBatch, early_batch
from quaestor.log.manifest import TrainingManifest, content_digest, training_manifest
from quaestor.log.maturity import judge, matured_batch
from quaestor.registry import iteration as registry
from quaestor.registry.canonical import digest_of
from quaestor.registry.code import code_digest
from quaestor.registry.iteration import Inputs, PolicyIteration
from quaestor.registry.promotion import promote
from quaestor.settings import Settings
from quaestor.store import audit, files, rounds
from quaestor.store.training import TrainingWindow

CODE = (
    "models.payments",
    "quaestor.log",
    "quaestor.export.encoding",
    "quaestor.export.input_schema",
    "quaestor.export.payments_policy",
    "quaestor.export.spec",
    "quaestor.ope.contributions",
    "quaestor.ope.dr",
    "quaestor.ope.greedy",
    "quaestor.ope.objectives",
    "quaestor.ope.target_rounds",
    "quaestor.ope.weights",
    "quaestor.randomness",
    "quaestor.store.outcome_places",
    "quaestor.store.training",
)
"""What determines an iteration: changing anything else, such as a screen, retrains nothing."""


GOLDEN_ROUNDS = 64


GOLDEN_TIME = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Rounds:
    """What a retraining knows of: closed rounds, by which policies are judged, too, and what is known of all rounds
    where open ones teach; costs: rounds whose rewards are what they cost, where the objective names their system."""

    batch: MaturedBatch
    manifest: TrainingManifest
    window: TrainingWindow
    early: EarlyBatch | None = None
    costs: MaturedBatch | None = None


def moment_of(settings: Settings, as_of: datetime | None = None) -> datetime:
    """The moment as of which a retraining judges rounds, in UTC: the one given, else up to when files were brought
    in."""
    if as_of is not None:
        return as_of.astimezone(UTC).replace(tzinfo=None) if as_of.tzinfo else as_of
    with settings.store.read() as connection:
        return files.heard_until(connection, utc_now())


def load_rounds(settings: Settings, study: PaymentsStudy, as_of: datetime) -> Rounds:
    """Matured rounds of the system within its memory, as of a moment."""
    with settings.store.read() as connection:
        decisions = rounds.decisions(connection, study.system)
        outcomes = rounds.outcomes(connection, study.system)
    judged = judge(decisions, outcomes, study.maturity, as_of)
    first = None
    if study.memory_days is not None and len(judged):
        closed = judged.filter(pl.col("status") != "pending")["decided_at"].max()
        if isinstance(closed, datetime):
            first = closed - timedelta(days=study.memory_days)
            judged = judged.filter(pl.col("decided_at") >= first)
    batch = matured_batch(judged)
    manifest = training_manifest(batch, judged, study.maturity, as_of)
    hours, worth = study.maturity.attribution_hours, study.maturity.default_reward
    loaded = Rounds(batch, manifest, TrainingWindow(study.system, as_of, hours, worth, first))
    if study.refit.open_rounds:
        early = early_batch(decisions, outcomes, study.maturity, as_of).since(first)
        loaded = replace(loaded, manifest=replace(manifest, digest=early.digest()), early=early)
    objective = study.refit.objective
    if objective is not None and objective.cost_system is not None:
        costs = _costs(settings, study, objective.cost_system, as_of)
        both = digest_of([loaded.manifest.digest, content_digest(costs)])
        loaded = replace(loaded, manifest=replace(loaded.manifest, digest=both), costs=costs)
    return loaded


def _costs(settings: Settings, study: PaymentsStudy, system: str, as_of: datetime) -> MaturedBatch:
    """Closed rounds of a cost system; one without an outcome cost nothing."""
    with settings.store.read() as connection:
        decisions, outcomes = rounds.decisions(connection, system), rounds.outcomes(connection, system)
    return matured_batch(judge(decisions, outcomes, replace(study.maturity, default_reward=0.0), as_of))


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


def candidate_inputs(study: PaymentsStudy, loaded: Rounds, incumbent_id: str | None) -> Inputs:
    """What determines the candidate of a study on these rounds; the incumbent where it starts from that."""
    configuration = {"refit": asdict(study.refit), "noise_scale": study.certificate.noise_scale}
    if study.refit.warm_start:
        configuration["starts_from"] = incumbent_id
    policy = f"{study.refit.oracle.kind} oracle, {study.refit.exploration.kind}"
    data = loaded.manifest.as_json()
    return Inputs(study.system, policy, configuration, data, study.refit.seed, code_digest(CODE))


def train(
    settings: Settings, study: PaymentsStudy, loaded: Rounds, incumbent: PolicyIteration, say: Callable[[str], None]
) -> tuple[PolicyIteration, bool]:
    """The candidate for these rounds, and whether it had to be trained: equal inputs are never trained twice."""
    inputs = candidate_inputs(study, loaded, incumbent.iteration_id)
    known = registry.find(settings.store, settings.data, inputs)
    if known is not None:
        return known, False
    say(f"{study.system}: fitting {inputs.policy} on {len(loaded.batch):,} matured rounds")
    params, noise, salt = study.refit, study.certificate.noise_scale, inputs.digest()[:16]
    parent = start_from(incumbent) if params.warm_start else None
    if params.streamed:
        made = refit_from_store(settings.store, loaded.window, params, noise, salt, parent)
    else:
        made = _refit_at_once(loaded, params, noise, salt, parent)
    return _register(settings, inputs, made, _golden_rows(loaded.batch), incumbent.iteration_id), True


def _refit_at_once(loaded: Rounds, params: RefitParams, noise: float, salt: str, parent: Refit | None) -> Refit:
    windows = windows_of(loaded.batch, params.held_out)
    memory = Memory(len(windows))
    if params.adaptive_memory:
        memory = fitting_memory(windows, None, len(windows), params)
    taught = loaded.early or EarlyBatch(loaded.batch, np.ones(len(loaded.batch)), 0)
    taught = taught.since(memory.since(windows))
    return refit(
        taught.batch,
        params,
        noise,
        salt,
        parent,
        memory.changed_at(windows),
        taught.weight if params.open_rounds else None,
        loaded.costs,
    )


def start_from(iteration: PolicyIteration) -> Refit | None:
    """An iteration as the next one starts from it; None where it keeps no oracle that one can start from."""
    if ORACLE not in iteration.files:
        return None
    policy = payments_policy(iteration)
    return Refit(oracle_from(iteration.read(ORACLE), policy.spec.features), policy.spec, iteration.read(GRAPH))


def payments_policy(iteration: PolicyIteration) -> PaymentsPolicy:
    """An iteration's policy, ready to run."""
    policy = load_policy(iteration.read(GRAPH), iteration.read(SPEC), iteration.iteration_id[:12])
    if not isinstance(policy, PaymentsPolicy):
        raise TypeError(f"{iteration.iteration_id[:12]} is not a payments policy")
    return policy


def _register(
    settings: Settings, inputs: Inputs, made: Refit, golden: pl.DataFrame, parent_id: str | None
) -> PolicyIteration:
    timed = golden.with_columns(decided_at=pl.lit(GOLDEN_TIME))
    files = {GRAPH: made.graph, SPEC: spec_json(made.spec), GOLDEN_ROWS: timed.write_json().encode()}
    if isinstance(made.oracle, AdditiveOracle):
        files[ORACLE] = state_of(made.oracle)
    return registry.register(settings.store, settings.data, inputs, files, parent_id, settings.actor)


def _golden_rows(batch: MaturedBatch) -> pl.DataFrame:
    rows = batch.logged.rows(np.arange(min(GOLDEN_ROUNDS, len(batch))))
    names = np.array(rows.actions, dtype=object)
    sets = [names[row].tolist() for row in rows.eligible]
    return rows.context.with_columns(
        rows.event_ids.alias("event_id"), pl.Series("eligible", sets, dtype=pl.List(pl.String))
    )
