"""Public formats and their look-alikes: both enter the store, whole and alike."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from quaestor.errors import UsageError
from quaestor.log.demand import days_from_christmas, demand_panel
from quaestor.log.ingest import ingest_file
from quaestor.log.lookalike.favorita import write_favorita
from quaestor.log.lookalike.open_bandit import ITEMS, write_open_bandit
from quaestor.settings import Settings
from quaestor.store import demand, rounds

STORES = tuple(f"S{number:02d}" for number in range(21))


def test_an_open_bandit_lookalike_enters_whole(settings: Settings, tmp_path: Path) -> None:
    for path in write_open_bandit(tmp_path, seed=1, rounds=2000):
        summary = ingest_file(settings.store, "open-bandit", path)
        assert (summary.added, summary.refused) == (4000, {})
    with settings.store.read() as connection:
        found = rounds.decisions(connection, "open-bandit-men")
    assert found["iteration_id"].value_counts().sort("iteration_id").rows() == [("bts", 2000), ("random", 2000)]
    assert found["eligible"].list.len().unique().to_list() == [ITEMS]
    even = found.filter(pl.col("iteration_id") == "random")["propensity"].unique().to_list()
    assert even == [pytest.approx(1 / ITEMS)]


def test_lookalikes_are_reproducible_and_look_alike(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_open_bandit(tmp_path / folder, seed=2, rounds=20_000)
        write_favorita(tmp_path / folder, seed=2, products=60, stores=5, weeks=80)
    for name in ("obd_men_bts.parquet", "favorita_weekly_sales.parquet", "favorita_weeks.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    thompson = pl.read_parquet(tmp_path / "a" / "obd_men_bts.parquet")
    assert 0.002 < thompson["click"].mean() < 0.012  # type: ignore[operator]
    # Propensities describe the draw: the mean weight of the uniform policy is 1 within 4 standard errors.
    weight = (1 / ITEMS) / thompson["propensity_score"]
    assert abs(weight.mean() - 1) < 4 * weight.std() / len(weight) ** 0.5  # type: ignore[operator]


def test_a_favorita_lookalike_makes_a_panel(settings: Settings, tmp_path: Path) -> None:
    path = write_favorita(tmp_path, seed=3, products=8, weeks=60)
    assert ingest_file(settings.store, "favorita", path).added == 8 * 21 * 60
    with settings.store.read() as connection:
        panel = demand_panel(demand.records(connection, "favorita"), STORES)
    raw = pl.read_parquet(path).sort("product", "store", "week")["units"].to_numpy().reshape(8, 21, 60)
    assert panel.units.shape == raw.shape
    assert (panel.units == raw.clip(min=0)).all()
    assert panel.returns_clipped == int((raw < 0).sum())


def test_the_real_files_enter_whole(settings: Settings, shared_data: Path) -> None:
    for name in ("obd_men_random", "obd_men_bts"):
        assert ingest_file(settings.store, "open-bandit", shared_data / f"{name}.parquet").added == 20_000
    sales = ingest_file(settings.store, "favorita", shared_data / "favorita_weekly_sales.parquet")
    assert (sales.added, sales.refused) == (288 * 21 * 171, {})
    with settings.store.read() as connection:
        panel = demand_panel(demand.records(connection, "favorita"), STORES)
    assert panel.returns_clipped == 10
    calendar = pl.read_csv(shared_data / "favorita_weeks.csv", try_parse_dates=True)
    ours = days_from_christmas(tuple(calendar["date"]))
    assert (ours == calendar["days_from_christmas"].to_numpy()).all()


def test_what_a_format_needs_is_said(settings: Settings, tmp_path: Path) -> None:
    path = write_favorita(tmp_path, seed=4, products=2, stores=2, weeks=5)
    (tmp_path / "favorita_weeks.csv").unlink()
    with pytest.raises(UsageError, match="must lie beside it"):
        ingest_file(settings.store, "favorita", path)
    misnamed = tmp_path / "clicks.parquet"
    pl.DataFrame({"timestamp": ["2020-01-01"]}).write_parquet(misnamed)
    with pytest.raises(UsageError, match="obd_CAMPAIGN_random"):
        ingest_file(settings.store, "open-bandit", misnamed)
    short = tmp_path / "obd_women_bts.parquet"
    pl.DataFrame({"timestamp": ["2020-01-01"]}).write_parquet(short)
    with pytest.raises(UsageError, match="needs the columns"):
        ingest_file(settings.store, "open-bandit", short)


def test_days_from_christmas_by_hand() -> None:
    from datetime import date

    days = [date(2013, 1, 1), date(2013, 12, 24), date(2013, 6, 20), date(2014, 1, 24)]
    assert days_from_christmas(tuple(days)).tolist() == [7.0, -1.0, 177.0, 30.0]
