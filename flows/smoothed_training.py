"""Trains an order policy on for its certificate, and says what that buys: certified cost and price of smoothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flows.inventory_study import InventoryStudy
from models.inventory.hdpo import TrainablePolicy
from models.inventory.problem import Problem
from models.smoothing.noise import NoiseScales
from models.smoothing.training import SmoothedGame, SmoothedTrainingParams, costs_of, train_smoothed
from quaestor.randomness import stream_seed

CODE = ("models.smoothing.training", "models.smoothing.noise")
"""What determines such a policy beyond what determines any."""
DEV_DRAWS = 8


def train_for_certificate(
    study: InventoryStudy, problem: Problem, policy: TrainablePolicy, params: SmoothedTrainingParams
) -> dict[str, Any]:
    """Trains in place by the study's [smoothing] and returns the evidence of it.

    Everything on dev demand: cost without noise, cost under the certificate's noise and certified cost (of the normal
    law of training, no bound) at the certificate's largest budget, before and after; the price of smoothing is what
    noise adds to the cost that the policy came with.
    """
    scales = NoiseScales.by_place(problem.layout, problem.scale)
    game = SmoothedGame(problem.layout, scales, study.certificate.noise_scale, study.windows.warmup, problem.test.batch)
    budget, seed = max(study.certificate.budgets), stream_seed(study.hdpo.seed, "price of smoothing")
    before = costs_of(policy, game, problem.dev, budget, DEV_DRAWS, seed)
    curve = train_smoothed(policy, game, problem.train, problem.dev, params)
    after = costs_of(policy, game, problem.dev, budget, DEV_DRAWS, seed)
    price = {
        name: 100 * (found.smoothed / before.unsmoothed - 1) for name, found in (("before", before), ("after", after))
    }
    return {
        "params": asdict(params),
        "curve": list(curve),
        "before": asdict(before),
        "after": asdict(after),
        "price_percent": price,
    }
