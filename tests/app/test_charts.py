"""Charts: no estimate without its interval, zero and gate on every axis of gains, a unit on every axis, few marks."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from app.charts import intervals
from app.charts.lineage import lineage_chart
from app.charts.payments import delay_chart, draw_chart
from app.charts.segments import segment_chart
from app.checks import checks
from app.payments_frames import wilson
from app.queries.iterations import Iteration
from app.style import Status, Word, word_of
from quaestor.registry.report import IterationReport

MANY = 200
NOW = datetime(2026, 3, 1)


def gains(count: int = 3) -> pl.DataFrame:
    rows = [(n, f"{n} · abc", 0.1 * n, 0.1 * n - 0.05, 0.1 * n + 0.05, "better") for n in range(count)]
    names = ("number", "label", "value", "lower", "upper", "word")
    return pl.DataFrame(rows, schema=names, orient="row")


def sided(count: int = 3) -> pl.DataFrame:
    return pl.concat(gains(count).drop("word").with_columns(who=pl.lit(who)) for who in ("candidate", "incumbent"))


def segments() -> pl.DataFrame:
    return gains().select(
        segment="label", who=pl.lit("candidate"), value="value", lower="lower", upper="upper", rounds=7
    )


DRAWN = {
    "gain": lambda: intervals.gain_chart(gains(), "reward a round", 0.02),
    "gains": lambda: intervals.gains_chart(gains(), "reward a round", 0.02),
    "generations": lambda: intervals.generations_chart(sided(), "value", "reward a round"),
    "values": lambda: intervals.values_chart(gains(), "value", "reward a round"),
    "value": lambda: intervals.value_chart(sided(), "value", "reward a round"),
    "segments": lambda: segment_chart(segments(), "gain in reward a round", zero=True),
    "delays": lambda: delay_chart(gains().rename({"number": "hours"})),
}


def layers(chart: Any) -> list[dict[str, Any]]:
    spec = json.loads(chart.to_json())
    return list(spec.get("layer", [spec]))


def fields(chart: Any) -> set[str]:
    return {
        channel["field"]
        for layer in layers(chart)
        for one in layer.get("layer", [layer])
        for channel in one["encoding"].values()
        if isinstance(channel, dict) and "field" in channel
    }


@pytest.mark.parametrize("name", DRAWN)
def test_no_estimate_is_drawn_without_its_interval(name: str) -> None:
    assert {"value", "lower", "upper"} <= fields(DRAWN[name]())


@pytest.mark.parametrize("name", ["gain", "gains"])
def test_gains_are_drawn_with_zero_and_gate(name: str) -> None:
    values = json.dumps(json.loads(DRAWN[name]().to_json())["datasets"])
    assert '"at": 0.0' in values
    assert '"at": 0.02' in values
    assert "gate" in values


@pytest.mark.parametrize("name", DRAWN)
def test_the_axes_of_figures_name_what_they_measure(name: str) -> None:
    spec = DRAWN[name]().to_json()
    assert "reward a round" in spec or "hours" in spec


def test_two_hundred_iterations_are_few_marks_and_all_named() -> None:
    nodes = gains(MANY).select(
        "number", iteration="label", address="label", generation=pl.col("number") // 3, policy="label",
        stage=pl.lit("live"), gain="label",
    )  # fmt: skip
    edges = pl.DataFrame({"number": [1], "generation": [1], "parent_number": [0], "parent_generation": [0]})
    for chart in (
        lineage_chart(nodes, edges),
        intervals.gains_chart(gains(MANY), "unit"),
        intervals.generations_chart(sided(MANY), "q", "u"),
    ):
        rows = sum(len(data) for data in json.loads(chart.to_json())["datasets"].values())
        assert rows <= 5000
        assert rows >= MANY


def test_a_muted_gain_has_no_colour_of_its_word() -> None:
    muted = json.dumps(layers(intervals.gain_chart(gains(), "unit", muted=True)))
    assert '"#B5B5B5"' in muted
    assert "#56B4E9" not in muted.replace("shape", "")


def test_the_draw_is_marked_where_it_fell() -> None:
    laid = pl.DataFrame(
        {
            "action": ["a", "b"],
            "start": [0.0, 0.3],
            "stop": [0.3, 1.0],
            "probability": [0.3, 0.7],
            "taken": ["not taken", "taken"],
        }
    )
    assert len(layers(draw_chart(laid, 0.4))) == 3
    assert len(layers(draw_chart(laid, None))) == 1


def test_the_words_follow_from_the_interval() -> None:
    assert [word_of(*pair) for pair in ((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1), (0.0, 0.1))] == [
        Word.BETTER, Word.WORSE, Word.NOT_CLEAR, Word.NOT_CLEAR,
    ]  # fmt: skip


def test_wilsons_interval_is_the_textbooks() -> None:
    """8 of 10: 0.490 to 0.943 (Agresti and Coull 1998, section 2)."""
    assert wilson(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-5)


def test_the_oldest_part_rules_the_freshness_light() -> None:
    report = IterationReport("shop", "i" * 64, "policy", "candidate", None, (), None, None, None)
    iteration = Iteration(report, "payments", 0, 0, None, NOW, {"data": {}}, None)
    newest = pl.DataFrame(
        {"system": ["shop"] * 2, "part": ["outcomes", "decisions"], "newest_at": [NOW - timedelta(days=30), NOW]}
    )
    (found,) = (check for check in checks(iteration, newest, None, NOW) if check.name == "Freshness")
    assert found.status is Status.WATCH
    assert "outcomes" in found.sentence
