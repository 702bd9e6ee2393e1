"""How often intervals hold the truth, on a world where it is known: every estimator, for a value and for a paired
difference, and confidence sequences at all rounds at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from benchmarks import Row, options, report
from benchmarks.worlds.discrete import DiscreteWorld, discrete_world
from quaestor.ope.bernstein import bernstein_interval
from quaestor.ope.betting import bet_sizes, log_capital
from quaestor.ope.bootstrap import bootstrap_interval
from quaestor.ope.contributions import Contributions
from quaestor.ope.cross_fitting import cross_fitted
from quaestor.ope.estimators import ESTIMATORS
from quaestor.ope.interval import Interval, normal_interval
from quaestor.ope.ridge import Ridge
from quaestor.ope.stratified import Stratified
from quaestor.ope.target_rounds import TargetRounds, target_rounds

CONFIDENCE = 0.95
LEAN, INCUMBENT_LEAN = 8.0, 2.0
BOOTSTRAPPED = ("ips", "dr")


@dataclass
class Tally:
    """What became of one kind of interval over the seeds."""

    covered: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)

    def add(self, interval: Interval, truth: float) -> None:
        """Counts one interval."""
        self.covered.append(interval.lower <= truth <= interval.upper)
        self.widths.append(interval.upper - interval.lower)
        self.errors.append(interval.value - truth)


def main() -> None:
    """Rows: estimator, quantity, interval, rounds, seeds, coverage, within (of 93 to 97 %, or at least 95 % for
    intervals that only promise that), mean_width, bias, decides (whether a gate may rest on it alone)."""
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3000)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds = min(arguments.seeds, 200)
    world = discrete_world()
    report([*fixed_rows(world, arguments.rounds, arguments.seeds), *sequences(world, arguments.rounds,
            arguments.seeds)], arguments.json)  # fmt: skip


def fixed_rows(world: DiscreteWorld, rounds: int, seeds: int) -> Iterator[Row]:
    """Intervals after a fixed number of rounds."""
    policies = world.tilted(LEAN), world.tilted(INCUMBENT_LEAN)
    value, other = (world.value(policy) for policy in policies)
    tallies: dict[tuple[str, str, str], Tally] = {}
    for seed in range(seeds):
        batch, context = world.log(rounds, seed)
        predicted = cross_fitted(batch, Ridge())
        new, old = (target_rounds(batch, policy[context], predicted) for policy in policies)
        for name, estimate in _estimators(context):
            one, two = estimate(new), estimate(old)
            for quantity, found, truth in (
                ("value", one, value),
                ("paired difference", one.minus(two), value - other),
            ):
                for method, interval in _intervals(name, quantity, found, world, seed):
                    tallies.setdefault((name, quantity, method), Tally()).add(interval, truth)
    for (name, quantity, method), tally in tallies.items():
        yield _row(name, quantity, method, rounds, tally)


def sequences(world: DiscreteWorld, rounds: int, seeds: int) -> Iterator[Row]:
    """Confidence sequences: covered where no round of a run ever leaves the truth out."""
    policies = world.tilted(LEAN), world.tilted(INCUMBENT_LEAN)
    value, other = (world.value(policy) for policy in policies)
    gained, lost, up, down, scaled = ([] for _ in range(5))
    reach = 1 / world.logging.min()
    for seed in range(seeds):
        batch, context = world.log(rounds, seed)
        new, old = (target_rounds(batch, policy[context]) for policy in policies)
        reward = batch.reward
        gained.append(new.weight * reward)
        lost.append(new.weight * (1 - reward))
        up.append(new.weight * reward + old.weight * (1 - reward))
        down.append(old.weight * reward + new.weight * (1 - reward))
        scaled.append(((new.weight - old.weight) * reward + reach) / (2 * reach))
    gap = value - other
    centre = (gap + reach) / (2 * reach)
    for quantity, method, bets in (
        ("value", "betting, mean-bounded", ((gained, value), (lost, 1 - value))),
        ("paired difference", "betting, mean-bounded", ((up, 1 + gap), (down, 1 - gap))),
        ("paired difference", "betting", ((scaled, centre), ([1 - terms for terms in scaled], 1 - centre))),
    ):
        left_out = np.zeros(seeds, dtype=np.bool_)
        for terms, mean in bets:
            left_out |= _ever_rich(np.array(terms), mean)
        yield {
            "estimator": "ips",
            "quantity": quantity,
            "interval": method,
            "rounds": rounds,
            "seeds": seeds,
            "coverage": float(1 - left_out.mean()),
            "within": bool(1 - left_out.mean() >= CONFIDENCE),
            "mean_width": None,
            "bias": None,
            "decides": True,
        }


def _estimators(context: np.ndarray) -> Iterator[tuple[str, Callable[[TargetRounds], Contributions]]]:
    for name, known in ESTIMATORS.items():
        yield name, known.estimator
    yield "dr, stratified", Stratified(ESTIMATORS["dr"].estimator, (context % 4).astype(np.int64))
    yield "snips, stratified", Stratified(ESTIMATORS["snips"].estimator, (context % 4).astype(np.int64))


def _intervals(
    name: str, quantity: str, found: Contributions, world: DiscreteWorld, seed: int
) -> Iterator[tuple[str, Interval]]:
    yield "normal", normal_interval(found, CONFIDENCE)
    if name in BOOTSTRAPPED:
        yield "bootstrap-t", bootstrap_interval(found, CONFIDENCE, replicates=400, seed=seed)
    if name == "ips":
        reach = 1 / world.logging.min()
        low = 0.0 if quantity == "value" else -reach
        yield "empirical Bernstein", bernstein_interval(found, low, reach, CONFIDENCE)


def _ever_rich(terms: np.ndarray, mean: float) -> np.ndarray:
    alpha = (1 - CONFIDENCE) / 2
    capital = np.cumsum(log_capital(terms, bet_sizes(terms, alpha), mean), axis=1)
    return np.asarray((capital >= np.log(1 / alpha)).any(axis=1))


def _row(name: str, quantity: str, method: str, rounds: int, tally: Tally) -> Row:
    coverage = float(np.mean(tally.covered))
    promised = method == "empirical Bernstein"
    known = ESTIMATORS.get(name.removesuffix(", stratified"))
    return {
        "estimator": name,
        "quantity": quantity,
        "interval": method,
        "rounds": rounds,
        "seeds": len(tally.covered),
        "coverage": coverage,
        "within": coverage >= CONFIDENCE if promised else 0.93 <= coverage <= 0.97,
        "mean_width": float(np.mean(tally.widths)),
        "bias": float(np.mean(tally.errors)),
        "decides": known is not None and known.cannot_decide is None,
    }


if __name__ == "__main__":
    main()
