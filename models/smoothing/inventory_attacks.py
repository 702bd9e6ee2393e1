"""Attacks on a smoothed order policy, from constant biases to one that plans anew from all that has happened.

Sizes are ℓ2 over an episode, each entry in its scale. Where all scenarios together are one episode (`together`),
they share one budget, and otherwise each has its own.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from models.inventory.dynamics import State
from models.inventory.layout import Layout
from models.inventory.observation import ObservationNoise
from models.inventory.rollout import OrderPolicy, play
from models.inventory.scenarios import Scenarios
from models.smoothing.noise import NoiseScales, add, repeat, scaled, shapes, silence, squares, standard_noise
from quaestor.randomness import stream_seed

ROWS_AT_ONCE = 64
"""Scenarios whose gradients are taken together: every period of them is held in memory."""


@dataclass(frozen=True)
class Fixed:
    """The same shift in every episode, decided beforehand: in scales, (batch, …) of one episode."""

    shift: ObservationNoise

    def __call__(
        self, layout: Layout, scenarios: Scenarios, scales: NoiseScales, noise: ObservationNoise
    ) -> ObservationNoise:
        """The shift in units, repeated for the episodes that are played together."""
        return scales.times(repeat(self.shift, scenarios.batch // len(self.shift.on_hand)))

    def stretched(self, factor: float) -> Fixed:
        """The same direction with the budget times a factor."""
        return Fixed(_times(self.shift, factor))


def biases(layout: Layout, scenarios: Scenarios, budget: float, together: bool) -> dict[str, Fixed]:
    """Attacks that spend the whole budget as one constant bias on one kind of reading, all up or all down."""
    kinds = {"stock readings": 0, "pipeline readings": 1, "demand records": 2}
    attacks: dict[str, Fixed] = {}
    for name, kind in kinds.items():
        for direction, sign in (("up", 1.0), ("down", -1.0)):
            parts = [torch.zeros(size) for size in shapes(layout, scenarios, scenarios.batch)]
            parts[kind] = torch.full_like(parts[kind], sign)
            attacks[f"{name} {direction}"] = Fixed(within(_noise(parts), budget, together))
    return attacks


def random_directions(
    layout: Layout, scenarios: Scenarios, budget: float, together: bool, tries: int, seed: int
) -> dict[str, Fixed]:
    """Random signs for each place, store and kind of reading, held over the episode, with the whole budget."""
    attacks: dict[str, Fixed] = {}
    for number in range(tries):
        draw = torch.Generator().manual_seed(stream_seed(seed, "random attack", number))
        on_hand, in_transit, demand = shapes(layout, scenarios, scenarios.batch)
        place = torch.randn(2, layout.places, generator=draw)
        store = torch.randn(layout.stores, generator=draw)
        parts = [
            place[0].expand(on_hand).clone(),
            place[1][:, None].expand(in_transit).clone(),
            store[:, None].expand(demand).clone(),
        ]
        attacks[f"random direction {number + 1}"] = Fixed(within(_noise(parts), budget, together))
    return attacks


def steepest(
    layout: Layout,
    policy: OrderPolicy,
    scenarios: Scenarios,
    scales: NoiseScales,
    noise_scale: float,
    budget: float,
    together: bool,
    warmup: int,
    seed: int,
    steps: int = 4,
    draws: int = 4,
    blind: bool = False,
) -> Fixed:
    """The gradient of the mean smoothed cost, through every period of the simulator, with the whole budget.

    Each step puts the whole budget into the direction in which cost rises fastest from where the last step ended
    (conditional gradient ascent on the ball), averaged over fresh draws of noise. blind: one shift for all
    scenarios, by an adversary that knows the law of demand and not what it will be.
    """
    shift = silence(layout, scenarios, scenarios.batch)
    for number in range(steps):
        total = silence(layout, scenarios, scenarios.batch)
        for draw in range(draws):
            noise = standard_noise(layout, scenarios, scenarios.batch, stream_seed(seed, "gradient", number, draw))
            seen = add(_times(noise, noise_scale), shift)
            total = add(total, gradient(layout, policy, scenarios, scales, seen, warmup))
        if blind:
            total = ObservationNoise(*(part.mean(0, keepdim=True).expand_as(part) for part in parts_of(total)))
        shift = within(total, budget, together)
    return Fixed(shift)


def gradient(
    layout: Layout,
    policy: OrderPolicy,
    scenarios: Scenarios,
    scales: NoiseScales,
    seen: ObservationNoise,
    warmup: int,
) -> ObservationNoise:
    """The gradient of each scenario's cost after the warm-up by what is added to its readings, in scales.

    seen: what is added already, in scales, (batch, …). Scenarios are differentiated a few at a time, with goods that
    can be divided: rounding has no gradient to climb.
    """
    found = []
    for rows in torch.arange(scenarios.batch).split(ROWS_AT_ONCE):
        own = scales.rows(rows)
        parts = [part[rows].detach().requires_grad_() for part in parts_of(seen)]
        with torch.enable_grad():
            noise = own.times(ObservationNoise(*parts))
            costs, _ = play(layout.rows(rows).relaxed(), policy, scenarios.rows(rows), noise)
            slopes = torch.autograd.grad(costs[:, warmup:].sum(), parts, allow_unused=True)
        found.append([torch.zeros_like(part) if by is None else by for part, by in zip(parts, slopes, strict=True)])
    return ObservationNoise(*(torch.cat(kind) for kind in zip(*found, strict=True)))


@dataclass(frozen=True)
class Replanned:
    """An adaptive attack: every few periods it looks at the state that past noise and orders have led to, takes the
    gradient of the remaining cost there, and commits what is left of the budget to the next periods in proportion.

    policy: what it plans with. samples: draws of future noise that its gradient is averaged over.
    """

    policy: OrderPolicy
    noise_scale: float
    budget: float
    together: int
    warmup: int
    seed: int
    plans: int = 4
    samples: int = 2

    def __call__(
        self, layout: Layout, scenarios: Scenarios, scales: NoiseScales, noise: ObservationNoise
    ) -> ObservationNoise:
        """The shift in units, (row, …); `together` consecutive rows are one episode and share a budget."""
        shift = silence(layout, scenarios, scenarios.batch)
        left = torch.full((scenarios.batch,), self.budget**2)
        state, edges = scenarios.start, torch.linspace(0, scenarios.periods, self.plans + 1).int().tolist()
        for number, (start, end) in enumerate(itertools.pairwise(edges)):
            planned = self._plan(layout, scenarios, scales, add(noise, scales.times(shift)), state, start, number)
            length = _shared(squares(planned), self.together)
            planned = scaled(planned, (left.clamp(min=0) / length.clamp(min=1e-30)).sqrt())
            used = _between(planned, scenarios.history, start, end)
            shift = add(shift, used)
            left = left - _shared(squares(used), self.together)
            with torch.no_grad():
                seen = add(noise, scales.times(shift))
                _, state = play(layout, self.policy, *_window(scenarios, seen, state, start, end))
        return scales.times(shift)

    def _plan(
        self,
        layout: Layout,
        scenarios: Scenarios,
        scales: NoiseScales,
        seen: ObservationNoise,
        state: State,
        start: int,
        number: int,
    ) -> ObservationNoise:
        """The gradient of the cost from `start` on, in scales and in the shape of a whole episode, 0 before."""
        total = silence(layout, scenarios, scenarios.batch)
        history, ones = scenarios.history, NoiseScales.ones(scales)
        for sample in range(self.samples):
            seed = stream_seed(self.seed, "plan", number, sample)
            future = scales.times(standard_noise(layout, scenarios, scenarios.batch, seed), self.noise_scale)
            rows, mixed = _window(scenarios, _after(future, seen, history, start), state, start, scenarios.periods)
            found = gradient(layout, self.policy, rows, ones, mixed, max(self.warmup - start, 0))
            total.on_hand[:, start:] += found.on_hand
            total.in_transit[:, start:] += found.in_transit
            records = 0 if start == 0 else history
            total.demand[:, :, records + start :] += found.demand[:, :, records:]
        return scales.times(total)


def within(direction: ObservationNoise, budget: float, together: bool) -> ObservationNoise:
    """A direction in scales, stretched to spend the whole budget: over all rows together, or in each of them."""
    length = squares(direction)
    length = length.sum().expand_as(length) if together else length
    return scaled(direction, budget / length.sqrt().clamp(min=1e-30))


def parts_of(noise: ObservationNoise) -> tuple[Tensor, Tensor, Tensor]:
    """Its three tensors."""
    return noise.on_hand, noise.in_transit, noise.demand


def _noise(parts: list[Tensor]) -> ObservationNoise:
    return ObservationNoise(*parts)


def _times(noise: ObservationNoise, factor: float) -> ObservationNoise:
    return ObservationNoise(noise.on_hand * factor, noise.in_transit * factor, noise.demand * factor)


def _shared(per_row: Tensor, together: int) -> Tensor:
    """The sum over the rows of each episode, given to each of them."""
    return per_row.view(-1, together).sum(dim=1).repeat_interleave(together)


def _between(noise: ObservationNoise, history: int, start: int, end: int) -> ObservationNoise:
    """The entries that are new in periods start to end, 0 elsewhere; a record is new when its demand has occurred,
    and the opening history is new at once."""
    kept = ObservationNoise(*(torch.zeros_like(part) for part in parts_of(noise)))
    kept.on_hand[:, start:end] = noise.on_hand[:, start:end]
    kept.in_transit[:, start:end] = noise.in_transit[:, start:end]
    records = slice(0 if start == 0 else history + start, history + end)
    kept.demand[:, :, records] = noise.demand[:, :, records]
    return kept


def _after(future: ObservationNoise, past: ObservationNoise, history: int, start: int) -> ObservationNoise:
    """Past entries up to the start of a period, and future ones from then on."""
    demand = future.demand.clone()
    if start > 0:
        demand[:, :, : history + start] = past.demand[:, :, : history + start]
    return ObservationNoise(future.on_hand, future.in_transit, demand)


def _window(
    scenarios: Scenarios, noise: ObservationNoise, state: State, start: int, end: int
) -> tuple[Scenarios, ObservationNoise]:
    """The periods start to end of scenarios, begun from a state, with their noise."""
    kept = ObservationNoise(
        noise.on_hand[:, start:end], noise.in_transit[:, start:end], noise.demand[:, :, start : scenarios.history + end]
    )
    return scenarios.span(start, end, state), kept
