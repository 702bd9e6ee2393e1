"""What a retraining would do, without doing it: which of its steps are done already by the digests of their inputs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from flows import payments_training
from flows.outcome import Retrained
from flows.payments_study import PaymentsStudy
from quaestor.registry import iteration as registry
from quaestor.registry.gate import Stage
from quaestor.registry.iteration import Inputs
from quaestor.registry.judging import CERTIFICATE, EVALUATION
from quaestor.settings import Settings
from quaestor.store import audit, bundles, evidence

if TYPE_CHECKING:
    from flows.inventory_study import InventoryStudy

_IF_ALLOWED = {"export": "export if the gate says promote"}


@dataclass(frozen=True)
class Plan:
    """What would be learnt from, against whom, and each step with whether it is done. candidate_id: None where it
    has to be trained."""

    system: str
    learns_from: str
    incumbent_id: str | None
    candidate_id: str | None
    done: tuple[str, ...]
    to_do: tuple[str, ...]

    def as_retrained(self) -> Retrained:
        """The plan as the result of a dry run."""
        reasons = (self.sentence(),)
        return Retrained(
            self.system, self.incumbent_id or "", self.candidate_id or "", "dry run", reasons, None, self.done
        )

    def sentence(self) -> str:
        """The plan in words."""
        who = f"candidate {self.candidate_id[:12]} is there" if self.candidate_id else "a candidate would be trained"
        against = self.incumbent_id[:12] if self.incumbent_id else "the first incumbent, which would go live"
        steps = ", ".join(self.to_do) or "nothing"
        return f"{self.system}: {who}, from {self.learns_from}, against {against}. To do: {steps}."


def plan_payments(study: PaymentsStudy, as_of: datetime, incumbent_id: str | None) -> Plan:
    """What refitting a payments system would do at a moment. Raises UsageError where no round has matured."""
    loaded = payments_training.load_rounds(Settings(), study, as_of)
    inputs = payments_training.candidate_inputs(study, loaded, incumbent_id or _live(study.system))
    return _plan(inputs, f"{len(loaded.batch):,} rounds closed by {as_of:%Y-%m-%d %H:%M} UTC", incumbent_id)


def _live(system: str) -> str | None:
    with Settings().store.read() as connection:
        return audit.live(connection, system)


def plan_inventory(study: InventoryStudy) -> Plan:
    """What retraining an inventory system would do. Raises UsageError where there is no demand to learn from."""
    from flows import inventory_training
    from flows.inventory_problem import load_problem
    from models.inventory.checkpoint import read_checkpoint

    settings = Settings()
    recorded = load_problem(settings, study)
    noise = study.certificate.noise_scale
    inputs = inventory_training.policy_inputs(
        study, recorded, study.policy, study.hdpo, noise, "candidate", study.smoothing
    )
    told = f"{recorded.data['products']} products over {recorded.data['periods']} periods"
    checkpoint = settings.checkpoints / f"{inputs.digest()}.pt"
    if checkpoint.exists():
        told += f", going on after epoch {len(read_checkpoint(checkpoint.read_bytes()).curve)}"
    return _plan(inputs, told, None)


def _plan(inputs: Inputs, learns_from: str, incumbent_id: str | None) -> Plan:
    settings = Settings()
    known = registry.find(settings.store, settings.data, inputs)
    found = {"training": known is not None}
    steps = ["training", "evaluation", "certificate", "verdict", "export"]
    with settings.store.read() as connection:
        against = incumbent_id or audit.live(connection, inputs.system)
        if known is not None:
            name = known.iteration_id
            found["evaluation"] = evidence.latest(connection, name, EVALUATION, against) is not None
            found["certificate"] = evidence.latest(connection, name, CERTIFICATE) is not None
            verdicts = dict(evidence.verdicts(connection).select("iteration_id", "stage").iter_rows())
            found["verdict"] = name in verdicts
            found["export"] = name in bundles.listing(connection)["iteration_id"]
            if verdicts.get(name, Stage.PROMOTE) != Stage.PROMOTE:
                steps.remove("export")
    if known is not None and known.iteration_id == against:  # live: there is nothing newer to learn from
        found = dict.fromkeys(steps, True)
    return Plan(
        inputs.system,
        learns_from,
        against,
        known.iteration_id if known else None,
        done=tuple(name for name in steps if found.get(name)),
        to_do=tuple(_IF_ALLOWED.get(name, name) for name in steps if not found.get(name)),
    )
