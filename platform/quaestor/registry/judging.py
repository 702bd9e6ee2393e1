"""Puts an iteration's evidence before the gate and keeps the verdict."""

from __future__ import annotations

from typing import Any

from quaestor.certification.certificate import Certificate
from quaestor.errors import UsageError
from quaestor.registry.canonical import canonical_json
from quaestor.registry.evaluation import Evaluation
from quaestor.registry.gate import GateParams, Verdict, gate
from quaestor.store import Store, audit, evidence
from quaestor.store.audit import Entry
from quaestor.study import parse

EVALUATION, CERTIFICATE, HEALTH = "evaluation", "certificate", "health"
CANARY, REALISED, GATE = "canary", "realised", "gate"
SEGMENTS, TRADE_OFF = "segments", "trade_off"


def keep(store: Store, iteration_id: str, kind: str, content: dict[str, Any], incumbent_id: str | None = None) -> str:
    """Keeps a piece of evidence and returns its id."""
    with store.write() as connection:
        return evidence.add(connection, iteration_id, kind, canonical_json(content), incumbent_id)


def has(store: Store, iteration_id: str, kind: str, incumbent_id: str | None = None) -> bool:
    """Whether there is evidence of a kind, against one incumbent where it is given."""
    with store.read() as connection:
        return evidence.latest(connection, iteration_id, kind, incumbent_id) is not None


def judge_iteration(
    store: Store, system: str, iteration_id: str, incumbent_id: str, params: GateParams, actor: str
) -> tuple[Verdict, bool]:
    """The gate's verdict on the newest evidence, and whether it is a new one; a new one is audited.

    Raises UsageError when the iteration was never evaluated against the incumbent.
    """
    with store.write() as connection:
        evaluated = evidence.latest(connection, iteration_id, EVALUATION, incumbent_id)
        if evaluated is None:
            raise UsageError(f"{iteration_id[:12]} was never evaluated against {incumbent_id[:12]}; evaluate it first.")
        certified = evidence.latest(connection, iteration_id, CERTIFICATE)
        health = evidence.latest(connection, iteration_id, HEALTH, incumbent_id)
        evaluation = parse(Evaluation, evaluated[1], "evaluation")
        alarms = [*(health[1]["alarms"] if health else ()), *evaluation.over_budget]
        verdict = gate(
            evaluation,
            parse(Certificate, certified[1], "certificate") if certified else None,
            tuple(dict.fromkeys(alarms)),
            params,
        )
        used = tuple(found[0] for found in (evaluated, certified, health) if found)
        new = evidence.add_verdict(connection, iteration_id, incumbent_id, verdict.stage, verdict.reasons, used)
        if new:
            reason = f"{verdict.stage}: {' '.join(verdict.reasons)}"
            audit.add(connection, Entry(actor, "verdict", system, iteration_id, reason, incumbent_id))
    return verdict, new
