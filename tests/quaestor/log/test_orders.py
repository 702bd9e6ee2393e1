"""Orders as the service records them enter the store: once, whole, and never two for one product and period."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from quaestor.export.records import Records
from quaestor.export.runtime import Runtime
from quaestor.log.ingest import ingest_file
from quaestor.settings import Settings
from tests.quaestor.events import START, write
from tests.quaestor.export.conftest import KEY
from tests.quaestor.export.orders import order_bundle, order_rows


def ordered(number: int, **changes: Any) -> dict[str, Any]:
    row = {
        "system": "shops", "product": "P1", "period": number, "decided_at": START, "iteration_id": "rule",
        "sources": ["W", "W"], "targets": ["S1", "S2"], "units": [3.0, 0.0], "on_hand": [[1.0, 2.0], [0.0, 4.0]],
    }  # fmt: skip
    return {**row, **changes}


def test_what_a_service_recorded_is_in_the_store_as_it_was(settings: Settings, tmp_path: Path) -> None:
    records = Records(tmp_path)
    policy = Runtime(order_bundle(tmp_path / "bundle", 1, KEY)).single_orders
    made = [policy.decide(row) for row in order_rows(4)]
    for record, noise in made:
        records.orders(record, noise)
    records.close()
    (sealed,) = (tmp_path / "orders").glob("*.parquet")
    assert ingest_file(settings.store, "orders", sealed).added == 4
    again = write(tmp_path, "again.parquet", pl.read_parquet(sealed).reverse().to_dicts())
    assert ingest_file(settings.store, "orders", again).duplicate == 4
    with settings.store.read() as connection:
        stored = connection.execute("select * from orders order by product, period").pl().to_dicts()
    expected = sorted((record for record, _ in made), key=lambda record: (record["product"], record["period"]))
    for row, record in zip(stored, expected, strict=True):
        seen = json.loads(row["readings"])
        assert {name: row[name] for name in ("sources", "targets", "units", "iteration_id")}.items() <= record.items()
        assert seen == {name: record[name] for name in seen}
        assert {*seen, *row} >= {*record}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"units": [1.0]}, "bad_edges"),
        ({"units": [1.0, -1.0]}, "bad_units"),
        ({"units": [1.0, float("inf")]}, "bad_units"),
        ({"units": [], "sources": [], "targets": []}, "bad_edges"),
        ({"targets": ["S1", None]}, "bad_edges"),
        ({"iteration_id": ""}, "no_iteration"),
        ({"product": ""}, "no_product"),
        ({"period": -1}, "bad_period"),
        ({"decided_at": START.replace(tzinfo=None)}, "unreadable"),
    ],
)
def test_orders_that_cannot_be_are_quarantined(
    settings: Settings, tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    path = write(tmp_path, "o.parquet", [ordered(1, **changes)])
    assert ingest_file(settings.store, "orders", path).refused == {code: 1}


def test_other_orders_for_the_same_product_and_period_never_overwrite(settings: Settings, tmp_path: Path) -> None:
    ingest_file(settings.store, "orders", write(tmp_path, "o.parquet", [ordered(1), ordered(2)]))
    other = write(tmp_path, "other.parquet", [ordered(1, units=[9.0, 9.0]), ordered(2), ordered(3)])
    summary = ingest_file(settings.store, "orders", other)
    assert (summary.added, summary.duplicate, summary.refused) == (1, 1, {"conflict": 1})
    with settings.store.read() as connection:
        assert connection.execute("select units from orders where period = 1").fetchone() == ([3.0, 0.0],)
