"""Evaluates any two iterations of a system against each other, from what the store holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from quaestor.errors import UsageError
from quaestor.export.policy import SPEC
from quaestor.export.replay import predicted_rewards, target_probabilities
from quaestor.export.spec import PaymentsSpec, read_spec
from quaestor.log.held_out import held_out
from quaestor.log.maturity import MaturityParams, judge, matured_batch
from quaestor.ope.objectives import ObjectiveParams
from quaestor.registry import iteration as registry
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.gate import GateParams, Verdict
from quaestor.registry.iteration import PolicyIteration
from quaestor.registry.judging import EVALUATION, GATE, SEGMENTS, judge_iteration, keep
from quaestor.registry.net_of_cost import net_of_cost
from quaestor.registry.off_policy import DOUBLY_ROBUST, Method, evaluate_off_policy
from quaestor.registry.realised import keep_realised
from quaestor.registry.segments import by_segment
from quaestor.registry.served import payments_policy, store_checks
from quaestor.store import Store, evidence, rounds
from quaestor.study import parse


@dataclass(frozen=True)
class Judged:
    """A pair of iterations with what is known of the difference, the gate's verdict, and what the gate asked for."""

    system: str
    candidate_id: str
    incumbent_id: str
    evaluation: Evaluation
    verdict: Verdict
    gate: GateParams


def evaluate_pair(
    store: Store,
    data_folder: Path,
    candidate: str,
    incumbent: str,
    params: GateParams | None,
    actor: str,
    as_of: datetime,
    method: Method = DOUBLY_ROBUST,
) -> Judged:
    """Evaluates and judges the iterations whose ids start with these names, and keeps both.

    Payments policies are read from the matured rounds that taught neither, as of a moment in UTC, and judged by reward
    net of cost where the study of the candidate, or else of the incumbent, has an objective. Order policies are played
    by their study's flow, and what it found is judged again. params: the gate, by default the one of the study that the
    candidate, or else the incumbent, was last judged by. Raises UsageError for iterations of different systems, equal
    ones, or ones that cannot be compared from here.
    """
    new, old = (registry.get(store, data_folder, name) for name in (candidate, incumbent))
    system = new.inputs.system
    if new.iteration_id == old.iteration_id:
        raise UsageError(f"Candidate and incumbent are the same iteration, {new.iteration_id[:12]}; name two.")
    if old.inputs.system != system:
        raise UsageError(
            f"The candidate is of {system!r}, the incumbent of {old.inputs.system!r}; name two of one system."
        )
    params = params or _gate_of(store, new.iteration_id, old.iteration_id)
    if _decides_payments(new) and _decides_payments(old):
        evaluation = _from_log(store, data_folder, new, old, params.confidence, as_of, method)
        keep(store, new.iteration_id, EVALUATION, evaluation.as_json(), old.iteration_id)
    else:
        evaluation = _played(store, new, old)
    verdict, _ = judge_iteration(store, system, new.iteration_id, old.iteration_id, params, actor)
    return Judged(system, new.iteration_id, old.iteration_id, evaluation, verdict, params)


def _gate_of(store: Store, *names: str) -> GateParams:
    """The gate of the study by which the first of these iterations that was judged was judged."""
    with store.read() as connection:
        kept = [found for name in names if (found := evidence.latest(connection, name, GATE)) is not None]
    return parse(GateParams, kept[0][1], "gate") if kept else GateParams()


def maturity_of(*learnt: PolicyIteration) -> MaturityParams:
    """How rounds mature, as the first of these iterations that learnt from rounds was told.

    Raises UsageError where none did.
    """
    for iteration in learnt:
        data = iteration.inputs.data
        if "attribution_hours" in data:
            return MaturityParams(float(data["attribution_hours"]), float(data["default_reward"]))
    raise UsageError("Neither iteration learnt from rounds, so that nothing says when a round has matured.")


def _from_log(
    store: Store,
    data_folder: Path,
    new: PolicyIteration,
    old: PolicyIteration,
    confidence: float,
    as_of: datetime,
    method: Method,
) -> Evaluation:
    objective = _objective(new) or _objective(old)
    if objective is not None and method != DOUBLY_ROBUST:
        raise UsageError(
            f"Reward net of cost is estimated doubly robust, not by {method.title}; leave --estimator and --within out."
        )
    with store.read() as connection:
        decisions = rounds.decisions(connection, new.inputs.system)
        outcomes = rounds.outcomes(connection, new.inputs.system)
    batch = matured_batch(judge(decisions, outcomes, maturity_of(new, old), as_of))
    keep_realised(store, batch)
    judged_on = batch.rows(held_out(batch.logged, _held_out_share(new, old)))
    if len(judged_on) < 2:
        raise UsageError(f"Only {len(judged_on)} matured rounds were held out of training; ingest more.")
    policies = payments_policy(new), payments_policy(old)
    candidate, incumbent = (target_probabilities(policy, judged_on.logged) for policy in policies)
    predicted = predicted_rewards(policies[0], judged_on)
    parted = by_segment(judged_on, candidate, incumbent, predicted, confidence)
    keep(store, new.iteration_id, SEGMENTS, parted.as_json(), old.iteration_id)
    further = store_checks(store, data_folder, judged_on.logged)
    evaluation = evaluate_off_policy(
        judged_on, candidate, incumbent, predicted, old.iteration_id, confidence, further, method
    )
    if objective is None:
        return evaluation
    return net_of_cost(evaluation, judged_on, candidate, incumbent, predicted, objective)[0]


def _played(store: Store, new: PolicyIteration, old: PolicyIteration) -> Evaluation:
    with store.read() as connection:
        found = evidence.latest(connection, new.iteration_id, EVALUATION, old.iteration_id)
    if found is None:
        raise UsageError(
            f"{new.iteration_id[:12]} was never played against {old.iteration_id[:12]}; order policies are compared by "
            "`quaestor run inventory --study FILE`."
        )
    return parse(Evaluation, found[1], "evaluation")


def _decides_payments(iteration: PolicyIteration) -> bool:
    return SPEC in iteration.files and isinstance(
        read_spec(iteration.read(SPEC), iteration.iteration_id[:12]), PaymentsSpec
    )


def _held_out_share(new: PolicyIteration, old: PolicyIteration) -> float:
    shares = [float(found) for found in (_refit(new).get("held_out"), _refit(old).get("held_out")) if found is not None]
    return min(shares, default=1.0)


def _objective(iteration: PolicyIteration) -> ObjectiveParams | None:
    """What its study counts beside the reward; raises UsageError where an oracle has to learn that first."""
    found = _refit(iteration).get("objective")
    if found is None:
        return None
    objective = parse(ObjectiveParams, found, "objective")
    if objective.cost_system is not None:
        raise UsageError(
            f"The study of {iteration.iteration_id[:12]} counts what {objective.cost_system!r} says that actions cost, "
            "which an oracle has to learn; judge it by `quaestor run payments --study FILE`."
        )
    return objective


def _refit(iteration: PolicyIteration) -> dict[str, Any]:
    found = iteration.inputs.configuration.get("refit", {})
    return found if isinstance(found, dict) else {}
