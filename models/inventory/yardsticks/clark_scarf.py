"""The optimum of a chain of stages with backlogged demand: Clark and Scarf's decomposition by echelons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve

from models.inventory.yardsticks.grid_demand import GridDemand


@dataclass(frozen=True)
class SerialOptimum:
    """The least long-run average cost per period of a chain, and the echelon base-stock level of each stage.

    levels: in units of echelon inventory position (on hand and in transit at the stage and below it, less what is
    backlogged), from the store upstream. Where holding upstream costs nothing the level is one of many.
    """

    cost: float
    levels: tuple[float, ...]


def serial_optimum(
    demand: GridDemand, lead_times: Sequence[int], holding: Sequence[float], underage: float
) -> SerialOptimum:
    """Solves a chain whose stages are given from the store upstream; the last one orders from unlimited stock.

    lead_times: periods from the stage's source to it; with 0, as some textbooks have it, goods serve the demand of
    the period in which they are ordered. holding: per unit on hand and period; goods in transit cost
    nothing. underage: per backlogged unit and period, at the store. Echelon base-stock policies are optimal, and the
    levels follow one stage at a time (Clark and Scarf 1960, "Optimal policies for a multi-echelon inventory problem";
    the recursion of Snyder and Shen 2019, "Fundamentals of Supply Chain Theory", section 6.2, in periods). A stage
    may allot in period t + L what its own order of period t brings, so it faces L periods of demand before the stage
    below orders and one more before costs fall due. Raises ValueError for a lead time below 0, or holding costs that
    rise upstream, for which the levels are not optimal.
    """
    _check(lead_times, holding, underage)
    most = sum(len(demand.over(lead_time + 1).chance) for lead_time in lead_times)
    position = np.arange(-most, most + 1) * demand.step
    value = (underage + holding[0]) * np.maximum(-position, 0.0)
    valid = 0  # cells at the lower end that a convolution has spoilt
    levels: list[float] = []
    for stage, lead_time in enumerate(lead_times):
        upstream = holding[stage + 1] if stage + 1 < len(holding) else 0.0
        periods = lead_time if stage else lead_time + 1
        total = demand.over(periods).chance
        valid += len(total) - 1
        value = fftconvolve(value, total)[: len(position)]
        value += (holding[stage] - upstream) * (position - demand.mean * (lead_time + 1))
        level = valid + int(value[valid:].argmin())
        levels.append(float(position[level]))
        # What the stage above can bring about: the level where there is enough, all there is where there is not.
        value[level:] = value[level]
    in_transit = sum(cost * lead for cost, lead in zip(holding[1:], lead_times[:-1], strict=True))
    return SerialOptimum(float(value[-1]) - in_transit * demand.mean, tuple(levels))


def _check(lead_times: Sequence[int], holding: Sequence[float], underage: float) -> None:
    if not lead_times or len(lead_times) != len(holding):
        raise ValueError(f"every stage needs a lead time and a holding cost, found {lead_times} and {holding}.")
    if min(lead_times) < 0:
        raise ValueError(f"lead times must be 0 or more, found {min(lead_times)}.")
    if any(below < above for below, above in zip(holding, [*holding[1:], 0.0], strict=True)):
        raise ValueError(f"holding costs must be 0 or more and not rise upstream, found {holding} from the store up.")
    if not underage > 0:
        raise ValueError(f"underage must be above 0, found {underage}.")
