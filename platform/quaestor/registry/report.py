"""What there is to say of an iteration: the one source of the figures that console, CLI and demo show."""

from __future__ import annotations

import functools
import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from quaestor.certification.certificate import Certificate
from quaestor.errors import UsageError
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.judging import CERTIFICATE, EVALUATION
from quaestor.registry.stages import with_stages
from quaestor.store import Connection, bundles, evidence
from quaestor.study import parse


@dataclass(frozen=True)
class IterationReport:
    """An iteration with its newest verdict and the evidence behind it; None where there is none yet.

    damaged: why its evidence cannot be read, None where it can.
    """

    system: str
    iteration_id: str
    policy: str
    stage: str
    incumbent_id: str | None
    reasons: tuple[str, ...]
    evaluation: Evaluation | None
    certificate: Certificate | None
    bundle: str | None
    damaged: str | None = None

    def sentence(self) -> str:
        """The first line an analyst reads."""
        short = self.iteration_id[:12]
        if self.damaged is not None:
            return (
                f"{self.system}: the evidence of iteration {short} ({self.policy}) cannot be read; it is {self.stage}."
            )
        if self.evaluation is None:
            return f"{self.system}: iteration {short} ({self.policy}) has not been evaluated; it is {self.stage}."
        value, lower, upper = self.evaluation.gain
        word = "better than" if lower > 0 else "worse than" if upper < 0 else "not clearly different from"
        return (
            f"{self.system}: iteration {short} is {word} {str(self.incumbent_id)[:12]}: gain {value:.4g} "
            f"({self.evaluation.difference.confidence:.0%} interval {lower:.4g} to {upper:.4g}) "
            f"{self.evaluation.unit}; "
            f"{'certified; ' if self.certificate else ''}{self.stage}."
        )

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return asdict(self)


def reports(connection: Connection, system: str | None = None) -> list[IterationReport]:
    """A report of every iteration, oldest first."""
    exported = dict(bundles.listing(connection).select("iteration_id", "folder").iter_rows())
    evaluated = evidence.newest_texts(connection, EVALUATION, system)
    certified = evidence.newest_texts(connection, CERTIFICATE, system)
    return [
        _report(row, evaluated.get(row["iteration_id"], {}), certified.get(row["iteration_id"], {}), exported)
        for row in with_stages(connection, system).iter_rows(named=True)
    ]


def _report(
    row: dict[str, Any],
    evaluated: dict[str | None, str],
    certified: dict[str | None, str],
    exported: dict[str, str],
) -> IterationReport:
    against = row["incumbent_id"]
    evaluation = evaluated.get(against) if against else next(iter(evaluated.values()), None)
    certificate = next(iter(certified.values()), None)
    report = IterationReport(
        system=row["system"],
        iteration_id=row["iteration_id"],
        policy=row["policy"],
        stage=row["stage"],
        incumbent_id=against,
        reasons=tuple(row["reasons"]),
        evaluation=None,
        certificate=None,
        bundle=exported.get(row["iteration_id"]),
    )
    try:
        return replace(
            report,
            evaluation=_evaluation(evaluation) if evaluation else None,
            certificate=_certificate(certificate) if certificate else None,
        )
    except UsageError as error:  # one damaged iteration hides no other
        return replace(report, damaged=str(error))


@functools.lru_cache(maxsize=4096)
def _evaluation(content: str) -> Evaluation:
    """What is kept never changes, and whoever looks reads all of it again whenever something is added."""
    return parse(Evaluation, json.loads(content), "evaluation")


@functools.lru_cache(maxsize=4096)
def _certificate(content: str) -> Certificate:
    return parse(Certificate, json.loads(content), "certificate")
