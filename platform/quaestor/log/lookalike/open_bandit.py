"""Files in the format of the Open Bandit Dataset, with clicks as rare and propensities as uneven."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.export.rows import written_rows
from quaestor.randomness import generator

ITEMS, POSITIONS = 34, 3


def write_open_bandit(folder: Path, seed: int, rounds: int = 10_000) -> tuple[Path, Path]:
    """Writes obd_men_random.parquet and obd_men_bts.parquet; returns their paths.

    The random log shows items evenly; the other follows a posterior that leans to some items more each day, as
    Thompson sampling does. The mean click rate is about 0.5 %.
    """
    draw = generator(seed, "open bandit look-alike", "items")
    appeal = draw.normal(-5.4, 0.35, ITEMS)
    lean = np.exp(draw.normal(0.0, 1.3, ITEMS))
    paths = []
    for policy in ("random", "bts"):
        path = folder / f"obd_men_{policy}.parquet"
        paths.append(written_rows(_log(policy, appeal, lean, seed, rounds), path, policy))
    return paths[0], paths[1]


def _log(policy: str, appeal: NDArray[np.float64], lean: NDArray[np.float64], seed: int, rounds: int) -> pl.DataFrame:
    draw = generator(seed, "open bandit look-alike", policy)
    seconds = np.sort(draw.uniform(0, 7 * 86_400, rounds))
    day = seconds // 86_400
    strength = np.zeros(rounds) if policy == "random" else 0.6 + 0.1 * day
    weight = lean[None, :] ** strength[:, None]
    probabilities = weight / weight.sum(axis=1, keepdims=True)
    item = (probabilities.cumsum(axis=1) < draw.random(rounds)[:, None]).sum(axis=1).clip(max=ITEMS - 1)
    features = {f"user_feature_{k}": draw.integers(0, levels, rounds) for k, levels in enumerate((3, 6, 10, 10))}
    affinity = (draw.random((rounds, ITEMS)) < 0.01) * draw.integers(1, 4, (rounds, ITEMS)).astype(float)
    position = draw.integers(1, POSITIONS + 1, rounds)
    taken = np.arange(rounds), item
    logit = appeal[item] + 0.3 * affinity[taken] - 0.1 * position + 0.2 * (features["user_feature_1"] == 2)
    click = draw.random(rounds) < 1 / (1 + np.exp(-logit))
    start = datetime(2019, 11, 24, tzinfo=UTC)
    return pl.DataFrame(
        {
            "": np.arange(rounds),
            "timestamp": [str(start + timedelta(seconds=float(second))) for second in seconds],
            "item_id": item,
            "position": position,
            "click": click.astype(np.int64),
            "propensity_score": probabilities[taken],
            **{name: [f"level-{code}" for code in codes] for name, codes in features.items()},
            **{f"user-item_affinity_{k}": affinity[:, k] for k in range(ITEMS)},
        }
    )
