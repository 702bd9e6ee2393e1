"""Turns reports and evidence into frames that charts and tables show; nothing is estimated here but one interval."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from statistics import NormalDist
from typing import Any

import polars as pl

from app.queries.iterations import Iteration
from app.style import WORD_SIGNS, figure, short, word_of
from quaestor.log.manifest import PROPENSITY_EDGES
from quaestor.ope.weights import Overlap
from quaestor.registry.evaluation import Evaluation

ACTIONS_SHOWN = 12

_INTERVAL = {"label": pl.String, "who": pl.String, "value": pl.Float64, "lower": pl.Float64, "upper": pl.Float64}
_GAIN = {"label": pl.String, "value": pl.Float64, "lower": pl.Float64, "upper": pl.Float64, "word": pl.String}


def values(iterations: Iterable[Iteration]) -> pl.DataFrame:
    """Candidate and incumbent of each evaluated iteration: label, who, value, lower, upper."""
    rows = []
    for each in iterations:
        evaluation = each.report.evaluation
        if evaluation is not None:
            for who, interval in (("candidate", evaluation.candidate), ("incumbent", evaluation.incumbent)):
                rows.append((each.label, who, interval.value, interval.lower, interval.upper))
    return pl.DataFrame(rows, schema=_INTERVAL, orient="row")


def gains(iterations: Iterable[Iteration]) -> pl.DataFrame:
    """The gain of each evaluated iteration over its incumbent, better above 0: label, value, lower, upper, word."""
    evaluated = ((each.label, each.report.evaluation) for each in iterations)
    rows = [_gain(label, evaluation) for label, evaluation in evaluated if evaluation is not None]
    return pl.DataFrame(rows, schema=_GAIN, orient="row")


def gains_by(evaluation: Evaluation) -> pl.DataFrame:
    """One iteration's gain by every estimator or over every yardstick: label, value, lower, upper, word."""
    rows = [_gain(f"{evaluation.estimator}, to the incumbent", evaluation)]
    rows += [_gain(name, replace(evaluation, difference=other)) for name, other in sorted(evaluation.others.items())]
    return pl.DataFrame(rows, schema=_GAIN, orient="row")


def listing(iterations: Iterable[Iteration], truths: dict[str, float]) -> pl.DataFrame:
    """What one chooses an iteration by, newest first, a row each."""
    rows = []
    for each in iterations:
        report, gain = each.report, each.report.evaluation.gain if each.report.evaluation else None
        word = word_of(gain[1], gain[2]) if gain else None
        rows.append(
            {
                "iteration": each.label,
                "policy": report.policy,
                "stage": report.stage,
                "verdict": f"{WORD_SIGNS[word]} {word}" if word else "not evaluated",
                "gain": f"{figure(gain[0])} ({figure(gain[1])} to {figure(gain[2])})" if gain else "",
                "against": short(report.incumbent_id) if gain else "",
                "certified": "yes" if report.certificate else "no",
                "true share of the gap": f"{truths[each.iteration_id]:.1%}" if each.iteration_id in truths else "",
                "data up to": str(each.data.get("as_of", ""))[:16].replace("T", " "),
                "registered at (UTC)": each.created_at,
            }
        )
    frame = pl.DataFrame(rows).reverse()
    filled = [name for name in frame.columns if frame[name].cast(pl.String).fill_null("").str.len_chars().sum()]
    return frame.select(filled)


def changes(iteration: Iteration, parent: Iteration | None) -> pl.DataFrame:
    """What differs between an iteration's manifest and its parent's: what, parent, this."""
    new, old = _flat(iteration.manifest), _flat(parent.manifest) if parent else {}
    names = [name for name in dict.fromkeys((*old, *new)) if not name.startswith(("files", "parent_id", "system"))]
    rows = [(name, old.get(name, "—"), new.get(name, "—")) for name in names if old.get(name) != new.get(name)]
    return pl.DataFrame(rows, schema=dict.fromkeys(("what", "parent", "this"), pl.String), orient="row")


def overlaps(evaluation: Evaluation) -> pl.DataFrame:
    """How well the log covers candidate and incumbent: figure, candidate, incumbent."""
    sides = [_overlap(side) for side in (evaluation.overlap, evaluation.incumbent_overlap)]
    rows = [(name, *(side.get(name, "—") for side in sides)) for name in sides[0]]
    return pl.DataFrame(
        rows, schema={"figure": pl.String, "candidate": pl.String, "incumbent": pl.String}, orient="row"
    )


def action_mix(health: dict[str, Any], data: dict[str, Any]) -> pl.DataFrame:
    """Share of each action in the log and under the candidate: action, who, share; rare actions are summed up."""
    logged = {name: count / data["rounds"] for name, count in data.get("actions", {}).items()}
    mix = {str(name): float(share) for name, share in health["action_mix"].items()}
    ranked = sorted({*mix, *logged}, key=lambda name: -max(mix.get(name, 0.0), logged.get(name, 0.0)))
    shown, rest = ranked[:ACTIONS_SHOWN], ranked[ACTIONS_SHOWN:]
    rows = [(name, who, share.get(name, 0.0)) for name in shown for who, share in _sides(mix, logged)]
    if rest:
        summed = f"{len(rest)} other actions"
        rows += [(summed, who, sum(share.get(name, 0.0) for name in rest)) for who, share in _sides(mix, logged)]
    return pl.DataFrame(rows, schema={"action": pl.String, "who": pl.String, "share": pl.Float64}, orient="row")


def calibration(curve: list[list[float]], rounds: int) -> pl.DataFrame:
    """Predicted and observed reward of bins of equal size: predicted, observed, lower, upper.

    The interval is Wilson's at 95 % for a share, which is never too narrow for a mean of rewards in [0, 1].
    """
    size, z = rounds / len(curve), NormalDist().inv_cdf(0.975)
    rows = []
    for predicted, observed in curve:
        centre = (observed + z**2 / (2 * size)) / (1 + z**2 / size)
        reach = z / (1 + z**2 / size) * (observed * (1 - observed) / size + z**2 / (4 * size**2)) ** 0.5
        rows.append((predicted, observed, centre - reach, centre + reach))
    names = ("predicted", "observed", "lower", "upper")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.Float64), orient="row")


def propensities(histogram: list[int]) -> pl.DataFrame:
    """How many logged rounds have a propensity in each range: range, rounds."""
    ranges = [f"{low:g} – {high:g}" for low, high in pairwise(PROPENSITY_EDGES)]
    return pl.DataFrame({"range": ranges, "rounds": histogram}, schema={"range": pl.String, "rounds": pl.Int64})


def _gain(label: str, evaluation: Evaluation) -> tuple[str, float, float, float, str]:
    value, lower, upper = evaluation.gain
    return label, value, lower, upper, str(word_of(lower, upper))


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


def _flat(value: Any, name: str = "") -> dict[str, str]:
    if isinstance(value, dict) and value:
        flat: dict[str, str] = {}
        for key, inner in value.items():
            flat |= _flat(inner, f"{name}.{key}" if name else str(key))
        return flat
    return {name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}
