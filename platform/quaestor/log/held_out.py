"""Which rounds teach no policy, so that every policy can be judged on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch
from quaestor.randomness import event_keys, uniforms


def held_out(logged: LoggedBatch, share: float) -> NDArray[np.bool_]:
    """Which rounds are kept from training, (round,): a function of the event id alone.

    A round that is held out once is held out in every generation, so that no policy is ever judged on a round
    that taught one of its ancestors.
    """
    keys = event_keys("held out", logged.system, logged.event_ids.to_list())
    return uniforms(keys, 1)[:, 0] < share
