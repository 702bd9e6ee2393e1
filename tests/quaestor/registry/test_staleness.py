"""A correction that comes later makes what was learnt before visibly stale; what is merely new does not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from quaestor.clock import utc_now
from quaestor.log.ingest import ingest_file
from quaestor.registry.staleness import changed_since, staleness
from quaestor.settings import Settings
from tests.quaestor.events import START, decision, outcome, write

LEARNT: dict[str, Any] = {"as_of": "2026-03-10T00:00:00", "attribution_hours": 72.0}
DEMAND: dict[str, Any] = {"demand_system": "shops", "windows": {"test": [2, 6]}}


@pytest.fixture
def log(settings: Settings, tmp_path: Path) -> Settings:
    """Twenty decisions, of which ten are answered."""
    ingest_file(settings.store, "decisions", write(tmp_path, "d.parquet", [decision(n) for n in range(20)]))
    ingest_file(settings.store, "outcomes", write(tmp_path, "o.parquet", [outcome(n) for n in range(10)]))
    return settings


def later(settings: Settings, folder: Path, kind: str, rows: list[dict[str, Any]], data: Any = LEARNT) -> Any:
    """What has changed once these rows came in after everything else."""
    learnt_at = utc_now()
    ingest_file(settings.store, kind, write(folder, f"{kind}-{len(rows)}-{learnt_at:%f}.parquet", rows), None)
    with settings.store.read() as connection:
        return changed_since(connection, "shop", data, learnt_at)


def test_nothing_new_is_nothing_stale(log: Settings) -> None:
    with log.store.read() as connection:
        assert changed_since(connection, "shop", LEARNT, utc_now()) == {}
    assert staleness({}, utc_now()) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "row", "changed"),
    [
        ("outcomes", outcome(3, revision=1, reward=0.0), {"corrections": 1}),
        ("outcomes", outcome(15), {"outcomes": 1}),
        ("decisions", decision(77), {"decisions": 1}),
        ("outcomes", outcome(3, reward=0.25), {"contradictions": 1}),
        ("outcomes", outcome(15, hours=100.0), {}),  # too late to teach anything
        ("decisions", decision(78, decided_at=START + timedelta(days=30)), {}),  # after what it learnt from
        ("decisions", decision(5), {}),  # the same again
    ],
    ids=["correction", "late outcome", "late decision", "contradiction", "out of time", "new round", "duplicate"],
)
def test_what_changes_the_records_is_counted(
    log: Settings, tmp_path: Path, kind: str, row: dict[str, Any], changed: dict[str, int]
) -> None:
    assert later(log, tmp_path, kind, [row]) == changed


@pytest.mark.slow
def test_a_window_that_starts_later_is_left_alone(log: Settings, tmp_path: Path) -> None:
    data = LEARNT | {"decided_from": "2026-03-02T00:00:00"}
    assert later(log, tmp_path, "outcomes", [outcome(3, revision=1)], data) == {}


@pytest.mark.slow
def test_demand_that_was_used_is_told_from_demand_that_was_not(settings: Settings, tmp_path: Path) -> None:
    def records(product: str, periods: range, units: float = 3.0) -> list[dict[str, Any]]:
        return [
            {"system": "shops", "product": product, "store": "north", "period": period, "units": units}
            for period in periods
        ]

    ingest_file(settings.store, "demand", write(tmp_path, "first.parquet", records("P1", range(10, 16))))
    assert later(settings, tmp_path, "demand", records("P1", range(16, 18)), DEMAND) == {}
    assert later(settings, tmp_path, "demand", records("P2", range(14, 18)), DEMAND) == {"records of demand": 2}
    found = later(settings, tmp_path, "demand", records("P1", range(10, 11), 9.0), DEMAND)
    assert found == {"contradictions": 1}
    said = staleness(found, utc_now())
    assert said is not None
    assert "1 contradictions" in said


def test_drawn_demand_is_never_stale(settings: Settings) -> None:
    with settings.store.read() as connection:
        assert changed_since(connection, "shop", {"demand_system": None, "windows": {"test": [0, 9]}}, utc_now()) == {}
