"""Records survive what befalls their process and their disk."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quaestor.errors import QuaestorError
from quaestor.export.records import JOURNALS, RecordParams, Records, RecordsFullError
from quaestor.export.sealing import seal

OFTEN = RecordParams(flush_seconds=0.02, seal_seconds=3600)
NEVER = RecordParams(flush_seconds=3600, seal_seconds=3600)


def _record(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "decided_at": datetime(2026, 1, 1, tzinfo=UTC),
        "propensities": [0.25, 0.75],
        "propensity": 1 / 3,
        "fallback": False,
        "numeric_x": None,
        "category_y": 'quote " and line\n',
        **changes,
    }


def _events(folder: Path) -> list[str]:
    files = sorted((folder / "decisions").glob("*.parquet"))
    return [event for path in files for event in pl.read_parquet(path)["event_id"]]


def test_what_is_appended_is_found_in_the_files(tmp_path: Path) -> None:
    records = Records(tmp_path, OFTEN)
    for number in range(100):
        records.append("decisions", _record(number))
    records.append("outcomes", {"event_id": "e1", "reward": 1.0, "revision": 0})
    records.close()
    assert _events(tmp_path) == [f"e{number}" for number in range(100)]
    (path,) = (tmp_path / "decisions").glob("*.parquet")
    assert pl.read_parquet(path).row(7, named=True) == _record(7)
    assert list((tmp_path / JOURNALS).iterdir()) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20), st.text(max_size=10))
def test_numbers_and_text_come_back_to_the_bit(tmp_path: Path, values: list[float], text: str) -> None:
    journal = tmp_path / "decisions-x.jsonl"
    rows = [{"event_id": text, "propensity": value, "propensities": [value, 0.5]} for value in values]
    journal.write_text("".join(json.dumps(row, ensure_ascii=True) + "\n" for row in rows), encoding="utf-8")
    path = seal(journal, tmp_path)
    assert path is not None
    assert pl.read_parquet(path).to_dicts() == rows


def test_records_of_other_columns_go_to_a_file_of_their_own(tmp_path: Path) -> None:
    records = Records(tmp_path, NEVER)
    for number in range(4):
        records.append("decisions", _record(number, **({"numeric_new": 1.0} if number % 2 else {})))
    records.close()
    columns = sorted(len(pl.read_parquet(path).columns) for path in (tmp_path / "decisions").glob("*.parquet"))
    assert columns == [7, 8]


def test_sealing_twice_changes_nothing(tmp_path: Path) -> None:
    """A crash between writing the file and removing the journal."""
    records = Records(tmp_path, NEVER)
    records.append("decisions", _record(1))
    records.flush()
    (journal,) = (tmp_path / JOURNALS).iterdir()
    content = journal.read_bytes()
    (path,) = records.seal()
    before = path.read_bytes()
    journal.write_bytes(content)
    again = Records(tmp_path, NEVER)
    assert again.recovered == [path]
    assert path.read_bytes() == before
    assert _events(tmp_path) == ["e1"]


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    (tmp_path / JOURNALS).mkdir()
    line = json.dumps({"event_id": "whole"})
    (tmp_path / JOURNALS / "decisions-a.jsonl").write_text(f'{line}\n{{"event_id": "to')
    (tmp_path / JOURNALS / "decisions-b.jsonl").write_text('{"event')
    assert len(Records(tmp_path, NEVER).recovered) == 1
    assert _events(tmp_path) == ["whole"]
    assert list((tmp_path / JOURNALS).iterdir()) == []


def test_a_living_process_keeps_its_journal(tmp_path: Path) -> None:
    first = Records(tmp_path, NEVER)
    first.append("decisions", _record(1))
    first.flush()
    assert Records(tmp_path, NEVER).recovered == []
    first.close()
    assert _events(tmp_path) == ["e1"]


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_a_full_disk_is_reported_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    records = Records(tmp_path, NEVER)
    records.append("decisions", _record(0))
    records.flush()
    whole = getattr(os, call)

    def full(*arguments: Any) -> Any:
        if call == "write":
            whole(arguments[0], bytes(arguments[1])[:10])  # a part gets through
        raise OSError(errno.ENOSPC, "No space left on device")

    for number in range(1, 4):
        records.append("decisions", _record(number))
    with monkeypatch.context() as broken:
        broken.setattr(os, call, full)
        records.flush()
        assert records.problem is not None
        assert "No space left" in records.problem
        assert records.waiting == 3
    records.append("decisions", _record(4))
    records.flush()
    assert (records.problem, records.waiting) == (None, 0)
    records.close()
    assert _events(tmp_path) == [f"e{number}" for number in range(5)]


def test_a_journal_that_cannot_be_sealed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Records(tmp_path, NEVER)
    records.append("decisions", _record(0))
    records.flush()
    with monkeypatch.context() as broken:
        broken.setattr(
            "quaestor.export.sealing.write_file", lambda *_: (_ for _ in ()).throw(OSError(errno.EROFS, "Read-only"))
        )
        assert records.seal() == []
        assert "Read-only" in str(records.problem)
    records.close()
    assert _events(tmp_path) == ["e0"]


def test_beyond_its_bound_it_says_so(tmp_path: Path) -> None:
    records = Records(tmp_path, RecordParams(flush_seconds=3600, seal_seconds=3600, most_waiting=2))
    records.append("decisions", _record(0))
    records.append("decisions", _record(1))
    with pytest.raises(RecordsFullError, match="2 records wait"):
        records.append("decisions", _record(2))
    records.close()
    assert len(_events(tmp_path)) == 2


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(QuaestorError, match="cannot be written"):
        Records(tmp_path / "file" / "records", NEVER)


_WRITER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from quaestor.export.records import RecordParams, Records
records = Records(Path(sys.argv[1]), RecordParams(flush_seconds=0.05, seal_seconds=0.2, seal_rows=500))
number = 0
while True:
    records.append("decisions", {"event_id": f"{sys.argv[2]}-{number}", "decided_at": datetime.now(UTC)})
    print(number, time.monotonic(), flush=True)
    number += 1
    time.sleep(0.0005)
"""


@pytest.mark.slow
def test_a_killed_process_loses_no_more_than_the_flush_interval(tmp_path: Path) -> None:
    """Killed six times at any moment; what was appended half a second before, ten flush intervals, is there once."""
    promised: list[str] = []
    for run in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), str(run)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        lines = []
        until = None
        for line in writer.stdout:
            lines.append(line.split())
            until = until or time.monotonic() + 0.7 + 0.13 * run
            if time.monotonic() > until:
                break
        writer.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        writer.wait()
        lines += [line.split() for line in writer.stdout if line.endswith("\n")]
        promised += [f"{run}-{number}" for number, at in lines if float(at) < killed - 0.5]
    Records(tmp_path, NEVER).close()
    found = _events(tmp_path)
    assert len(found) == len(set(found))
    assert len(promised) > 500
    assert set(promised) <= set(found)
