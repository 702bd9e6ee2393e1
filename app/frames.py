"""Turns the reports of iterations into frames that charts and tables show; nothing is estimated here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from app.queries.iterations import Iteration
from app.style import WORD_SIGNS, short, word_of
from quaestor.registry.evaluation import Evaluation

_INTERVAL = {"label": pl.String, "who": pl.String, "value": pl.Float64, "lower": pl.Float64, "upper": pl.Float64}
_NUMBERS = ("gain", "gain from", "gain to", "age of its data (days)")
_GAIN = {"label": pl.String, "value": pl.Float64, "lower": pl.Float64, "upper": pl.Float64, "word": pl.String}


def generations(iterations: Iterable[Iteration], realised: pl.DataFrame) -> pl.DataFrame:
    """Every evaluated value over generations: number, label, who, value, lower, upper. realised: iteration_id,
    value, lower, upper of those that have decided since."""
    rows = []
    for each in iterations:
        evaluation = each.report.evaluation
        if evaluation is not None:
            for who, interval in (("candidate", evaluation.candidate), ("incumbent", evaluation.incumbent)):
                rows.append((each.number, each.label, who, interval.value, interval.lower, interval.upper))
            for found in realised.filter(pl.col("iteration_id") == each.iteration_id).iter_rows(named=True):
                figures = (found["value"], found["lower"], found["upper"])
                rows.append((each.number, each.label, "realised", *figures))
    return pl.DataFrame(rows, schema={"number": pl.Int64, **_INTERVAL}, orient="row")


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


def numbered_gains(iterations: Iterable[Iteration]) -> pl.DataFrame:
    """The gain of each evaluated iteration over generations: number, label, value, lower, upper, word."""
    evaluated = ((each, each.report.evaluation) for each in iterations)
    rows = [(each.number, *_gain(each.label, found)) for each, found in evaluated if found is not None]
    return pl.DataFrame(rows, schema={"number": pl.Int64, **_GAIN}, orient="row")


def own_values(iterations: Sequence[Iteration], pair: Evaluation | None) -> pl.DataFrame:
    """The value of each evaluated iteration: label, who (candidate for the first, incumbent for the second, another),
    value, lower, upper. pair: the evaluation of the first against the second, whose values count where there is one:
    they are of the same rounds."""
    found = [(each.label, each.report.evaluation.candidate) for each in iterations if each.report.evaluation]
    if pair is not None:
        first, second = iterations[:2]
        others = [each for each in found if each[0] not in (first.label, second.label)]
        found = [(first.label, pair.candidate), (second.label, pair.incumbent), *others]
    who = dict(zip((each.label for each in iterations), ("candidate", "incumbent"), strict=False))
    rows = [(label, who.get(label, "another"), each.value, each.lower, each.upper) for label, each in found]
    return pl.DataFrame(rows, schema=_INTERVAL, orient="row")


def gains_with(judged: Iterable[Iteration], pair: Sequence[Iteration], evaluation: Evaluation) -> pl.DataFrame:
    """The gain of the first of a pair over the second, then that of each over its own incumbent: as `gains`."""
    first, second = pair[:2]
    direct = _gain(f"{first.number} over {second.number}, same rounds", evaluation)
    others = [each for each in judged if each.report.incumbent_id != second.iteration_id or each is not first]
    return pl.concat([pl.DataFrame([direct], schema=_GAIN, orient="row"), gains(others)])


def gains_by(evaluation: Evaluation) -> pl.DataFrame:
    """One iteration's gain by every estimator or over every yardstick: label, value, lower, upper, word."""
    rows = [_gain(f"{evaluation.estimator}, to the incumbent", evaluation)]
    rows += [_gain(name, replace(evaluation, difference=other)) for name, other in sorted(evaluation.others.items())]
    return pl.DataFrame(rows, schema=_GAIN, orient="row")


def listing(iterations: Iterable[Iteration], truths: dict[str, float], now: datetime) -> pl.DataFrame:
    """What one chooses an iteration by, newest first, a row each; columns that say nothing are left out. now: UTC."""
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
                "gain": gain[0] if gain else None,
                "gain from": gain[1] if gain else None,
                "gain to": gain[2] if gain else None,
                "against": short(report.incumbent_id) if gain else "",
                "certified": "yes" if report.certificate else "no",
                "true share of the gap": f"{truths[each.iteration_id]:.1%}" if each.iteration_id in truths else "",
                "age of its data (days)": age_in_days(each, now),
                "registered at (UTC)": each.created_at,
            }
        )
    frame = pl.DataFrame(rows, schema_overrides=dict.fromkeys(_NUMBERS, pl.Float64)).reverse()
    filled = [name for name in frame.columns if frame[name].cast(pl.String).fill_null("").str.len_chars().sum()]
    return frame.select(filled)


def age_in_days(iteration: Iteration, now: datetime) -> float | None:
    """How old the newest of what an iteration learnt from is; None where it is not known."""
    return None if iteration.data_until is None else round((now - iteration.data_until) / timedelta(days=1), 1)


def changes(iteration: Iteration, parent: Iteration | None) -> pl.DataFrame:
    """What differs between an iteration's manifest and its parent's: what, parent, this."""
    new, old = _flat(iteration.manifest), _flat(parent.manifest) if parent else {}
    names = [name for name in dict.fromkeys((*old, *new)) if not _apart(name)]
    rows = [(name, old.get(name, "—"), new.get(name, "—")) for name in names if old.get(name) != new.get(name)]
    return pl.DataFrame(rows, schema=dict.fromkeys(("what", "parent", "this"), pl.String), orient="row")


def difference(chosen: Sequence[Iteration]) -> pl.DataFrame:
    """What differs between the manifests of several iterations: what, and a column each."""
    flat = {each.label: _flat(each.manifest) for each in chosen}
    names = [name for name in dict.fromkeys(name for one in flat.values() for name in one) if not _apart(name)]
    rows = [(name, *(one.get(name, "—") for one in flat.values())) for name in names]
    differing = [row for row in rows if len(set(row[1:])) > 1]
    return pl.DataFrame(differing, schema=dict.fromkeys(("what", *flat), pl.String), orient="row")


def manifest(iteration: Iteration) -> pl.DataFrame:
    """What an iteration learnt from: what, value."""
    flat = _flat(iteration.data)
    return pl.DataFrame({"what": list(flat), "value": list(flat.values())})


def configuration(iteration: Iteration) -> pl.DataFrame:
    """How an iteration was made: what, value."""
    flat = _flat({name: iteration.manifest.get(name) for name in ("policy", "configuration", "seed", "code")})
    return pl.DataFrame({"what": list(flat), "value": list(flat.values())})


def _apart(name: str) -> bool:
    """Whether an entry of a manifest differs between any two iterations, whatever was changed."""
    return name.startswith(("files", "parent_id", "system"))


def _gain(label: str, evaluation: Evaluation) -> tuple[str, float, float, float, str]:
    value, lower, upper = evaluation.gain
    return label, value, lower, upper, str(word_of(lower, upper))


def _flat(value: Any, name: str = "") -> dict[str, str]:
    if isinstance(value, dict) and value:
        flat: dict[str, str] = {}
        for key, inner in value.items():
            flat |= _flat(inner, f"{name}.{key}" if name else str(key))
        return flat
    return {name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}
