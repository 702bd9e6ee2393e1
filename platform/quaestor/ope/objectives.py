"""Several objectives at once: reward net of what an intervention costs, and reward under a budget, with the curve
between them.

A budget on the mean cost a round is met by a price: the action taken maximises reward − price × cost, and the price
is the smallest that keeps within the budget (the Lagrangian of a constrained bandit: Agrawal and Devanur 2016,
"Linear contextual bandits with knapsacks"). The same holds for a fraud rate, whose costs are predicted by an oracle.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from quaestor.errors import UsageError
from quaestor.ope.greedy import best_eligible
from quaestor.study import did_you_mean

STEPS = 60


@dataclass(frozen=True)
class ObjectiveParams:
    """costs: of taking each action, in units of reward × price; actions that are not named cost nothing. cost_system:
    the system under which the same decisions are logged with what they cost as their outcomes, such as fraud; an oracle
    learns from it what each action costs in each context, beside the fixed costs. price: what a unit of cost is worth
    in reward. budget: of the mean cost a round; where it is given, the price is raised until the greedy policy keeps
    within it on the training rounds."""

    costs: dict[str, float] = field(default_factory=dict)
    cost_system: str | None = None
    price: float = 1.0
    budget: float | None = None

    def __post_init__(self) -> None:
        if any(not np.isfinite(cost) for cost in self.costs.values()) or not self.price >= 0:
            raise ValueError("costs must be finite and price 0 or more.")


@dataclass(frozen=True)
class TradeOff:
    """One point of the curve: a price, and the mean predicted reward and cost a round of the greedy policy at it."""

    price: float
    reward: float
    cost: float


def costs_of(actions: tuple[str, ...], params: ObjectiveParams) -> NDArray[np.float64]:
    """The cost of each action, (action,); raises UsageError for one that is not there."""
    for name in params.costs:
        if name not in actions:
            raise UsageError(f"No action {name!r} to cost anything.{did_you_mean(name, actions)}")
    return np.array([params.costs.get(name, 0.0) for name in actions])


def trade_off(
    reward: NDArray[np.float64], cost: NDArray[np.float64], eligible: NDArray[np.bool_], prices: NDArray[np.float64]
) -> list[TradeOff]:
    """The curve between reward and cost: both (round, action), or cost (action,); one point a price, in their order."""
    wide = np.broadcast_to(cost, reward.shape)
    points = []
    for price in prices:
        chosen = best_eligible(reward - price * wide, eligible)
        points.append(
            TradeOff(
                float(price), float((chosen * reward).sum(axis=1).mean()), float((chosen * wide).sum(axis=1).mean())
            )
        )
    return points


def price_of(
    reward: NDArray[np.float64], cost: NDArray[np.float64], eligible: NDArray[np.bool_], budget: float
) -> float:
    """The smallest price at which the greedy policy's mean cost a round keeps within a budget, by bisection: the cost
    never rises with the price.

    Raises UsageError when even the cheapest eligible actions cost more.
    """
    wide = np.broadcast_to(cost, reward.shape)
    least = float(np.where(eligible, wide, np.inf).min(axis=1).mean())
    if least > budget:
        raise UsageError(
            f"The cheapest eligible actions cost {least:.4g} a round; a budget of {budget:.4g} is not met."
        )

    def within(price: float) -> bool:
        (point,) = trade_off(reward, cost, eligible, np.array([price]))
        return point.cost <= budget

    if within(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while not within(high) and high < 1e12:
        low, high = high, 2 * high
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if within(middle) else (middle, high)
    return high


def charged_price(
    reward: NDArray[np.float64], cost: NDArray[np.float64], eligible: NDArray[np.bool_], params: ObjectiveParams
) -> float:
    """What a unit of cost is charged in reward: the declared price, or the one that keeps within the budget on these
    rounds; all arguments (round, action), or cost (action,)."""
    return params.price if params.budget is None else price_of(reward, cost, eligible, params.budget)
