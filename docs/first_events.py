"""Writes a team's first event files, to play with: python docs/first_events.py FOLDER. The payments are made up."""

import sys
from pathlib import Path

import numpy as np
import polars as pl

from models.payments.world import PaymentsWorld, WorldParams, decision_log

ROUNDS, SYSTEM = 4000, "first-steps"

world = PaymentsWorld(WorldParams(seed=3))
payments = world.payments(ROUNDS, 0, "first")
draw = np.random.default_rng(0).random(payments.eligible.shape)
action = np.where(payments.eligible, draw, -1.0).argmax(axis=1)  # any eligible one, all alike
propensities = payments.eligible / payments.eligible.sum(axis=1, keepdims=True)

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
log = decision_log(payments, propensities, action, SYSTEM, "the team")
customers = [f"customer-{number % 500}" for number in range(ROUNDS)]  # kept as keyed hashes only
log.with_columns(pl.Series("subject", customers)).write_parquet(folder / "decisions.parquet")
world.outcomes(payments, action, SYSTEM).write_parquet(folder / "outcomes.parquet")
print(f"{ROUNDS:,} decisions of {SYSTEM} and what came of them lie in {folder}.")
