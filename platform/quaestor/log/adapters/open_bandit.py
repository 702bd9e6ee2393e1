"""The Open Bandit Dataset: logs of a fashion shop's recommendations with their propensities.

Saito, Aihara, Matsutani and Narita, "Open Bandit Dataset and Pipeline" (arXiv 2008.07146); CC BY 4.0.
"""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from quaestor.errors import UsageError
from quaestor.log.columns import Kind

_NAME = re.compile(r"obd_(?P<campaign>[a-z]+)_(?P<policy>random|bts)$")
_NEEDED = ("timestamp", "item_id", "position", "click", "propensity_score")


def read_open_bandit(raw: pl.DataFrame, path: Path, system: str | None) -> dict[Kind, pl.DataFrame]:
    """Decisions and outcomes of a file obd_CAMPAIGN_{random,bts}.parquet (or .csv).

    The campaign names the system and the logging policy stands in for the iteration. Every item that the
    campaign ever shows is eligible in every round. Raises UsageError for another name or missing columns.
    """
    name = _NAME.match(path.stem)
    if name is None:
        raise UsageError(f"{path.name}: an Open Bandit file is named obd_CAMPAIGN_random or obd_CAMPAIGN_bts.")
    missing = [column for column in _NEEDED if column not in raw.columns]
    if missing:
        raise UsageError(f"{path.name}: an Open Bandit file needs the columns {', '.join(missing)}.")
    affinities = sorted((c for c in raw.columns if c.startswith("user-item_affinity_")), key=_number)
    items = [str(_number(column)) for column in affinities] or _items_seen(raw)
    decided_at = (
        pl.col("timestamp").str.replace(" ", "T").str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    )
    event_id = pl.format("{}:{}", pl.lit(name["policy"]), pl.int_range(pl.len()))
    common = {"system": pl.lit(system or f"open-bandit-{name['campaign']}"), "event_id": event_id}
    decisions = raw.select(
        **common,
        decided_at=decided_at,
        iteration_id=pl.lit(name["policy"]),
        eligible=pl.lit(items),
        action=pl.col("item_id").cast(pl.Int64).cast(pl.String),
        propensity=pl.col("propensity_score").cast(pl.Float64),
        category_position=pl.col("position").cast(pl.String),
        **{f"category_{c}": pl.col(c).cast(pl.String) for c in raw.columns if c.startswith("user_feature_")},
        **{f"numeric_affinity_{_number(c)}": pl.col(c).cast(pl.Float64) for c in affinities},
    )
    outcomes = raw.select(**common, observed_at=decided_at, reward=pl.col("click").cast(pl.Float64))
    return {"decisions": decisions, "outcomes": outcomes}


def _number(column: str) -> int:
    return int(column.rsplit("_", 1)[1])


def _items_seen(raw: pl.DataFrame) -> list[str]:
    return [str(item) for item in raw["item_id"].cast(pl.Int64).unique().sort().to_list()]
