"""What the simulated workers do: the product's own functions, in the order in which its flows call them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from flows import payments_training
from flows.certifying import Case, certify_case
from flows.payments_study import PaymentsStudy, RuleOfThumb
from models.payments.refit import RefitParams
from quaestor.certification.certificate import AttackTried, CertificateParams, Subject
from quaestor.errors import QuaestorError
from quaestor.export.from_iteration import export_iteration
from quaestor.export.policy import GRAPH
from quaestor.export.rows import written_rows
from quaestor.export.runtime import Runtime, load
from quaestor.log.ingest import ingest_file
from quaestor.log.maturity import MaturityParams
from quaestor.randomness import generator, stream_seed
from quaestor.registry import iteration as registry
from quaestor.registry.gate import GateParams, Stage
from quaestor.registry.judging import EVALUATION, GATE, has, judge_iteration, keep
from quaestor.registry.promotion import last_move, promote, roll_back
from quaestor.store import audit, bundles, evidence, fencing, lease
from tests.evidence import evaluation
from tests.simulation.scheduler import ViolationError, Worker

if TYPE_CHECKING:
    from tests.simulation.run import Run

SYSTEM = "sim"
ACTIONS = ("a0", "a1", "a2")
STUDY = PaymentsStudy(
    kind="payments",
    system=SYSTEM,
    maturity=MaturityParams(6.0, 0.0),
    refit=RefitParams(default_action="a0"),
    certificate=CertificateParams(noise_scale=0.1, budgets=(0.1,), episodes=20, method="clopper-pearson"),
    incumbent=RuleOfThumb(),
    gate=GateParams(certified_budget=0.1, certified_loss=0.9),
)
WINDOW = timedelta(hours=STUDY.maturity.attribution_hours)
SERVED = 6


@dataclass
class Server:
    """What the serving process has loaded; a power loss empties it."""

    runtime: Runtime | None = None
    loaded: list[str] = field(default_factory=list)


def settings_of(run: Run, actor: str) -> Any:
    """What flows read from the environment, for one worker."""
    return settings_at(run.store, run.data, actor)


def settings_at(store: Any, data: Path, actor: str) -> Any:
    """What flows read from the environment, for a store and a data folder."""
    return SimpleNamespace(
        store=store, data=data, bundles=data / "bundles", checkpoints=data / "checkpoints", actor=actor
    )


@contextmanager
def alone(run: Run, worker: Worker, name: str) -> Iterator[None]:
    """As `lease.held`, whose thread the scheduler stands for; what dies inside gives nothing back."""
    grant = lease.take(run.store, name, worker.name, holder=worker.holder)
    run.store.newest[name] = max(grant.token, run.store.newest.get(name, 0))
    worker.grants.append((grant, run.world.now))
    try:
        with fencing.carrying(grant):
            yield
    finally:
        worker.grants = [each for each in worker.grants if each[0] is not grant]
        with suppress(QuaestorError):  # it runs out by itself
            lease.release(run.store, grant)


def ingest(run: Run, worker: Worker) -> None:
    """Every file that lies there and is not known to be in; one that was announced and is missing waits."""
    for kind, path in run.waiting_files():
        try:
            with alone(run, worker, f"file {path}"):
                ingest_file(run.store, kind, path)
        except QuaestorError as error:
            if path.name not in run.poisoned or "truncated" not in str(error):
                raise
        if not run.world.chance(0.1):  # sometimes the orchestrator forgets, and has it ingested again
            run.settled.add(path)


def retrain(run: Run, worker: Worker) -> None:
    """Refit, evaluate, certify, judge and export, as `flows.retrain_payments` does."""
    settings = settings_of(run, worker.name)
    with alone(run, worker, f"policies of {SYSTEM}"):
        as_of = payments_training.moment_of(settings)
        loaded = payments_training.load_rounds(settings, STUDY, as_of)
        run.check_taught(loaded, as_of)
        incumbent = payments_training.ensure_incumbent(settings, STUDY, ACTIONS)
        candidate, _ = payments_training.train(settings, STUDY, loaded, incumbent, run.world.say)
        if candidate.iteration_id == incumbent.iteration_id:
            return
        name = candidate.iteration_id
        if not has(settings.store, name, EVALUATION, incumbent.iteration_id):
            better = stream_seed(0, "better", name) % 10 < 8
            found = evaluation(0.02 if better else -0.02, incumbent_id=incumbent.iteration_id)
            keep(settings.store, name, EVALUATION, found.as_json(), incumbent.iteration_id)
        certify_case(settings, name, case(candidate, loaded.manifest.digest), STUDY.certificate, run.world.say)
        keep(settings.store, name, GATE, {"certified_budget": 0.1}, incumbent.iteration_id)
        verdict, _ = judge_iteration(settings.store, SYSTEM, name, incumbent.iteration_id, STUDY.gate, worker.name)
        with settings.store.read() as connection:
            (stands,) = evidence.verdicts(connection).filter(iteration_id=name)["stage"]
        refuse_unless(stands == verdict.stage, f"7: the newest verdict is {verdict.stage!r}, {stands!r} is kept")
        if verdict.stage == Stage.PROMOTE:
            export(run, worker, name)


def export(run: Run, worker: Worker, name: str, override: str | None = None) -> None:
    """Exports one iteration, signed."""
    settings = settings_of(run, worker.name)
    with alone(run, worker, f"bundle of {name[:12]}"):
        export_iteration(settings.store, settings.data, name, settings.bundles, worker.name, override, run.key)


def case(candidate: registry.PolicyIteration, data_digest: str) -> Case:
    """A made-up player: its episodes follow from their seed."""
    subject = Subject(
        SYSTEM, "reward", "reward a payment", "400 payments", "made up", "on every number", 1.0,
        candidate.files[GRAPH], data_digest, ("everything",),
    )  # fmt: skip

    def play(seed: int, first: int, count: int) -> np.ndarray:
        return generator(seed, "episodes").uniform(0.7, 0.9, first + count)[first:]

    def attack(budgets: tuple[float, ...], seed: int) -> tuple[AttackTried, ...]:
        return tuple(AttackTried("none", budget, 0.8, 0.01, 20) for budget in budgets)

    return Case(subject, play, attack, lambda: 0.8)


def operate(run: Run, worker: Worker) -> None:
    """A person promotes what waits for it, or takes the live one back; what is live is looked at first."""
    with run.store.read() as connection:
        seen, live = last_move(connection, SYSTEM), audit.live(connection, SYSTEM)
        verdicts = evidence.verdicts(connection).filter(stage="promote")
        exported = set(bundles.listing(connection)["iteration_id"])
    waiting = sorted(set(verdicts["iteration_id"]) & exported - {live})
    if waiting and run.world.chance(0.6):
        name = run.world.draw.choice(waiting)
        run.seen[worker.name] = seen
        promote(run.store, name, worker.name, "better", seen=seen)
    elif run.world.chance(0.7):
        run.seen[worker.name] = seen
        roll_back(run.store, SYSTEM, worker.name, "complaints", seen=seen)


def serve(run: Run, worker: Worker) -> None:
    """Loads the live bundle if it changed, decides, and writes what it decided; the old one serves on if that fails."""
    with run.store.read() as connection:
        live = audit.live(connection, SYSTEM)
        folders = bundles.listing(connection).filter(iteration_id=live)["folder"].to_list()
    server = run.server
    if folders and (server.runtime is None or server.runtime.bundle.iteration_id != live):
        server.runtime = load(folders[-1], run.keys)
        run.check_loaded(server.runtime)
    if server.runtime is None:
        return
    draw, first = run.world.draw, run.decided
    run.decided += SERVED
    rows = pl.DataFrame(
        {
            "event_id": [f"e{number:05d}" for number in range(first, run.decided)],
            "decided_at": [_text(run.world.now - timedelta(seconds=draw.uniform(0, 600))) for _ in range(SERVED)],
            "eligible": [sorted(draw.sample(ACTIONS, draw.choice((2, 3)))) for _ in range(SERVED)],
            "numeric_x": [draw.gauss(0, 1) for _ in range(SERVED)],
            "category_level": [draw.choice(("L0", "L1", "unseen")) for _ in range(SERVED)],
        }
    )
    decided = server.runtime.decide(rows)
    path = run.data / "incoming" / f"decisions-{first:05d}.parquet"
    written_rows(decided, path, "decisions")
    run.served(path, decided, server.runtime)


def write_outcomes(path: Path, rows: list[dict[str, Any]]) -> None:
    """An upstream system's file; it is not on the simulated disk."""
    pl.DataFrame(rows).with_columns(pl.col("observed_at").dt.replace_time_zone("UTC")).write_parquet(path)


def refuse_unless(holds: bool, what: str) -> None:
    """Raises ViolationError where something does not hold."""
    if not holds:
        raise ViolationError(what)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds") + "Z"
