"""Rung 6: honest records pass, and noise that is missing, made up or of another event is noticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from quaestor.cli.certificate_commands import climb
from quaestor.errors import UsageError
from quaestor.export.bundle import Bundle
from quaestor.export.noise_audit import audit_noise
from quaestor.export.records import RecordParams, Records
from quaestor.export.runtime import Runtime
from tests.quaestor.export.conftest import KEY, Made, rows
from tests.quaestor.export.orders import order_bundle, order_rows


@pytest.fixture(params=["payments", "orders"])
def deployed(request: pytest.FixtureRequest, made: Made, tmp_path: Path) -> tuple[Bundle, Path]:
    """A bundle and the records of two days with it; the orders of one period after the other share demand records."""
    folder = tmp_path / "records"
    records = Records(folder, RecordParams(flush_seconds=3600, seal_seconds=3600))
    if request.param == "payments":
        bundle = made.first
        for row in rows(200).to_dicts():
            records.decision(*Runtime(bundle).single.decide(row))
    else:
        bundle = order_bundle(tmp_path / "bundle", 1, KEY)
        for row in order_rows(40):
            for period in (40, 41):
                records.orders(*Runtime(bundle).single_orders.decide({**row, "period": period}))
    records.close()
    return bundle, folder


def _changed(folder: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    (path,) = (folder / "draws").glob("*.parquet")
    change(pl.read_parquet(path)).write_parquet(path)


def _noises(draws: pl.DataFrame) -> list[str]:
    return [name for name in draws.columns if name.startswith("noise")]


def test_honest_records_pass(deployed: tuple[Bundle, Path]) -> None:
    finding = audit_noise(*deployed)
    assert (finding.rung, finding.holds) == (6, True), finding.sentence


LIES: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "no noise": lambda d: d.with_columns(pl.lit(None, dtype=d.schema[n]).alias(n) for n in _noises(d)),
    "the noise of the next": lambda d: d.with_columns(pl.col(n).gather([*range(1, len(d)), 0]) for n in _noises(d)),
    "one draw left out of its row": lambda d: d.with_columns(pl.col(n).list.head(0) for n in _noises(d)),
    "another iteration": lambda d: d.with_columns(iteration_id=pl.lit("0" * 64)),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_what_is_not_the_certified_noise_is_noticed(deployed: tuple[Bundle, Path], name: str) -> None:
    bundle, folder = deployed
    _changed(folder, LIES[name])
    finding = audit_noise(bundle, folder)
    assert not finding.holds
    assert ("is not what the bundle's salt gives" in finding.sentence) == (name != "another iteration")


def test_a_folder_without_draws_is_a_sentence(made: Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No draws under"):
        audit_noise(made.first, tmp_path)


def test_rung_6_asks_for_the_records(made: Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give its folder of records with --records"):
        climb(made.first.path, None, 6, tmp_path / "study.toml", None, as_json=False)
