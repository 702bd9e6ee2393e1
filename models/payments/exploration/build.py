"""Exploration rules from their parameters: the one place that lists the family's members."""

from __future__ import annotations

from models.payments.exploration.bagging import Bagging
from models.payments.exploration.epsilon_greedy import EpsilonGreedy
from models.payments.exploration.falcon import Falcon
from models.payments.exploration.fast_inverse_gap import FastInverseGap
from models.payments.exploration.greedy import Greedy
from models.payments.exploration.inverse_gap import InverseGap
from models.payments.exploration.pessimistic import Pessimistic
from models.payments.exploration.rule import Exploration
from models.payments.exploration.softmax import Softmax
from models.payments.exploration.thompson import Thompson
from models.payments.exploration.tuning import Tuned
from models.payments.exploration.uniform import Uniform
from models.payments.exploration.upper_bound import UpperBound

ExplorationParams = (
    Greedy
    | Uniform
    | EpsilonGreedy
    | Softmax
    | InverseGap
    | Falcon
    | Tuned
    | FastInverseGap
    | UpperBound
    | Thompson
    | Bagging
    | Pessimistic
)


def rule_of(params: ExplorationParams, rounds: int, actions: int) -> Exploration:
    """The rule of a generation whose oracle was taught by so many rounds; schedules are read off here.

    Raises TypeError for one that must be tuned on rounds first.
    """
    if isinstance(params, Tuned):
        raise TypeError("a tuned rule is chosen by models.payments.refit, which has the rounds.")
    return params.at(rounds, actions) if isinstance(params, Falcon) else params
