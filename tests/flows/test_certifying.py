"""Certifying: episodes that were played before a kill are not played again, and change nothing."""

from __future__ import annotations

import numpy as np
import pytest

from flows.certifying import Case, certify_case
from quaestor.certification.certificate import AttackTried, CertificateParams
from quaestor.registry.certificates import newest_certificate
from quaestor.settings import Settings
from tests.evidence import SUBJECT, policy, register

PARAMS = CertificateParams(noise_scale=0.1, budgets=(0.05, 0.1), episodes=200)


class _KilledError(RuntimeError):
    """A kill in the middle of an episode."""


def test_a_killed_certification_goes_on_behind_the_episodes_that_were_kept(settings: Settings) -> None:
    played: list[tuple[int, int]] = []

    def play(seed: int, first: int, count: int) -> np.ndarray:
        if len(played) == 2:
            played.append((first, 0))
            raise _KilledError
        played.append((first, count))
        return np.random.default_rng(seed % 2**32).normal(0.8, 0.02, 1000)[first : first + count]

    def attack(budgets: tuple[float, ...], seed: int) -> tuple[AttackTried, ...]:
        return tuple(AttackTried("bias", budget, 0.79, 0.001, 100) for budget in budgets)

    name = register(settings, policy()).iteration_id
    case = Case(SUBJECT, play, attack, lambda: 0.8)
    with pytest.raises(_KilledError):
        certify_case(settings, name, case, PARAMS, lambda _: None)
    assert certify_case(settings, name, case, PARAMS, lambda _: None)
    assert played == [(0, 25), (25, 25), (50, 0), *((first, 25) for first in range(50, 200, 25))]
    certificate = newest_certificate(settings.store, name)
    assert certificate is not None
    assert certificate.attempt == 1
    expected = np.random.default_rng(certificate.noise_seed % 2**32).normal(0.8, 0.02, 1000)[:200]
    assert certificate.nominal == pytest.approx(expected.clip(0, 1).mean(), abs=1e-12)
    assert not any(settings.checkpoints.iterdir())
