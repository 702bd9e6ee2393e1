"""Turns what was kept of payments policies into frames: actions, calibration, overlap, delays, costs, one decision."""

from __future__ import annotations

from itertools import pairwise
from statistics import NormalDist
from typing import Any

import polars as pl

from app.style import figure, shown
from quaestor.export.explanation import Explanation
from quaestor.log.manifest import PROPENSITY_EDGES
from quaestor.ope.weight_histogram import WeightHistogram
from quaestor.ope.weights import Overlap
from quaestor.registry.evaluation import Evaluation

ACTIONS_SHOWN = 12
DRIVERS_SHOWN = 12
_CURVE = {
    "who": pl.String, "price": pl.Float64, "reward": pl.Float64, "reward_lower": pl.Float64,
    "reward_upper": pl.Float64, "cost": pl.Float64, "cost_lower": pl.Float64, "cost_upper": pl.Float64,
}  # fmt: skip


def overlaps(evaluation: Evaluation) -> pl.DataFrame:
    """How well the log covers candidate and incumbent: figure, candidate, incumbent."""
    sides = [_overlap(side) for side in (evaluation.overlap, evaluation.incumbent_overlap)]
    rows = [(name, *(side.get(name, "—") for side in sides)) for name in sides[0]]
    return pl.DataFrame(
        rows, schema={"figure": pl.String, "candidate": pl.String, "incumbent": pl.String}, orient="row"
    )


def action_mix(health: dict[str, Any], data: dict[str, Any]) -> pl.DataFrame:
    """Share of each action in the log and under the candidate: action, who, share; rare actions are summed up."""
    logged = {shown(name, 40): count / data["rounds"] for name, count in data.get("actions", {}).items()}
    mix = {shown(str(name), 40): float(share) for name, share in health["action_mix"].items()}
    ranked = sorted({*mix, *logged}, key=lambda name: -max(mix.get(name, 0.0), logged.get(name, 0.0)))
    drawn, rest = ranked[:ACTIONS_SHOWN], ranked[ACTIONS_SHOWN:]
    rows = [(name, who, share.get(name, 0.0)) for name in drawn for who, share in _sides(mix, logged)]
    if rest:
        summed = f"{len(rest)} other actions"
        rows += [(summed, who, sum(share.get(name, 0.0) for name in rest)) for who, share in _sides(mix, logged)]
    return pl.DataFrame(rows, schema={"action": pl.String, "who": pl.String, "share": pl.Float64}, orient="row")


def calibration(curve: list[list[float]], rounds: int) -> pl.DataFrame:
    """Predicted and observed reward of bins of equal size: predicted, observed, lower, upper.

    The interval is Wilson's at 95 % for a share, which is never too narrow for a mean of rewards in [0, 1].
    """
    rows = [(predicted, observed, *wilson(observed, rounds / len(curve))) for predicted, observed in curve]
    names = ("predicted", "observed", "lower", "upper")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Float64), orient="row")


def calibration_by_action(found: dict[str, Any]) -> pl.DataFrame:
    """Brier score and expected calibration error of each action, the largest error first; calibrations that were kept
    before Brier scores were have none."""
    brier, errors = found.get("brier_by_action", {}), found.get("ece_by_action", {})
    ranked = sorted({*brier, *errors}, key=lambda action: (-errors.get(action, 0.0), action))
    rows = [(shown(action, 40), brier.get(action), errors.get(action)) for action in ranked]
    names = {"action": pl.String, "Brier score": pl.Float64, "expected calibration error": pl.Float64}
    return pl.DataFrame(rows, schema=names, orient="row")


def propensities(histogram: list[int]) -> pl.DataFrame:
    """How many logged rounds have a propensity in each range: range, rounds."""
    ranges = [f"{low:g} – {high:g}" for low, high in pairwise(PROPENSITY_EDGES)]
    return pl.DataFrame({"range": ranges, "rounds": histogram}, schema={"range": pl.String, "rounds": pl.Int64})


def weights(histogram: WeightHistogram) -> pl.DataFrame:
    """What an estimate rests on: range, who (rounds or weight), share; ranges without rounds at either end left out."""
    edges = histogram.edges
    ranges = [f"{low:g} – {high:g}" for low, high in pairwise(edges)] + [f"over {edges[-1]:g}"]
    used = [number for number, share in enumerate(histogram.of_rounds) if share > 0] or [0]
    rows = [
        (ranges[number], who, shares[number])
        for number in range(used[0], used[-1] + 1)
        for who, shares in (("of rounds", histogram.of_rounds), ("of all weight", histogram.of_weight))
    ]
    return pl.DataFrame(rows, schema={"range": pl.String, "who": pl.String, "share": pl.Float64}, orient="row")


def delays(curve: pl.DataFrame) -> pl.DataFrame:
    """The share of rounds with an outcome by the hour: hours, value, lower, upper; curve: hours, answered, rounds."""
    rows = [
        (hours, answered / rounds, *wilson(answered / rounds, rounds)) for hours, answered, rounds in curve.iter_rows()
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(("hours", "value", "lower", "upper"), pl.Float64), orient="row")


def pending(found: pl.DataFrame) -> pl.DataFrame:
    """Pending rounds by age and by whether they have an outcome: hours, answer, rounds."""
    drawn = found.select(
        "hours",
        pl.col("answered").alias("with an outcome"),
        (pl.col("rounds") - pl.col("answered")).alias("without one yet"),
    )
    return drawn.unpivot(index="hours", variable_name="answer", value_name="rounds")


def trade_off(kept: dict[str, Any]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The curve between reward and cost, and candidate and incumbent beside it."""
    curve = [_point("greedy at a price", each) for each in kept["points"]]
    sides = [_point(who, kept[who]) for who in ("candidate", "incumbent")]
    return pl.DataFrame(curve, schema=_CURVE, orient="row"), pl.DataFrame(sides, schema=_CURVE, orient="row")


def cut(explanation: Explanation) -> pl.DataFrame:
    """The probabilities of one decision laid end to end, in the order in which the draw runs through them: action,
    start, stop, probability, taken."""
    found = explanation.derived or explanation.logged or {explanation.action: explanation.propensity}
    rows, reached = [], 0.0
    for action, probability in found.items():
        taken = "taken" if action == explanation.action else "not taken"
        rows.append((shown(action, 40), reached, reached + probability, probability, taken))
        reached += probability
    schema = {"action": pl.String, **dict.fromkeys(("start", "stop", "probability"), pl.Float64), "taken": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def drivers(explanation: Explanation) -> pl.DataFrame:
    """What drove one decision: feature, effect on the lead of the action taken; the strongest first."""
    strongest = [(shown(name, 40), effect) for name, effect in (explanation.drivers or {}).items() if effect]
    schema = {"feature": pl.String, "effect": pl.Float64}
    return pl.DataFrame(strongest[:DRIVERS_SHOWN], schema=schema, orient="row")


def wilson(share: float, rounds: float) -> tuple[float, float]:
    """The 95 % interval of a share of so many rounds (Wilson 1927)."""
    z = NormalDist().inv_cdf(0.975)
    centre = (share + z**2 / (2 * rounds)) / (1 + z**2 / rounds)
    reach = z / (1 + z**2 / rounds) * (share * (1 - share) / rounds + z**2 / (4 * rounds**2)) ** 0.5
    return centre - reach, centre + reach


def _overlap(overlap: Overlap | None) -> dict[str, str]:
    if overlap is None:
        return {}
    return {
        "held-out rounds": f"{overlap.rounds:,}",
        "effective size, in rounds": f"{overlap.effective_size:,.0f}",
        "largest weight": figure(overlap.max_weight),
        "its share of all weight": f"{overlap.max_share:.2%}",
        "mean weight ± standard error": f"{overlap.mean_weight:.3f} ± {overlap.mean_weight_error:.3f}",
        "rounds with the rarer outcome": f"{overlap.rarer_outcomes:,}",
    }


def _sides(mix: dict[str, float], logged: dict[str, float]) -> list[tuple[str, dict[str, float]]]:
    return [("candidate", mix), *([("in the log", logged)] if logged else [])]


def _point(who: str, point: dict[str, Any]) -> tuple[Any, ...]:
    reward, cost = point["reward"], point["cost"]
    return (
        who, point["price"], reward["value"], reward["lower"], reward["upper"],
        cost["value"], cost["lower"], cost["upper"],
    )  # fmt: skip
