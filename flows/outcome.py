"""What a retraining comes to, in words for the run's page and in values for the caller."""

from __future__ import annotations

from dataclasses import dataclass

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from flows.tasks import artifact_key
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


def report_of(iteration_id: str, system: str | None = None) -> IterationReport:
    """The report of one iteration; quicker where its system is told."""
    with Settings().store.read() as connection:
        (found,) = (r for r in reports(connection, system) if r.iteration_id == iteration_id)
    return found


def publish(retrained: Retrained, screen: str) -> Retrained:
    """Puts the result on the run's page, with a link to the iteration on a screen of the console, and returns it."""
    report = report_of(retrained.candidate_id, retrained.system)
    key, short = artifact_key(f"retrain-{retrained.system}"), retrained.candidate_id[:12]
    done = f"\n\nFound done: {', '.join(retrained.done_before)}." if retrained.done_before else ""
    reasons = "\n".join(f"- {reason}" for reason in retrained.reasons)
    bundle = f"\n\nBundle: `{retrained.bundle}`" if retrained.bundle else ""
    create_markdown_artifact(
        f"# {report.sentence()}\n\n**{retrained.stage}**\n\n{reasons}{bundle}{done}",
        key=key,
        description=f"Retraining of {retrained.system}",
    )
    create_table_artifact(_figures(retrained, report), key=f"{key}-figures", description="What one chooses by")
    create_link_artifact(
        f"{Settings().console}/{screen}?system={retrained.system}&iteration={short}",
        link_text=f"Iteration {short} in the console",
        key=f"{key}-iteration",
    )
    return retrained


def _figures(retrained: Retrained, report: IterationReport) -> list[dict[str, str]]:
    rows = {"candidate": retrained.candidate_id[:12], "incumbent": retrained.incumbent_id[:12]}
    if report.evaluation is not None:
        value, lower, upper = report.evaluation.gain
        rows["gain"] = f"{value:.4g} ({lower:.4g} to {upper:.4g}) {report.evaluation.unit}"
    if report.certificate is not None:
        pairs = zip(report.certificate.params.budgets, report.certificate.bounds, strict=True)
        rows["certified bounds"] = ", ".join(f"{budget:g}: {bound:.4g}" for budget, bound in pairs)
    rows["stage"] = retrained.stage
    return [{"figure": name, "value": value} for name, value in rows.items()]
