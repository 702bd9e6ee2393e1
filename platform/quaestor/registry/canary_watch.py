"""Watches the live iteration of a system as a canary, and rolls it back by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from quaestor.errors import UsageError
from quaestor.export.replay import target_probabilities
from quaestor.log.batch import MaturedBatch
from quaestor.log.maturity import MaturityParams, judge, matured_batch
from quaestor.ope.weights import taken
from quaestor.registry import iteration as registry
from quaestor.registry.canary import CanaryParams, CanaryRounds, CanaryState, CanaryVerdict, watch
from quaestor.registry.evaluating import maturity_of
from quaestor.registry.judging import CANARY, keep
from quaestor.registry.promotion import live_history, roll_back
from quaestor.registry.realised import keep_realised
from quaestor.registry.served import payments_policy
from quaestor.store import Store, audit, rounds

ACTOR = "canary gate"


@dataclass(frozen=True)
class Watched:
    """A canary, the iteration live before it, what the gate says, and who is live afterwards."""

    system: str
    candidate_id: str
    incumbent_id: str
    verdict: CanaryVerdict
    live_id: str


def watch_live(store: Store, data_folder: Path, system: str, params: CanaryParams, as_of: datetime) -> Watched:
    """Compares the live iteration with the one before it on the rounds that either decided since the live one's first.

    Where it is certainly worse than is borne, it is rolled back and the audit trail says why. Looking often does
    no harm. Raises UsageError for a system with no earlier iteration to go back to.
    """
    with store.read() as connection:
        history = live_history(audit.trail(connection, system))
    if len(history) < 2:
        raise UsageError(
            f"System {system!r} has no iteration live before the current one; there is no canary to watch."
        )
    candidate, incumbent = (registry.get(store, data_folder, name) for name in (history[-1], history[-2]))
    batch = _rounds_since(store, candidate.iteration_id, incumbent.iteration_id, system, as_of,
                          maturity_of(candidate, incumbent))  # fmt: skip
    if batch is not None:
        keep_realised(store, batch)
    verdict = watch(_seen(data_folder, store, batch, candidate.iteration_id, incumbent.iteration_id), params)
    keep(store, candidate.iteration_id, CANARY, verdict.as_json(), incumbent.iteration_id)
    live_id = candidate.iteration_id
    if verdict.state is CanaryState.ROLL_BACK:
        live_id = roll_back(store, system, ACTOR, " ".join(verdict.reasons), candidate.iteration_id)
    return Watched(system, candidate.iteration_id, incumbent.iteration_id, verdict, live_id)


def _rounds_since(
    store: Store, candidate_id: str, incumbent_id: str, system: str, as_of: datetime, maturity: MaturityParams
) -> MaturedBatch | None:
    """Matured rounds by either since the candidate's first, in order of time; None before there is one."""
    with store.read() as connection:
        decisions = rounds.decisions(connection, system)
        outcomes = rounds.outcomes(connection, system)
    try:
        batch = matured_batch(judge(decisions, outcomes, maturity, as_of))
    except UsageError:  # nothing has matured
        return None
    named = batch.logged.iteration_ids
    of_candidate = (named == candidate_id).fill_null(False).to_numpy()
    if not of_candidate.any():
        return None
    times = batch.logged.decided_at.to_numpy()
    either = of_candidate | (named == incumbent_id).fill_null(False).to_numpy()
    kept = np.flatnonzero(either & (times >= times[of_candidate].min()))
    return batch.rows(kept[np.argsort(times[kept], kind="stable")])


def _seen(
    data_folder: Path, store: Store, batch: MaturedBatch | None, candidate_id: str, incumbent_id: str
) -> CanaryRounds:
    if batch is None:
        return CanaryRounds(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.bool_))
    logged = batch.logged
    candidate, incumbent = (
        taken(target_probabilities(payments_policy(registry.get(store, data_folder, name)), logged), logged.action)
        for name in (candidate_id, incumbent_id)
    )
    by_candidate = (logged.iteration_ids == candidate_id).fill_null(False).to_numpy()
    return CanaryRounds(candidate, incumbent, batch.reward, by_candidate)
