"""The family of estimators, by name."""

from __future__ import annotations

from dataclasses import dataclass

from quaestor.ope.cab import CAB
from quaestor.ope.dm import dm
from quaestor.ope.dr import dr
from quaestor.ope.dros import DRos
from quaestor.ope.ips import ips
from quaestor.ope.mrdr import MRDR
from quaestor.ope.protocol import Estimator
from quaestor.ope.slope import Slope
from quaestor.ope.sndr import sndr
from quaestor.ope.snips import snips
from quaestor.ope.switch_dr import SwitchDR

_MODEL = "its interval does not see the error of its reward model"
_CUT = "its interval hides the bias of cutting large weights"


@dataclass(frozen=True)
class Known:
    """An estimator and what it is called. cannot_decide: why it is never the sole evidence (rule R11), None for
    one whose interval covers. needs_model: it takes predicted rewards. needs_logging: it takes the logged
    probabilities of every action."""

    title: str
    estimator: Estimator
    cannot_decide: str | None = None
    needs_model: bool = True
    needs_logging: bool = False


ESTIMATORS: dict[str, Known] = {
    "ips": Known("IPS", ips, needs_model=False),
    "snips": Known("SNIPS", snips, needs_model=False),
    "dm": Known("direct method", dm, _MODEL),
    "dr": Known("doubly robust", dr),
    "sndr": Known("self-normalised doubly robust", sndr),
    "switch-dr": Known("SWITCH-DR", SwitchDR(), _CUT),
    "switch-dr-slope": Known("SWITCH-DR tuned by SLOPE", Slope(SwitchDR), _CUT),
    "dros": Known("DRos", DRos(), _CUT),
    "dros-slope": Known("DRos tuned by SLOPE", Slope(DRos), _CUT),
    "mrdr": Known("MRDR", MRDR(), needs_model=False),
    "cab": Known("CAB", CAB(), _CUT, needs_logging=True),
}


WITHIN = " within "
"""Stands between the title of an estimator and the feature within whose levels it was used."""

DECIDING = frozenset(known.title for known in ESTIMATORS.values() if known.cannot_decide is None) | {
    "on-policy",
    "simulation",
    "back-test",
}
"""What an evaluation may rest on: estimators whose intervals cover, rounds of the policy itself, and play."""


def why_not_alone(title: str) -> str | None:
    """Why a gate may not rest on this estimator alone, None where it may."""
    title = title.partition(WITHIN)[0]
    if title in DECIDING:
        return None
    reasons = {known.title: known.cannot_decide for known in ESTIMATORS.values()}
    return reasons.get(title) or f"it is none of {', '.join(sorted(DECIDING))}"
