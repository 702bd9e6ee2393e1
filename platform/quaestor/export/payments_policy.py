"""A payments policy as it decides everywhere: in evaluation, in certification and in production."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quaestor.export.encoding import Encoded, encode
from quaestor.export.session import Array, Session
from quaestor.export.spec import PaymentsSpec
from quaestor.randomness import event_key, event_keys, normals, normals_of, uniform, uniforms

if TYPE_CHECKING:
    import polars as pl

AT_ONCE = 4096
"""Rounds that go through the graph together: few enough for the processor's cache."""


@dataclass(frozen=True)
class Choice:
    """Decisions (rule R1): probabilities (round, action), the action drawn (round,), and whether the policy
    failed and the default was taken (round,)."""

    probabilities: NDArray[np.float64]
    action: NDArray[np.int64]
    fallback: NDArray[np.bool_]


class PaymentsPolicy:
    """A policy graph with its spec."""

    def __init__(self, graph: bytes, spec: PaymentsSpec, where: str = "policy.onnx") -> None:
        self.spec = spec
        self._session = Session(graph, where)
        self._default = spec.actions.index(spec.default_action)

    def encode(self, context: pl.DataFrame) -> Encoded:
        """Contexts (columns numeric_… and category_…) as this policy's inputs."""
        return encode(self.spec.features, context)

    def keys(self, event_ids: Sequence[str]) -> NDArray[np.uint64]:
        """The key of each event, (round,), from which its noise and its draw follow."""
        return event_keys(self.spec.salt, self.spec.system, event_ids)

    def noise(self, keys: NDArray[np.uint64]) -> NDArray[np.float32]:
        """The standard normal noise of each event, (round, numeric feature); none where the policy adds none."""
        count = len(self.spec.features.numeric)
        if self.spec.noise_scale == 0:
            return np.zeros((len(keys), count), dtype=np.float32)
        return normals(keys, count).astype(np.float32)

    def _noise_of(self, key: int) -> NDArray[np.float32]:
        count = len(self.spec.features.numeric)
        if self.spec.noise_scale == 0:
            return np.zeros((1, count), dtype=np.float32)
        return np.array((normals_of(key, count),), dtype=np.float32)

    def probabilities(
        self, contexts: Encoded, eligible: NDArray[np.bool_], noise: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """The policy's probabilities, (round, action): sum to 1, and 0 where not eligible; NaN where it has none."""
        found = np.empty(eligible.shape)

        def fill(part: slice) -> None:
            numeric, category, allowed = contexts.numeric[part], contexts.category[part], eligible[part]
            found[part] = _normalised(self._run("probabilities", numeric, category, allowed, noise[part]), allowed)

        _by_parts(fill, len(eligible), 1)
        return found

    def scores(self, contexts: Encoded) -> NDArray[np.float64]:
        """The oracle's predicted rewards, (round, action), without noise."""
        everything = np.ones((len(contexts), len(self.spec.actions)), dtype=np.bool_)
        return self._run("scores", contexts.numeric, contexts.category, everything, np.zeros_like(contexts.numeric))

    def choose(
        self,
        contexts: Encoded,
        eligible: NDArray[np.bool_],
        event_ids: Sequence[str],
        unfit: NDArray[np.bool_] | None = None,
    ) -> Choice:
        """Decides each round; the same event id gives the same decision on any host (rule R2).

        Where the graph gives no distribution, or a round is unfit (round,), the default action is taken, or the
        first eligible one (rule R3).
        """
        rounds = len(eligible)
        found = Choice(np.empty(eligible.shape), np.empty(rounds, np.int64), np.empty(rounds, np.bool_))

        def decide(part: slice) -> None:
            # Keys are made by Python itself, one thread at a time, while other threads are in the graph.
            keys, allowed = self.keys(event_ids[part]), eligible[part]
            raw = self._run("probabilities", contexts.numeric[part], contexts.category[part], allowed, self.noise(keys))
            probabilities = _normalised(raw, allowed)
            failed = np.asarray(np.isnan(probabilities).any(axis=1))
            if unfit is not None:
                failed |= unfit[part]
            if failed.any():
                left = allowed[failed]
                taken = np.where(left[:, self._default], self._default, left.argmax(axis=1))
                probabilities[failed] = np.eye(len(self.spec.actions))[taken]
            found.probabilities[part], found.fallback[part] = probabilities, failed
            found.action[part] = draw(probabilities, uniforms(keys, 1)[:, 0])

        _by_parts(decide, rounds, os.cpu_count() or 1)
        return found

    def choose_one(
        self, numeric: list[float], category: list[int], eligible: list[bool], event_id: str, unfit: bool
    ) -> tuple[list[float], int, bool, int, list[float]]:
        """Decides one round as `choose` does, to the bit, without the cost of arrays.

        Returns probabilities, action, whether it fell back, the event's key and its noise.
        """
        key = event_key(self.spec.salt, self.spec.system, event_id)
        noise = self._noise_of(key)
        probabilities: list[float] | None = None
        if not unfit:
            numbers, codes = np.array((numeric,), dtype=np.float32), np.array((category,), dtype=np.int64)
            raw = self._run("probabilities", numbers, codes, np.array((eligible,)), noise)[0].tolist()
            probabilities = _normalised_one(raw, eligible)
        failed = probabilities is None
        if probabilities is None:
            taken = self._default if eligible[self._default] else eligible.index(True)
            probabilities = [float(action == taken) for action in range(len(eligible))]
        return probabilities, _draw_one(probabilities, uniform(key)), failed, key, noise[0].tolist()

    def _run(self, output: str, numeric: Array, category: Array, eligible: Array, noise: Array) -> NDArray[np.float64]:
        inputs: dict[str, Array] = {"numeric": numeric, "category": category, "eligible": eligible, "noise": noise}
        return self._session.run(output, inputs)


def _by_parts(work: Callable[[slice], None], rounds: int, threads: int) -> None:
    """Does some work on all rounds, so many at once; several threads share the parts."""
    parts = [slice(start, start + AT_ONCE) for start in range(0, rounds, AT_ONCE)]
    if threads == 1 or len(parts) < 2:
        for part in parts:
            work(part)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, parts))


def draw(probabilities: NDArray[np.float64], uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """The action (round,) at which the cumulated probabilities (round, action) pass a uniform draw (round,)."""
    reached = np.zeros(len(probabilities))
    passed, last = (np.zeros(len(probabilities), dtype=np.int64) for _ in range(2))
    for action, probability in enumerate(np.ascontiguousarray(probabilities.T)):
        reached += probability
        passed += reached <= uniform
        last[probability > 0] = action
    return np.minimum(passed, last)


def _draw_one(probabilities: list[float], uniform: float) -> int:
    reached, last = 0.0, 0
    for action, probability in enumerate(probabilities):
        reached += probability
        if probability > 0:
            last = action
            if reached > uniform:
                return action
    return last


def _normalised(raw: NDArray[np.float64], eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rows that sum to 1 over the eligible actions; a row that is no distribution becomes NaN.

    Sums run from the first action to the last, so that `_normalised_one` gives the same bits.
    """
    masked = np.where(eligible, raw, 0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        total = np.zeros(len(masked))
        for column in np.ascontiguousarray(masked.T):
            total += column
        good = np.isfinite(total) & (total > 0) & (masked >= 0).all(axis=1)
    return np.asarray(masked / np.where(good, total, np.nan)[:, None])


def _normalised_one(raw: list[float], eligible: list[bool]) -> list[float] | None:
    masked = [value if allowed else 0.0 for value, allowed in zip(raw, eligible, strict=True)]
    total = 0.0
    for value in masked:
        if not value >= 0:
            return None
        total += value
    if not isfinite(total) or total <= 0:
        return None
    return [value / total for value in masked]
