"""Turns iterations into frames of their lineage: who came from whom, and where each stands."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from app.links import address
from app.queries.iterations import Iteration
from app.style import figure, shown

NODES = {
    "iteration": pl.String, "address": pl.String, "system": pl.String, "number": pl.Int64, "generation": pl.Int64,
    "policy": pl.String, "stage": pl.String, "gain": pl.String,
}  # fmt: skip
EDGES = dict.fromkeys(("number", "generation", "parent_number", "parent_generation"), pl.Int64)


def nodes(iterations: Sequence[Iteration]) -> pl.DataFrame:
    """Each iteration of a system: iteration, address, system, number, generation, policy, stage, gain (in words)."""
    rows = [
        (
            each.label,
            address(each),
            shown(each.report.system, 60),
            each.number,
            each.generation,
            shown(each.report.policy, 60),
            each.report.stage,
            gain_in_words(each),
        )
        for each in iterations
    ]
    return pl.DataFrame(rows, schema=NODES, orient="row")


def edges(iterations: Sequence[Iteration]) -> pl.DataFrame:
    """From each iteration to its parent, where that is here, too: number, generation, and those of the parent."""
    known = {each.iteration_id: each for each in iterations}
    pairs = [(each, known[each.parent_id]) for each in iterations if each.parent_id in known]
    rows = [(child.number, child.generation, parent.number, parent.generation) for child, parent in pairs]
    return pl.DataFrame(rows, schema=EDGES, orient="row")


def gain_in_words(iteration: Iteration) -> str:
    """The gain with its interval, in the words of every list; says so where it was not judged."""
    evaluation = iteration.report.evaluation
    if evaluation is None:
        return "not judged"
    value, lower, upper = evaluation.gain
    return f"{figure(value)} ({figure(lower)} to {figure(upper)}) {evaluation.unit}"
