"""Episodes of a smoothed order policy, played in chunks: on all threads of a processor, one after another on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from models.inventory.layout import Layout
from models.inventory.observation import ObservationNoise
from models.inventory.rollout import OrderPolicy, rollout
from models.inventory.scenarios import Scenarios
from models.smoothing.noise import NoiseScales, add, standard_noise
from quaestor.randomness import stream_seed

ROWS_AT_ONCE = 1024
"""Scenarios played together: enough to fill the processor, few enough for its caches. Part of how noise is drawn."""


class Attack(Protocol):
    """An adversary: what it adds to the readings of several episodes, each within its budget."""

    def __call__(
        self, layout: Layout, scenarios: Scenarios, scales: NoiseScales, noise: ObservationNoise
    ) -> ObservationNoise:
        """The shift in units, (row, …), from scenarios, scales and noise (row, …) of whole episodes; what it adds
        in a period may depend on the noise before that period alone."""


def episode_costs(
    layout: Layout,
    policy: OrderPolicy,
    scenarios: Scenarios,
    scales: NoiseScales,
    noise_scale: float,
    episodes: int,
    warmup: int,
    seed: int,
    attack: Attack | None = None,
    first: int = 0,
    rows_at_once: int = ROWS_AT_ONCE,
    on_progress: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """Mean cost per store and period of each episode and scenario after the warm-up, (episode, batch).

    An episode is every scenario once, each reading of stock and each demand record with noise of its own. The
    noise of episode n is a function of seed, n and rows_at_once, so that any episode can be played again.
    """
    together = max(1, rows_at_once // scenarios.batch)
    everyone = torch.arange(scenarios.batch).repeat(together)
    rows, row_scales, terms = scenarios.rows(everyone), scales.rows(everyone), layout.rows(everyone)
    chunks = range(first // together, (first + episodes - 1) // together + 1)

    def play(chunk: int) -> NDArray[np.float64]:
        start = max(first - chunk * together, 0)
        end = min(first + episodes - chunk * together, together)
        costs = _play(terms, policy, rows, row_scales, noise_scale, warmup, stream_seed(seed, "noise", chunk), attack)
        if on_progress is not None:
            on_progress(end - start)
        return costs.reshape(together, scenarios.batch)[start:end]

    return np.concatenate(list(_on_all_threads(layout, play, chunks)))


def trace_costs(
    layout: Layout,
    policy: OrderPolicy,
    traces: Callable[[int, int], Scenarios],
    scales: Callable[[Scenarios], NoiseScales],
    noise_scale: float,
    count: int,
    draws: int,
    warmup: int,
    seed: int,
    attack: Attack | None = None,
) -> NDArray[np.float64]:
    """Mean cost per store and period of each trace and draw of noise, (count, draws).

    traces(first, count) gives drawn scenarios; an episode is one of them. Only a chunk is held at a time.
    """
    together = max(1, ROWS_AT_ONCE // draws)
    starts = range(0, count, together)

    def play(start: int) -> NDArray[np.float64]:
        size = min(together, count - start)
        rows = traces(start, size)
        repeated = rows.rows(torch.arange(size).repeat_interleave(draws)) if draws > 1 else rows
        seed_here = stream_seed(seed, "noise", start)
        costs = _play(layout, policy, repeated, scales(repeated), noise_scale, warmup, seed_here, attack)
        return costs.reshape(size, draws)

    return np.concatenate(list(_on_all_threads(layout, play, starts)))


def _play(
    layout: Layout,
    policy: OrderPolicy,
    rows: Scenarios,
    scales: NoiseScales,
    noise_scale: float,
    warmup: int,
    seed: int,
    attack: Attack | None,
) -> NDArray[np.float64]:
    noise = None
    if noise_scale > 0 or attack is not None:
        noise = scales.times(standard_noise(layout, rows, rows.batch, seed), noise_scale)
    if attack is not None and noise is not None:
        noise = add(noise, attack(layout, rows, scales, noise))
    with torch.no_grad():
        cost = rollout(layout, policy, rows, noise)[:, warmup:].mean(dim=1)
    return np.asarray(cost.double().cpu().numpy() / layout.stores)


def _on_all_threads(
    layout: Layout, play: Callable[[int], NDArray[np.float64]], chunks: Iterable[int]
) -> Iterable[NDArray[np.float64]]:
    """Plays chunks side by side, each on one thread: small tensors do not repay sharing the work within them. A GPU
    plays one after another: it shares each chunk's work itself, and a recorded rollout is one place in its memory."""
    threads = 1 if layout.holding_cost.is_cuda else torch.get_num_threads()
    if threads == 1:
        return [play(chunk) for chunk in chunks]
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        played = list(pool.map(play, chunks))
    torch.set_num_threads(threads)
    return played
