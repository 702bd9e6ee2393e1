"""What a training set was: enough to recognise it, and to see at a glance whether it is fit to learn from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from quaestor.log.batch import MaturedBatch
from quaestor.log.maturity import MaturityParams

PROPENSITY_EDGES = (0.0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


@dataclass(frozen=True)
class TrainingManifest:
    """A training set in figures (rule R8).

    digest: of every row's content, whatever the order in which they arrived. propensity_histogram counts rounds
    between consecutive PROPENSITY_EDGES. effective_size: of the uniform policy, (Σw)²/Σw². defaulted_share:
    of rounds whose reward is the declared default. fallbacks: rounds left out because the policy had failed.
    decided_from: when the oldest round was decided, in UTC.
    """

    digest: str
    system: str
    as_of: str
    attribution_hours: float
    default_reward: float
    rounds: int
    statuses: dict[str, int]
    fallbacks: int
    negative_rate: float
    defaulted_share: float
    actions: dict[str, int]
    iterations: dict[str, int]
    propensity_histogram: tuple[int, ...]
    effective_size: float
    decided_from: str

    def as_json(self) -> dict[str, Any]:
        """The manifest as plain values."""
        return asdict(self)


def training_manifest(
    batch: MaturedBatch, judged: pl.DataFrame, params: MaturityParams, as_of: datetime
) -> TrainingManifest:
    """Describes a matured batch and the judged rounds it came from."""
    logged = batch.logged
    weight = 1.0 / (logged.eligible.sum(axis=1) * logged.propensity)
    counts = np.bincount(logged.action, minlength=len(logged.actions))
    histogram, _ = np.histogram(logged.propensity, bins=PROPENSITY_EDGES)
    statuses = judged["status"].value_counts().sort("status")
    iterations = logged.iteration_ids.fill_null("unknown").value_counts().sort("iteration_id")
    return TrainingManifest(
        digest=content_digest(batch),
        system=logged.system,
        as_of=as_of.isoformat(),
        attribution_hours=params.attribution_hours,
        default_reward=params.default_reward,
        rounds=len(batch),
        statuses={str(status): int(count) for status, count in statuses.iter_rows()},
        fallbacks=int(judged["fallback"].sum()),
        negative_rate=float(1 - batch.reward.mean()),
        defaulted_share=float(batch.defaulted.mean()),
        actions={name: int(count) for name, count in zip(logged.actions, counts, strict=True)},
        iterations={str(name): int(count) for name, count in iterations.iter_rows()},
        propensity_histogram=tuple(int(count) for count in histogram),
        effective_size=float(weight.sum() ** 2 / np.square(weight).sum()),
        decided_from=str(logged.decided_at.min()),
    )


def content_digest(batch: MaturedBatch) -> str:
    """The sha256 of every round's content, in the order of the batch."""
    digest = hashlib.sha256()
    for part in _content(batch):
        digest.update(part)
    return digest.hexdigest()


def _content(batch: MaturedBatch) -> Iterator[bytes]:
    logged = batch.logged
    yield json.dumps([logged.system, logged.actions, logged.context.columns]).encode()
    for array in (logged.eligible, logged.action, logged.propensity, batch.reward, batch.defaulted):
        yield np.ascontiguousarray(array).tobytes()
    for series in (logged.event_ids, logged.iteration_ids, *logged.context.get_columns()):
        if series.dtype == pl.String:
            yield "\x1f".join(series.fill_null("\x00").to_list()).encode()
        else:
            yield series.fill_null(np.nan).to_numpy().tobytes()
    yield logged.decided_at.cast(pl.Int64).to_numpy().tobytes()
