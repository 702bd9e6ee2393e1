"""The value of the policy that made the log, which needs no weights."""

from __future__ import annotations

from quaestor.log.batch import MaturedBatch
from quaestor.ope.contributions import Contributions, from_terms


def on_policy(batch: MaturedBatch) -> Contributions:
    """The mean reward of the rounds themselves."""
    return from_terms(batch.reward)
