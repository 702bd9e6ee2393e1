"""Alarms about iterations: alarms of a new generation, refusals of the gate, roll-backs, certificates that end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import polars as pl

from quaestor.alerts.alarm import Alarm
from quaestor.registry.canary_watch import ACTOR
from quaestor.registry.certificates import RENEWED_DAYS
from quaestor.registry.judging import HEALTH
from quaestor.registry.report import IterationReport, reports
from quaestor.store import Connection, audit, evidence

LATE_RENEWAL = timedelta(days=RENEWED_DAYS / 2)
"""So much of a certificate is left when its renewal, which is due at twice the time, is taken to have failed."""


def of_system(connection: Connection, system: str, now: datetime) -> Iterator[Alarm]:
    """Every alarm about the iterations of one system."""
    found = reports(connection, system)
    judged = [report for report in found if report.evaluation is not None and report.stage != "rejected"]
    if judged:
        yield from _generation(connection, judged[-1])
        yield from _gate(judged[-1])
    yield from _rolled_back(audit.trail(connection, system), system)
    for report in found:
        if report.stage == "live":
            yield from _certificate(report, now)


def _generation(connection: Connection, newest: IterationReport) -> Iterator[Alarm]:
    """What the newest generation's own health says (rule R10), as long as no person has rejected it."""
    health = evidence.latest(connection, newest.iteration_id, HEALTH, newest.incumbent_id)
    for sentence in health[1]["alarms"] if health else ():
        words = " ".join(str(sentence).split()[:3])
        yield Alarm(
            "generation",
            newest.system,
            f"{newest.iteration_id[:12]} {words}",
            "stop",
            f"{newest.system}: iteration {newest.iteration_id[:12]}: {sentence}",
        )


def _gate(newest: IterationReport) -> Iterator[Alarm]:
    if newest.stage == "rejected by the gate":
        yield Alarm(
            "gate",
            newest.system,
            newest.iteration_id[:12],
            "watch",
            f"{newest.system}: the gate refused iteration {newest.iteration_id[:12]}: {' '.join(newest.reasons)}",
        )


def _rolled_back(trail: pl.DataFrame, system: str) -> Iterator[Alarm]:
    moves = trail.filter(pl.col("action").is_in(["promote", "rollback"]))
    if len(moves) and moves["action"][-1] == "rollback" and moves["actor"][-1] == ACTOR:
        yield Alarm(
            "canary",
            system,
            str(moves["previous_id"][-1])[:12],
            "stop",
            f"{system}: the canary gate took iteration {str(moves['previous_id'][-1])[:12]} back and "
            f"{moves['iteration_id'][-1][:12]} is live again: {moves['reason'][-1]}",
        )


def _certificate(live: IterationReport, now: datetime) -> Iterator[Alarm]:
    if live.certificate is None:  # a rule in use before, or a person's override: the audit trail says so
        return
    left = datetime.fromisoformat(live.certificate.expires_at) - now
    if left <= LATE_RENEWAL:
        what = "has ended" if left <= timedelta(0) else f"ends in {left / timedelta(days=1):.1f} days"
        yield Alarm(
            "certificate",
            live.system,
            live.iteration_id[:12],
            "stop" if left <= timedelta(0) else "watch",
            f"{live.system}: the certificate of the live {live.iteration_id[:12]} {what} and was not renewed: "
            f"quaestor certify {live.iteration_id[:12]} --study STUDY.",
        )
