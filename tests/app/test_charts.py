"""Charts: no estimate without its interval, zero and gate on every axis of gains, a unit on every axis, few marks."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from altair.utils import schemapi

from app import charts
from app.charts import certificates, feedback, intervals, lineage, network, payments
from app.charts import segments as segments_module
from app.charts.certificates import certificate_chart
from app.charts.lineage import lineage_chart
from app.charts.payments import draw_chart
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


def named(**columns: Any) -> pl.DataFrame:
    """One row with the columns of an interval and these."""
    around = {"value": 1.0, "lower": 0.5, "upper": 1.5}
    return pl.DataFrame([{**around, **columns}])


def certified() -> Any:
    lines = pl.DataFrame({"budget": [0.0, 0.1], "line": ["certified bound"] * 2, "value": [1.0, 2.0]})
    tried = named(budget=0.1, attack="bias", mean=1.0)
    return certificate_chart(lines, tried, named(budget=0.1), "cost", "cost per store and period")


def supplied() -> Any:
    nodes = named(name="depot", kind="warehouse", x=1.0, y=0.5, chosen=True, on_hand=3.0, holding_cost=1.0,
                  underage_cost=0.0)  # fmt: skip
    edges = named(source="maker", target="depot", lead_time=2, unit_cost=0.5, flow=2.0, x=0.0, y=0.5, x2=1.0, y2=0.5,
                  chosen=True)  # fmt: skip
    return network.network_chart(nodes, edges)


def priced() -> Any:
    point = named(
        who="candidate", price=0.0, reward=0.5, reward_lower=0.4, reward_upper=0.6, cost=0.1, cost_lower=0.0,
        cost_upper=0.2,
    )  # fmt: skip
    return payments.trade_off_chart(point, point)


def descended() -> Any:
    nodes = named(iteration="1", address="x", number=1, generation=0, policy="p", stage="live", gain="g")
    edges = named(number=1, generation=1, parent_number=0, parent_generation=0)
    return lineage_chart(nodes, edges)


ESTIMATES = {
    "gain_chart": lambda: intervals.gain_chart(gains(), "reward a round", 0.02),
    "gains_chart": lambda: intervals.gains_chart(gains(), "reward a round", 0.02),
    "generations_chart": lambda: intervals.generations_chart(sided(), "value", "reward a round"),
    "values_chart": lambda: intervals.values_chart(
        gains().with_columns(who=pl.lit("candidate")), "value", "reward a round"
    ),
    "value_chart": lambda: intervals.value_chart(sided(), "value", "reward a round"),
    "segment_chart": lambda: segment_chart(segments(), "gain in reward a round", zero=True),
    "delay_chart": lambda: payments.delay_chart(gains().rename({"number": "hours"})),
    "cost_chart": lambda: network.cost_chart(named(cause="holding", who="candidate"), "reward a round"),
    "service_chart": lambda: network.service_chart(named(where="north", who="candidate")),
    "calibration_chart": lambda: payments.calibration_chart(named(predicted=0.5, observed=0.5)),
    "certificate_chart": certified,
    "trade_off_chart": priced,
}
"""Every chart of estimates: none is drawn without its interval."""
COUNTS = {
    "arrivals_chart": lambda: feedback.arrivals_chart(named(day=NOW, answer="with an outcome", decisions=3)),
    "features_chart": lambda: feedback.features_chart(
        named(feature="amount", index=0.1, by_chance=0.05, unseen=0.0, word="OK"), 0.25
    ),
    "demand_chart": lambda: feedback.demand_chart(named(period=1, units=3.0, window="newest")),
    "action_mix_chart": lambda: payments.action_mix_chart(named(action="card", who="candidate", share=0.5)),
    "propensity_chart": lambda: payments.propensity_chart(named(range="0 – 1", rounds=3)),
    "weight_chart": lambda: payments.weight_chart(named(range="0 – 1", who="of rounds", share=0.5)),
    "pending_chart": lambda: payments.pending_chart(named(hours=1.0, answer="without one yet", rounds=3)),
    "draw_chart": lambda: payments.draw_chart(
        named(action="card", start=0.0, stop=1.0, probability=1.0, taken="taken"), 0.4
    ),
    "driver_chart": lambda: payments.driver_chart(named(feature="amount", effect=0.1), "change in the predicted lead"),
    "lineage_chart": descended,
    "network_chart": supplied,
    "trace_chart": lambda: network.trace_chart(named(period=1, who="candidate", units=3.0), "on hand", 1),
    "learning_chart": lambda: network.learning_chart(named(epoch=1, on="dev periods", cost=3.0), 1, "cost"),
}
"""Charts of what was counted, played or drawn, which is known and not estimated."""
DRAWN = ESTIMATES | COUNTS


@pytest.mark.parametrize("name", DRAWN)
def test_every_chart_is_valid(name: str) -> None:
    """Screens do not check charts against the grammar again, so this does."""
    with schemapi.debug_mode(True):
        spec = DRAWN[name]().to_dict(validate=True)
    assert "params" not in json.dumps(spec), "an axis that moves is compared with nothing"


def test_every_chart_there_is_is_among_them() -> None:
    modules = (certificates, feedback, intervals, lineage, network, payments, segments_module)
    there = {name for module in modules for name in vars(module) if name.endswith("_chart")}
    files = {path.stem for path in Path(charts.__path__[0]).glob("*.py")} - {"__init__", "axes"}
    assert files == {module.__name__.rpartition(".")[2] for module in modules}
    assert there == set(DRAWN)


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


@pytest.mark.parametrize("name", ESTIMATES)
def test_no_estimate_is_drawn_without_its_interval(name: str) -> None:
    ends = {field.rpartition("_")[2] for field in fields(DRAWN[name]())}
    assert {"lower", "upper"} <= ends


@pytest.mark.parametrize("name", ["gain_chart", "gains_chart"])
def test_gains_are_drawn_with_zero_and_gate(name: str) -> None:
    values = json.dumps(json.loads(DRAWN[name]().to_json())["datasets"])
    assert '"at": 0.0' in values
    assert '"at": 0.02' in values
    assert "gate" in values


@pytest.mark.parametrize("name", sorted(set(DRAWN) - {"network_chart"}))
def test_every_axis_of_figures_names_what_it_measures(name: str) -> None:
    """Of quantities on x and y; names of rows need no title. A network is a picture: its legends bear the units."""
    for layer in layers(DRAWN[name]()):
        for one in layer.get("layer", [layer]):
            for side in ("x", "y"):
                channel = one["encoding"].get(side, {})
                if channel.get("type") == "quantitative":
                    title = channel.get("title") or channel.get("axis", {}).get("title") or titled(name, side)
                    assert title, (name, side)


def titled(name: str, side: str) -> bool:
    """Whether another layer of the same chart titles the axis that layers share."""
    return any(
        one["encoding"].get(side, {}).get("title") or one["encoding"].get(side, {}).get("axis", {}).get("title")
        for layer in layers(DRAWN[name]())
        for one in layer.get("layer", [layer])
    )


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
