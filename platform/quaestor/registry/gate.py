"""The gate: a pure function from evidence to a verdict, the only thing that moves a stage."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from quaestor.certification.certificate import Certificate
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.rounds_needed import POWER, rounds_needed
from quaestor.registry.rules import RULES, Effect, Evidence, certified
from quaestor.study import parse, read_toml


class Stage(StrEnum):
    """What the evidence allows."""

    PROMOTE = "promote"
    REJECT = "reject"
    NOT_ENOUGH = "not enough evidence"


@dataclass(frozen=True)
class GateParams:
    """What evidence must show, the limit of each rule: the table [gate] of a study.

    margin: the gain that the whole interval must exceed, and confidence: of that interval. minimum_pairs: rounds or
    scenarios compared. For evidence read from a log: effective_size, the share of weight on one round, the share
    of decisions that the log cannot speak for, and how many rounds of the rarer outcome there are, beyond which
    no interval can be trusted. certified_budget: the budget whose bound counts; certified_loss: how much worse
    than its own nominal value the bound may be, as a share of that value.
    """

    margin: float = 0.0
    confidence: float = 0.95
    minimum_pairs: int = 30
    effective_size: float = 1000.0
    largest_share: float = 0.05
    unsupported_mass: float = 0.01
    rarer_outcomes: int = 100
    certified_budget: float | None = None
    certified_loss: float = 0.5

    def __post_init__(self) -> None:
        if self.minimum_pairs < 2 or self.effective_size < 0 or self.rarer_outcomes < 0:
            raise ValueError("minimum_pairs must be 2 or more, effective_size and rarer_outcomes 0 or more.")
        if not 0 < self.largest_share <= 1 or not self.certified_loss > 0:
            raise ValueError("largest_share must be in (0, 1] and certified_loss above 0.")
        if not 0 < self.confidence < 1 or not 0 <= self.unsupported_mass <= 1:
            raise ValueError("confidence must be between 0 and 1 and unsupported_mass from 0 to 1.")


@dataclass(frozen=True)
class Verdict:
    """A stage, and the reasons for it as sentences that a manager can read. rounds_needed: how many rounds in all
    would probably settle what is not clear yet, None where that is not a matter of rounds."""

    stage: Stage
    reasons: tuple[str, ...]
    rounds_needed: int | None = None


def read_gate(path: Path) -> GateParams:
    """The gate of a TOML file: its table [gate], as studies have it.

    Raises UsageError for a file without one, and for a word that the gate does not know.
    """
    mapping = read_toml(path)
    return parse(GateParams, mapping.get("gate", mapping), str(path))


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
    evidence = Evidence(evaluation, certificate, alarms)
    findings = [finding for rule in RULES for finding in rule(evidence, params)]
    missing = tuple(sentence for effect, sentence in findings if effect is Effect.MISSING)
    if missing:
        return _not_enough(missing, evaluation, params)
    value, lower, upper = evaluation.gain
    interval = (
        f"gain {value:.4g} ({evaluation.difference.confidence:.0%} interval {lower:.4g} to {upper:.4g}) "
        f"{evaluation.unit}"
    )
    if upper < params.margin:
        return Verdict(Stage.REJECT, (f"The candidate is not better by {params.margin:g}: {interval}.",))
    if not lower > params.margin:
        unclear = f"The interval does not lie above the margin {params.margin:g}: {interval}."
        return _not_enough((unclear,), evaluation, params)
    objections = tuple(sentence for effect, sentence in findings if effect is Effect.OBJECTION)
    if objections:
        return Verdict(Stage.REJECT, objections)
    # Above a margin below 0 it may be worse, by less than the study allows.
    word = "better" if lower > 0 else f"not worse by {-params.margin:g} or more"
    reasons = [f"The candidate is {word}: {interval}, by {evaluation.estimator} on {evaluation.evaluated_on}."]
    if certificate is not None and params.certified_budget is not None:
        bound, loss = certified(certificate, params.certified_budget)
        reasons.append(
            f"Certified {evaluation.quantity} at budget {params.certified_budget:g}: {bound:.4g} "
            f"({loss:.1%} from nominal, {params.certified_loss:.0%} allowed)."
        )
    return Verdict(Stage.PROMOTE, tuple(reasons))


def _not_enough(reasons: tuple[str, ...], evaluation: Evaluation, params: GateParams) -> Verdict:
    stopped = any(found.status == "stop" for found in evaluation.diagnostics)
    needed = None if stopped else rounds_needed(evaluation, params)
    if needed is not None and needed > evaluation.pairs:
        more = (
            f"About {needed - evaluation.pairs:,} more rounds like these would settle it with a probability of "
            f"{POWER:.0%}, if the gain is as large as it seems."
        )
        return Verdict(Stage.NOT_ENOUGH, (*reasons, more), needed)
    return Verdict(Stage.NOT_ENOUGH, reasons)
