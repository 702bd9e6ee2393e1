"""Commands that start flows. Flows are found by their entry point, never imported by name.

Commands import what they need when they run, so that none pays for another's libraries.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quaestor.cli.output import REPORT_COLUMNS, Json, print_json, print_table, report_json, report_row
from quaestor.errors import QuaestorError, UsageError

if TYPE_CHECKING:
    from quaestor.log.ingest import IngestSummary

run_app = typer.Typer(help="Run one flow now, through Prefect: retries, a run log and artifacts.", no_args_is_help=True)

Study = Annotated[Path, typer.Option("--study", help="The study's TOML file.")]
System = Annotated[str | None, typer.Option("--system", help="The system, where the rows do not name it.")]
Format = Annotated[
    str,
    typer.Argument(
        metavar="FORMAT", help="decisions, outcomes, demand, dsjson, open-bandit, favorita, or a TOML mapping."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
WINDOWS = Path("data/studies/operations/retention.toml")
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Parquet or CSV files, or lines of JSON.")]


def demo(
    source: Annotated[
        Path | None, typer.Option("--source", help="A folder with the real Open Bandit and Favorita files.")
    ] = None,
    as_json: Json = False,
) -> None:
    """From raw events to certified, exported iterations, for payments and for inventory."""
    shown = flow("demo")(source=source)
    if as_json:
        print_json(
            [{**report_json(s.report), "share_of_gap": s.share_of_gap, "done_before": s.done_before} for s in shown]
        )
        return
    rows = [[*report_row(s.report), _note(s)] for s in shown]
    print_table("What the demo comes to", [*REPORT_COLUMNS, "note"], rows)
    typer.echo("Look at it: make console. Promote one: quaestor promote ID --reason '…'.")


def ingest(file_format: Format, files: Files, system: System = None, as_json: Json = False) -> None:
    """Bring event files into the store; what may not enter is quarantined with its reason."""
    from quaestor.log.ingest import ingest_file
    from quaestor.settings import Settings
    from quaestor.store import lease

    settings, summaries = Settings(), []
    for path in files:
        with lease.held(settings.store, lease.of_file(path), settings.actor):
            summaries.append(ingest_file(settings.store, file_format, path, system))
    _finish(summaries, as_json)


def describe_actions(
    log: Annotated[Path, typer.Argument(metavar="FILE", help="A decision log in dsjson.")], as_json: Json = False
) -> None:
    """Print what a dsjson log says of each action, as the table of a study that lets alike actions learn together."""
    from quaestor.log.adapters.decision_service import action_features

    found = action_features(log)
    if as_json:
        print_json(found)
        return
    typer.echo("[refit.actions.features]")
    for name, words in found.items():
        typer.echo(f"{json.dumps(name, ensure_ascii=False)} = {json.dumps(words, ensure_ascii=False)}")


@run_app.command("ingest")
def run_ingest(file_format: Format, files: Files, system: System = None, as_json: Json = False) -> None:
    """Ingest files as a flow."""
    _finish(flow("ingest")(file_format, files, system), as_json)


@run_app.command("payments")
def run_payments(study: Study, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Refit, evaluate, certify, judge and, if the gate says promote, export a payments policy."""
    _print_retrained(flow("payments")(_existing(study), dry_run), as_json)


@run_app.command("inventory")
def run_inventory(study: Study, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Train, evaluate, certify, judge and, if the gate says promote, export an order policy."""
    _print_retrained(flow("inventory")(_existing(study), dry_run), as_json)


def backfill(
    study: Study,
    first: Annotated[datetime, typer.Option("--from", help="The first moment, in UTC.")],
    last: Annotated[datetime, typer.Option("--to", help="The last moment, in UTC.")],
    every: Annotated[float, typer.Option("--every", help="Days between moments.")] = 1.0,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Retrain a payments system as it would have been at each moment of a range; only what is missing is done."""
    made = flow("backfill")(_existing(study), first, last, every, dry_run)
    if as_json:
        print_json([asdict(retrained) for retrained in made])
        return
    for retrained in made:
        _print_retrained(retrained, False)


def retention(
    windows: Annotated[Path, typer.Option("--windows", help="The TOML file of the windows.")] = WINDOWS,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Delete what has left the retention windows, and write down what was deleted."""
    found = flow("retention")(_existing(windows), dry_run)
    if as_json:
        print_json([asdict(going) for going in found])
        return
    for going in found:
        typer.echo(("would go: " if dry_run else "") + going.sentence())
    if not found:
        typer.echo("Nothing in the store is too old.")


@run_app.command("certify")
def run_certify(
    study: Study,
    iteration: Annotated[str, typer.Option("--iteration", help="The start of its id.")],
    as_json: Json = False,
) -> None:
    """Certify an iteration again by its study's parameters."""
    report = flow("certify")(_existing(study), iteration)
    print_json(report_json(report)) if as_json else print_table("Certified", REPORT_COLUMNS, [report_row(report)])


@run_app.command("export")
def run_export(
    iteration: Annotated[str, typer.Option("--iteration", help="The start of its id.")], as_json: Json = False
) -> None:
    """Export an iteration that the gate lets through."""
    folder = flow("export")(iteration)
    print_json({"bundle": folder}) if as_json else typer.echo(folder)


def flow(name: str) -> Callable[..., Any]:
    """A function of the module that starts flows, which an entry point names; raises QuaestorError where the flows are
    not installed."""
    for found in entry_points(group="quaestor.flows"):
        return getattr(import_module(found.module), name)  # type: ignore[no-any-return]
    raise QuaestorError("The flows are not installed here; run this from a checkout after `make install`.")


def _existing(study: Path) -> Path:
    if not study.exists():
        raise UsageError(f"No study at {study}. Studies ship in data/studies.")
    return study.resolve()


def _finish(summaries: list[IngestSummary], as_json: bool) -> None:
    if as_json:
        print_json([asdict(summary) for summary in summaries])
    else:
        for summary in summaries:
            typer.echo(summary.sentence())
    refused = sum(sum(summary.refused.values()) for summary in summaries if not summary.already)
    if refused:
        raise QuaestorError(
            f"{refused:,} rows were not taken; they are in quarantine with their reasons (`quaestor status` counts)."
        )


def _print_retrained(retrained: Any, as_json: bool) -> None:
    if as_json:
        print_json(asdict(retrained))
        return
    who = f"candidate {retrained.candidate_id[:12]}" if retrained.candidate_id else "a new candidate"
    typer.echo(f"{retrained.system}: {who}: {retrained.stage}")
    for reason in retrained.reasons:
        typer.echo(f"  {reason}")
    if retrained.bundle:
        typer.echo(f"  bundle: {retrained.bundle}")
    if retrained.done_before:
        typer.echo(f"  found done: {', '.join(retrained.done_before)}")
    _print_yardsticks(retrained.candidate_id, retrained.incumbent_id)


def _print_yardsticks(candidate_id: str, incumbent_id: str) -> None:
    """The table of a candidate that was played; nothing for one that was evaluated on a log."""
    from quaestor.cli.comparing import print_comparison
    from quaestor.registry.comparison import BOUND, comparison
    from quaestor.registry.evaluation import Evaluation
    from quaestor.registry.judging import EVALUATION
    from quaestor.settings import Settings
    from quaestor.store import evidence
    from quaestor.study import parse

    with Settings().store.read() as connection:
        evaluated = evidence.latest(connection, candidate_id, EVALUATION, incumbent_id)
        bound = evidence.latest(connection, candidate_id, BOUND)
    evaluation = parse(Evaluation, evaluated[1], "evaluation") if evaluated else None
    if evaluation is not None and evaluation.quantity == "cost":
        compared = comparison(evaluation, bound[1] if bound else None)
        print_comparison(evaluation.unit, evaluation.evaluated_on, compared)


def _note(shown: Any) -> str:
    notes = []
    if shown.share_of_gap is not None:
        notes.append(f"true value: {shown.share_of_gap:.1%} of the way from uniform to optimal")
    if shown.done_before:
        notes.append(f"found done: {', '.join(shown.done_before)}")
    return "\n".join(notes)
