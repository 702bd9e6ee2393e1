"""`python -m flows serve` and the flows one by one, without the console script."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from quaestor.cli.app import run
from quaestor.cli.flow_commands import run_app
from quaestor.errors import UsageError


@run_app.command("serve")
def serve(
    deployments: Annotated[Path, typer.Option("--deployments", help="What runs when.")] = Path("prefect.yaml"),
    port: Annotated[int, typer.Option("--port", help="Of the server, on this machine only.")] = 4200,
) -> None:
    """Start a Prefect server and a worker, and run every deployment when it falls due, until stopped."""
    from flows.serve import serve as serve_deployments

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # end the children as Ctrl-C does
    serve_deployments(deployments, port, typer.echo)


@run_app.command("deploy")
def deploy(
    deployments: Annotated[Path, typer.Option("--deployments", help="What runs when.")] = Path("prefect.yaml"),
) -> None:
    """Apply the deployments to the server of PREFECT_API_URL, for workers elsewhere."""
    from flows import deployments as found
    from flows.serve import prepare

    if "PREFECT_API_URL" not in os.environ:
        raise UsageError("Set PREFECT_API_URL to the server's address, such as http://prefect.internal:4200/api.")
    found.check(deployments)
    prepare(deployments, typer.echo)


@run_app.command("renew")
def renew(study: Annotated[Path, typer.Option("--study", help="The study of either kind.")]) -> None:
    """Certify the live iteration again if its certificate ends soon."""
    from flows.certify import run_renew_certificate

    run_renew_certificate(study.resolve())


@run_app.command("inbox")
def inbox(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what lies there.")] = False,
) -> None:
    """Ingest whatever lies in the inbox of the data folder."""
    from flows.ingest import run_ingest_inbox

    run_ingest_inbox(dry_run)


@run_app.command("many")
def many(
    studies: Annotated[Path, typer.Option("--studies", help="A folder with one TOML file for each system.")],
    batch: Annotated[int | None, typer.Option("--batch", help="Studies to a task.", min=1)] = None,
) -> None:
    """Retrain every study in a folder, on this machine or on Ray (QUAESTOR_RUNNER=ray)."""
    from flows.retrain_many import run_retrain_many

    done = run_retrain_many(studies.resolve(), batch)
    typer.echo(f"{len(done):,} studies: {sum(each.seconds for each in done):,.0f} s of work.")


@run_app.command("alarms")
def alarms(
    alerts: Annotated[Path, typer.Option("--alerts", help="Limits and addresses.")] = Path(
        "data/studies/operations/alerts.toml"
    ),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be told.")] = False,
) -> None:
    """Look at every alarm, those of scheduled runs too, and tell what is new."""
    from flows.watch_alarms import run_watch_alarms

    for alarm in run_watch_alarms(alerts.resolve(), dry_run):
        typer.echo(f"[{alarm.status}] {alarm.sentence}")


@run_app.command("canary")
def canary(study: Annotated[Path, typer.Option("--study", help="The payments study, with a table [canary].")]) -> None:
    """Compare the live iteration with the one before it, and roll it back if it is certainly worse."""
    from flows.start import canary as watched_canary

    watched = watched_canary(study.resolve())
    if watched is None:
        typer.echo("There is no canary to watch: nothing was live before the live iteration.")
        return
    typer.echo(f"{watched.system}: {watched.verdict.state}; live: {watched.live_id[:12]}")


if __name__ == "__main__":
    run(run_app)
