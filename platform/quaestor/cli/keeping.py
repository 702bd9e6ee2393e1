"""Commands that keep and give up what was stored: backup, restore, forget.

Commands import what they need when they run, so that none pays for another's libraries.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from quaestor.cli.output import Json, print_json

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The backup's folder.")]


def backup(folder: Folder, as_json: Json = False) -> None:
    """Copy store and registry into a new folder, of one moment, while others go on."""
    from quaestor.registry.backup import back_up
    from quaestor.settings import Settings

    settings = Settings()
    made = back_up(settings.store, settings.data, folder)
    _say("backed up to", folder, made.rows, len(made.files), as_json)


def restore(folder: Folder, as_json: Json = False) -> None:
    """Fill an empty store and data folder from a backup, every file checked by its digest."""
    from quaestor.registry.backup import restore as bring_back
    from quaestor.settings import Settings

    settings = Settings()
    made = bring_back(settings.store, settings.data, folder)
    _say("restored from", folder, made.rows, len(made.files), as_json)


def forget(
    subject: Annotated[str, typer.Option("--subject", help="As the decisions' column `subject` named them.")],
    system: Annotated[str, typer.Option("--system", help="Of which system.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")],
    as_json: Json = False,
) -> None:
    """Delete every row about one data subject for good, and say which iterations had learnt from them."""
    from quaestor.registry.forgetting import forget_subject
    from quaestor.settings import Settings

    settings = Settings()
    gone = forget_subject(settings.store, system, subject, settings.actor, reason)
    print_json({**asdict(gone), "sentence": gone.sentence()}) if as_json else typer.echo(gone.sentence())


def _say(what: str, folder: Path, rows: dict[str, int], files: int, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(folder), "rows": rows, "files": files})
    else:
        typer.echo(f"{what} {folder}: {sum(rows.values()):,} rows of {len(rows)} tables, {files:,} files.")
