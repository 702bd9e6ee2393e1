"""Rollouts of an order policy on the machine: what is traced, what is read, what comes back."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor, nn

from models.inventory.dynamics import State
from models.inventory.layout import Layout
from models.inventory.native.lowering import UnsupportedError
from models.inventory.native.operator import Learner, Operator, Rollout, Source
from models.inventory.native.tracing import OWN_TERMS, Traced, trace
from models.inventory.observation import ObservationNoise, observe
from models.inventory.scenarios import Scenarios

MOST_KINDS = 16
"""Sets of lead times from which on a program for each costs more than it gains."""

_traced: weakref.WeakKeyDictionary[nn.Module, dict[Hashable, Traced | UnsupportedError]] = weakref.WeakKeyDictionary()

_alone = threading.Lock()
"""Tracing puts other tensors in a policy's place for a while: whoever reads its weights meanwhile would read those."""


@dataclass(frozen=True)
class _Part:
    """Scenarios of the same lead times, by their rows, and what the operator asks for."""

    rows: Tensor | slice
    rollout: Rollout
    parameters: Tensor
    start: Tensor


def native_play(
    layout: Layout,
    policy: nn.Module,
    window: int,
    scenarios: Scenarios,
    noise: ObservationNoise | None = None,
    stacked: dict[str, Tensor] | None = None,
) -> tuple[Tensor, State]:
    """Cost (batch, period) and the state after the last period, as `rollout.play` defines them.

    stacked: weights by name, (problem, ...), to play instead of the policy's own; each problem has as many scenarios,
    one problem after the other. Scenarios of the same lead times are played together.
    Raises UnsupportedError where the machine cannot play this policy on this layout.
    """
    parts = _parts(layout, policy, window, scenarios, noise, stacked)
    played = [Operator.apply(part.rollout, part.parameters, part.start) for part in parts]
    cost, end = (_joined(results, parts) for results in zip(*played, strict=True))
    return cost, _state(layout, end)


def native_weighed(
    layout: Layout,
    policy: nn.Module,
    window: int,
    scenarios: Scenarios,
    weight: Tensor,
    stacked: dict[str, Tensor] | None = None,
) -> tuple[Tensor, Tensor, State]:
    """The sum of cost × weight (batch, period), cost and the state after the last period, as `rollout.weighed`."""
    if weight.requires_grad:
        raise UnsupportedError("gradient of what costs count")
    counts = weight.to(scenarios.demand.dtype).expand(scenarios.batch, scenarios.periods)
    parts = _parts(layout, policy, window, scenarios, None, stacked)
    played = [Learner.apply(part.rollout, part.parameters, part.start, counts[part.rows]) for part in parts]
    losses, *results = zip(*played, strict=True)
    cost, end = (_joined(result, parts) for result in results)
    return torch.stack(losses).sum(), cost, _state(layout, end)


def _parts(
    layout: Layout,
    policy: nn.Module,
    window: int,
    scenarios: Scenarios,
    noise: ObservationNoise | None,
    stacked: dict[str, Tensor] | None,
) -> list[_Part]:
    observe(scenarios, scenarios.start, 0, window, None)  # refuses a history that is too short
    own = OWN_TERMS if layout.batch > 1 else ()
    kinds, kind = torch.unique(layout.lead_time, dim=0, return_inverse=True)
    if len(kinds) == 1:
        return [_part(slice(None), layout, own, policy, window, scenarios, noise, stacked)]
    if len(kinds) > MOST_KINDS or stacked is not None:
        raise UnsupportedError(f"program for {len(kinds)} sets of lead times")
    parts = []
    for rows in (torch.nonzero(kind == k).flatten() for k in range(len(kinds))):
        heard = (
            None if noise is None else ObservationNoise(noise.on_hand[rows], noise.in_transit[rows], noise.demand[rows])
        )
        parts.append(_part(rows, layout.rows(rows), own, policy, window, scenarios.rows(rows), heard, None))
    return parts


def _part(
    rows: Tensor | slice,
    layout: Layout,
    own: tuple[str, ...],
    policy: nn.Module,
    window: int,
    scenarios: Scenarios,
    noise: ObservationNoise | None,
    stacked: dict[str, Tensor] | None,
) -> _Part:
    with _alone:
        found = _trace_of(layout, own, policy, window, scenarios.calendar.shape[1], noise is not None)
        weights = {**dict(policy.named_parameters()), **dict(policy.named_buffers())}
    sources = _sources(layout, own, window, scenarios, noise)
    dtype = layout.holding_cost.dtype
    start = torch.cat((scenarios.on_hand, scenarios.in_transit.flatten(1)), dim=1)
    if any(tensor.dtype != dtype for tensor in (start, *(source.data for source in sources))):
        raise UnsupportedError("tensors of several types")
    if any(source.data.requires_grad for source in sources):
        raise UnsupportedError("gradient of demand, terms or noise")
    if stacked is None:
        problems = 1
        parameters = found.parameters(weights)
    else:
        problems = len(next(iter(stacked.values())))
        parameters = torch.func.vmap(found.parameters)(stacked)
    rollout = Rollout(found.program, sources, scenarios.batch, scenarios.periods, problems, dtype)
    return _Part(rows, rollout, parameters, start)


def _joined(results: Sequence[Tensor], parts: list[_Part]) -> Tensor:
    """Results of all parts, in the order of their scenarios."""
    if len(parts) == 1:
        return results[0]
    rows = [part.rows for part in parts if isinstance(part.rows, Tensor)]
    return torch.cat(list(results))[torch.cat(rows).argsort()]


def _state(layout: Layout, end: Tensor) -> State:
    on_hand, in_transit = end.split((layout.places, layout.places * layout.longest_lead_time), dim=1)
    return State(on_hand, in_transit.unflatten(1, (layout.places, layout.longest_lead_time)))


def _trace_of(
    layout: Layout, own: tuple[str, ...], policy: nn.Module, window: int, calendar: int, noisy: bool
) -> Traced:
    known = _traced.setdefault(policy, {})
    first = layout.rows(torch.zeros(1, dtype=torch.int64))
    key = (_key(first, own), own, window, calendar, noisy, torch.is_grad_enabled())
    if key not in known:
        try:
            known[key] = trace(first, policy, window, calendar, noisy, own)
        except UnsupportedError as error:
            known[key] = error
    found = known[key]
    if isinstance(found, UnsupportedError):
        raise found
    return found


def _key(layout: Layout, own: tuple[str, ...]) -> Hashable:
    """What a program knows of a layout of one scenario."""
    values = [getattr(layout, field.name) for field in fields(layout) if field.name not in own]
    return tuple((v.dtype, tuple(v.shape), v.numpy().tobytes()) if isinstance(v, Tensor) else v for v in values)


def _sources(
    layout: Layout, own: tuple[str, ...], window: int, scenarios: Scenarios, noise: ObservationNoise | None
) -> tuple[Source, ...]:
    demand = scenarios.demand.contiguous()
    length, now = demand.shape[2], scenarios.history
    stores = np.arange(layout.stores) * length + now
    past = (stores[:, None] + np.arange(-window, 0)).ravel()
    seen = demand if noise is None else demand + noise.demand
    calendar = scenarios.calendar.contiguous()
    features = calendar.shape[1]
    sources = [
        Source(demand, stores, demand.stride(0), 1),
        Source(seen, past, demand.stride(0), 1),
        Source(calendar, np.arange(features) + now * features, 0, features),
    ]
    if noise is not None:
        for read in (noise.on_hand.contiguous(), noise.in_transit.contiguous()):
            sources.append(Source(read, np.arange(read.stride(1)), read.stride(0), read.stride(1)))
    for name in own:
        terms = getattr(layout, name).contiguous()
        sources.append(Source(terms, np.arange(terms.shape[1]), terms.shape[1], 0))
    return tuple(sources)
