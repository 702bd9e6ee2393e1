"""Fits an additive oracle straight from the store: one pass over record batches, then passes over compact chunks."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.payments.actions import ActionParams, described, live_actions
from models.payments.features import FeatureParams, category_feature, numeric_feature
from models.payments.oracles.additive import AdditiveOracle, AdditiveParams, moments
from models.payments.oracles.additive_fit import fit_rows
from models.payments.oracles.oracle import Oracle, TrainingSet, undescribed
from models.payments.running_moments import RunningMoments
from models.payments.training_rows import CHUNK, Chunk, TrainingRows
from quaestor.errors import UsageError
from quaestor.export.encoding import Encoded, Features
from quaestor.log.held_out import held_out_events
from quaestor.store import Store
from quaestor.store.training import Names, TrainingBatch, TrainingWindow, names, training_batches


@dataclass(frozen=True)
class Streamed:
    """A fitted oracle, the features it reads, the actions it knows, and how many rounds taught it."""

    oracle: Oracle
    features: Features
    actions: tuple[str, ...]
    rounds: int


def fit_from_store(
    store: Store,
    window: TrainingWindow,
    params: AdditiveParams,
    features: FeatureParams,
    actions: ActionParams | None = None,
    held_out: float = 0.0,
    parent: AdditiveOracle | None = None,
) -> Streamed:
    """Fits on every round of a window that may teach; chunks lie in a temporary folder while it does.

    actions: new and retired ones, and what describes them; None for those of the log, of which nothing is known.
    held_out: the share of rounds that teach nobody. parent: where to start from, with the same actions.
    """
    with tempfile.TemporaryDirectory() as folder:
        collected = _collected(store, window, Path(folder), actions, held_out)
        live = collected.live
        found = collected.finish(features)
        parts = undescribed(len(live)) if actions is None else described(live, actions)
        return Streamed(fit_rows(params, found, collected.rows, parts, parent), found, live, collected.rows.rounds)


def training_set_from_store(
    store: Store, window: TrainingWindow, features: FeatureParams
) -> tuple[TrainingSet, tuple[str, ...]]:
    """The same rounds in memory, for oracles that need them all at once, and the actions they chose from."""
    collected = _collected(store, window, None, None, 0.0)
    found = collected.finish(features)
    centre, scale = moments(found)
    actions = np.int32(len(collected.live))
    chunks = collected.rows.chunks()
    contexts = Encoded(
        np.concatenate([chunk.design[:, 1:] * scale + centre for chunk in chunks]),
        np.concatenate([((chunk.cell - chunk.action) // actions).T.astype(np.int64) for chunk in chunks]),
    )
    action = np.concatenate([chunk.action for chunk in chunks]).astype(np.int64)
    reward = np.concatenate([chunk.reward for chunk in chunks]).astype(np.float64)
    training = TrainingSet(found, contexts, action, reward, undescribed(len(collected.live)))
    return training, collected.live


def _collected(
    store: Store, window: TrainingWindow, folder: Path | None, actions: ActionParams | None, held_out: float
) -> _Collected:
    with store.read() as connection:
        known = names(connection, window.system)
        live = known.actions if actions is None else live_actions(known.actions, actions)
        collected = _Collected(known, live, folder)
        for batch in training_batches(connection, window, known):
            taught = np.ones(len(batch), dtype=np.bool_)
            if held_out:
                taught = ~held_out_events(window.system, batch.event_ids.to_list(), held_out)
            collected.add(batch, taught)
    if not collected.rows.rounds:
        raise UsageError(f"No round of {window.system!r} has matured. Ingest what came since, or wait for the window.")
    return collected


class _Collected:
    """Batches as training rows: raw numbers and provisional codes first, made final once all are seen."""

    def __init__(self, known: Names, live: tuple[str, ...], folder: Path | None) -> None:
        self.known = known
        self.live = live
        self.rows = TrainingRows(len(live), folder)
        self._number = np.array([live.index(name) if name in live else -1 for name in known.actions])
        self._places: dict[str, int] = {}
        self._numbers = RunningMoments(1 + len(known.numeric))
        self._design = np.ones((CHUNK, 1 + len(known.numeric)), dtype=np.float32)
        self._counts = [np.zeros(0, dtype=np.int64) for _ in known.category]

    def add(self, batch: TrainingBatch, taught: NDArray[np.bool_]) -> None:
        """Takes in the rounds of a batch that teach (round,) and took an action that is still live."""
        taught = taught & (self._number[batch.action] >= 0)
        if not taught.all():
            batch = batch.rows(np.flatnonzero(taught))
        places = np.array([self._places.setdefault(level, len(self._places)) for level in batch.levels] + [-1])
        code = np.take(places.astype(np.int32), batch.category.T)
        for column, codes in enumerate(code):
            counts = np.bincount(codes[codes >= 0], minlength=len(self._places))
            counts[: len(self._counts[column])] += self._counts[column]
            self._counts[column] = counts
        action = self._number[batch.action]
        for start in range(0, len(batch), CHUNK):
            part = slice(start, start + CHUNK)
            design = self._design[: len(action[part])]
            design[:, 1:] = batch.numeric[part]
            self._numbers.add(design)
            self.rows.add(design, code[:, part], action[part], batch.reward[part], None)

    def finish(self, params: FeatureParams) -> Features:
        """Standardises numbers and numbers the levels, in place; returns the features."""
        numbers = self._numbers
        mean, spread = numbers.mean()[1:], numbers.spread()[1:]  # without the column of ones
        kept = [
            k
            for k, name in enumerate(self.known.numeric)
            if spread[k] > 0 and (not params.numeric or name in params.numeric)
        ]
        levels = list(self._places)
        category, tables = [], []
        for column, name in enumerate(self.known.category):
            counts = self._counts[column]
            often = sorted(levels[place] for place in np.flatnonzero(counts >= params.minimum_count))
            if len(often) < 2 or (params.category and name not in params.category):
                continue
            table = np.zeros(len(levels) + 1, dtype=np.int32)
            table[[self._places[level] for level in often]] = np.arange(1, len(often) + 1)
            category.append((column, category_feature(name, tuple(often), params)))
            tables.append(table)
        features = Features(
            tuple(
                numeric_feature(
                    self.known.numeric[k],
                    float(mean[k]),
                    float(spread[k]),
                    (float(numbers.lowest[1 + k]), float(numbers.highest[1 + k])),
                    bool(numbers.count[1 + k] < numbers.rounds),
                    params,
                )
                for k in kept
            ),
            tuple(feature for _, feature in category),
        )
        centre, scale = moments(features)
        columns = [0, *(1 + k for k in kept)]
        actions, complete = np.int32(len(self.live)), bool((numbers.count == numbers.rounds).all())

        def cells(chunk: Chunk) -> NDArray[np.int32]:
            parts = [
                table[(chunk.cell[column] - chunk.action) // actions] * actions + chunk.action
                for (column, _), table in zip(category, tables, strict=True)
            ]
            return np.array(parts, dtype=np.int32).reshape(len(parts), len(chunk.action))

        self.rows.replace(
            design=lambda chunk: _standardised(chunk.design, columns, centre, scale, complete), cell=cells
        )
        return features


def _standardised(
    design: NDArray[np.float32],
    columns: list[int],
    centre: NDArray[np.float32],
    scale: NDArray[np.float32],
    complete: bool,
) -> NDArray[np.float32]:
    if len(columns) < design.shape[1]:
        design = design[:, columns]
    design[:, 1:] -= centre
    design[:, 1:] /= scale
    if not complete:
        np.nan_to_num(design, copy=False, nan=0.0)
    return design
