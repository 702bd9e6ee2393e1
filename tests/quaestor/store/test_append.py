"""Rows are told apart by the hash of their key: none is lost, none is doubled, whatever comes with whatever."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from quaestor.log import formats
from quaestor.log.ingest import ingest_file
from quaestor.settings import Settings
from quaestor.store import events, intake, known_keys
from quaestor.store.migration import migrate
from quaestor.store.rounds import decisions
from quaestor.store.training import names
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


def test_rounds_from_before_there_were_eligible_sets_keep_theirs(settings: Settings, tmp_path: Path) -> None:
    """As after an upgrade: what was eligible is told as before, and a round that comes again is known."""
    sets = [["card"], ["token", "card"], ["card", "token"], ["card"]]
    rows = [decision(n, eligible=names, action="card") for n, names in enumerate(sets)]
    with settings.store.exclusive() as (connection, _):
        migrate(connection, 10)
        connection.execute("insert into context_schemas values ('s', ['amount'], ['country'])")
        for row in rows:
            connection.execute(
                "insert into decisions by name select 'shop' as system, ? as event_id, ?::timestamp as decided_at, "
                "'s' as schema_id, [1.0] as numeric_features, ['DE'] as category_features, ?::varchar[] as eligible, "
                "'card' as action, 0.5 as propensity, false as fallback, 'd' as file_digest",
                [row["event_id"], START.replace(tzinfo=None), row["eligible"]],
            )
    with settings.store.read() as connection:
        found = decisions(connection, "shop")
        assert found["eligible"].to_list() == sets
        kept = connection.execute(
            "select count(*), count(distinct actions), count(distinct eligible_id) from eligible_sets"
        )
        assert kept.fetchone() == (3, 3, 3)
        assert names(connection, "shop").actions == ("card", "token")


def test_each_set_of_eligible_actions_is_kept_once(settings: Settings, tmp_path: Path) -> None:
    """Whatever files and parts bring it; a conflict tells what was eligible, not its number."""
    chance = np.random.default_rng(0)
    every = [["card"], ["card", "token"], ["token", "card"], ["card", "token", "retry"]]
    sets = [every[k] for k in chance.integers(len(every), size=60)]
    rows = [decision(n, eligible=some, action="card", propensities=None, propensity=0.2) for n, some in enumerate(sets)]
    for part in range(3):
        ingest_file(settings.store, "decisions", write(tmp_path, f"{part}.parquet", rows[20 * part : 20 * part + 20]))
    other = {**rows[7], "eligible": [*sets[7], "cash"]}
    again = ingest_file(settings.store, "decisions", write(tmp_path, "again.parquet", [*rows, other]))
    assert again.added == 0
    with settings.store.read() as connection:
        by_id = dict(decisions(connection, "shop").select("event_id", "eligible").iter_rows())
        assert [by_id[row["event_id"]] for row in rows] == sets
        actions = [tuple(names) for (names,) in connection.execute("select actions from eligible_sets").fetchall()]
        assert sorted(actions) == sorted({tuple(some) for some in [*sets, other["eligible"]]})
        content = connection.execute("select content from quarantine where code = 'conflict'").fetchall()
    assert [other["eligible"]] == [json.loads(text)["eligible"] for (text,) in content if "cash" in text]
