"""The newsvendor on a learned forecast: order up to a quantile of the demand that a neural forecaster expects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from models.inventory.layout import Layout
from models.inventory.observation import Observation
from models.inventory.policies.demand_scale import SMALLEST_SCALE
from models.inventory.scenarios import Scenarios
from quaestor.errors import UsageError
from quaestor.randomness import stream_seed

EDGE = 1e-3
"""Levels nearer to 0 or 1 are not asked of a forecaster that never saw so rare an event."""


@dataclass(frozen=True)
class ForecastParams:
    """How a forecaster is fitted: Adam on the pinball loss, at levels and moments drawn anew for every step."""

    width: int = 64
    window: int = 16
    steps: int = 2000
    batch: int = 2048
    learning_rate: float = 2e-3
    seed: int = 0


class QuantileForecaster(nn.Module):
    """Quantiles of a store's demand summed over the next periods, at any level, in the scale of its recent demand."""

    def __init__(self, window: int, calendar: int, width: int) -> None:
        super().__init__()
        self.window = window
        self.body = nn.Sequential(
            nn.Linear(window + calendar + 3, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, 1),
        )

    def forward(self, past: Tensor, calendar: Tensor, periods: Tensor, level: Tensor) -> Tensor:
        """Units, (row,); past (row, window), calendar (row, feature), periods (row,), level (row,) in (0, 1)."""
        scale = past.mean(dim=1).clamp(min=SMALLEST_SCALE)
        score = torch.logit(level, eps=EDGE)
        seen = (past / scale[:, None], calendar, scale.log()[:, None] / 5, periods[:, None] / 10, score[:, None] / 3)
        stretch = self.body(torch.cat(seen, dim=1)).squeeze(1).clamp(-4, 4)
        return periods * scale * torch.exp(stretch)


def fit_forecaster(layout: Layout, scenarios: Scenarios, params: ForecastParams) -> QuantileForecaster:
    """Fits on every moment of scenarios with one store whose coming lead time is recorded, too.

    Pinball loss in the scale of recent demand (Koenker and Bassett 1978, "Regression quantiles").
    Raises UsageError where there are several stores, or fewer periods than the longest lead time and one more.
    """
    if layout.places != 1:
        raise UsageError(f"A forecaster is fitted for networks of one store, this one has {layout.places} places.")
    chance = torch.Generator().manual_seed(stream_seed(params.seed, "forecaster"))
    total = torch.nn.functional.pad(scenarios.demand[:, 0].double().cumsum(dim=1), (1, 0))
    cover = layout.lead_time.amax(dim=1) + 1
    first, end = params.window, scenarios.demand.shape[2] - int(cover.max())
    if end <= first:
        raise UsageError(
            f"{scenarios.demand.shape[2]} periods are too few to forecast {int(cover.max())} periods from the last "
            f"{params.window}."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(params.seed, "forecaster weights") % 2**63)
        forecaster = QuantileForecaster(params.window, scenarios.calendar.shape[1], params.width)
    optimiser = torch.optim.Adam(forecaster.parameters(), lr=params.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, params.steps)
    past_slots = torch.arange(-params.window, 0)
    for _ in range(params.steps):
        row = torch.randint(scenarios.batch, (params.batch,), generator=chance)
        now = torch.randint(first, end + 1, (params.batch,), generator=chance)
        level = torch.rand(params.batch, generator=chance)
        periods = cover[row if layout.batch > 1 else torch.zeros_like(row)]
        past = scenarios.demand[row[:, None], 0, now[:, None] + past_slots]
        came = (total[row, now + periods] - total[row, now]).float()
        scale = past.mean(dim=1).clamp(min=SMALLEST_SCALE)
        missed = (came - forecaster(past, scenarios.calendar[now], periods.float(), level)) / scale
        loss = torch.maximum(level * missed, (level - 1) * missed).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return forecaster.requires_grad_(False)


class ForecastNewsvendorPolicy(nn.Module):
    """Orders up to a forecast quantile of the demand over lead time and review period.

    level `ratio`: underage / (underage + holding); `fixed`: one level for all; `learned`: a level that moves with the
    ratio. The last two are parameters that HDPO fits. returns: whether stock may be given back, which no team can do
    and which shows what excess stock costs.
    """

    def __init__(
        self, forecaster: QuantileForecaster, level: Literal["ratio", "fixed", "learned"], returns: bool = False
    ) -> None:
        super().__init__()
        self.forecaster = forecaster
        self.level = level
        self.returns = returns
        self.offset = nn.Parameter(torch.ones(1) if level == "fixed" else torch.zeros(1), level != "ratio")
        self.slope = nn.Parameter(torch.zeros(1) if level == "fixed" else torch.ones(1), level == "learned")

    @property
    def window(self) -> int:
        """How many past demands it looks at, in periods."""
        return self.forecaster.window

    def forward(self, layout: Layout, observation: Observation) -> Tensor:
        """Desired orders (batch, edge), in units; below 0 where returns are allowed."""
        batch = observation.on_hand.shape[0]
        ratio = layout.underage_cost / (layout.underage_cost + layout.holding_cost)
        level = torch.sigmoid(self.offset + self.slope * torch.logit(ratio)).expand(batch, 1)[:, 0]
        periods = (layout.lead_time.amax(dim=1) + 1.0).expand(batch)
        forecast = self.forecaster(observation.past_demand[:, 0], observation.calendar, periods, level)
        missing = forecast - observation.on_hand[:, 0] - observation.in_transit[:, 0].sum(dim=1)
        return (missing if self.returns else missing.clamp(min=0))[:, None]
