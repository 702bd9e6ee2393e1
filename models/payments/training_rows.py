"""Rounds as a learner passes over them: in chunks, in memory or on disk, so that memory does not grow with them."""

from __future__ import annotations

import dataclasses
import mmap
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

CHUNK = 65_536
"""Rounds in a chunk: few enough for a processor's cache, many enough that Python's own time does not count."""
IN_MEMORY = 24
"""Chunks that stay in memory even when there is a folder: some 200 MB."""
THREADS = 2
"""Chunks that are worked on at a time. Results are taken in order, so that no bit depends on it."""
Found = TypeVar("Found")


@dataclass(frozen=True)
class Chunk:
    """Some rounds, ordered by action so that the rounds of each action lie together.

    design (round, 1 + numeric feature): 1 and the standardised numbers, float32. cell (table, round): the row of each
    table that a round reads × the number of actions + its action, int32. action and reward (round,). weight (round,):
    how much the round counts. logit, residual and curvature (round,): the learner's state, float32. bounds (action
    + 1,): where each action's rounds begin.
    """

    design: NDArray[np.float32]
    cell: NDArray[np.int32]
    action: NDArray[np.int32]
    reward: NDArray[np.float32]
    weight: NDArray[np.float32]
    logit: NDArray[np.float32]
    residual: NDArray[np.float32]
    curvature: NDArray[np.float32]
    bounds: NDArray[np.int64]

    def cells(self, table: int) -> NDArray[np.intp]:
        """The cell of a table (row, action) that each round belongs to, (round,)."""
        return self.cell[table].astype(np.intp)

    def of_action(self, action: int) -> slice:
        """Where an action's rounds are."""
        return slice(int(self.bounds[action]), int(self.bounds[action + 1]))


class TrainingRows:
    """Chunks of rounds; with a folder, all but the first of them lie in files there."""

    def __init__(self, actions: int, folder: Path | None = None) -> None:
        self.actions = actions
        self.rounds = 0
        self.reward_sum = 0.0
        self.weight_sum = 0.0
        self._every = 1
        self._pool = ThreadPoolExecutor(THREADS)
        self._chunks: list[Chunk] = []
        self._maps: dict[int, list[mmap.mmap]] = {}
        self._folder = folder

    def add(
        self,
        design: NDArray[np.float32],
        code: NDArray[np.int32],
        action: NDArray[np.int64],
        reward: NDArray[np.float64],
        weight: NDArray[np.float64] | None,
    ) -> None:
        """Adds rounds: design (round, 1 + feature), code (table, round), action, reward and weight (round,)."""
        for start in range(0, len(action), CHUNK):
            part = slice(start, start + CHUNK)
            taken = action[part].astype(np.uint16)  # of which NumPy sorts a chunk forty times as fast as of int64
            order = np.argsort(taken, kind="stable")
            counts = np.bincount(taken, minlength=self.actions)
            rounds = len(order)
            counted = np.ones(rounds) if weight is None else weight[part][order]
            earned = reward[part][order]
            ordered = taken[order].astype(np.int32)
            arrays = {
                "design": np.take(design[part], order, axis=0),
                "cell": np.take(code[:, part], order, axis=1) * np.int32(self.actions) + ordered,
                "action": ordered,
                "reward": earned.astype(np.float32),
                "weight": counted.astype(np.float32),
                **{name: np.zeros(rounds, dtype=np.float32) for name in ("logit", "residual", "curvature")},
            }
            self.rounds += rounds
            self.reward_sum += float((earned * counted).sum())
            self.weight_sum += float(counted.sum())
            bounds = np.concatenate(([0], np.cumsum(counts)))
            self._chunks.append(Chunk(**self._kept(len(self._chunks), arrays), bounds=bounds))

    def replace(self, **parts: Callable[[Chunk], NDArray[Any]]) -> None:
        """Replaces arrays of every chunk that passes see, each by what a function makes of the chunk."""
        made = self.each(lambda chunk: {name: part(chunk) for name, part in parts.items()})
        for number, arrays in zip(range(0, len(self._chunks), self._every), made, strict=True):
            self._chunks[number] = dataclasses.replace(self._chunks[number], **self._kept(number, arrays))

    def thin(self, share: float) -> None:
        """From now on passes see only about this share of the chunks, evenly spaced; 1 for all of them."""
        self._every = max(1, round(1 / share))

    def chunks(self) -> list[Chunk]:
        """The chunks that passes see, in order."""
        return self._chunks[:: self._every]

    def each(self, work: Callable[[Chunk], Found]) -> Iterator[Found]:
        """What a function makes of every chunk, in order; it is at work on a few at a time.

        On disk, a chunk leaves memory when its turn is over.
        """
        waiting: deque[Future[Found]] = deque()
        for number in range(0, len(self._chunks), self._every):
            waiting.append(self._pool.submit(self._turn, work, number))
            if len(waiting) > THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _turn(self, work: Callable[[Chunk], Found], number: int) -> Found:
        found = work(self._chunks[number])
        for mapped in self._maps.get(number, ()):
            mapped.madvise(mmap.MADV_DONTNEED)
        return found

    def _kept(self, number: int, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        if self._folder is None or number < IN_MEMORY:
            return arrays
        starts = np.cumsum([0, *(-(-array.nbytes // 64) * 64 for array in arrays.values())])
        with tempfile.TemporaryFile(dir=self._folder) as file:
            file.truncate(max(int(starts[-1]), 1))
            mapped = mmap.mmap(file.fileno(), 0)
        self._maps.setdefault(number, []).append(mapped)
        kept = {}
        for (name, array), start in zip(arrays.items(), starts, strict=False):
            view = np.frombuffer(mapped, dtype=array.dtype, count=array.size, offset=int(start)).reshape(array.shape)
            view[...] = array
            kept[name] = view
        mapped.madvise(mmap.MADV_DONTNEED)
        return kept
