"""The gate: a pure function from evidence to a verdict, the only thing that moves a stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from quaestor.certification.certificate import Certificate
from quaestor.ope.weights import Overlap
from quaestor.registry.evaluation import Evaluation


class Stage(StrEnum):
    """What the evidence allows."""

    PROMOTE = "promote"
    REJECT = "reject"
    NOT_ENOUGH = "not enough evidence"


@dataclass(frozen=True)
class GateParams:
    """What evidence must show.

    margin: the gain that the whole interval must exceed. minimum_pairs: rounds or scenarios compared. For
    evidence read from a log: effective_size, the share of weight on one round, and how many rounds of the rarer
    outcome there are, below which no interval can be trusted. certified_budget: the budget whose bound counts;
    certified_loss: how much worse than its own nominal value the bound may be, as a share of that value.
    """

    margin: float = 0.0
    minimum_pairs: int = 30
    effective_size: float = 1000.0
    largest_share: float = 0.05
    rarer_outcomes: int = 100
    certified_budget: float | None = None
    certified_loss: float = 0.5

    def __post_init__(self) -> None:
        if self.minimum_pairs < 2 or self.effective_size < 0 or self.rarer_outcomes < 0:
            raise ValueError("minimum_pairs must be 2 or more, effective_size and rarer_outcomes 0 or more.")
        if not 0 < self.largest_share <= 1 or not self.certified_loss > 0:
            raise ValueError("largest_share must be in (0, 1] and certified_loss above 0.")


@dataclass(frozen=True)
class Verdict:
    """A stage, and the reasons for it as sentences that a manager can read."""

    stage: Stage
    reasons: tuple[str, ...]


def gate(
    evaluation: Evaluation,
    certificate: Certificate | None,
    alarms: tuple[str, ...],
    params: GateParams,
) -> Verdict:
    """Judges a candidate (rules R10 and R11).

    Too little evidence is a verdict of its own and is never read as a ranking; only then do the interval, the
    certificate and the alarms decide.
    """
    value, lower, upper = evaluation.gain
    unit = evaluation.unit
    interval = f"gain {value:.4g} ({evaluation.difference.confidence:.0%} interval {lower:.4g} to {upper:.4g}) {unit}"
    missing = (*_missing(evaluation, params), *_missing_certificate(certificate, params))
    if missing:
        return Verdict(Stage.NOT_ENOUGH, missing)
    if upper < params.margin:
        return Verdict(Stage.REJECT, (f"The candidate is not better by {params.margin:g}: {interval}.",))
    if lower <= params.margin:
        return Verdict(
            Stage.NOT_ENOUGH, (f"The interval does not lie above the margin {params.margin:g}: {interval}.",)
        )
    objections = (*_objections(certificate, params), *alarms)
    if objections:
        return Verdict(Stage.REJECT, objections)
    reasons = [f"The candidate is better: {interval}, by {evaluation.estimator} on {evaluation.evaluated_on}."]
    if certificate is not None and params.certified_budget is not None:
        bound, loss = _certified(certificate, params.certified_budget)
        reasons.append(
            f"Certified {evaluation.quantity} at budget {params.certified_budget:g}: {bound:.4g} "
            f"({loss:.1%} from nominal, {params.certified_loss:.0%} allowed)."
        )
    return Verdict(Stage.PROMOTE, tuple(reasons))


def _missing(evaluation: Evaluation, params: GateParams) -> Iterator[str]:
    if evaluation.pairs < params.minimum_pairs:
        yield f"Only {evaluation.pairs:,} pairs were compared; {params.minimum_pairs:,} are needed."
    for who, overlap in (("candidate", evaluation.overlap), ("incumbent", evaluation.incumbent_overlap)):
        if overlap is not None:
            yield from _missing_overlap(who, overlap, params)


def _missing_overlap(who: str, overlap: Overlap, params: GateParams) -> Iterator[str]:
    if overlap.effective_size < params.effective_size:
        yield (
            f"The log is worth {overlap.effective_size:,.0f} rounds of the {who}; "
            f"{params.effective_size:,.0f} are needed."
        )
    if overlap.max_share > params.largest_share:
        yield f"One round carries {overlap.max_share:.1%} of the {who}'s weight; {params.largest_share:.0%} is allowed."
    if overlap.rarer_outcomes < params.rarer_outcomes:
        yield (
            f"Only {overlap.rarer_outcomes:,} rounds hold the rarer outcome; {params.rarer_outcomes:,} are "
            f"needed before an interval around the {who} can be trusted."
        )
    if abs(overlap.mean_weight - 1) > 3 * overlap.mean_weight_error + 1e-9:
        yield (
            f"The {who}'s mean weight is {overlap.mean_weight:.3f}, not 1 within 3 standard errors "
            f"({overlap.mean_weight_error:.3f}): logged propensities do not describe the log."
        )


def _missing_certificate(certificate: Certificate | None, params: GateParams) -> Iterator[str]:
    if params.certified_budget is None:
        return
    if certificate is None:
        yield "There is no certificate yet."
    elif params.certified_budget not in certificate.params.budgets:
        yield f"The certificate has no bound for budget {params.certified_budget:g}."


def _objections(certificate: Certificate | None, params: GateParams) -> Iterator[str]:
    if certificate is None or params.certified_budget is None:
        return
    bound, loss = _certified(certificate, params.certified_budget)
    if loss > params.certified_loss:
        yield (
            f"The certified {certificate.subject.quantity} at budget {params.certified_budget:g} is {bound:.4g}, "
            f"{loss:.1%} worse than nominal; {params.certified_loss:.0%} is allowed."
        )


def _certified(certificate: Certificate, budget: float) -> tuple[float, float]:
    bound = certificate.bounds[certificate.params.budgets.index(budget)]
    return bound, abs(bound - certificate.nominal) / abs(certificate.nominal)
