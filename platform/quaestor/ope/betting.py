"""Anytime-valid confidence sequences by betting: looked at after every round, they cover all the way at once.

Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (2024), for terms in a known
range; Waudby-Smith, Wu, Ramdas, Karampatziakis and Mineiro, "Anytime-valid off-policy inference for contextual
bandits" (2024), for importance weights of which only the mean, 1, is known. A gambler who bets against a mean m
multiplies the capital by 1 + λ(x − m) each round; where m is right, capital 1/α is ever reached with probability
at most α (Ville 1939), so that every m that made the gambler rich is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from quaestor.ope.interval import Interval, check_confidence
from quaestor.ope.target_rounds import TargetRounds

CAUTION = 0.75
"""The largest share of the capital that one round may cost."""
_PRECISION = 1e-9

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ConfidenceSequence:
    """Lower and upper bounds, (look,), after so many rounds each, (look,): all hold at once at `confidence`.

    A bound never gives back what an earlier look gained. value (look,): the mean so far.
    """

    rounds: NDArray[np.int64]
    value: Array
    lower: Array
    upper: Array
    confidence: float
    method: str

    @property
    def last(self) -> Interval:
        """The interval after the last look."""
        return Interval(
            float(self.value[-1]), float(self.lower[-1]), float(self.upper[-1]), self.confidence, self.method
        )


def bounded_sequence(
    terms: Array, low: float, high: float, confidence: float = 0.95, looks: Sequence[int] | None = None
) -> ConfidenceSequence:
    """A confidence sequence for the one conditional mean of terms (round,) within [low, high], known beforehand.

    looks: after how many rounds to look, by default once at the end. Raises ValueError for a term outside.
    """
    check_confidence(confidence)
    tolerance = 1e-9 * (high - low)
    if len(terms) and not (terms.min() >= low - tolerance and terms.max() <= high + tolerance):
        raise ValueError(f"terms must lie in [{low:g}, {high:g}], found {terms.min():g} to {terms.max():g}.")
    scaled = np.clip((terms - low) / (high - low), 0.0, 1.0)
    at = _looks(looks, len(terms))
    alpha = (1 - confidence) / 2
    span = high - low
    lower = low + span * lower_bounds(scaled, alpha, at)
    upper = high - span * lower_bounds(1 - scaled, alpha, at)
    return _sequence(terms, lower, upper, at, confidence, "betting")


def value_sequence(
    rounds: TargetRounds, confidence: float = 0.95, looks: Sequence[int] | None = None
) -> ConfidenceSequence:
    """A confidence sequence for the value of a target policy, with rewards in [0, 1] and weights of any size.

    w·r and w·(1 − r) are 0 or more with means V and 1 − V, because weights have mean 1 where propensities are
    right; a bet on a term of 0 or more needs no upper limit for it.
    """
    weight, reward = rounds.weight, rounds.reward
    gained = weight * reward
    return _mean_bounded(gained, gained, weight - gained, 0.0, confidence, looks)


def difference_sequence(
    new: Array, old: Array, reward: Array, confidence: float = 0.95, looks: Sequence[int] | None = None
) -> ConfidenceSequence:
    """The same for the value of a candidate minus that of an incumbent, paired on the same rounds.

    new and old (round,): the weights of candidate and incumbent; reward (round,) in [0, 1].

    w·r + w'·(1 − r) is 0 or more with mean 1 + V − V', and the other way round 1 − (V − V').
    """
    up, down = new * reward + old * (1 - reward), old * reward + new * (1 - reward)
    return _mean_bounded((new - old) * reward, up, down, 1.0, confidence, looks)


def lower_bounds(terms: Array, alpha: float, looks: NDArray[np.int64], most: float = 1.0) -> Array:
    """Lower bounds (look,) for the mean of terms (round,) of 0 or more, a mean that is at most `most`.

    Each holds at all times with probability 1 − alpha. Terms whose mean is `most` or more give that bound.
    """
    bets = bet_sizes(terms, alpha)
    wanted = float(np.log(1 / alpha))

    def surplus(mean: float, until: int) -> float:
        return float(log_capital(terms[:until], bets[:until], mean).sum()) - wanted

    found, best = np.zeros(len(looks)), 0.0
    for number, until in enumerate(looks.tolist()):
        if surplus(most, until) > 0:
            best = most
        elif surplus(best, until) > 0:  # the more a mean is, the less a gambler above it wins
            turning = float(brentq(surplus, best, most, args=(until,), xtol=_PRECISION))
            best = max(best, turning - _PRECISION)
        found[number] = best
    return found


def bet_sizes(terms: Array, alpha: float) -> Array:
    """Bets λ, (…, round), each from the rounds before it alone (Waudby-Smith and Ramdas 2024, equation 26)."""
    number = np.arange(1, terms.shape[-1] + 1)
    mean = (0.5 + np.cumsum(terms, axis=-1)) / (number + 1)
    variance = (0.25 + np.cumsum(np.square(terms - mean), axis=-1)) / (number + 1)
    known = np.concatenate([np.full((*terms.shape[:-1], 1), 0.25), variance[..., :-1]], axis=-1)
    return np.asarray(np.sqrt(2 * np.log(1 / alpha) / (known * number * np.log(1 + number))))


def log_capital(terms: Array, bets: Array, mean: float) -> Array:
    """The log of what each round multiplies the capital by, (…, round), for a gambler who holds the mean of terms
    of 0 or more to be above `mean`."""
    capped = bets if mean <= 0 else np.minimum(bets, CAUTION / mean)
    return np.asarray(np.log1p(capped * (terms - mean)))


def _mean_bounded(
    terms: Array, up: Array, down: Array, offset: float, confidence: float, looks: Sequence[int] | None
) -> ConfidenceSequence:
    """For the mean θ of terms, where up has mean offset + θ, down 1 − θ, and both are 0 or more."""
    check_confidence(confidence)
    at = _looks(looks, len(terms))
    alpha = (1 - confidence) / 2
    lower = lower_bounds(up, alpha, at, 1.0 + offset) - offset
    upper = 1.0 - lower_bounds(down, alpha, at, 1.0 + offset)
    return _sequence(terms, lower, upper, at, confidence, "betting, mean-bounded")


def _looks(looks: Sequence[int] | None, rounds: int) -> NDArray[np.int64]:
    at = np.array([rounds] if looks is None else looks, dtype=np.int64)
    if not len(at) or at.min() < 1 or at.max() > rounds or (np.diff(at) <= 0).any():
        raise ValueError(f"looks must rise from 1 or more to at most {rounds} rounds, found {at.tolist()}.")
    return at


def _sequence(
    terms: Array, lower: Array, upper: Array, at: NDArray[np.int64], confidence: float, method: str
) -> ConfidenceSequence:
    means = np.cumsum(terms)[at - 1] / at
    return ConfidenceSequence(at, means, lower, np.minimum.accumulate(upper), confidence, method)
