"""Whether actions were taken as often as the log says they should have been: the sample ratio of a log."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from quaestor.log.batch import LoggedBatch
from quaestor.ope.diagnosis import Diagnosis
from quaestor.ope.propensity_checks import action_calibration
from quaestor.ope.sample_ratio import DEVIATION, STOPPED, WATCHED


def balance_check(logged: LoggedBatch) -> Diagnosis:
    """The action that was taken most unlike its propensities, tested with Bonferroni's correction for their number.

    Watches below p = 0.01 and stops below p = 0.001 where the share is also off by 0.1 % of rounds or more, as tests
    of sample ratios do (Fabijan et al. 2019).
    """
    found = action_calibration(logged)
    known = np.flatnonzero(np.isfinite(found.error))
    if not len(known):
        return Diagnosis("logging balance", "ok", "Too few rounds left anything to chance to tell.")
    away = np.abs(found.errors_away[known])
    worst = int(known[away.argmax()])
    p = min(1.0, 2 * float(ndtr(-away.max())) * len(known))
    taken, expected = found.taken[worst] / len(logged), found.expected[worst] / len(logged)
    said = (
        f"{logged.actions[worst]} was taken in {taken:.2%} of rounds, {expected:.2%} by its propensities (p = {p:.2g})"
    )
    if p < STOPPED and abs(taken - expected) >= DEVIATION:
        return Diagnosis("logging balance", "stop", f"Actions were not drawn as logged: {said}.")
    if p < WATCHED:
        return Diagnosis("logging balance", "watch", f"Actions are unlikely to have been drawn as logged: {said}.")
    return Diagnosis("logging balance", "ok", f"Actions were drawn as logged; at most, {said}.")
