"""Estimates with intervals on a million rounds of eight actions, once predicted rewards are there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import Row, options, peak_bytes, report, seconds
from quaestor.log.batch import LoggedBatch, MaturedBatch
from quaestor.ope.betting import value_sequence
from quaestor.ope.bootstrap import bootstrap_interval
from quaestor.ope.estimators import ESTIMATORS
from quaestor.ope.interval import Interval, normal_interval
from quaestor.ope.target_rounds import target_rounds

ACTIONS = 8


def main() -> None:
    """Rows: figure, rounds, actions, seconds, cpu_seconds (of all threads, which other work on the machine disturbs
    less), limit (what seconds must stay below, None where nothing is asked), peak_bytes of the process so far."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=1_000_000)
    parser.add_argument("--candidates", type=int, default=100)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.candidates = min(arguments.rounds, 200_000), 20
    report(list(rows(arguments.rounds, arguments.candidates)), arguments.json)


def rows(rounds: int, candidates: int) -> Iterator[Row]:
    """Each estimator from the log on, with all checks of the target policy, then what needs many passes."""
    batch, target, predicted = _log(rounds)

    def row(figure: str, work: Callable[[], object], limit: float | None, repeats: int = 3) -> Row:
        spent: list[float] = []

        def timed() -> None:
            start = time.process_time()
            work()
            spent.append(time.process_time() - start)

        return {
            "figure": figure,
            "rounds": rounds,
            "actions": ACTIONS,
            "seconds": seconds(timed, repeats),
            "cpu_seconds": min(spent),
            "limit": limit,
            "peak_bytes": peak_bytes(),
        }

    def estimate(name: str) -> Interval:
        known = ESTIMATORS[name]
        seen = target_rounds(batch, target, predicted if known.needs_model else None)
        return normal_interval(known.estimator(seen))

    yield row("plain NumPy DR, no checks", lambda: _plain_dr(batch, target, predicted), None)
    for name in ("ips", "snips", "dr"):
        yield row(f"{name} with interval", lambda name=name: estimate(name), 0.15)  # type: ignore[misc]
    for name in ("sndr", "switch-dr", "dros", "cab", "switch-dr-slope", "dros-slope"):
        yield row(f"{name} with interval", lambda name=name: estimate(name), None)  # type: ignore[misc]
    rounds_seen = target_rounds(batch, target, predicted)
    found = ESTIMATORS["dr"].estimator(rounds_seen)
    yield row("dr, 1,000 bootstraps", lambda: bootstrap_interval(found, replicates=1000), 5.0)
    yield row("confidence sequence, 20 looks", lambda: value_sequence(rounds_seen, looks=_looks(rounds)), None, 1)
    yield row(f"{candidates} candidates by dr", lambda: [estimate("dr") for _ in range(candidates)], None, 1)


def _log(rounds: int) -> tuple[MaturedBatch, NDArray[np.float64], NDArray[np.float64]]:
    draw = np.random.default_rng(0)
    logging = _distribution(draw, rounds)
    passed = (logging.cumsum(axis=1) < draw.random(rounds)[:, None]).sum(axis=1)
    action = passed.clip(max=ACTIONS - 1)
    target, predicted = _distribution(draw, rounds), draw.random((rounds, ACTIONS))
    logged = LoggedBatch(
        system="speed",
        actions=tuple(f"a{k}" for k in range(ACTIONS)),
        event_ids=pl.Series(np.arange(rounds)).cast(pl.String),
        decided_at=pl.Series(np.arange(rounds)).cast(pl.Datetime("us")),
        context=pl.DataFrame(),
        eligible=np.ones(logging.shape, dtype=np.bool_),
        action=action,
        propensity=logging[np.arange(rounds), action],
        iteration_ids=pl.repeat("logger", rounds, eager=True),
        probabilities=logging,
    )
    reward = (draw.random(rounds) < 0.8).astype(np.float64)
    return MaturedBatch(logged, reward, np.zeros(rounds, dtype=np.bool_)), target, predicted


def _distribution(draw: np.random.Generator, rounds: int) -> NDArray[np.float64]:
    score = draw.random((rounds, ACTIONS)) + 0.1
    score /= score.sum(axis=1, keepdims=True)
    return np.asarray(score)


def _plain_dr(batch: MaturedBatch, target: NDArray[np.float64], predicted: NDArray[np.float64]) -> tuple[float, float]:
    at = np.arange(len(batch)), batch.logged.action
    weight = target[at] / batch.logged.propensity
    terms = (target * predicted).sum(axis=1) + weight * (batch.reward - predicted[at])
    return float(terms.mean()), float(1.96 * terms.std(ddof=1) / np.sqrt(len(terms)))


def _looks(rounds: int) -> list[int]:
    return [rounds * k // 20 for k in range(1, 21)]


if __name__ == "__main__":
    main()
