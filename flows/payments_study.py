"""A payments system's study: what it learns from, how, and what its evidence must show."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from models.payments.alarms import AlarmParams
from models.payments.refit import RefitParams
from quaestor.certification.certificate import CertificateParams
from quaestor.errors import UsageError
from quaestor.log.maturity import MaturityParams
from quaestor.registry.canary import CanaryParams
from quaestor.registry.gate import GateParams
from quaestor.study import of_kind, parse


@dataclass(frozen=True)
class RuleOfThumb:
    """What decides until an iteration is promoted: preferred actions in order, and any eligible one with
    probability epsilon; without an order and with epsilon 1 it is uniform."""

    order: tuple[str, ...] = ()
    epsilon: float = 1.0


@dataclass(frozen=True)
class PaymentsStudy:
    """A payments system.

    memory_days: how far back from the newest matured round a refit looks; absent for all. payments_per_episode:
    the length of a certificate's episode. canary: how a new live iteration is watched, absent where it is not.
    """

    kind: Literal["payments"]
    system: str
    maturity: MaturityParams
    refit: RefitParams
    certificate: CertificateParams
    incumbent: RuleOfThumb = field(default_factory=RuleOfThumb)
    gate: GateParams = field(default_factory=GateParams)
    alarms: AlarmParams = field(default_factory=AlarmParams)
    canary: CanaryParams | None = None
    memory_days: float | None = None
    payments_per_episode: int = 400


def read_payments_study(path: Path) -> PaymentsStudy:
    """Reads a payments study; raises UsageError for anything it does not name."""
    return parse(PaymentsStudy, of_kind(path, "payments"), str(path))


def canary_of(study: PaymentsStudy) -> CanaryParams:
    """How a study's canaries are watched; raises UsageError where it does not say."""
    if study.canary is None:
        raise UsageError(
            f"The study of {study.system!r} has no table [canary]; it says which share of traffic and which harm."
        )
    return study.canary
