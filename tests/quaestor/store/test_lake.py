"""The store on DuckLake with a real PostgreSQL: the same laws as on a file, and many writers at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quaestor.errors import QuaestorError, StoreBusyError, UsageError
from quaestor.log.ingest import ingest_file
from quaestor.registry.backup import back_up, restore
from quaestor.settings import Settings
from quaestor.store.lake import parse
from tests.lake import postgres, settings  # noqa: F401
from tests.quaestor.events import decision, outcome, write
from tests.quaestor.log.test_ingest import (  # noqa: F401
    dump,
    test_a_failure_in_the_middle_leaves_nothing,
    test_an_outcome_that_comes_first_waits_for_its_decision,
    test_contradictions_never_overwrite,
    test_the_same_rows_in_another_file_are_harmless,
)
from tests.quaestor.registry.test_backup import contents, fill
from tests.quaestor.registry.test_forgetting import (  # noqa: F401
    test_forgetting_leaves_no_byte_of_the_rows_and_marks_who_learnt_from_them,
)
from tests.quaestor.registry.test_promotion import (  # noqa: F401
    test_of_a_promotion_and_a_roll_back_at_once_one_wins,
)
from tests.quaestor.store.test_append import (  # noqa: F401
    test_each_set_of_eligible_actions_is_kept_once,
    test_rounds_from_before_there_were_eligible_sets_keep_theirs,
)

pytestmark = pytest.mark.slow

WRITERS = 8
INGEST = (
    "import sys; from pathlib import Path; from quaestor.settings import Settings\n"
    "from quaestor.log.ingest import ingest_file\n"
    "for name in sys.argv[2:]:\n"
    "    ingest_file(Settings().store, sys.argv[1], Path(name))\n"
)


def test_eight_writers_at_once_lose_nothing_and_double_nothing(settings: Settings, tmp_path: Path) -> None:  # noqa: F811
    """Overlapping files of decisions and outcomes, in any order; a reader looks on and never sees less than before."""
    files = [
        (
            write(tmp_path, f"d{n}.parquet", [decision(k) for k in range(40 * n, 40 * n + 60)]),
            write(tmp_path, f"o{n}.parquet", [outcome(k) for k in range(40 * n, 40 * n + 60)]),
        )
        for n in range(WRITERS)
    ]
    with settings.store.write():
        pass
    writers = [
        subprocess.Popen([sys.executable, "-c", INGEST, kind, *(str(pair[at]) for pair in (files[n], files[n - 1]))])
        for n in range(WRITERS)
        for kind, at in [("decisions", 0) if n % 2 else ("outcomes", 1)]
    ]
    seen = [0]
    while any(writer.poll() is None for writer in writers):
        with settings.store.read() as connection:
            (count,) = connection.execute("select count(*) from decisions").fetchone() or (0,)
        seen.append(count)
        time.sleep(0.2)
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    assert seen == sorted(seen)
    with settings.store.read() as connection:
        counts = {
            table: connection.execute(f"select count(*), count(distinct event_id) from {table}").fetchone()
            for table in ("decisions", "outcomes")
        }
        (ingested,) = connection.execute("select count(*) from ingested_files").fetchone() or (0,)
    rows = len({k for n in range(WRITERS) for k in range(40 * n, 40 * n + 60)})
    assert counts == {"decisions": (rows, rows), "outcomes": (rows, rows)}
    assert ingested == 2 * WRITERS


def test_a_killed_writer_leaves_nothing_and_its_turn_ends(settings: Settings, tmp_path: Path) -> None:  # noqa: F811
    path = write(tmp_path, "d.parquet", [decision(n) for n in range(30)])
    with settings.store.write():
        pass
    code = (
        "from quaestor.settings import Settings; import time\n"
        "with Settings().store.write() as c:\n"
        "    c.execute(\"insert into live values ('torn', 'torn', now()::timestamp)\"); print('in', flush=True)\n"
        "    time.sleep(60)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline().strip() == "in"
    with pytest.raises(StoreBusyError, match="has held the store ducklake"):
        ingest_file(Settings(patience=0.3).store, "decisions", path)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert ingest_file(settings.store, "decisions", path).added == 30
    with settings.store.read() as connection:
        assert connection.execute("select count(*) from live").fetchone() == (0,)


def test_a_backup_of_a_file_fills_a_lake_and_back(settings: Settings, tmp_path: Path) -> None:  # noqa: F811
    on_file = Settings(data=tmp_path / "file", store_at=str(tmp_path / "file.duckdb"))
    fill(on_file, tmp_path)
    back_up(on_file.store, on_file.data, tmp_path / "one")
    restore(settings.store, settings.data, tmp_path / "one")
    assert contents(settings.store) == contents(on_file.store)
    back_up(settings.store, settings.data, tmp_path / "two")
    again = Settings(data=tmp_path / "again", store_at=str(tmp_path / "again.duckdb"))
    restore(again.store, again.data, tmp_path / "two")
    assert contents(again.store) == contents(on_file.store)


def test_another_machine_finds_the_rows_by_the_catalog(settings: Settings, tmp_path: Path) -> None:  # noqa: F811
    ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", [decision(n) for n in range(30)]))
    elsewhere = Settings(data=tmp_path / "elsewhere")
    assert elsewhere.store.exists()
    assert dump(elsewhere.store) == dump(settings.store)
    moved = Settings(data=tmp_path / "elsewhere", store_at=f"{settings.store_at} data_path={tmp_path / 'other'}")
    with pytest.raises(QuaestorError, match="does not match existing data path"):
        moved.store.exists()


def test_an_address_says_where_rows_lie(tmp_path: Path) -> None:
    lake = parse("ducklake:postgres:dbname=q password='a b' data_path=s3://bucket/q host=db", tmp_path)
    assert (lake.catalog, lake.data) == ("dbname=q password='a b' host=db", "s3://bucket/q/")
    assert "a b" not in str(lake)
    assert parse("ducklake:postgres:dbname=q", tmp_path).data == f"{tmp_path}/"
    with pytest.raises(UsageError, match=r"found 'ducklake:sqlite:x'"):
        parse("ducklake:sqlite:x", tmp_path)


def test_a_catalog_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    nowhere = Settings(store_at=f"ducklake:postgres:host={tmp_path} dbname=q password=secret", data=tmp_path)
    with pytest.raises(QuaestorError, match="cannot be reached") as caught:
        nowhere.store.exists()
    assert "secret" not in str(caught.value)
