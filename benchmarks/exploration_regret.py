"""Regret of each exploration rule, generation by generation: in the payments world and on two classification sets.

A classification set that ships with scikit-learn becomes a bandit by showing a random row as the context and rewarding
the right class with 1 (Dudík, Langford and Li 2011). The first generation explores evenly; each later one is decided by
the rule over an oracle refitted on all rounds so far. Regret is what the best action would have earned a round, on
average, beyond what the deployed probabilities earn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.datasets import load_digits, load_wine

from benchmarks import Row, options, report
from models.payments.exploration.bagging import Bagging
from models.payments.exploration.build import ExplorationParams, rule_of
from models.payments.exploration.epsilon_greedy import EpsilonGreedy
from models.payments.exploration.falcon import Falcon
from models.payments.exploration.fast_inverse_gap import FastInverseGap
from models.payments.exploration.greedy import Greedy
from models.payments.exploration.inverse_gap import InverseGap
from models.payments.exploration.pessimistic import Pessimistic
from models.payments.exploration.rule import believe
from models.payments.exploration.softmax import Softmax
from models.payments.exploration.thompson import Thompson
from models.payments.exploration.uniform import Uniform
from models.payments.exploration.upper_bound import UpperBound
from models.payments.features import FeatureParams, fit_features
from models.payments.oracles.additive import AdditiveParams
from models.payments.oracles.ensemble import EnsembleParams
from models.payments.oracles.fit import OracleParams, fit_oracle
from models.payments.oracles.oracle import TrainingSet, undescribed
from models.payments.world import PaymentsWorld, WorldParams
from quaestor.export.encoding import encode
from quaestor.export.payments_policy import draw
from quaestor.randomness import generator

RULES: tuple[ExplorationParams, ...] = (
    Uniform(),
    Greedy(),
    EpsilonGreedy(epsilon=0.1),
    Softmax(),
    InverseGap(),
    Falcon(),
    FastInverseGap(),
    UpperBound(),
    Thompson(draws=16),
    Bagging(),
    Pessimistic(),
)


@dataclass(frozen=True)
class Shown:
    """Contexts with the true reward of each action (round, action) and who may be chosen (round, action)."""

    context: pl.DataFrame
    truth: NDArray[np.float64]
    eligible: NDArray[np.bool_]


Problem = Callable[[int, int, int], Shown]


def main() -> None:
    """Rows: problem, rule, generation, regret (mean over seeds), lower and upper (95 % interval of Student's t)."""
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--generations", type=int, default=6)
    parser.add_argument("--problem", choices=("payments-world", "digits", "wine"), action="append")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error("an interval over seeds needs 2 seeds or more.")
    rounds = {"payments-world": 10_000, "digits": 1000, "wine": 200}
    if arguments.quick:
        arguments.seeds, arguments.generations = 2, 2
        rounds = {"payments-world": 1000, "digits": 300, "wine": 100}
    problems = {"payments-world": _world, "digits": _classes(load_digits), "wine": _classes(load_wine)}
    rows: list[Row] = []
    for name, problem in problems.items():
        if arguments.problem and name not in arguments.problem:
            continue
        for rule in RULES:
            found = [
                _regrets(problem, rule, seed, arguments.generations, rounds[name]) for seed in range(arguments.seeds)
            ]
            mean, spread = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(len(found))
            width = float(student.isf(0.025, len(found) - 1)) * spread
            for number in range(arguments.generations):
                rows.append(
                    {
                        "problem": name,
                        "rule": rule.kind,
                        "generation": number + 1,
                        "regret": float(mean[number]),
                        "lower": float(mean[number] - width[number]),
                        "upper": float(mean[number] + width[number]),
                    }
                )
    report(rows, arguments.json)


def _regrets(problem: Problem, params: ExplorationParams, seed: int, generations: int, rounds: int) -> list[float]:
    member = AdditiveParams(terms=0, sweeps=3)
    oracle_params: OracleParams = EnsembleParams(members=6, member=member) if params.kind == "bagging" else member
    contexts: list[pl.DataFrame] = []
    actions: list[NDArray[np.int64]] = []
    rewards: list[NDArray[np.float64]] = []
    regrets = []
    for number in range(generations):
        shown = problem(seed, number, rounds)
        if number == 0:
            probabilities = shown.eligible / shown.eligible.sum(axis=1, keepdims=True)
        else:
            context = pl.concat(contexts)
            features = fit_features(context, FeatureParams())
            training = TrainingSet(
                features,
                encode(features, context),
                np.concatenate(actions),
                np.concatenate(rewards),
                undescribed(shown.truth.shape[1]),
            )
            oracle = fit_oracle(oracle_params, training, seed=seed)
            rule = rule_of(params, len(training), training.actions)
            beliefs = believe(oracle, encode(features, shown.context), rule.needs)
            probabilities = rule.probabilities(beliefs, shown.eligible)
        best = np.where(shown.eligible, shown.truth, 0).max(axis=1)
        regrets.append(float((best - (probabilities * shown.truth).sum(axis=1)).mean()))
        chance = generator(seed, "regret", number)
        action = draw(probabilities, chance.random(rounds))
        contexts.append(shown.context)
        actions.append(action)
        rewards.append((chance.random(rounds) < shown.truth[np.arange(rounds), action]).astype(np.float64))
    return regrets


def _world(seed: int, number: int, rounds: int) -> Shown:
    world = PaymentsWorld(WorldParams(seed=seed))
    payments = world.payments(rounds, number * rounds, "regret")
    return Shown(payments.context(), world.success(payments), payments.eligible)


def _classes(load: Callable[..., tuple[NDArray[np.float64], NDArray[np.int64]]]) -> Problem:
    inputs, classes = load(return_X_y=True)

    def show(seed: int, number: int, rounds: int) -> Shown:
        rows = generator(seed, "classes", number).integers(0, len(classes), rounds)
        truth = np.eye(int(classes.max()) + 1)[classes[rows]]
        context = pl.DataFrame({f"numeric_{k}": column for k, column in enumerate(inputs[rows].T)})
        return Shown(context, truth, np.ones(truth.shape, dtype=np.bool_))

    return show


if __name__ == "__main__":
    main()
