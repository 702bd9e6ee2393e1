"""The canary gate: watches a new live iteration beside the one before, and says when it must go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaestor.ope.betting import ConfidenceSequence, bounded_sequence
from quaestor.ope.diagnosis import Diagnosis
from quaestor.ope.sample_ratio import sample_ratio_check


class CanaryState(StrEnum):
    """Where a canary stands."""

    WATCHING = "watching"
    PASSED = "passed"
    ROLL_BACK = "roll back"


@dataclass(frozen=True)
class CanaryParams:
    """share of traffic that the candidate decides. harm: the loss of reward a round that is borne; the canary rolls
    back once it is certainly more, and passes once it is certainly less. confidence holds over all looks at once.
    looks: how many times the rounds so far are looked at."""

    share: float = 0.1
    harm: float = 0.01
    confidence: float = 0.95
    looks: int = 50

    def __post_init__(self) -> None:
        if not 0 < self.share < 1 or not 0 < self.confidence < 1:
            raise ValueError("share and confidence must be between 0 and 1.")
        if self.harm < 0 or self.looks < 1:
            raise ValueError("harm must be 0 or more and looks 1 or more.")


@dataclass(frozen=True)
class CanaryVerdict:
    """state and the reasons for it; sequence: of the gain in reward a round over the incumbent, None before any
    round; settled_after: the rounds after which it was settled, None while watching."""

    state: CanaryState
    reasons: tuple[str, ...]
    sequence: ConfidenceSequence | None
    settled_after: int | None

    def as_json(self) -> dict[str, Any]:
        """The verdict as plain values."""
        drawn = None if self.sequence is None else {k: np.asarray(v).tolist() for k, v in asdict(self.sequence).items()}
        return {
            "state": str(self.state),
            "reasons": list(self.reasons),
            "settled_after": self.settled_after,
            "sequence": drawn,
        }


def canary_terms(
    candidate: NDArray[np.float64], incumbent: NDArray[np.float64], reward: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    """Terms (round,) whose mean is the candidate's value minus the incumbent's, whoever decided each round.

    candidate and incumbent (round,): either policy's probability of the action taken, out of traffic of which
    `share` goes to the candidate, at random. (π − π')·r / (share·π + (1 − share)·π'): where both would do alike,
    a round says that there is no difference and adds no noise (the balance heuristic of Veach and Guibas 1995).
    Terms lie within −1/(1 − share) and 1/share.
    """
    mixed = share * candidate + (1 - share) * incumbent
    if not (mixed > 0).all():
        raise ValueError("every action taken must have been possible under the candidate or the incumbent.")
    return np.asarray((candidate - incumbent) / mixed * reward)


def watch(terms: NDArray[np.float64], counts: Mapping[str, int], params: CanaryParams) -> CanaryVerdict:
    """Judges a canary by all rounds so far, in order, terms (round,) from `canary_terms`.

    counts: rounds decided by "candidate" and "incumbent". Looking again after every batch is harmless: the
    sequence covers at all times at once, so that a candidate that does no more harm than is borne is rolled back
    in at most (1 − confidence)/2 of cases, however long it is watched.
    """
    if not len(terms):
        return CanaryVerdict(CanaryState.WATCHING, ("No round has matured yet.",), None, None)
    split = sample_ratio_check(counts, {"candidate": params.share, "incumbent": 1 - params.share})
    low, high = -1 / (1 - params.share), 1 / params.share
    sequence = bounded_sequence(terms, low, high, params.confidence, _looks(len(terms), params.looks))
    return _verdict(sequence, split, params)


def _verdict(sequence: ConfidenceSequence, split: Diagnosis, params: CanaryParams) -> CanaryVerdict:
    last = sequence.last
    said = (
        f"gain {last.value:.4g} ({params.confidence:.0%} confidence sequence {last.lower:.4g} to {last.upper:.4g}) "
        f"reward a round after {int(sequence.rounds[-1]):,} rounds"
    )
    harmful, harmless = sequence.upper < -params.harm, sequence.lower > -params.harm
    if split.status == "stop":
        return CanaryVerdict(
            CanaryState.ROLL_BACK, (split.sentence, f"No comparison can be trusted: {said}."), sequence, None
        )
    if harmful.any():
        after = int(sequence.rounds[harmful.argmax()])
        reason = f"The candidate loses more than {params.harm:g} a round, certain after {after:,} rounds: {said}."
        return CanaryVerdict(CanaryState.ROLL_BACK, (reason,), sequence, after)
    if harmless.any():
        after = int(sequence.rounds[harmless.argmax()])
        reason = f"The candidate does not lose {params.harm:g} a round, certain after {after:,} rounds: {said}."
        return CanaryVerdict(CanaryState.PASSED, (reason,), sequence, after)
    return CanaryVerdict(CanaryState.WATCHING, (f"Not clear yet: {said}.",), sequence, None)


def _looks(rounds: int, count: int) -> Sequence[int]:
    """Looks that grow by equal ratios, so that an early loss is seen early."""
    wanted = np.geomspace(min(50, rounds), rounds, count).round().astype(np.int64)
    return [int(look) for look in np.unique(wanted)]
