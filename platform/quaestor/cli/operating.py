"""Commands of operation: alarms, settings.

Commands import what they need when they run, so that none pays for another's libraries.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from quaestor.cli.output import Json, print_json

config_app = typer.Typer(help="The settings in force.", no_args_is_help=True)

LIMITS = Path("data/studies/operations/alerts.toml")


def alerts(
    limits: Annotated[Path, typer.Option("--limits", help="The TOML file of the limits.")] = LIMITS,
    as_json: Json = False,
) -> None:
    """Every alarm that stands now, the gravest first; telling people is the scheduled watch's work."""
    from quaestor.alerts.collect import standing
    from quaestor.alerts.limits import read_alerts
    from quaestor.clock import utc_now
    from quaestor.log.inbox import refused
    from quaestor.settings import Settings

    settings, params = Settings(), read_alerts(limits)
    with settings.store.read() as connection:
        found = standing(connection, params, refused(settings.refused), utc_now())
    if as_json:
        print_json([asdict(alarm) for alarm in found])
        return
    for alarm in found:
        typer.echo(f"[{alarm.status}] {alarm.sentence}")
    if not found:
        typer.echo("All is well.")


@config_app.command("show")
def show(
    sources: Annotated[bool, typer.Option("--sources", help="Also where each comes from.")] = False,
    as_json: Json = False,
) -> None:
    """Every setting with its value."""
    import os

    from quaestor.settings import Settings

    settings = Settings()
    rows = []
    for name, field in Settings.model_fields.items():
        named = getattr(field.validation_alias, "choices", [f"QUAESTOR_{name.upper()}"])
        variable = str(named[0])
        source = f"environment ({variable})" if variable in os.environ else f"default (set {variable} to change it)"
        rows.append({"setting": name, "value": getattr(settings, name), "source": source})
    if as_json:
        print_json(rows if sources else [{k: v for k, v in row.items() if k != "source"} for row in rows])
        return
    for row in rows:
        typer.echo(f"{row['setting']} = {row['value']}" + (f"    {row['source']}" if sources else ""))
