"""Rows are told apart by the hash of their key: none is lost, none is doubled, whatever comes with whatever."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quaestor.log import formats
from quaestor.log.ingest import ingest_file
from quaestor.settings import Settings
from quaestor.store import events, intake, known_keys
from quaestor.store.migration import migrate
from tests.quaestor.events import START, decision, outcome, write


def _log(numbers: np.ndarray, changed: np.ndarray | None = None) -> pl.DataFrame:
    amount = np.zeros(len(numbers)) if changed is None else changed.astype(float)
    return pl.DataFrame({"event_id": [f"e{n}" for n in numbers], "numeric_amount": amount}).with_columns(
        system=pl.lit("shop"),
        decided_at=pl.lit(START).cast(pl.Datetime("us", "UTC")),
        eligible=pl.lit(["card", "token"]),
        action=pl.lit("card"),
        propensity=pl.lit(0.5),
    )


@pytest.mark.parametrize("seed", range(3))
def test_overlapping_files_add_each_row_once(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Parts of several batches, read by several threads; rows that are new, known, repeated or contradict others."""
    monkeypatch.setattr(formats, "ROWS", 8192)
    monkeypatch.setattr(intake, "ROW_GROUP", 2048)
    monkeypatch.setattr(events, "DOUBTED", 3000)
    chance = np.random.default_rng(seed)
    first, second = (chance.permutation(40_000)[: chance.integers(20_000, 30_000)] for _ in range(2))
    repeated = np.concatenate([second, second[:500]])
    contradicted = np.isin(repeated, first) & (repeated % 7 == 0)
    _log(first).write_parquet(tmp_path / "a.parquet")
    _log(repeated, contradicted).write_parquet(tmp_path / "b.parquet")
    ingest_file(settings.store, "decisions", tmp_path / "a.parquet")
    summary = ingest_file(settings.store, "decisions", tmp_path / "b.parquet")
    union = len(np.union1d(first, second))
    assert summary.added == union - len(first)
    assert summary.refused == {"conflict": int(contradicted.sum())}
    assert summary.duplicate == len(repeated) - summary.added - int(contradicted.sum())
    with settings.store.read() as connection:
        found = connection.execute("select count(*), count(distinct event_id), max(numeric_features[1]) from decisions")
        assert found.fetchone() == (union, union, 0.0)


def test_a_filter_forgets_no_key() -> None:
    chance = np.random.default_rng(0)
    held, new = chance.integers(0, 2**64, (2, 50_000), dtype=np.uint64)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(known_keys, "ROOM", 50_000)
        known = known_keys.KnownKeys(_Empty(), "decisions")  # type: ignore[arg-type]
    known.add(held)
    assert known.may_hold(held).all()
    assert known.may_hold(new).mean() < 0.02


class _Empty:
    """A connection to a table without rows."""

    def execute(self, _: str) -> _Empty:
        return self

    def fetchone(self) -> tuple[int]:
        return (0,)

    def to_arrow_reader(self, _: int) -> list[object]:
        return []


def test_another_hash_function_finds_the_same_rows(settings: Settings, tmp_path: Path) -> None:
    """As after an upgrade of DuckDB that hashes otherwise."""
    rows = [decision(n) for n in range(50)]
    ingest_file(settings.store, "decisions", write(tmp_path, "a.parquet", rows))
    with settings.store.write() as connection:
        connection.execute("update decisions set key_hash = key_hash + 1; update key_hashing set probe = 7")
    again = ingest_file(settings.store, "decisions", write(tmp_path, "b.parquet", [*rows, decision(50)]))
    assert (again.added, again.duplicate) == (1, 50)
    late = ingest_file(settings.store, "outcomes", write(tmp_path, "o.parquet", [outcome(n) for n in range(52)]))
    assert (late.added, late.refused) == (51, {"unknown_decision": 1})


def test_rows_from_before_there_were_hashes_get_theirs(settings: Settings) -> None:
    """As after an upgrade from the first release: whoever opens the store next completes it."""
    with settings.store.exclusive() as (connection, _):
        migrate(connection, 4)
        connection.execute(
            "insert into decisions values "
            "('shop', 'e', '2026-01-01', 'x', 's', [], [], ['card'], null, 'card', 1, false, 'd')"
        )
    with settings.store.read() as connection:
        assert connection.execute("select count(key_hash) from decisions").fetchone() == (1,)
