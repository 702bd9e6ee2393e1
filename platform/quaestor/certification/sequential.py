"""Playing no more episodes than needed: stops at declared looks, so that looking costs a known part of alpha.

The bound of each look fails with probability at most alpha/looks, and so at most alpha that any does: whichever
look playing stops at, the bound holds (a union over looks; the times are fixed beforehand, the stop may depend on
all that was seen).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from quaestor.certification.certificate import CertificateParams, Subject, certify, estimate

Play = Callable[[int, int], NDArray[np.float64]]
"""(first, count) → values (count,) of the episodes with these numbers."""


def play_until_narrow(play: Play, subject: Subject, params: CertificateParams) -> NDArray[np.float64]:
    """The values (episode,) of the first look at which the bound at the largest budget is narrow enough, or of all."""
    values = np.empty(0)
    for size in look_sizes(params):
        values = np.concatenate((values, play(len(values), size - len(values))))
        if len(values) == params.episodes or _narrow(values, subject, params):
            break
    return values


def look_sizes(params: CertificateParams) -> tuple[int, ...]:
    """After how many episodes playing may stop: each look doubles the last, in whole traces, up to `episodes`."""
    traces = params.episodes // params.draws
    sizes = {max(1, traces >> (params.looks - 1 - look)) * params.draws for look in range(params.looks)}
    return tuple(sorted(sizes))


def _narrow(values: NDArray[np.float64], subject: Subject, params: CertificateParams) -> bool:
    largest = int(np.argmax(params.budgets))
    bound, estimated = certify(values, subject, params)[largest], estimate(values, subject, params)[largest]
    return abs(bound - estimated) <= params.width
