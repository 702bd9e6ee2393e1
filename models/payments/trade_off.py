"""The curve between reward and cost on rounds held out from training, with intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import MaturedBatch
from quaestor.ope.dr import dr
from quaestor.ope.greedy import best_eligible
from quaestor.ope.interval import Interval, normal_interval, paired_interval
from quaestor.ope.objectives import ObjectiveParams, costs_of
from quaestor.ope.target_rounds import target_rounds

POINTS = 15


@dataclass(frozen=True)
class TradeOffPoint:
    """At a price of cost in reward: reward and cost a round of the greedy policy; reward is doubly robust."""

    price: float
    reward: Interval
    cost: Interval


@dataclass(frozen=True)
class TradeOffCurve:
    """The greedy policies from free costs to prohibitive ones, and where candidate and incumbent stand."""

    points: tuple[TradeOffPoint, ...]
    candidate: TradeOffPoint
    incumbent: TradeOffPoint

    def as_json(self) -> dict[str, Any]:
        """The curve as plain values."""
        return asdict(self)


def trade_off_curve(
    batch: MaturedBatch,
    candidate: NDArray[np.float64],
    incumbent: NDArray[np.float64],
    predicted: NDArray[np.float64],
    objective: ObjectiveParams,
    confidence: float = 0.95,
    predicted_cost: NDArray[np.float64] | None = None,
) -> TradeOffCurve:
    """Reward against cost at prices from 0 to where only the cheapest actions are left.

    candidate and incumbent (round, action) are probabilities, predicted (round, action) rewards. predicted_cost (round,
    action): what an oracle says that actions cost beside their fixed costs; intervals take it for true.
    """
    known = ObjectiveParams({name: cost for name, cost in objective.costs.items() if name in batch.logged.actions})
    costs = np.broadcast_to(costs_of(batch.logged.actions, known), predicted.shape)
    if predicted_cost is not None:
        costs = costs + predicted_cost

    def point(price: float, target: NDArray[np.float64]) -> TradeOffPoint:
        reward = normal_interval(dr(target_rounds(batch, target, predicted)), confidence)
        return TradeOffPoint(price, reward, paired_interval((target * costs).sum(axis=1), confidence))

    dearer = costs - np.where(batch.logged.eligible, costs, np.inf).min(axis=1, keepdims=True)
    apart = dearer[batch.logged.eligible & (dearer > 1e-12)]
    steepest = 1.0 / float(np.quantile(apart, 0.01)) if len(apart) else 0.0
    prices = np.unique(np.concatenate([[0.0], np.geomspace(steepest / 1000, steepest, POINTS - 1)]))
    greedy = [best_eligible(predicted - price * costs, batch.logged.eligible) for price in prices]
    return TradeOffCurve(
        points=tuple(point(float(price), target) for price, target in zip(prices, greedy, strict=True)),
        candidate=point(objective.price, candidate),
        incumbent=point(objective.price, incumbent),
    )
