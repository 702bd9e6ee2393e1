"""What was kept of payments iterations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.queries.iterations import Iteration
from app.queries.store import content, reading
from quaestor.store import evidence


@dataclass(frozen=True)
class PaymentsEvidence:
    """What was kept of a payments iteration, and the true share of the gap of every iteration where it is known."""

    calibration: dict[str, Any] | None
    truths: dict[str, float]


def payments_evidence(chosen: Iteration, generations: tuple[Iteration, ...]) -> PaymentsEvidence:
    """What was kept of one payments iteration, with the truths of all its system's generations."""
    with reading() as connection:
        truths = {
            name: evidence.latest(connection, name, "truth") for name in (each.iteration_id for each in generations)
        }
        return PaymentsEvidence(
            calibration=content(evidence.latest(connection, chosen.iteration_id, "calibration")),
            truths={name: float(found[1]["share_of_gap"]) for name, found in truths.items() if found},
        )
