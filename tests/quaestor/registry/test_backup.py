"""A backup restored is the store and the registry that were backed up; it is of one moment and never overwrites."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from quaestor.errors import QuaestorError, UsageError
from quaestor.log.ingest import ingest_file
from quaestor.registry import iteration as registry
from quaestor.registry.backup import CONTENT, Backup, back_up, restore
from quaestor.registry.promotion import promote
from quaestor.settings import Settings
from quaestor.store import Store, audit
from quaestor.store.archive import _tables
from tests.evidence import approved
from tests.quaestor.events import decision, outcome, write


def contents(store: Store) -> dict[str, list[Any]]:
    """Every row of every table."""
    with store.read() as connection:
        return {
            table: sorted(map(str, connection.execute(f"from {table}").fetchall())) for table in _tables(connection)
        }


def fill(settings: Settings, folder: Path) -> str:
    """Decisions, outcomes (one waits), a bad row, and a live iteration."""
    ingest_file(settings.store, "decisions", write(folder, "d.parquet", [decision(n) for n in range(20)]))
    ingest_file(settings.store, "decisions", write(folder, "bad.parquet", [decision(50, propensity=2.0)]))
    ingest_file(settings.store, "outcomes", write(folder, "o.parquet", [outcome(n) for n in range(22)]))
    name = approved(settings).iteration_id
    promote(settings.store, name, "ann", "better")
    return name


def test_what_is_restored_is_what_was_backed_up(settings: Settings, tmp_path: Path) -> None:
    name = fill(settings, tmp_path)
    made = back_up(settings.store, settings.data, tmp_path / "backup")
    other = Settings(data=tmp_path / "other")
    restore(other.store, other.data, tmp_path / "backup")
    assert contents(other.store) == contents(settings.store)
    assert made.rows["decisions"] == 20
    there = registry.get(other.store, other.data, name)
    assert [there.read(file) for file in there.files] == [
        registry.get(settings.store, settings.data, name).read(file) for file in there.files
    ]
    assert ingest_file(other.store, "decisions", tmp_path / "d.parquet").already
    late = ingest_file(other.store, "decisions", write(tmp_path, "late.parquet", [decision(20), decision(3)]))
    assert (late.added, late.duplicate, late.released) == (1, 1, 1)
    with other.store.read() as connection:
        assert audit.live(connection, "bandit") == name


def test_neither_backup_nor_restore_overwrites(settings: Settings, tmp_path: Path) -> None:
    fill(settings, tmp_path)
    back_up(settings.store, settings.data, tmp_path / "backup")
    with pytest.raises(UsageError, match="never overwrites"):
        back_up(settings.store, settings.data, tmp_path / "backup")
    before = contents(settings.store)
    with pytest.raises(UsageError, match="restored into an empty one"):
        restore(settings.store, settings.data, tmp_path / "backup")
    assert contents(settings.store) == before
    with pytest.raises(UsageError, match="No backup at"):
        restore(settings.store, settings.data, tmp_path)


@pytest.mark.parametrize("damage", ["changed", "missing", "escaping"])
def test_a_damaged_backup_restores_nothing(settings: Settings, tmp_path: Path, damage: str) -> None:
    fill(settings, tmp_path)
    back_up(settings.store, settings.data, tmp_path / "backup")
    table = tmp_path / "backup" / "store" / "decisions.parquet"
    if damage == "changed":
        table.write_bytes(table.read_bytes()[:-1] + b"\x00")
    elif damage == "missing":
        table.unlink()
    else:
        told = json.loads((tmp_path / "backup" / CONTENT).read_text())
        told["files"]["../escaped"] = "0"
        (tmp_path / "backup" / CONTENT).write_text(json.dumps(told))
    other = Settings(data=tmp_path / "other")
    with pytest.raises(QuaestorError, match="nothing was restored"):
        restore(other.store, other.data, tmp_path / "backup")
    assert not other.data.exists()


@pytest.mark.slow
def test_a_backup_is_of_one_moment_while_others_write(settings: Settings, tmp_path: Path) -> None:
    """Each file brings ten decisions and their outcomes in a transaction of its own: a backup holds whole files."""
    for n in range(30):
        write(tmp_path, f"{n:02d}.parquet", [decision(k) for k in range(10 * n, 10 * n + 10)])
    code = (
        "import sys; from pathlib import Path; from quaestor.settings import Settings\n"
        "from quaestor.log.ingest import ingest_file\n"
        "for path in sorted(Path(sys.argv[1]).glob('*.parquet')): ingest_file(Settings().store, 'decisions', path)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    made: list[Backup] = []
    while writer.poll() is None:
        made.append(back_up(settings.store, settings.data, tmp_path / f"backup-{len(made)}"))
    assert writer.returncode == 0
    assert all(backup.rows["decisions"] == 10 * backup.rows["ingested_files"] for backup in made)
    assert len({backup.rows["decisions"] for backup in made}) > 1
    last = Settings(data=tmp_path / "restored")
    restore(last.store, last.data, tmp_path / f"backup-{len(made) - 1}")
    assert len(contents(last.store)["decisions"]) == made[-1].rows["decisions"]
