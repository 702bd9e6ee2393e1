"""Which rounds teach no policy, so that every policy can be judged on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quaestor.log.batch import LoggedBatch
from quaestor.randomness import event_keys, uniforms


def held_out(logged: LoggedBatch, share: float) -> NDArray[np.bool_]:
    """Which rounds are kept from training, (round,): a function of the event id alone.

    A round that is held out once is held out in every generation, so that no policy is ever judged on a round
    that taught one of its ancestors.
    """
    return held_out_events(logged.system, logged.event_ids.to_list(), share)


def held_out_events(system: str, event_ids: Sequence[str], share: float) -> NDArray[np.bool_]:
    """The same by the system's name and the ids, (round,)."""
    return uniforms(event_keys("held out", system, event_ids), 1)[:, 0] < share
