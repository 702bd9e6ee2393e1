"""The rows below the figures of an iteration."""

from __future__ import annotations

from app.panels import Rows
from app.queries.evidence import ROUNDS_LISTED, closed_rounds, evidence_of
from app.queries.iterations import Iteration


def below(chosen: Iteration) -> list[Rows]:
    """The rows below an iteration's figures: what was kept of it, and the rounds of the log that it learnt from."""
    name, system, data = chosen.iteration_id, chosen.report.system, chosen.data
    found = [Rows("what was kept of the iteration, newest first", lambda: evidence_of(name))]
    if "as_of" in data and "attribution_hours" in data:
        told = f"the newest {ROUNDS_LISTED} of {data.get('rounds', 0):,} closed rounds of the log that it learnt from"
        as_of, hours = str(data["as_of"]), float(data["attribution_hours"])
        found.append(Rows(told, lambda: closed_rounds(system, as_of, hours)))
    return found
