"""The health strip of an iteration as the store stands now."""

from __future__ import annotations

import polars as pl

from app.checks import Check, checks
from app.guard import reading
from app.queries.certificates import stale_by
from app.queries.iterations import Iteration
from quaestor.clock import utc_now


def health(iteration: Iteration, newest: pl.DataFrame) -> tuple[Check, ...]:
    """Every check of an iteration; newest: system, part, newest_at (UTC)."""
    stale = reading(lambda: stale_by(iteration.report.system, iteration.iteration_id))
    return checks(iteration, newest, stale, utc_now())
