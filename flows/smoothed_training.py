"""Trains an order policy on for its certificate, and says what that buys: certified cost and price of smoothing."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import torch

from flows.studies import InventoryStudy
from models.inventory.hdpo import TrainablePolicy
from models.inventory.problem import Problem
from models.inventory.scenarios import Scenarios
from models.smoothing.noise import NoiseScales
from models.smoothing.training import SmoothedGame, SmoothedTrainingParams, certified_cost, train_smoothed
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
    before = _measured(game, study, policy, problem.dev)
    curve = train_smoothed(policy, game, problem.train, problem.dev, params)
    after = _measured(game, study, policy, problem.dev)
    price = {
        name: 100 * (found["smoothed"] / before["unsmoothed"] - 1)
        for name, found in (("before", before), ("after", after))
    }
    return {"params": asdict(params), "curve": list(curve), "before": before, "after": after, "price_percent": price}


def _measured(game: SmoothedGame, study: InventoryStudy, policy: TrainablePolicy, dev: Scenarios) -> dict[str, float]:
    seed = stream_seed(study.hdpo.seed, "price of smoothing")

    def cost(played: SmoothedGame, budget: float) -> float:
        with torch.no_grad():
            return float(certified_cost(policy, played, dev, budget, DEV_DRAWS, seed))

    return {
        "unsmoothed": cost(replace(game, noise_scale=0.0), 0.0),
        "smoothed": cost(game, 0.0),
        "certified": cost(game, max(study.certificate.budgets)),
    }
