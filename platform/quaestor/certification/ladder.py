"""The ladder of verification: each rung a check that needs more than the last, with its finding as a sentence.

1 hashes and signature; 2 the bound recomputed from the stored costs; 3 the same seeds played again; 4 fresh seeds;
5 an attack of the verifier's own; 6 an audit of the noise added in deployment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kstwo, norm

from quaestor.certification.certificate import AttackTried, Certificate, Subject

Array = NDArray[np.float64]

REPLAYED = 1e-6
"""The relative difference that a replay on another machine may show: sums of 32-bit numbers."""
SUSPICION = 1e-4
"""How rarely an honest certificate is doubted on rungs 4 to 6."""


@dataclass(frozen=True)
class Finding:
    """What one rung found."""

    rung: int
    holds: bool
    sentence: str


def identity_finding(certificate: Certificate, subject: Subject) -> Finding:
    """Rung 1: whether policy, data, settings and cap at hand are those that were certified."""
    stated = certificate.subject
    for name, said, found in (
        ("policy", stated.runner_digest, subject.runner_digest),
        ("data", stated.data_digest, subject.data_digest),
        ("configuration", stated.configuration_digest, subject.configuration_digest),
        ("cap", f"{stated.cap:g}", f"{subject.cap:g}"),
    ):
        if said != found:
            return Finding(1, False, f"The {name} is {found[:16]}, but the certificate was made for {said[:16]}.")
    return Finding(1, True, "Policy, data, configuration and cap are those that were certified.")


def same_seeds_finding(stated: Array, replayed: Array, first: int = 0) -> Finding:
    """Rung 3: whether the seeds of the certificate lead to its episode values again: a stretch of them, from the
    first-th on, as stated and as replayed (episode,)."""
    off = np.abs(stated - replayed) > REPLAYED * np.maximum(1.0, np.abs(stated))
    if off.any():
        number = int(off.argmax())
        return Finding(
            3, False,
            f"Played again with the certificate's seed, episode {first + number + 1} comes to {replayed[number]:.8g}, "
            f"not to {stated[number]:.8g}: the values, the seed or the policy are not those stated.",
        )  # fmt: skip
    return Finding(3, True, f"The certificate's seed gives {len(replayed):,} of its episodes again.")


def issued_finding(issued: bool) -> Finding:
    """Rung 3, where the seeds repeat: whether the store that the certificate comes from holds it field by field."""
    if issued:
        return Finding(3, True, "The store holds this very certificate.")
    return Finding(
        3, False,
        "The seeds repeat, but the store holds no such certificate of this iteration: one of its other fields was "
        "changed, or it was issued elsewhere.",
    )  # fmt: skip


def fresh_seeds_finding(certificate: Certificate, fresh: Array) -> Finding:
    """Rung 4: whether episodes with other seeds have the mean that the certificate states."""
    traces = fresh.reshape(-1, certificate.params.draws).mean(axis=1)
    share = 1 / len(traces) + certificate.params.draws / certificate.episodes
    reach = float(norm.isf(SUSPICION / 2) * traces.std(ddof=1) * math.sqrt(share)) + 1e-12
    difference = float(traces.mean()) - certificate.nominal
    said = (
        f"{len(fresh):,} fresh episodes average {traces.mean():.6g}; the certificate states {certificate.nominal:.6g}"
    )
    if abs(difference) > reach:
        return Finding(4, False, f"{said}, which is {abs(difference):.2g} off where {reach:.2g} could be chance.")
    return Finding(4, True, f"{said}.")


def attack_finding(certificate: Certificate, tried: Sequence[AttackTried]) -> Finding:
    """Rung 5: whether an attack leads beyond the bound by more than chance."""
    sign = 1 if certificate.subject.quantity == "cost" else -1
    bounds = dict(zip(certificate.params.budgets, certificate.bounds, strict=True))
    for each in tried:
        beyond = sign * (each.mean - bounds[each.budget])
        if beyond > norm.isf(SUSPICION / len(tried)) * each.error:
            return Finding(
                5, False,
                f"The attack {each.name!r} with budget {each.budget:g} leads to {each.mean:.6g}, beyond the bound "
                f"{bounds[each.budget]:.6g}.",
            )  # fmt: skip
    closest = max(tried, key=lambda each: sign * (each.mean - bounds[each.budget]))
    kinds = len({each.name for each in tried})
    return Finding(
        5, True,
        f"None of {kinds} attacks leads beyond the bound; the closest, {closest.name!r} with "
        f"budget {closest.budget:g}, leads to {closest.mean:.6g} where {bounds[closest.budget]:.6g} is certified.",
    )  # fmt: skip


def noise_finding(noise: Array) -> Finding:
    """Rung 6: whether logged noise (entry,), in noise scales, is standard normal (Kolmogorov–Smirnov)."""
    if len(noise) == 0 or not np.isfinite(noise).all():
        return Finding(6, False, "No noise was logged in deployment, so nothing shows that the policy is smoothed.")
    ordered, m = np.sort(noise), len(noise)
    cumulated = norm.cdf(ordered)
    rank = np.arange(m)
    distance = float(max((cumulated - rank / m).max(), ((rank + 1) / m - cumulated).max()))
    if kstwo.sf(distance, m) < SUSPICION:
        return Finding(
            6, False,
            f"The noise logged in deployment is not that of the certificate: its standard deviation is "
            f"{noise.std():.3g} noise scales and its mean {noise.mean():.3g}, over {m:,} entries.",
        )  # fmt: skip
    return Finding(6, True, f"{m:,} logged entries of noise look like those certified.")
