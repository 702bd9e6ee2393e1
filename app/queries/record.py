"""Everything that was written down of one iteration, for its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from app.queries.store import content, remembered
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.judging import EVALUATION, REALISED, SEGMENTS, TRADE_OFF
from quaestor.registry.realised import Realised
from quaestor.registry.segments import Segments
from quaestor.store import Connection, audit, bundles, evidence
from quaestor.study import parse


@dataclass(frozen=True)
class Record:
    """What there is of an iteration; None where nothing was kept.

    kept: evidence_id, kind, incumbent_id, created_at, bytes. verdicts: incumbent_id, stage, reasons, created_at.
    entries: its audit entries. bundles: bundle_digest, folder, created_at. All newest first.
    """

    learning_curve: dict[str, Any] | None
    calibration: dict[str, Any] | None
    segments: Segments | None
    trade_off: dict[str, Any] | None
    realised: Realised | None
    kept: pl.DataFrame
    verdicts: pl.DataFrame
    entries: pl.DataFrame
    bundles: pl.DataFrame

    def evidence_id(self, kind: str) -> str | None:
        """The id of the newest evidence of a kind."""
        own = self.kept.filter(pl.col("kind") == kind)["evidence_id"]
        return str(own[0]) if len(own) else None


@remembered
def record(connection: Connection, iteration_id: str, incumbent_id: str | None) -> Record:
    """What was written down of an iteration, against one incumbent where it is given."""
    segments = content(evidence.latest(connection, iteration_id, SEGMENTS, incumbent_id))
    outcome = content(evidence.latest(connection, iteration_id, REALISED))
    trail = audit.trail(connection).filter(pl.col("iteration_id") == iteration_id)
    return Record(
        learning_curve=content(evidence.latest(connection, iteration_id, "learning_curve")),
        calibration=content(evidence.latest(connection, iteration_id, "calibration")),
        segments=parse(Segments, segments, "segments") if segments else None,
        trade_off=content(evidence.latest(connection, iteration_id, TRADE_OFF, incumbent_id)),
        realised=parse(Realised, outcome, "realised") if outcome else None,
        kept=evidence.of_iteration(connection, iteration_id),
        verdicts=evidence.verdict_history(connection, iteration_id),
        entries=trail.reverse(),
        bundles=bundles.listing(connection).filter(pl.col("iteration_id") == iteration_id).reverse(),
    )


@remembered
def evidence_text(connection: Connection, evidence_id: str) -> str:
    """One piece of evidence as it is kept, in JSON."""
    return evidence.text(connection, evidence_id)


@remembered
def compared(connection: Connection, candidate_id: str, incumbent_id: str) -> tuple[Evaluation | None, Segments | None]:
    """The evaluation of one iteration against another, parsed, and where they differ; None where there is none."""
    evaluated = content(evidence.latest(connection, candidate_id, EVALUATION, incumbent_id))
    segments = content(evidence.latest(connection, candidate_id, SEGMENTS, incumbent_id))
    return (
        parse(Evaluation, evaluated, "evaluation") if evaluated else None,
        parse(Segments, segments, "segments") if segments else None,
    )
