"""`python -m flows ingest | payments | inventory | certify | export | serve | canary`, without the console script."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from quaestor.cli.app import run
from quaestor.cli.flow_commands import run_app


@run_app.command("serve")
def serve(
    study: Annotated[Path, typer.Option("--study", help="The payments study to retrain.")] = Path(
        "data/studies/payments/world.toml"
    ),
    cron: Annotated[str, typer.Option("--cron", help="When, as a cron expression in UTC.")] = "0 3 * * *",
) -> None:
    """Start a local Prefect server and retrain on a schedule until stopped."""
    from flows.serve import serve_schedule

    serve_schedule(study.resolve(), cron)


@run_app.command("canary")
def canary(study: Annotated[Path, typer.Option("--study", help="The payments study, with a table [canary].")]) -> None:
    """Compare the live iteration with the one before it, and roll it back if it is certainly worse."""
    from flows.start import canary as watched_canary

    watched = watched_canary(study.resolve())
    typer.echo(f"{watched.system}: {watched.verdict.state}; live: {watched.live_id[:12]}")


if __name__ == "__main__":
    run(run_app)
