"""A played candidate beside every policy it was held against, and the best cost that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quaestor.ope.interval import Interval
from quaestor.registry.evaluation import Evaluation

BOUND = "bound"
"""Kind of evidence: name, cost and whether it is exact, of the least long-run cost that is known."""

YARDSTICK = "to "
"""What the names of differences to yardsticks begin with in an evaluation."""


@dataclass(frozen=True)
class Compared:
    """A policy's cost, and the candidate's cost minus it, paired on the same demand; None for a bound, which is known
    without playing."""

    policy: str
    cost: float
    difference: Interval | None


def comparison(evaluation: Evaluation, bound: Mapping[str, Any] | None) -> list[Compared]:
    """The candidate, the incumbent, every yardstick and the bound, in the evaluation's unit."""
    own = evaluation.candidate.value
    played = {"incumbent": evaluation.difference} | {
        name.removeprefix(YARDSTICK): difference
        for name, difference in evaluation.others.items()
        if name.startswith(YARDSTICK) and not name.startswith("to the incumbent")
    }
    rows = [Compared("candidate", own, None)]
    rows += [Compared(name, own - difference.value, difference) for name, difference in played.items()]
    if bound is not None:
        rows.append(Compared(str(bound["name"]), float(bound["cost"]), None))
    return rows
