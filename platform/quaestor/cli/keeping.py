"""Commands that keep and give up what was stored: backup, restore, forget.

Commands import what they need when they run, so that none pays for another's libraries.
"""

from __future__ import annotations

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


def _say(what: str, folder: Path, rows: dict[str, int], files: int, as_json: bool) -> None:
    if as_json:
        print_json({"folder": str(folder), "rows": rows, "files": files})
    else:
        typer.echo(f"{what} {folder}: {sum(rows.values()):,} rows of {len(rows)} tables, {files:,} files.")
