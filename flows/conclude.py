"""The end of every retraining: evaluate, certify, judge, and export if the gate says promote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from flows.outcome import Retrained
from flows.tasks import say, step
from quaestor.registry import iteration as registry
from quaestor.registry.gate import GateParams, Stage, Verdict
from quaestor.registry.iteration import PolicyIteration
from quaestor.registry.judging import GATE, judge_iteration, keep
from quaestor.settings import Settings

STEPS = 5
"""Of a retraining: training, evaluation, certificate, verdict, export."""


@step("judge the candidate")
def judge(system: str, candidate_id: str, incumbent_id: str, params: GateParams) -> tuple[Verdict, bool]:
    """Puts the evidence before the study's gate, which is kept for whoever judges again."""
    settings = Settings()
    keep(settings.store, candidate_id, GATE, asdict(params), incumbent_id)
    return judge_iteration(settings.store, system, candidate_id, incumbent_id, params, settings.actor)


def conclude(
    system: str,
    incumbent_id: str,
    candidate_id: str,
    trained: bool,
    evaluate: Callable[[], bool],
    certify: Callable[[], bool],
    judge: Callable[[], tuple[Verdict, bool]],
    export: Callable[[], tuple[str, bool]],
    advance: Callable[[], None] = lambda: None,
) -> Retrained:
    """Gathers the evidence and acts on the verdict; `evaluate` and `certify` return whether they had to work, `judge`
    and `export` also what they came to. advance: is called after each of STEPS steps, training being the first.

    Nothing goes live here: a person promotes.
    """
    if candidate_id == incumbent_id:
        say(f"{system}: {candidate_id[:12]} is live already and there is nothing newer to learn from")
        return Retrained(system, incumbent_id, candidate_id, "live", (), None, ("everything",))
    advance()
    work = {"training": trained, "evaluation": evaluate()}
    advance()
    work["certificate"] = certify()
    advance()
    verdict, work["verdict"] = judge()
    advance()
    bundle = None
    if verdict.stage == Stage.PROMOTE:
        bundle, work["export"] = export()
    say(f"{system}: {candidate_id[:12]}: {verdict.stage}. {' '.join(verdict.reasons)}")
    advance()
    done = tuple(name for name, worked in work.items() if not worked)
    return Retrained(system, incumbent_id, candidate_id, verdict.stage, verdict.reasons, bundle, done)


def iteration(iteration_id: str) -> PolicyIteration:
    """A registered iteration of the configured store."""
    settings = Settings()
    return registry.get(settings.store, settings.data, iteration_id)
