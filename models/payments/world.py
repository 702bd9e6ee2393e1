"""A payments world with known truth: who pays, what may be done, and how likely each intervention is to succeed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quaestor.randomness import generator

ACTIONS = (
    "account_updater",
    "exemption",
    "formatting",
    "network_token",
    "network_token+route_b",
    "none",
    "route_b",
    "three_ds",
)
"""In alphabetical order, as a batch read from a store numbers them."""
SCHEMES = ("visa", "mastercard", "amex", "local")
CHANNELS = ("ecommerce", "in_app", "recurring")
NUMERIC = ("log_amount", "hour_sin", "hour_cos", "risk", "card_age", "recent_declines")
_START = datetime(2026, 1, 1)


@dataclass(frozen=True)
class WorldParams:
    """The world's size and temper.

    payments_per_hour sets how fast rounds arrive. missing_share: outcomes that never come. delay_hours: median
    time to an outcome. drift_per_day: radians by which issuers' responses turn; 0 is a stationary world.
    break_on_day: from then on issuers respond by another pattern altogether; None for never.
    """

    merchants: int = 40
    issuers: int = 60
    payments_per_hour: float = 200.0
    missing_share: float = 0.02
    delay_hours: float = 4.0
    drift_per_day: float = 0.0
    break_on_day: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.merchants, self.issuers) < 2 or not self.payments_per_hour > 0 or not self.delay_hours > 0:
            raise ValueError("merchants and issuers must be 2 or more, payments_per_hour and delay_hours above 0.")
        if not 0 <= self.missing_share < 1:
            raise ValueError(f"missing_share must be in [0, 1), found {self.missing_share}.")


@dataclass(frozen=True)
class Payments:
    """Payments waiting for a decision.

    event_ids and decided_at (round,); numeric (round, feature) in the order of NUMERIC; merchant, issuer,
    scheme and channel (round,): numbers; eligible (round, action).
    """

    event_ids: list[str]
    decided_at: pl.Series
    days: NDArray[np.float64]
    numeric: NDArray[np.float64]
    merchant: NDArray[np.int64]
    issuer: NDArray[np.int64]
    scheme: NDArray[np.int64]
    channel: NDArray[np.int64]
    eligible: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.event_ids)

    def context(self) -> pl.DataFrame:
        """The features as a team would log them, numeric_… and category_…."""
        return pl.DataFrame(
            {f"numeric_{name}": self.numeric[:, column] for column, name in enumerate(NUMERIC)}
            | {
                "category_merchant": [f"M{number:03d}" for number in self.merchant],
                "category_issuer": [f"I{number:03d}" for number in self.issuer],
                "category_scheme": np.array(SCHEMES)[self.scheme],
                "category_channel": np.array(CHANNELS)[self.channel],
            }
        )


class PaymentsWorld:
    """The truth behind the payments, drawn once from the seed."""

    def __init__(self, params: WorldParams) -> None:
        self.params = params
        draw = generator(params.seed, "payments world")
        k, d = len(ACTIONS), len(NUMERIC)
        self._numeric = draw.normal(0, 0.25, d)
        self._merchant = draw.normal(0, 0.35, params.merchants)
        self._issuer = draw.normal(0, 0.45, params.issuers)
        self._action = draw.normal(0, 0.15, k)
        self._action_numeric = draw.normal(0, 0.35, (k, d)) * (draw.random((k, d)) < 0.5)
        self._action_merchant = draw.normal(0, 0.3, (params.merchants, k))
        self._action_issuer = draw.normal(0, 0.5, (2, params.issuers, k))
        self._action_scheme = draw.normal(0, 0.35, (len(SCHEMES), k))
        self._action_channel = draw.normal(0, 0.3, (len(CHANNELS), k))
        self._threshold = draw.normal(0, 0.4, k)
        self._routes = draw.random(params.merchants) < 0.6

    def payments(self, count: int, first: int, stream: str) -> Payments:
        """`count` payments from the `first`-th on, in time order; a stream name of its own gives fresh ones."""
        p = self.params
        draw = generator(p.seed, "payments", stream, first)
        hours = (first + np.arange(count) + draw.random(count)) / p.payments_per_hour
        merchant = _zipf(draw, p.merchants, 0.8, count)
        issuer = _zipf(draw, p.issuers, 0.9, count)
        scheme = draw.choice(len(SCHEMES), count, p=(0.45, 0.35, 0.1, 0.1))
        channel = draw.choice(len(CHANNELS), count, p=(0.55, 0.25, 0.2))
        angle = 2 * np.pi * (hours % 24) / 24
        numeric = np.stack(
            (
                draw.normal(0, 1, count),
                np.sin(angle),
                np.cos(angle),
                draw.normal(0, 1, count),
                draw.normal(0, 1, count),
                draw.poisson(0.5, count).astype(np.float64),
            ),
            axis=1,
        )
        times = [_START + timedelta(hours=float(hour)) for hour in hours]
        return Payments(
            event_ids=[f"{stream}-{number:08d}" for number in range(first, first + count)],
            decided_at=pl.Series(times, dtype=pl.Datetime("us")),
            days=hours / 24,
            numeric=numeric,
            merchant=merchant,
            issuer=issuer,
            scheme=scheme,
            channel=channel,
            eligible=self._eligible(merchant, scheme, channel, numeric[:, 0]),
        )

    def success(self, payments: Payments) -> NDArray[np.float64]:
        """The true probability, (round, action), that a payment is authorised and its outcome reported."""
        turn = self.params.drift_per_day * payments.days[:, None]
        if self.params.break_on_day is not None:
            turn = turn + np.pi / 2 * (payments.days[:, None] >= self.params.break_on_day)
        issuer = self._action_issuer[:, payments.issuer]
        logit = (
            1.3
            + (payments.numeric @ self._numeric + self._merchant[payments.merchant] + self._issuer[payments.issuer])[
                :, None
            ]
            + self._action
            + payments.numeric @ self._action_numeric.T
            + self._action_merchant[payments.merchant]
            + np.cos(turn) * issuer[0]
            + np.sin(turn) * issuer[1]
            + self._action_scheme[payments.scheme]
            + self._action_channel[payments.channel]
            + self._threshold * (payments.numeric[:, :1] > 1.0)
        )
        return (1 - self.params.missing_share) / (1 + np.exp(-logit))

    def outcomes(self, payments: Payments, action: NDArray[np.int64], system: str) -> pl.DataFrame:
        """What is reported back for the actions taken (round,): late, and for some payments never."""
        draw = generator(self.params.seed, "outcomes", payments.event_ids[0])
        reported = 1 - self.params.missing_share
        chance = self.success(payments)[np.arange(len(payments)), action] / reported
        reward = (draw.random(len(payments)) < chance).astype(np.float64)
        slow = np.where(np.array(ACTIONS)[action] == "three_ds", 1.5, 1.0)
        delay = self.params.delay_hours * slow * np.exp(draw.normal(0, 0.8, len(payments)))
        comes = draw.random(len(payments)) < reported
        microseconds = pl.Series((delay * 3.6e9).astype(np.int64), dtype=pl.Duration("us"))
        frame = pl.DataFrame(
            {
                "event_id": payments.event_ids,
                "observed_at": payments.decided_at + microseconds,
                "reward": reward,
            }
        ).filter(pl.Series(comes))
        return frame.select(pl.lit(system).alias("system"), "event_id", _utc("observed_at"), "reward")

    def share_of_gap(self, payments: Payments, probabilities: NDArray[np.float64]) -> float:
        """Where a policy's true value lies between uniform (0) and optimal (1); probabilities (round, action)."""
        truth = self.success(payments)
        uniform = (truth * payments.eligible).sum(axis=1) / payments.eligible.sum(axis=1)
        best = np.where(payments.eligible, truth, 0).max(axis=1)
        value = (truth * probabilities).sum(axis=1)
        return float((value.mean() - uniform.mean()) / (best.mean() - uniform.mean()))

    def _eligible(
        self,
        merchant: NDArray[np.int64],
        scheme: NDArray[np.int64],
        channel: NDArray[np.int64],
        log_amount: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        always = np.ones(len(merchant), dtype=np.bool_)
        token = scheme < 2
        recurring = channel == CHANNELS.index("recurring")
        route = self._routes[merchant]
        by_name = {
            "none": always,
            "network_token": token,
            "three_ds": ~recurring,
            "exemption": (channel == CHANNELS.index("ecommerce")) & (log_amount < 0.5),
            "formatting": always,
            "account_updater": recurring,
            "route_b": route,
            "network_token+route_b": token & route,
        }
        return np.stack([by_name[action] for action in ACTIONS], axis=1)


def decision_log(
    payments: Payments,
    probabilities: NDArray[np.float64],
    action: NDArray[np.int64],
    system: str,
    iteration_id: str,
) -> pl.DataFrame:
    """The decisions as a team would log them: the format that ingest takes."""
    return pl.DataFrame(
        {
            "system": [system] * len(payments),
            "event_id": payments.event_ids,
            "decided_at": payments.decided_at,
            "iteration_id": [iteration_id] * len(payments),
            "eligible": _lists(pl.Series(ACTIONS).gather(np.nonzero(payments.eligible)[1]), payments.eligible),
            "propensities": _lists(pl.Series(probabilities[payments.eligible]), payments.eligible),
            "action": pl.Series(ACTIONS).gather(action),
            "propensity": probabilities[np.arange(len(payments)), action],
        }
    ).with_columns(_utc("decided_at"), *payments.context().get_columns())


def _lists(entries: pl.Series, mask: NDArray[np.bool_]) -> pl.Series:
    """One list a round, of as many entries as its mask (round, action) has."""
    rounds = pl.Series(np.nonzero(mask)[0])
    return (
        pl.DataFrame({"round": rounds, "entry": entries}).group_by("round", maintain_order=True).agg("entry")["entry"]
    )


def _utc(name: str) -> pl.Expr:
    return pl.col(name).dt.replace_time_zone("UTC")


def _zipf(draw: np.random.Generator, levels: int, power: float, count: int) -> NDArray[np.int64]:
    weight = 1 / np.arange(1, levels + 1) ** power
    return draw.choice(levels, count, p=weight / weight.sum())
