"""What a retraining comes to, in words for the run's page and in values for the caller."""

from __future__ import annotations

from dataclasses import dataclass

from prefect.artifacts import create_markdown_artifact

from quaestor.registry.report import IterationReport, reports
from quaestor.settings import Settings


@dataclass(frozen=True)
class Retrained:
    """A retraining's result. done_before names the steps whose work was found done."""

    system: str
    incumbent_id: str
    candidate_id: str
    stage: str
    reasons: tuple[str, ...]
    bundle: str | None
    done_before: tuple[str, ...]


def report_of(iteration_id: str) -> IterationReport:
    """The report of one iteration."""
    with Settings().store.read() as connection:
        (found,) = (r for r in reports(connection) if r.iteration_id == iteration_id)
    return found


def publish(retrained: Retrained) -> Retrained:
    """Puts the result on the run's page and returns it."""
    report = report_of(retrained.candidate_id)
    done = f"\n\nFound done: {', '.join(retrained.done_before)}." if retrained.done_before else ""
    reasons = "\n".join(f"- {reason}" for reason in retrained.reasons)
    bundle = f"\n\nBundle: `{retrained.bundle}`" if retrained.bundle else ""
    create_markdown_artifact(
        f"# {report.sentence()}\n\n**{retrained.stage}**\n\n{reasons}{bundle}{done}",
        key=f"retrain-{retrained.system}",
        description=f"Retraining of {retrained.system}",
    )
    return retrained
