"""Every check of a log that its rounds alone allow."""

from __future__ import annotations

from quaestor.log.batch import MaturedBatch
from quaestor.ope.balance import balance_check
from quaestor.ope.diagnosis import Diagnosis
from quaestor.ope.log_checks import duplicates_check, late_rewards_check
from quaestor.ope.propensity_checks import calibration_check, estimation_check, exploration_check, rounding_check


def diagnose(batch: MaturedBatch) -> tuple[Diagnosis, ...]:
    """The checks of propensities, repeats and late rewards; those of clocks and of the iterations that the rounds
    name need more than the rounds."""
    logged = batch.logged
    return (
        estimation_check(logged),
        exploration_check(logged),
        rounding_check(logged),
        calibration_check(logged),
        balance_check(logged),
        duplicates_check(batch),
        late_rewards_check(batch),
    )
