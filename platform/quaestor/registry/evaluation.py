"""An evaluation: candidate and incumbent on the same rounds or scenarios, and the difference between them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from quaestor.ope.diagnosis import Diagnosis
from quaestor.ope.interval import Interval
from quaestor.ope.weights import Overlap


@dataclass(frozen=True)
class Evaluation:
    """What is known of a candidate against the incumbent.

    difference is candidate minus incumbent, paired on the same rounds or demand. pairs: how many.
    estimator and evaluated_on say how and on what. others holds the difference by further estimators.
    overlap is None where the policies were simulated rather than read from a log. diagnostics: checks of the log.
    over_budget: a sentence where the candidate surely costs more than its study's budget.
    """

    quantity: Literal["cost", "reward"]
    unit: str
    estimator: str
    evaluated_on: str
    incumbent_id: str
    pairs: int
    candidate: Interval
    incumbent: Interval
    difference: Interval
    others: dict[str, Interval]
    overlap: Overlap | None = None
    incumbent_overlap: Overlap | None = None
    diagnostics: tuple[Diagnosis, ...] = ()
    over_budget: tuple[str, ...] = ()

    @property
    def gain(self) -> tuple[float, float, float]:
        """The difference as (value, lower, upper) with better above 0."""
        d = self.difference
        return (d.value, d.lower, d.upper) if self.quantity == "reward" else (-d.value, -d.upper, -d.lower)

    def as_json(self) -> dict[str, Any]:
        """The evaluation as plain values."""
        return asdict(self)
