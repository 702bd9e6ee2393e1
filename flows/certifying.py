"""Certifies an iteration, and walks up the ladder of verification; what is played is behind a `Case`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quaestor.certification.certificate import AttackTried, Certificate, CertificateParams, Subject
from quaestor.certification.ladder import (
    Finding,
    attack_finding,
    fresh_seeds_finding,
    identity_finding,
    same_seeds_finding,
)
from quaestor.certification.sequential import play_until_narrow
from quaestor.randomness import stream_seed
from quaestor.registry.certificates import current_certificate, declare, issue_certificate
from quaestor.registry.code import code_digest
from quaestor.settings import Settings

CERTIFYING_CODE = ("models.smoothing", "models.inventory", "quaestor.certification", "quaestor.randomness")
FRESH = 200
"""Episodes that a verifier plays of its own."""


@dataclass(frozen=True)
class Case:
    """What a system offers to be certified and verified.

    play(seed, first, count) → values (count,) of smoothed episodes; attack(budgets, seed) → every attack tried at
    each budget, on fresh episodes; unsmoothed() → the mean of the same policy without noise.
    """

    subject: Subject
    play: Callable[[int, int, int], NDArray[np.float64]]
    attack: Callable[[tuple[float, ...], int], tuple[AttackTried, ...]]
    unsmoothed: Callable[[], float]


def certify_case(
    settings: Settings, iteration_id: str, case: Case, params: CertificateParams, say: Callable[[str], None]
) -> bool:
    """Declares, plays, attacks and keeps the certificate; False where a current one says the same already."""
    if current_certificate(settings.store, iteration_id, case.subject, params) is not None:
        return False
    declared = declare(settings.store, iteration_id, case.subject, params)
    system = case.subject.system
    say(f"{system}: certifying over {params.episodes:,} episodes, attempt {declared.attempt}")
    values = play_until_narrow(lambda first, count: case.play(declared.noise_seed, first, count), case.subject, params)
    say(f"{system}: attacking the smoothed policy at {len(params.budgets)} budgets")
    tried = case.attack(params.budgets, stream_seed(declared.noise_seed, "attacks"))
    strongest = [_strongest(tried, budget, case.subject) for budget in params.budgets]
    names = ", ".join(dict.fromkeys(each.name for each in strongest))
    kinds = len({each.name for each in tried})
    issue_certificate(
        settings.store,
        settings.data,
        iteration_id,
        case.subject,
        params,
        values=values,
        unsmoothed=case.unsmoothed(),
        attacked=[each.mean for each in strongest],
        attacks=f"{kinds} attacks, the strongest: {names}; {strongest[0].episodes} fresh episodes each",
        code=code_digest(CERTIFYING_CODE),
        attacks_tried=tried,
        declared=declared,
    )
    return True


def verify_case(certificate: Certificate, values: NDArray[np.float64], case: Case, rung: int) -> list[Finding]:
    """What rungs 3 to `rung` find: identity and the same seeds, fresh seeds, an attack; ends at the first failure."""
    steps: list[Callable[[], Finding]] = [
        lambda: identity_finding(certificate, case.subject),
        lambda: same_seeds_finding(
            values, np.clip(case.play(certificate.noise_seed, 0, min(len(values), FRESH)), 0, certificate.subject.cap)
        ),
        lambda: fresh_seeds_finding(
            certificate,
            np.clip(
                case.play(stream_seed(certificate.noise_seed, "verifier"), 0, FRESH - FRESH % certificate.params.draws),
                0,
                certificate.subject.cap,
            ),
        ),
        lambda: attack_finding(
            certificate,
            case.attack(certificate.params.budgets, stream_seed(certificate.noise_seed, "verifier's attacks")),
        ),
    ]
    findings: list[Finding] = []
    for step in steps:
        finding = step()
        if finding.rung > rung:
            break
        findings.append(finding)
        if not finding.holds:
            break
    return findings


def _strongest(tried: tuple[AttackTried, ...], budget: float, subject: Subject) -> AttackTried:
    sign = 1 if subject.quantity == "cost" else -1
    return max((each for each in tried if each.budget == budget), key=lambda each: sign * each.mean)
