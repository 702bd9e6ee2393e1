"""Open Bandit logs: what each estimator says of one policy from the other's log, and whether the gate would decide.

Saito, Aihara, Matsutani and Narita, "Open Bandit Dataset and Pipeline" (arXiv 2008.07146). Reads
obd_CAMPAIGN_random.parquet and obd_CAMPAIGN_bts.parquet, whatever the number of items. The verdict is on Thompson
sampling (bts) against random, given the row's estimate. "bts by position" is how often the Thompson-sampling log took
each item at each position, for what it would have done in the random log was not kept.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import Row, options, report
from quaestor.log.adapters.open_bandit import read_open_bandit
from quaestor.log.batch import MaturedBatch
from quaestor.log.lookalike.open_bandit import write_open_bandit
from quaestor.log.maturity import MaturityParams, judge, matured_batch
from quaestor.ope.contributions import Contributions
from quaestor.ope.cross_fitting import cross_fitted
from quaestor.ope.diagnostics import diagnose
from quaestor.ope.estimators import ESTIMATORS
from quaestor.ope.interval import Interval, normal_interval, unpaired_interval
from quaestor.ope.on_policy import on_policy
from quaestor.ope.ridge import Ridge
from quaestor.ope.target_rounds import TargetRounds, target_rounds
from quaestor.ope.weights import Overlap, on_policy_overlap, overlap_of
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.gate import GateParams, gate

LONG_AFTER = datetime(2100, 1, 1)
RANDOM, BTS = "random", "bts"


@dataclass(frozen=True)
class Logs:
    """The campaign's two logs over the same items."""

    random: MaturedBatch
    bts: MaturedBatch

    def uniform_seen_from_bts(self) -> TargetRounds:
        """The Thompson-sampling log from the uniform policy."""
        return _modelled(self.bts, self.bts.logged.eligible / self.bts.logged.eligible.sum(axis=1, keepdims=True))

    def bts_seen_from_random(self) -> TargetRounds:
        """The random log from how often Thompson sampling took each item at each position."""
        taken = self.bts.logged.context["category_position"].to_numpy()
        at = self.random.logged.context["category_position"].to_numpy()
        items = len(self.random.logged.actions)
        target = np.zeros((len(self.random), items))
        for position in np.unique(at):
            actions = self.bts.logged.action[taken == position]
            actions = actions if len(actions) else self.bts.logged.action
            target[at == position] = np.bincount(actions, minlength=items) / len(actions)
        return _modelled(self.random, target)


def main() -> None:
    """Rows: estimator, logging_policy, target_policy, value, lower, upper, effective_size, max_weight, verdict."""
    parser = options(__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, metavar="DIR", help="where the campaign's files lie; absent: look-alikes")
    parser.add_argument("--campaign", default="men", help="men, women or all")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        if arguments.data is None:
            write_open_bandit(Path(made), seed=0)
        folder = arguments.data or Path(made)
        paths = {policy: folder / f"obd_{arguments.campaign}_{policy}.parquet" for policy in (RANDOM, BTS)}
        for path in paths.values():
            if not path.exists():
                parser.error(f"no file {path.name} in {folder}; give the folder of the Open Bandit files by --data.")
        report(list(rows(read_logs(paths))), arguments.json)


def read_logs(paths: dict[str, Path]) -> Logs:
    """Both logs, over the items of either."""
    parts = {policy: read_open_bandit(pl.read_parquet(path), path, None) for policy, path in paths.items()}
    items = sorted({item for part in parts.values() for item in part["decisions"]["eligible"][0].to_list()}, key=int)
    batches = {}
    for policy, part in parts.items():
        decisions = part["decisions"].with_columns(
            pl.col("decided_at").dt.replace_time_zone(None), eligible=pl.lit(items), fallback=pl.lit(False)
        )
        outcomes = part["outcomes"].with_columns(pl.col("observed_at").dt.replace_time_zone(None), revision=pl.lit(0))
        batches[policy] = matured_batch(judge(decisions, outcomes, MaturityParams(24, 0.0), LONG_AFTER))
    return Logs(_with_uniform_probabilities(batches[RANDOM]), batches[BTS])


def rows(logs: Logs) -> Iterator[Row]:
    """The two logs' own click rates, then every estimator in both directions."""
    own = {RANDOM: on_policy(logs.random), BTS: on_policy(logs.bts)}
    sides = {policy: on_policy_overlap(getattr(logs, policy)) for policy in (RANDOM, BTS)}
    between = unpaired_interval(own[BTS], own[RANDOM])
    decided = _verdict("on-policy", own[BTS], own[RANDOM], between, sides[BTS], sides[RANDOM], logs.bts)
    for policy in (RANDOM, BTS):
        yield _row("on-policy", policy, policy, own[policy], sides[policy], decided)
    for logging, target, seen in (
        (BTS, RANDOM, logs.uniform_seen_from_bts()),
        (RANDOM, "bts by position", logs.bts_seen_from_random()),
    ):
        covered = overlap_of(seen)
        for name, known in ESTIMATORS.items():
            if known.needs_logging and seen.logging is None:
                continue
            found = known.estimator(seen)
            if logging == BTS:
                difference = normal_interval(own[BTS].minus(found))
                decided = _verdict(known.title, own[BTS], found, difference, sides[BTS], covered, logs.bts)
            else:
                difference = normal_interval(found.minus(own[RANDOM]))
                decided = _verdict(known.title, found, own[RANDOM], difference, covered, sides[RANDOM], logs.random)
            yield _row(name, logging, target, found, covered, decided)


def _with_uniform_probabilities(batch: MaturedBatch) -> MaturedBatch:
    """The random log with the probabilities of every item, which CAB asks for, where they are as its name says."""
    uniform = batch.logged.eligible / batch.logged.eligible.sum(axis=1, keepdims=True)
    if not np.allclose(batch.logged.propensity, uniform[:, 0], rtol=1e-3):
        return batch
    return replace(batch, logged=replace(batch.logged, probabilities=uniform))


def _modelled(batch: MaturedBatch, target: NDArray[np.float64]) -> TargetRounds:
    return target_rounds(batch, target, cross_fitted(batch, Ridge()))


def _verdict(
    title: str, bts: Contributions, random: Contributions, difference: Interval, new: Overlap, old: Overlap,
    batch: MaturedBatch,
) -> str:  # fmt: skip
    evaluation = Evaluation(
        "reward", "clicks a round", title, "the campaign's logs", RANDOM, len(batch), normal_interval(bts),
        normal_interval(random), difference, {}, new, old, diagnose(batch),
    )  # fmt: skip
    return str(gate(evaluation, None, (), GateParams()).stage)


def _row(name: str, logging: str, target: str, found: Contributions, covered: Overlap, decided: str) -> Row:
    interval = normal_interval(found)
    return {
        "estimator": name,
        "logging_policy": logging,
        "target_policy": target,
        "value": interval.value,
        "lower": interval.lower,
        "upper": interval.upper,
        "effective_size": covered.effective_size,
        "max_weight": covered.max_weight,
        "verdict": decided,
    }


if __name__ == "__main__":
    main()
