"""A payments policy as it decides everywhere: in evaluation, in certification and in production."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.export.encoding import Encoded, encode
from quaestor.export.session import Array, Session
from quaestor.export.spec import PaymentsSpec
from quaestor.randomness import event_keys, normals, uniforms


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

    def encode(self, context: pl.DataFrame) -> Encoded:
        """Contexts (columns numeric_… and category_…) as this policy's inputs."""
        return encode(self.spec.features, context)

    def keys(self, event_ids: Sequence[str]) -> NDArray[np.uint64]:
        """The key of each event, (round,), from which its noise and its draw follow."""
        return event_keys(self.spec.salt, self.spec.system, event_ids)

    def noise(self, keys: NDArray[np.uint64]) -> NDArray[np.float32]:
        """The standard normal noise of each event, (round, numeric feature)."""
        return normals(keys, len(self.spec.features.numeric)).astype(np.float32)

    def probabilities(
        self, contexts: Encoded, eligible: NDArray[np.bool_], noise: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """The policy's probabilities, (round, action): sum to 1, and 0 where not eligible."""
        raw = self._session.run(
            "probabilities",
            {
                "numeric": contexts.numeric,
                "category": contexts.category,
                "eligible": eligible,
                "noise": noise,
            },
        ).astype(np.float64)
        masked = np.where(eligible, raw, 0.0)
        return np.asarray(masked / masked.sum(axis=1, keepdims=True))

    def scores(self, contexts: Encoded) -> NDArray[np.float64]:
        """The oracle's predicted rewards, (round, action), without noise."""
        silence = np.zeros_like(contexts.numeric)
        everything = np.ones((len(contexts), len(self.spec.actions)), dtype=np.bool_)
        inputs: dict[str, Array] = {
            "numeric": contexts.numeric,
            "category": contexts.category,
            "eligible": everything,
            "noise": silence,
        }
        return self._session.run("scores", inputs).astype(np.float64)

    def choose(self, contexts: Encoded, eligible: NDArray[np.bool_], event_ids: Sequence[str]) -> Choice:
        """Decides each round; the same event id gives the same decision on any host (rule R2).

        Where the graph gives no distribution the default action is taken, or the first eligible one (rule R3).
        """
        keys = self.keys(event_ids)
        with np.errstate(invalid="ignore", divide="ignore"):
            probabilities = self.probabilities(contexts, eligible, self.noise(keys))
        failed = np.asarray(~np.isfinite(probabilities).all(axis=1))
        if failed.any():
            probabilities[failed] = self._fallback(eligible[failed])
        action = draw(probabilities, uniforms(keys, 1)[:, 0])
        return Choice(probabilities, action, failed)

    def _fallback(self, eligible: NDArray[np.bool_]) -> NDArray[np.float64]:
        default = self.spec.actions.index(self.spec.default_action)
        taken = np.where(eligible[:, default], default, eligible.argmax(axis=1))
        return np.eye(len(self.spec.actions))[taken]


def draw(probabilities: NDArray[np.float64], uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """The action (round,) at which the cumulated probabilities (round, action) pass a uniform draw (round,)."""
    passed = (probabilities.cumsum(axis=1) <= uniform[:, None]).sum(axis=1)
    last = probabilities.shape[1] - 1 - (probabilities[:, ::-1] > 0).argmax(axis=1)
    return np.asarray(np.minimum(passed, last))
