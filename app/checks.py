"""Whether the evidence for an iteration can be trusted: a few checks, each with a status and a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from app.queries.certificates import Stale
from app.queries.iterations import Iteration
from app.style import Status, figure
from quaestor.certification.certificate import Certificate
from quaestor.ope.diagnosis import Diagnosis
from quaestor.ope.weights import Overlap
from quaestor.registry.gate import GateParams

STALE_AFTER = timedelta(days=14)
EXPIRES_SOON = timedelta(days=14)
DEFAULTED_SHARE = 0.05
STALE_SHARE = 0.01
"""Of the records that an iteration learnt from: once more of them changed, nothing goes live on it without a word."""
DRIFT = 0.025
"""A change in the share of failures that is watched; the alarm of a study comes at its own limit."""
WATCHED_ERRORS, STOPPED_ERRORS = 2.576, 3.0
"""Standard errors of the mean weight from 1: watched at p < .01, and stopped where the gate stops."""

BALANCE, PROPENSITIES, OUTCOMES, LOG = "Logging balance", "Propensities", "Missing outcomes", "Log"
_STATUSES = {"ok": Status.OK, "watch": Status.WATCH, "stop": Status.STOP}
_PLACE = {
    "logging balance": BALANCE,
    "propensity calibration": BALANCE,
    "sample ratio": BALANCE,
    "late rewards": OUTCOMES,
    "duplicates": LOG,
    "clocks": LOG,
}
"""Which check of the strip a diagnosis of a log belongs to; all others are of its propensities."""


@dataclass(frozen=True)
class Check:
    """One check: what was looked at, how it stands, and why."""

    name: str
    status: Status
    sentence: str


def checks(iteration: Iteration, newest: pl.DataFrame, stale: Stale | None, now: datetime) -> tuple[Check, ...]:
    """The health strip of an iteration; newest: system, part, newest_at (UTC). stale: what has changed of its data."""
    found = [*_evidence(iteration)]
    if iteration.health is not None:
        found.append(_alarms(tuple(iteration.health["alarms"])))
        found += _drift(iteration.health.get("negative_rates"))
    found.append(_certificate(iteration.report.certificate, now))
    found.append(_staleness(stale))
    found.append(_freshness(iteration, newest, now))
    return tuple(found)


def stops(found: Sequence[Check]) -> tuple[Check, ...]:
    """The checks that forbid relying on the evidence: what they say keeps an iteration from being promoted."""
    return tuple(check for check in found if check.status is Status.STOP)


def _evidence(iteration: Iteration) -> Iterator[Check]:
    """The checks of what an iteration learnt from and was judged on."""
    evaluation, outcomes = iteration.report.evaluation, list(_outcomes(iteration))
    if iteration.report.damaged is not None:
        yield Check("Evidence", Status.STOP, f"The evidence cannot be read: {iteration.report.damaged}")
    elif evaluation is None:
        yield Check("Evaluation", Status.WAITING, "It has not been evaluated.")
    elif evaluation.overlap is not None:
        sides = {"candidate": evaluation.overlap, "incumbent": evaluation.incumbent_overlap}
        known = {who: overlap for who, overlap in sides.items() if overlap is not None}
        seen = list(_diagnosed(evaluation.diagnostics))
        unknown = Check(BALANCE, Status.WAITING, "It was evaluated before this was checked; evaluate it again.")
        yield from _named(seen, BALANCE) or [unknown]
        yield _worst([*_named(seen, PROPENSITIES), *_propensities(known)])
        yield _worst(_overlaps(known))
        yield from _named(seen, LOG)
        outcomes += _named(seen, OUTCOMES)
    yield from _named(outcomes, OUTCOMES)


def _diagnosed(diagnostics: Sequence[Diagnosis]) -> Iterator[Check]:
    for each in diagnostics:
        yield Check(_PLACE.get(each.name, PROPENSITIES), _STATUSES[each.status], each.sentence)


def _named(found: Sequence[Check], name: str) -> list[Check]:
    """The worst of the checks of a name, if there is any."""
    own = [check for check in found if check.name == name]
    return [_worst(own)] if own else []


def _propensities(sides: dict[str, Overlap]) -> Iterator[Check]:
    for who, overlap in sides.items():
        away = abs(overlap.mean_weight - 1)
        errors = away / overlap.mean_weight_error if overlap.mean_weight_error else 0.0
        status = Status.STOP if errors > STOPPED_ERRORS else Status.WATCH if errors > WATCHED_ERRORS else Status.OK
        yield Check(
            PROPENSITIES,
            status,
            f"The {who}'s mean weight is {overlap.mean_weight:.3f} (standard error {overlap.mean_weight_error:.3f}); "
            "it is 1 where logged propensities describe the log.",
        )


def _overlaps(sides: dict[str, Overlap]) -> Iterator[Check]:
    usual = GateParams()
    for who, overlap in sides.items():
        enough = (
            overlap.effective_size >= usual.effective_size
            and overlap.max_share <= usual.largest_share
            and overlap.rarer_outcomes >= usual.rarer_outcomes
        )
        yield Check(
            "Overlap",
            Status.OK if enough else Status.WATCH,
            f"The log's {overlap.rounds:,} rounds are worth {overlap.effective_size:,.0f} of the {who}; the rarer "
            f"outcome was seen {overlap.rarer_outcomes:,} times. The gate usually asks for "
            f"{usual.effective_size:,.0f} and {usual.rarer_outcomes:,}.",
        )


def _outcomes(iteration: Iteration) -> Iterator[Check]:
    if "defaulted_share" in iteration.data:
        share = float(iteration.data["defaulted_share"])
        yield Check(
            OUTCOMES,
            Status.OK if share <= DEFAULTED_SHARE else Status.WATCH,
            f"{share:.1%} of the rounds it learnt from had no outcome in time and count as the declared default.",
        )


def _alarms(alarms: tuple[str, ...]) -> Check:
    if alarms:
        return Check("Generation alarms", Status.STOP, " ".join(alarms))
    return Check("Generation alarms", Status.OK, "Agreement, action mix and least propensity are within their limits.")


def _drift(rates: Sequence[float] | None) -> Iterator[Check]:
    if rates is None:
        yield Check("Drift", Status.WAITING, "There was one window of rounds only: nothing to have drifted from.")
        return
    before, now = rates
    status = Status.OK if abs(now - before) <= DRIFT else Status.WATCH
    yield Check("Drift", status, f"Failures went from {before:.1%} to {now:.1%} of rounds since the window before.")


def _certificate(certificate: Certificate | None, now: datetime) -> Check:
    if certificate is None:
        return Check("Certificate", Status.WAITING, "It has no certificate.")
    expires = datetime.fromisoformat(certificate.expires_at)
    status = Status.STOP if expires <= now else Status.WATCH if expires - now < EXPIRES_SOON else Status.OK
    verb = "expired" if expires <= now else "is valid until"
    return Check("Certificate", status, f"The certificate {verb} {expires:%Y-%m-%d %H:%M} UTC.")


def _staleness(stale: Stale | None) -> Check:
    if stale is None:
        return Check("Staleness", Status.OK, "Nothing that it learnt from has changed since.")
    if stale.share is not None and stale.share > STALE_SHARE:
        share = f"That is {stale.share:.1%} of what it learnt from; at most {STALE_SHARE:.0%} is borne."
        return Check("Staleness", Status.STOP, f"{stale.sentence} {share}")
    return Check("Staleness", Status.WATCH, stale.sentence)


def _freshness(iteration: Iteration, newest: pl.DataFrame, now: datetime) -> Check:
    own = newest.filter(pl.col("system") == iteration.report.system)
    parts = newest.filter(pl.col("part") == "demand") if iteration.kind == "inventory" and own.is_empty() else own
    parts = parts.drop_nulls("newest_at").sort("newest_at")
    if parts.is_empty():
        return Check("Freshness", Status.WAITING, "No dated event of this system has arrived.")
    system, part, newest_at = parts.row(0)
    status = Status.OK if now - newest_at <= STALE_AFTER else Status.WATCH
    days = (now - newest_at) / timedelta(days=1)
    return Check(
        "Freshness",
        status,
        f"Its oldest part, {part} of {system}, ends {newest_at:%Y-%m-%d}: {figure(round(days, 1))} days ago.",
    )


def _worst(found: Sequence[Check] | Iterator[Check]) -> Check:
    order = (Status.OK, Status.WAITING, Status.WATCH, Status.STOP)
    return max(found, key=lambda check: order.index(check.status))
