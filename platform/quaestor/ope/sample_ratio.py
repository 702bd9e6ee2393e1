"""Whether traffic was split as planned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.special import chdtrc

from quaestor.ope.diagnosis import Diagnosis

WATCHED, STOPPED, DEVIATION = 0.01, 0.001, 0.001


def sample_ratio_check(counts: Mapping[str, int], shares: Mapping[str, float]) -> Diagnosis:
    """Pearson's test of rounds by side against the planned shares (Fabijan et al. 2019, "Sample ratio mismatch").

    Stops below p = 0.001 where a share is also off by 0.1 % or more, for millions of rounds make any trifle
    significant. Raises ValueError when the sides differ, or the shares do not sum to 1.
    """
    if set(counts) != set(shares) or abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) <= 0:
        raise ValueError("every side needs a count and a share above 0, and shares sum to 1.")
    sides = sorted(shares)
    found = np.array([counts[side] for side in sides], dtype=np.float64)
    planned = np.array([shares[side] for side in sides])
    total = found.sum()
    if total == 0:
        return Diagnosis("sample ratio", "watch", "No round has arrived yet.")
    p = float(chdtrc(len(sides) - 1, (np.square(found - total * planned) / (total * planned)).sum()))
    said = ", ".join(
        f"{side} {n / total:.2%} of {share:.2%} planned" for side, n, share in zip(sides, found, planned, strict=True)
    )
    if p < STOPPED and np.abs(found / total - planned).max() >= DEVIATION:
        return Diagnosis("sample ratio", "stop", f"Traffic was not split as planned (p = {p:.1g}): {said}.")
    if p < WATCHED:
        return Diagnosis("sample ratio", "watch", f"The split of traffic is unlikely (p = {p:.1g}): {said}.")
    return Diagnosis("sample ratio", "ok", f"Traffic was split as planned: {said}.")
