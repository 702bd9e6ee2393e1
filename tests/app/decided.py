"""A system with real policies: one live and exported, one that waits for approval, and decisions that can be derived
again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from models.payments.trade_off import trade_off_curve
from quaestor.export.from_iteration import export_iteration
from quaestor.export.replay import predicted_rewards, target_probabilities
from quaestor.log.batch import LoggedBatch
from quaestor.log.ingest import ingest_file
from quaestor.ope.objectives import ObjectiveParams
from quaestor.registry.gate import GateParams
from quaestor.registry.iteration import PolicyIteration
from quaestor.registry.judging import EVALUATION, GATE, SEGMENTS, TRADE_OFF, judge_iteration, keep
from quaestor.registry.off_policy import evaluate_off_policy
from quaestor.registry.promotion import promote
from quaestor.registry.realised import Realised
from quaestor.registry.segments import by_segment
from quaestor.registry.served import payments_policy
from quaestor.settings import Settings
from tests.evidence import certify, policy, register
from tests.rounds import bandit

LENIENT = GateParams(margin=-0.5, minimum_pairs=30, effective_size=10, rarer_outcomes=5, largest_share=1.0)
FORMULA = "=cmd()|' /C calc'!A0"
SCRIPT = "<script>document.title='owned'</script>"
"""Names of merchants."""
HOSTILE_FILE = "=cmd() <img src=x onerror=1>.parquet"


@dataclass(frozen=True)
class Decided:
    """The ids of the live iteration and of the one that waits, an event decided by the live one, and a hostile one."""

    live: str
    waits: str
    event: str
    hostile_event: str


def decide(settings: Settings, folder: Path) -> Decided:
    """Adds the system `bandit` to the store that the settings point at; event files are written to `folder`."""
    live, waits = (register(settings, policy(seed), f"policy {seed}") for seed in range(2))
    promote(settings.store, live.iteration_id, "tester", "the first one", override=True)
    judged(settings, waits, live)
    export_iteration(settings.store, settings.data, waits.iteration_id, settings.bundles, "tester")
    earned = Realised(300, 0.7, 0.65, 0.75, "2026-03-01", "2026-03-02")
    keep(settings.store, live.iteration_id, "realised", earned.as_json())
    logged = bandit(200, 21).batch.logged
    decisions = decisions_of(settings, live, logged)
    ingest_file(settings.store, "decisions", written(folder / HOSTILE_FILE, decisions))
    outcomes = decisions.head(150).select(
        "system", "event_id", observed_at=pl.col("decided_at") + pl.duration(hours=2), reward=pl.lit(1.0)
    )
    ingest_file(settings.store, "outcomes", written(folder / "bandit-outcomes.parquet", outcomes))
    names = decisions["event_id"]
    return Decided(live.iteration_id, waits.iteration_id, names[1], names[0])


def judged(settings: Settings, new: PolicyIteration, old: PolicyIteration) -> None:
    """Certifies, evaluates and judges a candidate against an incumbent, as a flow does."""
    store, name, against = settings.store, new.iteration_id, old.iteration_id
    batch = bandit(3000, 5).batch
    candidate, incumbent = (target_probabilities(payments_policy(each), batch.logged) for each in (new, old))
    predicted = predicted_rewards(payments_policy(new), batch)
    certify(settings, name)
    keep(store, name, GATE, asdict(LENIENT), against)
    keep(store, name, SEGMENTS, by_segment(batch, candidate, incumbent, predicted).as_json(), against)
    objective = ObjectiveParams({"a0": 0.1, "a1": 0.02})
    curve = trade_off_curve(batch, candidate, incumbent, predicted, objective)
    keep(store, name, TRADE_OFF, curve.as_json(), against)
    evaluation = evaluate_off_policy(batch, candidate, incumbent, predicted, against)
    keep(store, name, EVALUATION, evaluation.as_json(), against)
    judge_iteration(store, "bandit", name, against, LENIENT, "tester")


def decisions_of(settings: Settings, iteration: PolicyIteration, logged: LoggedBatch) -> pl.DataFrame:
    """What an iteration decides in these contexts, as a log; the first merchant's name is hostile."""
    deciding = payments_policy(iteration)
    probabilities = target_probabilities(deciding, logged)
    names = np.array(logged.actions)
    eligible = [names[row].tolist() for row in logged.eligible]
    choice = deciding.choose(deciding.encode(logged.context), logged.eligible, logged.event_ids.to_list())
    start = datetime.now(UTC) - timedelta(days=4)
    merchants = [FORMULA, SCRIPT, *(f"M{n % 5}" for n in range(len(logged) - 2))]
    return logged.context.with_columns(
        category_merchant=pl.Series(merchants),
        system=pl.lit("bandit"),
        event_id=logged.event_ids,
        decided_at=pl.Series([start + timedelta(minutes=20 * n) for n in range(len(logged))]),
        iteration_id=pl.lit(iteration.iteration_id),
        eligible=pl.Series(eligible),
        propensities=pl.Series([row[own].tolist() for row, own in zip(probabilities, logged.eligible, strict=True)]),
        action=pl.Series(names[choice.action]),
        propensity=pl.Series(probabilities[np.arange(len(logged)), choice.action]),
    )


def written(path: Path, frame: pl.DataFrame) -> Path:
    """The frame as a parquet file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)
    return path
