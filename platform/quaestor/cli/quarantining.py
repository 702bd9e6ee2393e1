"""Commands about quarantine: what waits there and why, and letting rows in after all.

Commands import what they need when they run, so that none pays for another's libraries.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from quaestor.cli.output import Json, print_json, print_table
from quaestor.errors import QuaestorError, UsageError

quarantine_app = typer.Typer(help="Rows that were kept out, with their reasons.", no_args_is_help=True)

System = Annotated[str, typer.Option("--system", help="The system whose rows they are.")]
Kind = Annotated[str, typer.Option("--kind", help="decisions, outcomes, demand or orders.")]
Code = Annotated[str, typer.Option("--code", help="The code of the reason, as `quaestor quarantine list` says it.")]
Rows = Annotated[list[str] | None, typer.Option("--row", help="The start of a row's digest; all where none is given.")]
Changes = Annotated[list[str] | None, typer.Option("--set", help="column=value, set anew in all of these rows.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")]
Actor = Annotated[str | None, typer.Option("--actor", help="Who asks; whoever runs this where not given.")]


@quarantine_app.command("list")
def list_reasons(as_json: Json = False) -> None:
    """How many rows wait, by system, kind and code, each with a reason."""
    from quaestor.settings import Settings
    from quaestor.store import health

    with Settings().store.read() as connection:
        found = health.quarantine_reasons(connection)
    if as_json:
        print_json(found.to_dicts())
    elif found.is_empty():
        typer.echo("No row waits in quarantine.")
    else:
        columns = ("system", "kind", "code", "rows", "reason")
        rows = [[str(value) for value in row] for row in found.select(columns).iter_rows()]
        print_table("In quarantine", columns, rows)


@quarantine_app.command("resubmit")
def resubmit(
    system: System,
    kind: Kind,
    code: Code,
    reason: Reason,
    row: Rows = None,
    changes: Changes = None,
    actor: Actor = None,
    rehearse: Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Check waiting rows again and let in those that hold; what came stays on record as it came."""
    from quaestor.log import resubmission
    from quaestor.settings import Settings

    settings = Settings()
    which = resubmission.Waiting(system, kind, code, tuple(row or ()))
    found = resubmission.resubmit(
        settings.store, which, _parsed(changes or []), actor or settings.actor, reason, rehearse
    )
    print_json(asdict(found)) if as_json else typer.echo(found.sentence())
    if found.refused:
        raise QuaestorError(f"{sum(found.refused.values()):,} rows wait on in quarantine.")


def _parsed(changes: list[str]) -> dict[str, str]:
    found = {}
    for change in changes:
        column, sign, value = change.partition("=")
        if not sign or not column:
            raise UsageError(f"--set needs column=value, found {change!r}.")
        found[column] = value
    return found
