"""What enters the store, what does not, and that neither order nor repetition matters."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from quaestor.errors import QuaestorError, UsageError
from quaestor.log.ingest import ingest_file
from quaestor.settings import Settings
from quaestor.store import Store
from tests.quaestor.events import START, decision, outcome, write

TABLES = ("decisions", "outcomes", "demand", "quarantine")


def dump(store: Store) -> dict[str, list[Any]]:
    """Every event table without what depends on when and from which file a row came."""
    with store.read() as connection:
        return {
            table: sorted(
                map(
                    str,
                    connection.execute(
                        f"select columns(c -> c not in ('file_digest', 'quarantined_at', 'released_at', 'row_number')) "
                        f"from {table}" + (" where released_at is null" if table == "quarantine" else "")
                    ).fetchall(),
                )
            )
            for table in TABLES
        }


def test_the_same_file_twice_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    path = write(tmp_path, "d.parquet", [decision(n) for n in range(50)])
    first = ingest_file(settings.store, "decisions", path)
    before = dump(settings.store)
    again = ingest_file(settings.store, "decisions", path)
    assert (first.added, first.already, again.already) == (50, False, True)
    assert dump(settings.store) == before


def test_the_same_rows_in_another_file_are_harmless(settings: Settings, tmp_path: Path) -> None:
    ingest_file(settings.store, "decisions", write(tmp_path, "a.parquet", [decision(n) for n in range(30)]))
    overlap = [decision(n) for n in range(20, 40)] + [decision(25)]
    summary = ingest_file(settings.store, "decisions", write(tmp_path, "b.parquet", overlap))
    assert (summary.added, summary.duplicate, summary.refused) == (10, 11, {})


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_shards_in_any_order_give_the_same_store(tmp_path: Path, seed: int) -> None:
    rows = [("decisions", decision(n)) for n in range(40)] + [("outcomes", outcome(n)) for n in range(0, 40, 3)]
    rows += [("outcomes", outcome(3)), ("decisions", decision(7))]  # duplicates

    def store_after(order: list[tuple[str, dict[str, Any]]], name: str) -> dict[str, list[Any]]:
        store = Store(tmp_path / name / "store.duckdb")
        for number in range(0, len(order), 6):
            for kind in ("outcomes", "decisions"):
                shard = [row for k, row in order[number : number + 6] if k == kind]
                if shard:
                    ingest_file(store, kind, write(tmp_path / name, f"{number}-{kind}.parquet", shard))
        return dump(store)

    shuffled = random.Random(seed).sample(rows, len(rows))
    assert store_after(shuffled, "shuffled") == store_after(rows, "in-order")


def test_an_outcome_that_comes_first_waits_for_its_decision(settings: Settings, tmp_path: Path) -> None:
    early = ingest_file(settings.store, "outcomes", write(tmp_path, "o.parquet", [outcome(1), outcome(2)]))
    assert early.refused == {"unknown_decision": 2}
    assert dump(settings.store)["outcomes"] == []
    late = ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", [decision(1)]))
    assert late.released == 1
    after = dump(settings.store)
    assert len(after["outcomes"]) == 1
    assert len(after["quarantine"]) == 1  # the outcome of decision 2 goes on waiting


BAD_DECISIONS = {
    "bad_propensity": [{"propensity": 0.0}, {"propensity": float("nan")}, {"propensity": 1.5}, {"propensity": None}],
    "not_eligible": [{"action": "cash"}],
    "bad_eligible": [{"eligible": []}, {"eligible": ["card", "card"]}],
    "bad_propensities": [{"propensities": [0.5, 0.75]}, {"propensities": [1.0]}, {"propensities": [0.75, 0.25]}],
    "no_event_id": [{"event_id": ""}, {"event_id": None}],
    "bad_feature": [{"numeric_amount": float("inf")}],
}


@pytest.mark.parametrize(("code", "change"), [(code, c) for code, cs in BAD_DECISIONS.items() for c in cs])
def test_a_bad_decision_is_quarantined_alone(
    settings: Settings, tmp_path: Path, code: str, change: dict[str, Any]
) -> None:
    rows = [decision(1), decision(2, **change), decision(3)]
    summary = ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", rows))
    assert (summary.added, summary.refused) == (2, {code: 1})
    assert summary.examples[code] in summary.sentence() or summary.examples[code].rstrip(".") in summary.sentence()
    assert len(dump(settings.store)["quarantine"]) == 1


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (outcome(1, reward=2.0), "bad_reward"),
        (outcome(1, reward=float("nan")), "bad_reward"),
        (outcome(1, hours=-5), "early"),
        (outcome(9), "unknown_decision"),
        ({**outcome(1), "revision": -1}, "bad_revision"),
    ],
)
def test_a_bad_outcome_is_quarantined(settings: Settings, tmp_path: Path, row: dict[str, Any], code: str) -> None:
    ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", [decision(1)]))
    summary = ingest_file(settings.store, "outcomes", write(tmp_path, "o.parquet", [row]))
    assert (summary.added, summary.refused) == (0, {code: 1})
    assert dump(settings.store)["outcomes"] == []


def test_contradictions_never_overwrite(settings: Settings, tmp_path: Path) -> None:
    ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", [decision(1), decision(2)]))
    ingest_file(settings.store, "outcomes", write(tmp_path, "o.parquet", [outcome(1, reward=1.0)]))
    before = dump(settings.store)
    other = ingest_file(settings.store, "outcomes", write(tmp_path, "p.parquet", [outcome(1, reward=0.0)]))
    both = [outcome(2, reward=0.0), outcome(2, reward=1.0)]
    among = ingest_file(settings.store, "outcomes", write(tmp_path, "q.parquet", both))
    assert (other.refused, among.refused) == ({"conflict": 1}, {"conflict": 2})
    assert dump(settings.store)["outcomes"] == before["outcomes"]


def test_a_correction_has_a_revision_and_edits_nothing(settings: Settings, tmp_path: Path) -> None:
    ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", [decision(1)]))
    ingest_file(settings.store, "outcomes", write(tmp_path, "o.parquet", [outcome(1, reward=1.0)]))
    corrected = [{**outcome(1, hours=2, reward=0.0), "revision": 1}]
    assert ingest_file(settings.store, "outcomes", write(tmp_path, "p.parquet", corrected)).added == 1
    assert len(dump(settings.store)["outcomes"]) == 2


def test_csv_means_the_same_as_parquet(tmp_path: Path) -> None:
    rows = [decision(n) for n in range(5)]
    parquet, text = Store(tmp_path / "p.duckdb"), Store(tmp_path / "c.duckdb")
    ingest_file(parquet, "decisions", write(tmp_path, "d.parquet", rows))
    frame = pl.DataFrame(rows).with_columns(
        pl.col("eligible").list.join("|"),
        pl.col("propensities").cast(pl.List(pl.String)).list.join("|"),
        pl.col("decided_at").dt.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )
    frame.write_csv(tmp_path / "d.csv")
    ingest_file(text, "decisions", tmp_path / "d.csv")
    assert dump(parquet) == dump(text)
    assert len(dump(text)["decisions"]) == 5


def test_a_time_without_a_zone_is_refused(settings: Settings, tmp_path: Path) -> None:
    naive = [decision(1, decided_at=START.replace(tzinfo=None))]
    summary = ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", naive))
    assert summary.refused == {"unreadable": 1}
    assert "zone" in summary.examples["unreadable"]


@pytest.mark.parametrize(
    ("rename", "said"),
    [({"propensity": "propensty"}, "Did you mean 'propensity'"), ({"event_id": "id"}, "no column 'id'")],
)
def test_a_misspelt_column_is_named(settings: Settings, tmp_path: Path, rename: dict[str, str], said: str) -> None:
    path = tmp_path / "d.parquet"
    pl.DataFrame([decision(1)]).rename(rename).write_parquet(path)
    with pytest.raises(UsageError, match=said):
        ingest_file(settings.store, "decisions", path)


def test_a_truncated_file_is_refused_and_nothing_is_stored(settings: Settings, tmp_path: Path) -> None:
    path = write(tmp_path, "d.parquet", [decision(n) for n in range(500)])
    path.write_bytes(path.read_bytes()[:-200])
    before = dump(settings.store)
    with pytest.raises(QuaestorError, match="truncated"):
        ingest_file(settings.store, "decisions", path)
    assert dump(settings.store) == before


def test_demand_returns_are_kept_as_recorded(settings: Settings, tmp_path: Path) -> None:
    rows = [{"system": "s", "product": "A", "store": "S", "period": t, "units": float(3 - t)} for t in range(6)]
    assert ingest_file(settings.store, "demand", write(tmp_path, "d.parquet", rows)).added == 6
    bad = [{"system": "s", "product": "A", "store": "S", "period": -1, "units": 1.0}]
    assert ingest_file(settings.store, "demand", write(tmp_path, "e.parquet", bad)).refused == {"bad_period": 1}


def test_a_failure_in_the_middle_leaves_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quaestor.store import files

    path = write(tmp_path, "d.parquet", [decision(n) for n in range(10)])
    with settings.store.write():
        pass
    with monkeypatch.context() as patched:
        patched.setattr(files, "record", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            ingest_file(settings.store, "decisions", path)
    assert dump(settings.store)["decisions"] == []
    assert ingest_file(settings.store, "decisions", path).added == 10


def test_event_times_may_be_in_any_zone(settings: Settings, tmp_path: Path) -> None:
    rows = pl.DataFrame([decision(1)]).with_columns(pl.col("decided_at").dt.convert_time_zone("Asia/Tokyo"))
    path = tmp_path / "d.parquet"
    rows.write_parquet(path)
    ingest_file(settings.store, "decisions", path)
    with settings.store.read() as connection:
        (stored,) = connection.execute("select decided_at from decisions").fetchone()
    assert stored == (START + timedelta(minutes=1)).replace(tzinfo=None)
