"""Certifies an iteration, and walks up the ladder of verification; what is played is behind a `Case`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.runner import workers
from quaestor.atomic import write_file
from quaestor.certification.certificate import AttackTried, Certificate, CertificateParams, Subject
from quaestor.certification.ladder import (
    Finding,
    attack_finding,
    fresh_seeds_finding,
    identity_finding,
    issued_finding,
    same_seeds_finding,
)
from quaestor.certification.sequential import Play, play_until_narrow
from quaestor.randomness import stream_seed
from quaestor.registry.canonical import digest_of
from quaestor.registry.certificates import current_certificate, declare, issue_certificate
from quaestor.registry.code import code_digest
from quaestor.settings import Settings

CERTIFYING_CODE = ("models.smoothing", "models.inventory", "quaestor.certification", "quaestor.randomness")
PIECES, FEWEST_KEPT = 16, 25
"""In how many pieces episodes are played and kept, and how many of each worker are worth it."""
FRESH, STRETCHES = 200, 4
"""Episodes that a verifier plays of its own; those of the certificate are played again in so many stretches."""


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
    code = code_digest(CERTIFYING_CODE)
    path = settings.checkpoints / f"{digest_of([iteration_id, asdict(declared), code])}.f64"
    piece = params.draws * math.ceil(max(FEWEST_KEPT * workers(), params.episodes / PIECES) / params.draws)
    play = _gone_on_with(partial(case.play, declared.noise_seed), path, piece)
    values = play_until_narrow(play, case.subject, params)
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
        code=code,
        attacks_tried=tried,
        declared=declared,
    )
    path.unlink(missing_ok=True)  # only now: killed before, the next run goes on from here
    return True


def _gone_on_with(play: Play, path: Path, piece: int) -> Play:
    """The same episodes, kept piece by piece as they are played, so that a run that was killed goes on behind them."""

    def played(first: int, count: int) -> NDArray[np.float64]:
        end = first + count
        values = np.frombuffer(path.read_bytes(), dtype="<f8")[:end] if path.exists() else np.empty(0)
        while len(values) < end:
            more = min(piece, end - len(values))
            values = np.concatenate((values, play(len(values), more)))
            if more < count:  # what is played at one go is not worth a file
                write_file(path, values.astype("<f8").tobytes())
        return np.asarray(values[first:end])

    return played


def verify_case(
    certificate: Certificate, values: NDArray[np.float64], case: Case, rung: int, issued: Callable[[], bool]
) -> list[Finding]:
    """What rungs 3 to `rung` find: identity and the same seeds, fresh seeds, an attack; ends at the first failure.

    issued: whether the store holds this very certificate.
    """
    steps: list[Callable[[], Finding]] = [
        lambda: identity_finding(certificate, case.subject),
        lambda: _same_seeds(certificate, values, case),
        lambda: issued_finding(issued()),
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


def _same_seeds(certificate: Certificate, values: NDArray[np.float64], case: Case) -> Finding:
    """Some of the certificate's episodes played again, in stretches spread over all of them."""
    length = -(-min(len(values), FRESH) // STRETCHES)
    for first in np.unique(np.linspace(0, len(values) - length, STRETCHES).round().astype(int)).tolist():
        replayed = np.clip(case.play(certificate.noise_seed, first, length), 0, certificate.subject.cap)
        finding = same_seeds_finding(values[first : first + length], replayed, first)
        if not finding.holds:
            return finding
    return replace(
        finding, sentence=f"The certificate's seed gives {STRETCHES} stretches of {length:,} episodes again."
    )


def _strongest(tried: tuple[AttackTried, ...], budget: float, subject: Subject) -> AttackTried:
    sign = 1 if subject.quantity == "cost" else -1
    return max((each for each in tried if each.budget == budget), key=lambda each: sign * each.mean)
