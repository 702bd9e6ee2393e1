"""The gate's rules: each reads the evidence and yields what it misses or objects to, one sentence each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from quaestor.certification.certificate import Certificate
from quaestor.ope.estimators import why_not_alone
from quaestor.ope.weights import Overlap
from quaestor.registry.evaluation import Evaluation

if TYPE_CHECKING:
    from quaestor.registry.gate import GateParams

MEAN_WEIGHT_ERRORS = 3.0


@dataclass(frozen=True)
class Evidence:
    """All that a verdict rests on; alarms: signs, as sentences, that the generation has gone astray."""

    evaluation: Evaluation
    certificate: Certificate | None
    alarms: tuple[str, ...]


class Effect(StrEnum):
    """What a finding does: evidence that is missing or cannot be trusted is no ranking; an objection rejects."""

    MISSING = "missing"
    OBJECTION = "objection"


Rule = Callable[[Evidence, "GateParams"], Iterator[tuple[Effect, str]]]


def pairs(evidence: Evidence, params: GateParams) -> Iterator[tuple[Effect, str]]:
    """Enough rounds or scenarios were compared."""
    found = evidence.evaluation.pairs
    if found < params.minimum_pairs:
        yield Effect.MISSING, f"Only {found:,} pairs were compared; {params.minimum_pairs:,} are needed."


def estimator(evidence: Evidence, params: GateParams) -> Iterator[tuple[Effect, str]]:
    """The interval is one that covers: regularised estimators never decide alone (rule R11)."""
    used = evidence.evaluation.estimator
    why = why_not_alone(used)
    if why:
        yield Effect.MISSING, f"{used} cannot decide alone: {why}."


def confidence(evidence: Evidence, params: GateParams) -> Iterator[tuple[Effect, str]]:
    """The interval was made for the confidence that is asked for."""
    found = evidence.evaluation.difference.confidence
    if found < params.confidence - 1e-12:
        yield Effect.MISSING, f"The interval holds with {found:.1%} confidence; {params.confidence:.1%} is asked for."


def overlap(evidence: Evidence, params: GateParams) -> Iterator[tuple[Effect, str]]:
    """The log covers both policies well enough for an interval to be trusted."""
    evaluation = evidence.evaluation
    for who, found in (("candidate", evaluation.overlap), ("incumbent", evaluation.incumbent_overlap)):
        if found is not None:
            yield from ((Effect.MISSING, sentence) for sentence in _missing_overlap(who, found, params))


def log(evidence: Evidence, params: GateParams) -> Iterator[tuple[Effect, str]]:
    """No check of the log says that it cannot be trusted."""
    for found in evidence.evaluation.diagnostics:
        if found.status == "stop":
            yield Effect.MISSING, found.sentence


def certificate(evidence: Evidence, params: GateParams) -> Iterator[tuple[Effect, str]]:
    """The certified value at the budget asked for is near the nominal one."""
    budget, issued = params.certified_budget, evidence.certificate
    if budget is None:
        return
    if issued is None:
        yield Effect.MISSING, "There is no certificate yet."
    elif budget not in issued.params.budgets:
        yield Effect.MISSING, f"The certificate has no bound for budget {budget:g}."
    else:
        bound, loss = certified(issued, budget)
        if loss > params.certified_loss:
            yield (
                Effect.OBJECTION,
                f"The certified {issued.subject.quantity} at budget {budget:g} is {bound:.4g}, {loss:.1%} worse than "
                f"nominal; {params.certified_loss:.0%} is allowed.",
            )


def alarms(evidence: Evidence, params: GateParams) -> Iterator[tuple[Effect, str]]:
    """The generation has not gone astray (rule R10)."""
    yield from ((Effect.OBJECTION, sentence) for sentence in evidence.alarms)


RULES: tuple[Rule, ...] = (pairs, estimator, confidence, log, overlap, certificate, alarms)


def certified(issued: Certificate, budget: float) -> tuple[float, float]:
    """The bound at a budget, and how far it is from nominal as a share of that."""
    bound = issued.bounds[issued.params.budgets.index(budget)]
    return bound, abs(bound - issued.nominal) / abs(issued.nominal)


def _missing_overlap(who: str, found: Overlap, params: GateParams) -> Iterator[str]:
    if found.effective_size < params.effective_size:
        yield (
            f"The log is worth {found.effective_size:,.0f} rounds of the {who}; "
            f"{params.effective_size:,.0f} are needed."
        )
    if found.max_share > params.largest_share:
        yield f"One round carries {found.max_share:.1%} of the {who}'s weight; {params.largest_share:.0%} is allowed."
    if found.rarer_outcomes < params.rarer_outcomes:
        yield (
            f"Only {found.rarer_outcomes:,} rounds hold the rarer outcome; {params.rarer_outcomes:,} are "
            f"needed before an interval around the {who} can be trusted."
        )
    if found.unsupported_mass > params.unsupported_mass:
        yield (
            f"The log could not have taken {found.unsupported_mass:.1%} of the {who}'s decisions; "
            f"{params.unsupported_mass:.1%} is allowed."
        )
    if abs(found.mean_weight - 1) > MEAN_WEIGHT_ERRORS * found.mean_weight_error + 1e-9:
        yield (
            f"The {who}'s mean weight is {found.mean_weight:.3f}, not 1 within 3 standard errors "
            f"({found.mean_weight_error:.3f}): logged propensities do not describe the log."
        )
