"""What several objectives come to for the gate: reward net of cost at a price, and whether a budget is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import MaturedBatch
from quaestor.ope.contributions import Contributions, from_terms
from quaestor.ope.dr import dr
from quaestor.ope.interval import Interval, normal_interval
from quaestor.ope.objectives import ObjectiveParams, charged_price, costs_of
from quaestor.ope.target_rounds import target_rounds
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.off_policy import DOUBLY_ROBUST


@dataclass(frozen=True)
class RealisedCosts:
    """What rounds cost beside their actions' fixed costs: realised (round,) in [0, 1], and what an oracle that other
    rounds taught predicts of every action, predicted (round, action)."""

    realised: NDArray[np.float64]
    predicted: NDArray[np.float64]


@dataclass(frozen=True)
class CostSide:
    """What the gate needs to know beside the reward: the price of a unit of cost, and the candidate's mean cost a
    round."""

    price: float
    cost: Interval

    def alarms(self, objective: ObjectiveParams) -> tuple[str, ...]:
        """A sentence where the candidate surely breaks the budget."""
        if objective.budget is None or self.cost.lower <= objective.budget:
            return ()
        return (
            f"The candidate costs {self.cost.value:.4g} a round ({self.cost.confidence:.0%} interval "
            f"{self.cost.lower:.4g} to {self.cost.upper:.4g}); the budget is {objective.budget:.4g}.",
        )


def known_costs(batch: MaturedBatch, costs: MaturedBatch) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where the rounds stand whose cost is known, too, and what they cost; rounds are the same by their event ids."""
    place = {event: row for row, event in enumerate(costs.logged.event_ids.to_list())}
    found = np.array([place.get(event, -1) for event in batch.logged.event_ids.to_list()], dtype=np.int64)
    known = np.flatnonzero(found >= 0)
    return known, costs.reward[found[known]]


def net_of_cost(
    evaluation: Evaluation,
    batch: MaturedBatch,
    candidate: NDArray[np.float64],
    incumbent: NDArray[np.float64],
    predicted: NDArray[np.float64],
    objective: ObjectiveParams,
    realised: RealisedCosts | None = None,
) -> tuple[Evaluation, CostSide]:
    """The evaluation of rewards on these rounds as one of reward net of cost, paired and doubly robust in both.

    candidate and incumbent (round, action) are probabilities, predicted (round, action) rewards. The price is the
    declared one, or the smallest at which the greedy policy keeps within the budget on these rounds. The differences
    in reward and in cost alone stand beside the one that decides; a budget that is surely broken is said with it.
    """
    known = {name: cost for name, cost in objective.costs.items() if name in batch.logged.actions}
    fixed = costs_of(batch.logged.actions, ObjectiveParams(known))
    wide = fixed if realised is None else fixed + realised.predicted
    price = charged_price(predicted, wide, batch.logged.eligible, objective)

    def cost(target: NDArray[np.float64]) -> Contributions:
        terms = target @ fixed
        if realised is not None:
            spent = replace(batch, reward=realised.realised)
            terms = terms + dr(target_rounds(spent, target, realised.predicted)).terms
        return from_terms(terms)

    confidence = evaluation.difference.confidence
    earned = [dr(target_rounds(batch, target, predicted)) for target in (candidate, incumbent)]
    spent = [cost(target) for target in (candidate, incumbent)]
    new, old = (from_terms(r.terms - price * c.terms) for r, c in zip(earned, spent, strict=True))
    side = CostSide(price, normal_interval(spent[0], confidence))
    judged = replace(
        evaluation,
        estimator=DOUBLY_ROBUST.title,
        over_budget=side.alarms(objective),
        unit=f"reward net of cost (at {price:.4g}) a round",
        candidate=normal_interval(new, confidence),
        incumbent=normal_interval(old, confidence),
        difference=normal_interval(new.minus(old), confidence),
        others={
            "reward alone": normal_interval(earned[0].minus(earned[1]), confidence),
            "cost alone": normal_interval(spent[0].minus(spent[1]), confidence),
        },
    )
    return judged, side
