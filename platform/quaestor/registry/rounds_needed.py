"""How many more rounds would settle what is not clear yet."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from quaestor.registry.evaluation import Evaluation

if TYPE_CHECKING:
    from quaestor.registry.gate import GateParams

POWER = 0.8


def rounds_needed(evaluation: Evaluation, params: GateParams) -> int | None:
    """How many rounds (or scenarios) in all would, if the gain is as large as it seems, show it with 80 % power and
    meet what the gate asks of the log; None where no number would.

    Reach shrinks with √rounds; effective size and rarer outcomes grow with rounds. A gain that does not exceed the
    margin needs no rounds but a better candidate.
    """
    value, lower, upper = evaluation.gain
    distance = value - params.margin
    wanted: list[float] = [params.minimum_pairs]
    for overlap in (evaluation.overlap, evaluation.incumbent_overlap):
        if overlap is None:
            continue
        for found, asked in (
            (overlap.effective_size, params.effective_size),
            (float(overlap.rarer_outcomes), float(params.rarer_outcomes)),
            (params.largest_share, overlap.max_share),
        ):
            if found <= 0 < asked:
                return None
            wanted.append(overlap.rounds * asked / found if asked > 0 else 0.0)
    if distance <= 0 or not math.isfinite(upper - lower):
        return None
    both = NormalDist().inv_cdf(0.5 + evaluation.difference.confidence / 2)
    error = (upper - lower) / 2 / both
    reach = (both + NormalDist().inv_cdf(POWER)) * error
    wanted.append(evaluation.pairs * (reach / distance) ** 2)
    return math.ceil(max(wanted))
