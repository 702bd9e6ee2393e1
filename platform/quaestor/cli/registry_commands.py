"""Commands about iterations: what there is, what is live, and moving it.

Commands import what they need when they run, so that none pays for another's libraries.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quaestor.cli.output import REPORT_COLUMNS, Json, print_json, print_table, report_json, report_row

Iteration = Annotated[str, typer.Argument(metavar="ITERATION", help="The start of its id.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")]
System = Annotated[str | None, typer.Option("--system", help="Only this system.")]


def status(as_json: Json = False) -> None:
    """What is in the store, what is live, and what waits for a person."""
    from quaestor.registry.report import reports
    from quaestor.settings import Settings
    from quaestor.store import health

    with Settings().store.read() as connection:
        figures = health.figures(connection)
        found = reports(connection)
    waiting = [report.sentence() for report in found if report.stage == "waits for approval"]
    if as_json:
        print_json({**figures, "waiting": waiting})
        return
    for name, count in figures["rows"].items():
        typer.echo(f"{name}: {count:,}")
    for system, live in figures["live"].items():
        typer.echo(f"live in {system}: {live['iteration_id'][:12]} since {live['since']:%Y-%m-%d %H:%M} UTC")
    for sentence in waiting:
        typer.echo(f"waiting: {sentence}")


def iterations(system: System = None, as_json: Json = False) -> None:
    """Every iteration with its evidence, oldest first."""
    from quaestor.registry.report import reports
    from quaestor.settings import Settings

    with Settings().store.read() as connection:
        found = reports(connection, system)
    if as_json:
        print_json([report_json(report) for report in found])
    elif not found:
        typer.echo("No iteration yet: quaestor run payments --study FILE, or quaestor demo.")
    else:
        print_table("Iterations", REPORT_COLUMNS, [report_row(report) for report in found])


def promote(
    iteration: Iteration,
    reason: Reason,
    override: Annotated[bool, typer.Option("--override", help="Promote although the gate does not.")] = False,
    as_json: Json = False,
) -> None:
    """Make an iteration live; refused unless the gate said promote."""
    from quaestor.registry import promotion
    from quaestor.settings import Settings

    settings = Settings()
    _moved("live", promotion.promote(settings.store, iteration, settings.actor, reason, override), as_json)


def reject(iteration: Iteration, reason: Reason, as_json: Json = False) -> None:
    """Close an iteration to promotion."""
    from quaestor.registry import promotion
    from quaestor.settings import Settings

    settings = Settings()
    _moved("rejected", promotion.reject(settings.store, iteration, settings.actor, reason), as_json)


def rollback(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="Whose live iteration to take back.")],
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Make the iteration that was live before live again."""
    from quaestor.registry import promotion
    from quaestor.settings import Settings

    settings = Settings()
    _moved("live", promotion.roll_back(settings.store, system, settings.actor, reason), as_json)


def export(
    iteration: Iteration,
    out: Annotated[Path | None, typer.Option("--out", help="Where bundles go; data/bundles by default.")] = None,
    override: Annotated[
        str | None,
        typer.Option("--override", help="A reason to export although the gate does not say promote."),
    ] = None,
    sign: Annotated[
        Path | None,
        typer.Option("--sign", help="An Ed25519 private key in PEM; QUAESTOR_SIGNING_KEY holds or names one, too."),
    ] = None,
    mlflow: Annotated[
        bool, typer.Option("--mlflow", help="Also write it as an MLflow model (pyfunc), a folder beside the bundle.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a certified iteration as a bundle, a folder and an archive, and check it."""
    from quaestor.export.from_iteration import export_iteration
    from quaestor.export.mlflow_model import write_mlflow_model
    from quaestor.export.signature import signing_key
    from quaestor.settings import Settings
    from quaestor.store import lease
    from quaestor.store.iterations import by_prefix

    settings, key = Settings(), signing_key(sign)
    with settings.store.read() as connection:
        name = by_prefix(connection, iteration).iteration_id
    with lease.held(settings.store, lease.of_bundle(name), settings.actor):
        bundle, new = export_iteration(
            settings.store, settings.data, name, out or settings.bundles, settings.actor, override, key
        )
    model = str(write_mlflow_model(bundle)) if mlflow else None
    if as_json:
        facts = {"bundle": str(bundle.path), "archive": str(bundle.archive), "digest": bundle.digest}
        print_json({**facts, "serial": bundle.serial, "signed": bundle.signed, "new": new, "mlflow": model})
    else:
        typer.echo(f"{'exported' if new else 'already exported'}: {bundle.path}")
        typer.echo(f"as one file: {bundle.archive}")
        if model:
            typer.echo(f"as an MLflow model: {model}")
        typer.echo("signed" if bundle.signed else bundle.trust())


def _moved(to: str, iteration_id: str, as_json: bool) -> None:
    print_json({"iteration_id": iteration_id, "stage": to}) if as_json else typer.echo(f"{iteration_id[:12]} is {to}.")
