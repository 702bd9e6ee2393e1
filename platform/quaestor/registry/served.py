"""Checks of a log that need the store: clocks, and whether registered iterations served the rounds that name them."""

from __future__ import annotations

from pathlib import Path

from quaestor.clock import utc_now
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.policy import GRAPH, SPEC, load_policy
from quaestor.export.replay import target_probabilities
from quaestor.log.batch import LoggedBatch
from quaestor.ope.diagnosis import Diagnosis
from quaestor.ope.log_checks import clock_check
from quaestor.ope.propensity_checks import rederivation_check
from quaestor.registry import iteration as registry
from quaestor.registry.iteration import PolicyIteration
from quaestor.store import Store, iterations, rounds


def store_checks(store: Store, data_folder: Path, logged: LoggedBatch) -> tuple[Diagnosis, ...]:
    """All checks of a system's log that need more than its rounds."""
    with store.read() as connection:
        decisions = rounds.decisions(connection, logged.system)
        outcomes = rounds.outcomes(connection, logged.system)
    return (clock_check(decisions, outcomes, utc_now()), *served_checks(store, data_folder, logged))


def served_checks(store: Store, data_folder: Path, logged: LoggedBatch) -> tuple[Diagnosis, ...]:
    """Derives the propensities of each iteration's rounds again (rule R5); rounds that name a policy which is not
    registered here cannot be checked and are passed over."""
    found = []
    for iteration_id in logged.iteration_ids.drop_nulls().unique().sort().to_list():
        with store.read() as connection:
            known = iterations.exists(connection, iteration_id)
        if known:
            policy = payments_policy(registry.get(store, data_folder, iteration_id))
            named = (logged.iteration_ids == iteration_id).fill_null(False).to_numpy()
            derived = target_probabilities(policy, logged.rows(named))
            found.append(rederivation_check(logged, named, derived, iteration_id))
    return tuple(found)


def payments_policy(iteration: PolicyIteration) -> PaymentsPolicy:
    """An iteration's policy, ready to run; raises TypeError for one that decides no payments."""
    policy = load_policy(iteration.read(GRAPH), iteration.read(SPEC), iteration.iteration_id[:12])
    if not isinstance(policy, PaymentsPolicy):
        raise TypeError(f"{iteration.iteration_id[:12]} is not a payments policy")
    return policy
