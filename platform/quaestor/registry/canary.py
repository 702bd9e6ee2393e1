"""The canary gate: watches a new live iteration beside the one before, and says when it must go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaestor.ope.betting import ConfidenceSequence, bounded_sequence, difference_sequence
from quaestor.ope.diagnosis import Diagnosis
from quaestor.ope.sample_ratio import sample_ratio_check


class CanaryState(StrEnum):
    """Where a canary stands."""

    WATCHING = "watching"
    PASSED = "passed"
    ROLL_BACK = "roll back"


@dataclass(frozen=True)
class CanaryParams:
    """share of traffic that the candidate decides, at random; 1 for all of it. harm: the loss of reward a round that
    is borne; the canary rolls back once it is certainly more, and passes once it is certainly less. confidence
    holds over all looks at once. looks: how many times the rounds so far are looked at."""

    share: float = 0.1
    harm: float = 0.01
    confidence: float = 0.95
    looks: int = 50

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or not 0 < self.confidence < 1:
            raise ValueError("share must be in (0, 1] and confidence between 0 and 1.")
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


@dataclass(frozen=True)
class CanaryRounds:
    """Matured rounds since the canary began, in order of time.

    candidate and incumbent (round,): either policy's probability of the action taken, whoever took it. reward
    (round,) in [0, 1]. by_candidate (round,): whether the candidate decided.
    """

    candidate: NDArray[np.float64]
    incumbent: NDArray[np.float64]
    reward: NDArray[np.float64]
    by_candidate: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.reward)


def canary_sequence(rounds: CanaryRounds, params: CanaryParams) -> ConfidenceSequence:
    """The confidence sequence of the candidate's value minus the incumbent's.

    Its terms are (π − π')·r / (share·π + (1 − share)·π'): where both would do alike, a round says that there is no
    difference and adds no noise (the balance heuristic of Veach and Guibas 1995). They lie within −1/(1 − share)
    and 1/share; with all traffic on the candidate nothing bounds them but their mean. Raises ValueError for an
    action that neither could have taken.
    """
    mixed = params.share * rounds.candidate + (1 - params.share) * rounds.incumbent
    if not (mixed > 0).all():
        raise ValueError("every action taken must have been possible under the policies that share the traffic.")
    looks = _looks(len(rounds), params.looks)
    new, old = rounds.candidate / mixed, rounds.incumbent / mixed
    if params.share == 1:
        return difference_sequence(new, old, rounds.reward, params.confidence, looks)
    terms = (new - old) * rounds.reward
    return bounded_sequence(terms, -1 / (1 - params.share), 1 / params.share, params.confidence, looks)


def watch(rounds: CanaryRounds, params: CanaryParams) -> CanaryVerdict:
    """Judges a canary by all its rounds so far.

    Looking again after every batch is harmless: the sequence covers at all times at once, so that a candidate
    that does no more harm than is borne is rolled back in at most (1 − confidence)/2 of cases, however long it is
    watched. Where traffic was not split as planned nothing is concluded, and a person has to look.
    """
    if not len(rounds):
        return CanaryVerdict(CanaryState.WATCHING, ("No round has matured yet.",), None, None)
    sequence = canary_sequence(rounds, params)
    if params.share == 1:
        return _verdict(sequence, None, params)
    taken = int(rounds.by_candidate.sum())
    counts = {"candidate": taken, "incumbent": len(rounds) - taken}
    split = sample_ratio_check(counts, {"candidate": params.share, "incumbent": 1 - params.share})
    return _verdict(sequence, split, params)


def _verdict(sequence: ConfidenceSequence, split: Diagnosis | None, params: CanaryParams) -> CanaryVerdict:
    last = sequence.last
    said = (
        f"gain {last.value:.4g} ({params.confidence:.0%} confidence sequence {last.lower:.4g} to {last.upper:.4g}) "
        f"reward a round after {int(sequence.rounds[-1]):,} rounds"
    )
    harmful, harmless = sequence.upper < -params.harm, sequence.lower > -params.harm
    if split is not None and split.status == "stop":
        untrusted = f"No comparison can be trusted: {said}."
        return CanaryVerdict(CanaryState.WATCHING, (split.sentence, untrusted), sequence, None)
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
